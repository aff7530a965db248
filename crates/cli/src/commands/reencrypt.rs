use std::path::Path;

use object_store::ObjectStoreExt;
use serde_json::json;

use crate::args::objects::Reencrypt;
use crate::error::Error;
use crate::formats::Family;
use crate::interrupt;
use crate::keyring_file;
use crate::output::Output;

/// Encrypts an object anew, under other keys and in the format that was asked for.
pub(crate) async fn run(
    command: &Reencrypt,
    keyring: Option<&Path>,
    output: &Output,
) -> Result<(), Error> {
    let opened = command.store.open(&command.url)?;
    let format = &command.format;
    let mut formats = format.formats(&command.reading, &command.s3ec, &command.rules)?;
    formats.s3ec = command.read_suffix.known_to(formats.s3ec);
    let keys = keyring_file::load(keyring).await?;
    let to = keyring_file::load(Some(&command.to)).await?;
    let to = match format.family() {
        Family::S3ec => {
            opened.check_s3ec(&command.url)?;
            to.check_writes_s3ec()?;
            to.s3ec
        }
        Family::Framed => format.required.requiring(to.framed)?,
    };
    let failed = |source| Error::store(command.url.as_str(), source);
    let path = &opened.path;
    let stored = interrupt::or(opened.store.head(path)).await?;
    let (builder, keys) = formats.over(opened.store.clone(), keys);
    let store = builder
        .context(command.context.load()?)
        .part_length(command.parts.length(stored.map_err(failed)?.size))
        .build(keys);
    let wishes = command.read_suffix.extensions();
    let reencrypted = interrupt::or(store.reencrypt_opts(path, &*to, wishes)).await?;
    reencrypted.map_err(failed)?;
    let report = json!({
        "command": "reencrypt",
        "object": command.url.as_str(),
        "format": format.name(),
    });
    output.summary(false, &report)
}

use std::io::{self, Write};
use std::path::Path;

use envelope_store::Framed;
use futures::TryStreamExt;
use object_store::{GetOptions, GetResult, ObjectStore};

use crate::args::objects::Cat;
use crate::args::s3ec::of_policy;
use crate::error::Error;
use crate::formats::{Family, Formats};
use crate::interrupt;
use crate::keyring_file;
use crate::location::Opened;

/// Writes an object, or a range of it, to standard output, as soon as it verified.
pub(crate) async fn run(command: &Cat, keyring: Option<&Path>) -> Result<(), Error> {
    let Opened { store, path, .. } = command.store.open(&command.url)?;
    let s3ec = of_policy(command.rules.commitment_policy);
    let s3ec = command.s3ec.reading(s3ec);
    let formats = Formats {
        framed: Framed::new().reading(command.reading.options(&command.rules)),
        s3ec: command.suffix.known_to(s3ec),
        writes: Family::Framed,
    };
    let (builder, keys) = formats.over(store, keyring_file::load(keyring).await?);
    let store = builder.context(command.context.load()?).build(keys);
    let failed = |source| Error::store(command.url.as_str(), source);
    let request = GetOptions::new()
        .with_range(command.range.clone())
        .with_extensions(command.suffix.extensions());
    let result = store.get_opts(&path, request).await.map_err(failed)?;
    write_out(result, command.url.as_str()).await
}

/// Writes what was got to standard output.
pub(crate) async fn write_out(result: GetResult, name: &str) -> Result<(), Error> {
    let mut plaintext = result.into_stream();
    let mut output = io::stdout();
    let written = |source| Error::Write {
        name: "standard output".to_owned(),
        source,
    };
    while let Some(bytes) = interrupt::or(plaintext.try_next()).await?.transpose() {
        let bytes = bytes.map_err(|source| Error::store(name, source))?;
        output.write_all(&bytes).map_err(written)?;
    }
    output.flush().map_err(written)
}

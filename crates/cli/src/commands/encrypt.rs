use std::path::Path;

use envelope::io::copy;
use envelope::{EncryptOptions, Encryptor, MaterialsManager};
use serde_json::json;

use super::{context_json, suite_id};
use crate::args::Encrypt;
use crate::error::Error;
use crate::interrupt::{self, Interruptible};
use crate::keyring_file;
use crate::output::Output;
use crate::place::{Source, Target};

pub(crate) async fn run(
    command: &Encrypt,
    keyring: Option<&Path>,
    output: &Output,
) -> Result<(), Error> {
    let options = options(command)?;
    let manager = command
        .required
        .requiring(keyring_file::load(keyring).await?.framed)?;
    let source = Source::open(&command.source, command.target.path())?;
    let refused = |error| Error::envelope(&source.name, error);
    let mut request = options.request().map_err(refused)?;
    request.plaintext_length = source.length;
    let materials = interrupt::or(manager.encryption_materials(request)).await?;
    let materials = materials.map_err(refused)?;
    let (suite, context) = (materials.suite(), materials.context().clone());
    let encryptor = Encryptor::new(materials, &options).map_err(refused)?;

    let mut target = Target::create(&command.target)?;
    let progress = output.progress(source.length);
    let mut reader = progress.wrap_read(Interruptible(source.reader));
    let copied = copy(&mut reader, encryptor, &mut target);
    progress.finish_and_clear();
    let target_name = Target::name(&command.target);
    let plaintext_length = copied.map_err(Error::copy(&source.name, &target_name))?;
    target.commit()?;
    output.summary(
        command.target.path().is_none(),
        &json!({
            "command": "encrypt",
            "source": command.source.to_string(),
            "destination": command.target.to_string(),
            "suite": suite_id(suite),
            "encryption_context": context_json(&context),
            "plaintext_length": plaintext_length,
        }),
    )
}

fn options(command: &Encrypt) -> Result<EncryptOptions, Error> {
    let mut options = EncryptOptions::default()
        .with_context(command.context.load()?)
        .with_frame_length(command.frame_length)
        .with_policy(command.rules.commitment_policy);
    if let Some(suite) = command.suite {
        options = options.with_suite(suite);
    }
    if let Some(maximum) = command.rules.max_encrypted_data_keys {
        options = options.with_maximum_encrypted_data_keys(maximum);
    }
    Ok(options)
}

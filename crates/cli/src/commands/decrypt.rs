use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;

use envelope::io::{copy, read_header};
use envelope::{DecryptOptions, Decryptor, MaterialsManager};
use serde_json::json;
use tempfile::SpooledTempFile;

use super::{context_json, suite_id};
use crate::args::Decrypt;
use crate::error::Error;
use crate::interrupt::{self, Interruptible};
use crate::keyring_file;
use crate::output::Output;
use crate::place::{Source, Target};

/// A piped message up to this length in bytes is kept in memory; a longer one goes to disk.
const SPOOL_IN_MEMORY: usize = 4 << 20;

pub(crate) async fn run(
    command: &Decrypt,
    keyring: Option<&Path>,
    output: &Output,
) -> Result<(), Error> {
    let options = options(command)?;
    let keyring = keyring_file::load(keyring).await?.framed;
    let source = Source::open(&command.source, command.target.path())?;
    let target_name = Target::name(&command.target);
    let failed = Error::copy(&source.name, &target_name);

    let progress = output.progress(source.length);
    let mut reader = progress.wrap_read(Interruptible(source.reader));
    let (header, mut body) = read_header(&mut reader, &options).map_err(&failed)?;
    let header_length = header.length() as u64;
    let materials = interrupt::or(keyring.decryption_materials(header.request())).await?;
    let decryptor = materials
        .and_then(|materials| header.verify(materials))
        .map_err(|error| Error::envelope(&source.name, error))?;
    let (suite, context) = (decryptor.suite(), decryptor.context().clone());

    let mut target = Target::create(&command.target)?;
    if command.stream || matches!(target, Target::File(_)) {
        copy(&mut body, decryptor, &mut target).map_err(&failed)?;
    } else if source.length.is_some() {
        // Standard output takes nothing back, so the message is read once to verify all of it
        // and once more, each frame verified again, to release it.
        copy(&mut body, decryptor.clone(), &mut io::sink()).map_err(&failed)?;
        drop(body);
        reader
            .seek(SeekFrom::Start(header_length))
            .map_err(|error| failed(envelope::io::CopyError::Read(error)))?;
        copy(&mut reader, decryptor, &mut target).map_err(&failed)?;
    } else {
        let mut spool = spool_verified(body, decryptor.clone(), &failed)?;
        copy(&mut spool, decryptor, &mut target).map_err(&failed)?;
    }
    progress.finish_and_clear();
    target.commit()?;
    output.summary(
        command.target.path().is_none(),
        &json!({
            "command": "decrypt",
            "source": command.source.to_string(),
            "destination": command.target.to_string(),
            "suite": suite_id(suite),
            "encryption_context": context_json(&context),
        }),
    )
}

fn options(command: &Decrypt) -> Result<DecryptOptions, Error> {
    // No plaintext is released before the signature verified, unless `--stream` asks for it.
    let reading = command.reading.options(&command.rules);
    let mut options = reading
        .expect_context(command.context.load()?)
        .allow_unverified_signature();
    if command.fail_on_signed {
        options = options.fail_on_signed();
    }
    if command.net_4_0_0_retry {
        options = options.allow_net_4_0_0();
    }
    Ok(options)
}

/// Verifies a message that can be read only once, and returns its ciphertext to be read again:
/// no plaintext touches a disk.
fn spool_verified(
    body: impl Read,
    decryptor: Decryptor,
    failed: impl Fn(envelope::io::CopyError) -> Error,
) -> Result<SpooledTempFile, Error> {
    let mut tee = Tee {
        reader: body,
        spool: SpooledTempFile::new(SPOOL_IN_MEMORY),
        spool_error: None,
    };
    let verified = copy(&mut tee, decryptor, &mut io::sink());
    let spool_failed = |source| Error::Write {
        name: format!("a temporary file in {}", std::env::temp_dir().display()),
        source,
    };
    if let Some(error) = tee.spool_error {
        return Err(spool_failed(error));
    }
    verified.map_err(failed)?;
    tee.spool.rewind().map_err(spool_failed)?;
    Ok(tee.spool)
}

/// Keeps a copy of all that is read.
struct Tee<R> {
    reader: R,
    spool: SpooledTempFile,
    spool_error: Option<io::Error>,
}

impl<R: Read> Read for Tee<R> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let length = self.reader.read(bytes)?;
        let read = bytes.get(..length).unwrap_or_default();
        if let Err(error) = self.spool.write_all(read) {
            self.spool_error = Some(error);
            return Err(io::Error::other("the temporary file failed"));
        }
        Ok(length)
    }
}

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::Path;

use envelope::WrappingKey;
use serde_json::json;

use crate::args::{Keygen, KeygenKind};
use crate::error::Error;
use crate::output::Output;

pub(crate) fn run(command: &Keygen, output: &Output) -> Result<(), Error> {
    let KeygenKind::Aes { bits, out } = &command.kind;
    let key = WrappingKey::generate_bits(*bits).map_err(|error| match error {
        envelope::Error::KeyLength { .. } => Error::Usage(format!(
            "--bits {bits}: an AES key has 128, 192 or 256 bits"
        )),
        other => Error::envelope("keygen", other),
    })?;
    write_new(out, key.expose())?;
    output.result(
        &json!({ "type": "aes", "bits": bits, "file": out.display().to_string() }),
        &format!("wrote an AES key of {bits} bits to {}\n", out.display()),
    )
}

/// Creates a file that only its owner may use; never replaces one.
fn write_new(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let failed = |source| Error::Write {
        name: path.display().to_string(),
        source,
    };
    let mut file = options.open(path).map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => Error::Usage(format!(
            "{} exists; keys are never overwritten: name another file",
            path.display()
        )),
        _ => failed(error),
    })?;
    file.write_all(bytes)
        .and_then(|()| file.sync_all())
        .map_err(|error| {
            // Half a key is no key.
            let _ = fs::remove_file(path);
            failed(error)
        })
}

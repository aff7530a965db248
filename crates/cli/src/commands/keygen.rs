use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use envelope::{EcPrivateKey, RsaPrivateKey, WrappingKey};
use serde_json::json;

use crate::args::{Keygen, KeygenKind};
use crate::error::Error;
use crate::output::Output;

pub(crate) fn run(command: &Keygen, output: &Output) -> Result<(), Error> {
    let failed = |error| Error::envelope("keygen", error);
    match &command.kind {
        KeygenKind::Aes { bits, out } => {
            let key = WrappingKey::generate_bits(*bits).map_err(|error| match error {
                envelope::Error::KeyLength { .. } => Error::Usage(format!(
                    "--bits {bits}: an AES key has 128, 192 or 256 bits"
                )),
                other => failed(other),
            })?;
            write_new(&[(out, key.expose(), PRIVATE)])?;
            output.result(
                &json!({ "type": "aes", "bits": bits, "file": name(out) }),
                &format!("wrote an AES key of {bits} bits to {}\n", name(out)),
            )
        }
        KeygenKind::Rsa { bits, out } => {
            // Before the long wait for a key.
            refuse_existing(&[out, &public_path(out)])?;
            let key = RsaPrivateKey::generate(*bits).map_err(failed)?;
            let (private, public) = (key.to_pem(), key.public_key_pem());
            let public_file = write_pair(out, &private.map_err(failed)?, &public.map_err(failed)?)?;
            output.result(
                &json!({ "type": "rsa", "bits": bits, "file": name(out), "public_file": public_file }),
                &format!(
                    "wrote an RSA key of {bits} bits to {}, its public key to {public_file}\n",
                    name(out)
                ),
            )
        }
        KeygenKind::Ec { curve, out } => {
            let key = EcPrivateKey::generate(*curve).map_err(failed)?;
            let (private, public) = (key.to_pem(), key.public_key_pem());
            let public_file = write_pair(out, &private.map_err(failed)?, &public.map_err(failed)?)?;
            output.result(
                &json!({ "type": "ec", "curve": curve.name(), "file": name(out), "public_file": public_file }),
                &format!(
                    "wrote a {curve} key to {}, its public key to {public_file}\n",
                    name(out)
                ),
            )
        }
    }
}

/// Mode of a file that only its owner may use, and of one that all may read.
const PRIVATE: u32 = 0o600;
const PUBLIC: u32 = 0o644;

fn name(path: &Path) -> String {
    path.display().to_string()
}

/// Where the public key goes: beside the private one.
fn public_path(private: &Path) -> PathBuf {
    let mut path = OsString::from(private);
    path.push(".pub.pem");
    path.into()
}

fn write_pair(out: &Path, private: &str, public: &str) -> Result<String, Error> {
    let public_path = public_path(out);
    write_new(&[
        (out, private.as_bytes(), PRIVATE),
        (&public_path, public.as_bytes(), PUBLIC),
    ])?;
    Ok(name(&public_path))
}

fn refuse_existing(paths: &[&Path]) -> Result<(), Error> {
    match paths.iter().find(|path| fs::symlink_metadata(path).is_ok()) {
        Some(path) => Err(exists(path)),
        None => Ok(()),
    }
}

fn exists(path: &Path) -> Error {
    Error::Usage(format!(
        "{} exists; keys are never overwritten: name another file",
        path.display()
    ))
}

/// Creates all files or none; never replaces one.
fn write_new(files: &[(&Path, &[u8], u32)]) -> Result<(), Error> {
    let mut written = Vec::new();
    let result = files.iter().try_for_each(|(path, bytes, mode)| {
        let failed = |source| Error::Write {
            name: name(path),
            source,
        };
        let mut file = create_new(path, *mode).map_err(|error| match error.kind() {
            io::ErrorKind::AlreadyExists => exists(path),
            _ => failed(error),
        })?;
        written.push(path);
        file.write_all(bytes)
            .and_then(|()| file.sync_all())
            .map_err(failed)
    });
    if result.is_err() {
        // Half a key is no key.
        for path in written {
            let _ = fs::remove_file(path);
        }
    }
    result
}

fn create_new(path: &Path, mode: u32) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, mode);
    #[cfg(not(unix))]
    let _ = mode;
    options.open(path)
}

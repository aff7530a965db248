use std::path::{Path, PathBuf};

use envelope::{EcCurve, EcPrivateKey, EcPublicKey, RawEcdh};
use serde::Deserialize;

use super::private_pem::PrivatePem;
use super::secret_file::read_public;

/// `type = "raw-ecdh"`
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct RawEcdhEntry {
    scheme: Scheme,
    curve: String,
    private_key_file: Option<PathBuf>,
    peer_public_key_file: Option<PathBuf>,
    passphrase_env: Option<String>,
    /// Names the entry in errors; the message format has no place for it.
    #[serde(default, rename = "name")]
    _name: Option<String>,
}

#[derive(Deserialize, Clone, Copy)]
#[serde(rename_all = "kebab-case")]
enum Scheme {
    Static,
    Ephemeral,
    Discovery,
}

impl RawEcdhEntry {
    pub(super) fn open(self, file: &Path) -> Result<RawEcdh, String> {
        let curve = self.curve.parse();
        let curve: EcCurve = curve.map_err(|error| format!("field \"curve\": {error}"))?;
        match (
            self.scheme,
            &self.private_key_file,
            &self.peer_public_key_file,
        ) {
            (Scheme::Static, Some(mine), Some(theirs)) => {
                let theirs = public_key(file, theirs, curve)?;
                RawEcdh::between(self.private_key(file, mine, curve)?, theirs)
                    .map_err(|error| error.to_string())
            }
            (Scheme::Ephemeral, None, Some(theirs)) => {
                Ok(RawEcdh::ephemeral_to(public_key(file, theirs, curve)?))
            }
            (Scheme::Discovery, Some(mine), None) => {
                Ok(RawEcdh::discovery(self.private_key(file, mine, curve)?))
            }
            (Scheme::Static, ..) => Err(
                "scheme \"static\" needs \"private-key-file\" and \"peer-public-key-file\"".into(),
            ),
            (Scheme::Ephemeral, ..) => {
                Err("scheme \"ephemeral\" needs \"peer-public-key-file\" alone".into())
            }
            (Scheme::Discovery, ..) => {
                Err("scheme \"discovery\" needs \"private-key-file\" alone".into())
            }
        }
    }

    fn private_key(
        &self,
        file: &Path,
        path: &Path,
        curve: EcCurve,
    ) -> Result<EcPrivateKey, String> {
        let pem = PrivatePem::read(file, path, self.passphrase_env.as_deref())?;
        let key = pem.decode(EcPrivateKey::from_pem)?;
        check_curve("private-key-file", path, key.public_key(), curve)?;
        Ok(key)
    }
}

fn public_key(file: &Path, path: &Path, curve: EcCurve) -> Result<EcPublicKey, String> {
    const FIELD: &str = "peer-public-key-file";
    let pem = read_public(FIELD, file, path)?;
    let key = EcPublicKey::from_pem(&pem)
        .map_err(|error| format!("field {FIELD:?}: {}: {error}", path.display()))?;
    check_curve(FIELD, path, &key, curve)?;
    Ok(key)
}

fn check_curve(field: &str, path: &Path, key: &EcPublicKey, curve: EcCurve) -> Result<(), String> {
    if key.curve() == curve {
        return Ok(());
    }
    Err(format!(
        "field {field:?}: {} is a key on {}, and \"curve\" says {curve}",
        path.display(),
        key.curve()
    ))
}

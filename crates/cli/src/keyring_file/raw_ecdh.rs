use std::path::{Path, PathBuf};

use async_trait::async_trait;
use envelope::{EcCurve, EcPrivateKey, RawEcdh};
use serde::Deserialize;

use super::ec_public_pem::{check_curve, read_public_key};
use super::fields::Fields;
use super::opened_key::OpenedKey;
use super::opening::Opening;
use super::private_pem::PrivatePem;

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
    name: Option<String>,
}

#[derive(Deserialize, Clone, Copy)]
#[serde(rename_all = "kebab-case")]
enum Scheme {
    Static,
    Ephemeral,
    Discovery,
}

const PEER: &str = "peer-public-key-file";
const ENCRYPTS_ONLY: &str =
    "scheme \"ephemeral\" encrypts to the peer, who alone can decrypt with scheme \"discovery\"";
const DECRYPTS_ONLY: &str =
    "scheme \"discovery\" opens what anybody encrypted to the key, and encrypts nothing";

#[async_trait]
impl Fields for RawEcdhEntry {
    async fn open(self: Box<Self>, opening: &mut Opening<'_>) -> Result<OpenedKey, String> {
        let file = opening.file;
        let curve = self.curve.parse();
        let curve: EcCurve = curve.map_err(|error| format!("field \"curve\": {error}"))?;
        let name = |scheme: &str| match &self.name {
            Some(name) => name.clone(),
            None => format!("{scheme} on {curve}"),
        };
        match (
            self.scheme,
            &self.private_key_file,
            &self.peer_public_key_file,
        ) {
            (Scheme::Static, Some(mine), Some(theirs)) => {
                let theirs = read_public_key(PEER, file, theirs, curve)?;
                let keyring = RawEcdh::between(self.private_key(file, mine, curve)?, theirs)
                    .map_err(|error| error.to_string())?;
                Ok(OpenedKey::new(name("static"), keyring))
            }
            (Scheme::Ephemeral, None, Some(theirs)) => {
                let keyring = RawEcdh::ephemeral_to(read_public_key(PEER, file, theirs, curve)?);
                Ok(OpenedKey::new(name("ephemeral"), keyring).encrypting_only(ENCRYPTS_ONLY))
            }
            (Scheme::Discovery, Some(mine), None) => {
                let keyring = RawEcdh::discovery(self.private_key(file, mine, curve)?);
                Ok(OpenedKey::new(name("discovery"), keyring).decrypting_only(DECRYPTS_ONLY))
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
}

impl RawEcdhEntry {
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

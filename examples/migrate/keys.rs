use std::env;
use std::fs;
use std::sync::Arc;

use anyhow::{Context, Result};
use envelope::{Keyring, RawAes, RsaPrivateKey, RsaPublicKey, WrappingKey};
use envelope_s3::keyring::{Aes, Keys as S3ecKeys, MaterialDescription, Rsa};
use zeroize::Zeroizing;

/// The keys of both sides.
pub(crate) struct Keys {
    /// Of S3 Encryption Client objects. For those under KMS keys, `envelope_s3::keyring::Kms` belongs
    /// here too.
    pub(crate) s3ec: Arc<S3ecKeys>,
    /// Of framed objects.
    pub(crate) framed: Arc<RawAes>,
}

impl Keys {
    /// Reads the files that the environment names.
    pub(crate) fn from_environment() -> Result<Self> {
        let mut keyrings: Vec<Arc<dyn Keyring>> = Vec::new();
        if let Some(key) = aes_key("S3EC_AES_KEY")? {
            keyrings.push(Arc::new(Aes::new(key)));
        }
        if let Some(pem) = file("S3EC_RSA_KEY")? {
            let pem = std::str::from_utf8(&pem).context("S3EC_RSA_KEY: no PEM text")?;
            let key = RsaPrivateKey::from_pem(pem, None).context("S3EC_RSA_KEY")?;
            keyrings.push(Arc::new(rsa(key)?));
        }
        let mut keyrings = keyrings.into_iter();
        let main = keyrings
            .next()
            .context("name a key file in S3EC_AES_KEY or S3EC_RSA_KEY; see --help")?;
        let s3ec = keyrings.fold(S3ecKeys::new(main), |keys, other| keys.and(other));

        let key = aes_key("FRAMED_AES_KEY")?;
        let key = key.context("name a key file in FRAMED_AES_KEY; see --help")?;
        let name = env::var("FRAMED_KEY_NAME").unwrap_or_else(|_| "example/framed".to_owned());
        let (namespace, name) = name
            .split_once('/')
            .context("FRAMED_KEY_NAME must be namespace/name")?;
        Ok(Self {
            s3ec: Arc::new(s3ec),
            framed: Arc::new(RawAes::new(namespace, name, key)?),
        })
    }
}

/// Keys as a bucket collects them over the years: one for each format.
pub(crate) struct DemonstrationKeys {
    pub(crate) v1: Arc<Aes>,
    pub(crate) v2: Arc<Rsa>,
    pub(crate) v3: Arc<Aes>,
}

impl DemonstrationKeys {
    pub(crate) fn generate() -> Result<Self> {
        let described = |year| MaterialDescription::new([("year", year)]);
        let v1 = Aes::new(WrappingKey::generate()?).wrapping_for_v1_without_integrity();
        let v2 = rsa(RsaPrivateKey::generate(2048)?)?;
        let v3 = Aes::new(WrappingKey::generate()?);
        Ok(Self {
            v1: Arc::new(v1.described(described("2012"))),
            v2: Arc::new(v2.described(described("2020"))),
            v3: Arc::new(v3.described(described("2026"))),
        })
    }

    /// The descriptions of objects pick among these when objects are read.
    pub(crate) fn into_keys(self) -> Result<Keys> {
        let s3ec = S3ecKeys::new(self.v3).and(self.v2).and(self.v1);
        let framed = RawAes::new("example", "framed", WrappingKey::generate()?)?;
        Ok(Keys {
            s3ec: Arc::new(s3ec),
            framed: Arc::new(framed),
        })
    }
}

/// Reads and writes with a key pair.
fn rsa(key: RsaPrivateKey) -> Result<Rsa> {
    let public_key = RsaPublicKey::from_pem(&key.public_key_pem()?)?;
    Ok(Rsa::new(public_key, key))
}

fn aes_key(variable: &str) -> Result<Option<WrappingKey>> {
    let Some(mut bytes) = file(variable)? else {
        return Ok(None);
    };
    let key = WrappingKey::from_bytes(&mut bytes);
    Ok(Some(key.with_context(|| variable.to_owned())?))
}

/// The file that an environment variable names.
fn file(variable: &str) -> Result<Option<Zeroizing<Vec<u8>>>> {
    let Some(path) = env::var_os(variable) else {
        return Ok(None);
    };
    let content = fs::read(&path).with_context(|| format!("{variable}: {}", path.display()))?;
    Ok(Some(Zeroizing::new(content)))
}

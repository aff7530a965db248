use anyhow::Result;
use envelope::{RsaPrivateKey, WrappingKey};

/// New wrapping keys for one run, as all sides have them.
pub(crate) struct Keys {
    pub(crate) kms_key_id: String,
    /// 256 bits.
    pub(crate) aes: Vec<u8>,
    /// A private key of 2048 bits, as PKCS#8.
    pub(crate) rsa_pem: String,
}

impl Keys {
    pub(crate) fn generate(kms_key_id: String) -> Result<Self> {
        Ok(Self {
            kms_key_id,
            aes: WrappingKey::generate_bits(256)?.expose().to_vec(),
            rsa_pem: RsaPrivateKey::generate(2048)?.to_pem()?.to_string(),
        })
    }
}

use std::collections::BTreeSet;
use std::fmt;

use async_trait::async_trait;

use crate::context::{EncryptionContext, RESERVED_PREFIX};
use crate::error::{Error, Result};
use crate::manager::MaterialsManager;
use crate::materials::{
    DecryptionMaterials, DecryptionRequest, EncryptionMaterials, EncryptionRequest,
};

/// Demands certain keys of the encryption context, and keeps their values out of the message.
///
/// The pairs are bound to the message as ever, but whoever reads it must know them: pass them to
/// [`expect_context`](crate::DecryptOptions::expect_context). Source: AWS Encryption SDK
/// specification, "Required Encryption Context CMM".
///
/// ```
/// use envelope::{DecryptOptions, EncryptOptions, EncryptionContext, RawAes, WrappingKey};
/// use envelope::{RequiredEncryptionContext, UnverifiedHeader, blocking};
///
/// let keyring = RawAes::new("acme", "2026-11", WrappingKey::generate()?)?;
/// let manager = RequiredEncryptionContext::new(keyring, ["patient"])?;
/// let context = EncryptionContext::new([("patient", "1024"), ("kind", "x-ray")])?;
///
/// let sealing = EncryptOptions::default().with_context(context.clone());
/// let message = blocking::encrypt(&manager, b"picture", &sealing)?;
/// let header = UnverifiedHeader::parse_whole(&message, &DecryptOptions::default())?;
/// assert_eq!(header.claims().context().get("patient"), None);
///
/// let opening = DecryptOptions::default().expect_context(context);
/// assert_eq!(blocking::decrypt(&manager, &message, &opening)?.plaintext, b"picture");
/// # Ok::<(), envelope::Error>(())
/// ```
pub struct RequiredEncryptionContext {
    inner: Box<dyn MaterialsManager>,
    keys: BTreeSet<String>,
}

impl RequiredEncryptionContext {
    /// Demands these keys of whatever `inner` encrypts and decrypts.
    ///
    /// # Errors
    /// [`Error::InvalidOption`] without keys, [`Error::ReservedContextKey`] for one that begins
    /// with `aws-crypto-`.
    pub fn new<K: Into<String>>(
        inner: impl MaterialsManager + 'static,
        keys: impl IntoIterator<Item = K>,
    ) -> Result<Self> {
        let keys: BTreeSet<String> = keys.into_iter().map(Into::into).collect();
        if keys.is_empty() {
            return Err(Error::InvalidOption {
                what: "the set of required encryption-context keys",
                reason: "must not be empty",
            });
        }
        if let Some(key) = keys.iter().find(|key| key.starts_with(RESERVED_PREFIX)) {
            return Err(Error::ReservedContextKey { key: key.clone() });
        }
        Ok(Self {
            inner: Box::new(inner),
            keys,
        })
    }

    /// The first key that `found` does not hold.
    fn missing(&self, found: &EncryptionContext) -> Option<&String> {
        self.keys.iter().find(|key| found.get(key).is_none())
    }

    fn check_given(&self, given: &EncryptionContext) -> Result<()> {
        match self.missing(given) {
            Some(key) => Err(Error::RequiredContextKeyMissing { key: key.clone() }),
            None => Ok(()),
        }
    }

    /// The inner manager may be anyone's: its answer is held against the demand once more.
    fn check_returned(&self, returned: &EncryptionContext) -> Result<()> {
        match self.missing(returned) {
            Some(_) => Err(Error::InconsistentMaterials {
                reason: "a required encryption-context key is missing from them",
            }),
            None => Ok(()),
        }
    }
}

#[async_trait]
impl MaterialsManager for RequiredEncryptionContext {
    async fn encryption_materials(
        &self,
        request: EncryptionRequest<'_>,
    ) -> Result<EncryptionMaterials> {
        self.check_given(request.context)?;
        let mut materials = self.inner.encryption_materials(request).await?;
        self.check_returned(&materials.context)?;
        materials.not_stored.extend(self.keys.iter().cloned());
        Ok(materials)
    }

    async fn decryption_materials(
        &self,
        request: DecryptionRequest<'_>,
    ) -> Result<DecryptionMaterials> {
        self.check_given(request.expected_context)?;
        let materials = self.inner.decryption_materials(request).await?;
        self.check_returned(&materials.context)?;
        Ok(materials)
    }
}

impl fmt::Debug for RequiredEncryptionContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequiredEncryptionContext")
            .field("keys", &self.keys)
            .finish_non_exhaustive()
    }
}

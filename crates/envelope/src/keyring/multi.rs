use async_trait::async_trait;

use super::{Attempt, KeyRequest, Keyring, KeyringError, Unwrapped};
use crate::encrypted_data_key::EncryptedDataKey;
use crate::secret::DataKey;

/// Several keyrings as one: each of them can open what this one writes.
///
/// The generator makes the data key; it and every child wrap it, in that order, and all must
/// succeed. Reading tries the generator, then the children. Source: AWS Encryption SDK
/// specification, "Multi-Keyring".
///
/// ```
/// use envelope::{Multi, RawAes, WrappingKey};
///
/// let daily = RawAes::new("acme", "daily", WrappingKey::generate()?)?;
/// let escrow = RawAes::new("acme", "escrow", WrappingKey::generate()?)?;
/// let keyring = Multi::generate_with(daily).and(escrow);
/// # Ok::<(), envelope::Error>(())
/// ```
#[derive(Debug)]
pub struct Multi {
    generator: Option<Box<dyn Keyring>>,
    children: Vec<Box<dyn Keyring>>,
}

impl Multi {
    /// A keyring that makes data keys with `generator`.
    #[must_use]
    pub fn generate_with(generator: impl Keyring + 'static) -> Self {
        Self {
            generator: Some(Box::new(generator)),
            children: Vec::new(),
        }
    }

    /// A keyring that makes no data keys: its children wrap those that exist, and open messages.
    #[must_use]
    pub fn without_generator(child: impl Keyring + 'static) -> Self {
        Self {
            generator: None,
            children: vec![Box::new(child)],
        }
    }

    /// Adds a child: it wraps every data key too, and may open messages.
    #[must_use]
    pub fn and(mut self, child: impl Keyring + 'static) -> Self {
        self.children.push(Box::new(child));
        self
    }

    /// Generator, then children.
    fn keyrings(&self) -> impl Iterator<Item = &dyn Keyring> {
        let keyrings = self.generator.iter().chain(&self.children);
        keyrings.map(|keyring| &**keyring)
    }
}

#[async_trait]
impl Keyring for Multi {
    async fn wrap_key(
        &self,
        data_key: &DataKey,
        request: KeyRequest<'_>,
    ) -> Result<Vec<EncryptedDataKey>, KeyringError> {
        let mut keys = Vec::new();
        for keyring in self.keyrings() {
            keys.extend(keyring.wrap_key(data_key, request).await?);
        }
        Ok(keys)
    }

    async fn unwrap_key(
        &self,
        keys: &[EncryptedDataKey],
        request: KeyRequest<'_>,
    ) -> Result<Unwrapped, Vec<Attempt>> {
        let mut attempts = Vec::new();
        for keyring in self.keyrings() {
            match keyring.unwrap_key(keys, request).await {
                Ok(unwrapped) => return Ok(unwrapped),
                Err(more) => attempts.extend(more),
            }
        }
        Err(attempts)
    }

    async fn generate_key(
        &self,
        request: KeyRequest<'_>,
    ) -> Result<(DataKey, Vec<EncryptedDataKey>), KeyringError> {
        let generator = self.generator.as_ref().ok_or_else(|| {
            let reason = "has no generator, so it makes no data keys; give it one";
            KeyringError::misconfigured("multi-keyring", reason)
        })?;
        let (data_key, mut keys) = generator.generate_key(request).await?;
        for child in &self.children {
            keys.extend(child.wrap_key(&data_key, request).await?);
        }
        Ok((data_key, keys))
    }
}

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
    generator: Box<dyn Keyring>,
    children: Vec<Box<dyn Keyring>>,
}

impl Multi {
    /// A keyring that makes data keys with `generator`.
    #[must_use]
    pub fn generate_with(generator: impl Keyring + 'static) -> Self {
        Self {
            generator: Box::new(generator),
            children: Vec::new(),
        }
    }

    /// Adds a child: it wraps every data key too, and may open messages.
    #[must_use]
    pub fn and(mut self, child: impl Keyring + 'static) -> Self {
        self.children.push(Box::new(child));
        self
    }

    async fn wrap_with_children(
        &self,
        data_key: &DataKey,
        request: KeyRequest<'_>,
        keys: &mut Vec<EncryptedDataKey>,
    ) -> Result<(), KeyringError> {
        for child in &self.children {
            keys.extend(child.wrap_key(data_key, request).await?);
        }
        Ok(())
    }
}

#[async_trait]
impl Keyring for Multi {
    async fn wrap_key(
        &self,
        data_key: &DataKey,
        request: KeyRequest<'_>,
    ) -> Result<Vec<EncryptedDataKey>, KeyringError> {
        let mut keys = self.generator.wrap_key(data_key, request).await?;
        self.wrap_with_children(data_key, request, &mut keys)
            .await?;
        Ok(keys)
    }

    async fn unwrap_key(
        &self,
        keys: &[EncryptedDataKey],
        request: KeyRequest<'_>,
    ) -> Result<Unwrapped, Vec<Attempt>> {
        let mut attempts = match self.generator.unwrap_key(keys, request).await {
            Ok(unwrapped) => return Ok(unwrapped),
            Err(attempts) => attempts,
        };
        for child in &self.children {
            match child.unwrap_key(keys, request).await {
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
        let (data_key, mut keys) = self.generator.generate_key(request).await?;
        self.wrap_with_children(&data_key, request, &mut keys)
            .await?;
        Ok((data_key, keys))
    }
}

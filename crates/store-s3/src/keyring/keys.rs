use async_trait::async_trait;
use envelope::keyring::{Attempt, KeyRequest, KeyringError, Unwrapped};
use envelope::{DataKey, EncryptedDataKey, Keyring};

/// Several keyrings as one: it writes with the first and reads with any that fits an object's
/// wrap algorithm and material description.
///
/// An object has one encrypted data key, so the others cannot open what this one writes. They are
/// for objects from before a change of keys. Give keys descriptions where there is more than one
/// of a kind: with the wraps of format V1 a wrong key cannot always be told from the right one.
///
/// ```
/// use envelope::WrappingKey;
/// use envelope_s3::keyring::{Aes, Keys, MaterialDescription};
///
/// let described = |kid| MaterialDescription::new([("kid", kid)]);
/// let new = Aes::new(WrappingKey::generate()?).described(described("8"));
/// let old = Aes::new(WrappingKey::generate()?).described(described("7"));
/// let keyring = Keys::new(new).and(old);
/// # Ok::<(), envelope::Error>(())
/// ```
#[derive(Debug)]
pub struct Keys {
    main: Box<dyn Keyring>,
    others: Vec<Box<dyn Keyring>>,
}

impl Keys {
    /// A keyring that writes with `main`.
    #[must_use]
    pub fn new(main: impl Keyring + 'static) -> Self {
        Self {
            main: Box::new(main),
            others: Vec::new(),
        }
    }

    /// Adds a keyring that objects may be read with.
    #[must_use]
    pub fn and(mut self, other: impl Keyring + 'static) -> Self {
        self.others.push(Box::new(other));
        self
    }
}

#[async_trait]
impl Keyring for Keys {
    async fn wrap_key(
        &self,
        data_key: &DataKey,
        request: KeyRequest<'_>,
    ) -> Result<Vec<EncryptedDataKey>, KeyringError> {
        self.main.wrap_key(data_key, request).await
    }

    async fn unwrap_key(
        &self,
        keys: &[EncryptedDataKey],
        request: KeyRequest<'_>,
    ) -> Result<Unwrapped, Vec<Attempt>> {
        let mut attempts = Vec::new();
        for keyring in std::iter::once(&self.main).chain(&self.others) {
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
        self.main.generate_key(request).await
    }
}

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;

use super::{
    Attempt, EcdhParties, KeyRequest, Keyring, KeyringError, Refusal, Unwrapped, first_to_open,
};
use crate::crypto::Refused;
use crate::crypto::ec_key::{EcPrivateKey, EcPublicKey};
use crate::encrypted_data_key::EncryptedDataKey;
use crate::error::{Error, Result};
use crate::secret::DataKey;

const PROVIDER_ID: &str = "raw-ecdh";
/// The same scheme with the private key in AWS KMS: either side opens the other's messages.
const KMS_PROVIDER_ID: &str = "aws-kms-ecdh";

/// Wraps data keys under a key that two parties agree on: elliptic-curve Diffie-Hellman.
///
/// Source: AWS Encryption SDK specification, "Raw ECDH Keyring".
///
/// ```
/// use envelope::{DecryptOptions, EcCurve, EcPrivateKey, EncryptOptions, RawEcdh, blocking};
///
/// // Each side knows its private key and the other's public key.
/// let (ours, theirs) = (EcPrivateKey::generate(EcCurve::P384)?, EcPrivateKey::generate(EcCurve::P384)?);
/// let (our_point, their_point) = (ours.public_key().clone(), theirs.public_key().clone());
///
/// let writer = RawEcdh::between(ours, their_point)?;
/// let message = blocking::encrypt(&writer, b"hello", &EncryptOptions::default())?;
/// let reader = RawEcdh::between(theirs, our_point)?;
/// let opened = blocking::decrypt(&reader, &message, &DecryptOptions::default())?;
/// assert_eq!(opened.plaintext, b"hello");
/// # Ok::<(), envelope::Error>(())
/// ```
pub struct RawEcdh {
    scheme: Scheme,
    description: Arc<str>,
}

enum Scheme {
    Static {
        mine: EcPrivateKey,
        theirs: EcPublicKey,
    },
    Ephemeral {
        theirs: EcPublicKey,
    },
    Discovery {
        mine: EcPrivateKey,
    },
}

impl RawEcdh {
    /// Encrypts to the other party, and decrypts what either sent to the other ("static").
    ///
    /// # Errors
    /// [`Error::KeyNotValid`] when the keys are on different curves.
    pub fn between(mine: EcPrivateKey, theirs: EcPublicKey) -> Result<Self> {
        let curve = mine.public_key().curve();
        if theirs.curve() != curve {
            return Err(Error::KeyNotValid {
                reason: "is on another curve than the private key",
            });
        }
        Ok(Self {
            scheme: Scheme::Static { mine, theirs },
            description: format!("raw ECDH static {curve}").into(),
        })
    }

    /// Encrypts to the other party under a private key made for one message ("ephemeral"). It
    /// decrypts nothing.
    #[must_use]
    pub fn ephemeral_to(theirs: EcPublicKey) -> Self {
        Self {
            description: format!("raw ECDH ephemeral {}", theirs.curve()).into(),
            scheme: Scheme::Ephemeral { theirs },
        }
    }

    /// Decrypts what anybody encrypted to this key ("discovery"). It encrypts nothing.
    #[must_use]
    pub fn discovery(mine: EcPrivateKey) -> Self {
        Self {
            description: format!("raw ECDH discovery {}", mine.public_key().curve()).into(),
            scheme: Scheme::Discovery { mine },
        }
    }

    fn failed(&self, reason: &'static str) -> KeyringError {
        KeyringError::new(self.description.to_string(), reason)
    }

    /// My private key and the other point, or why the key is not for me.
    fn matching(
        &self,
        key: &EncryptedDataKey,
        parties: EcdhParties<'_>,
    ) -> Result<(&EcPrivateKey, EcPublicKey), &'static str> {
        if ![PROVIDER_ID, KMS_PROVIDER_ID].contains(&key.provider_id()) {
            return Err("another provider");
        }
        match &self.scheme {
            Scheme::Ephemeral { .. } => Err("an ephemeral keyring decrypts nothing"),
            Scheme::Static { mine, theirs } => {
                let (me, them) = (mine.public_key().to_bytes(), theirs.to_bytes());
                let found = (parties.sender, parties.recipient);
                if found != (me, them) && found != (them, me) {
                    return Err("between other keys");
                }
                Ok((mine, theirs.clone()))
            }
            Scheme::Discovery { mine } => {
                let me = mine.public_key();
                if parties.recipient != me.to_bytes() {
                    return Err("to another key");
                }
                let sender = EcPublicKey::from_point(me.curve(), parties.sender)
                    .map_err(|_| "the sender's key is no point on the curve")?;
                Ok((mine, sender))
            }
        }
    }
}

#[async_trait]
impl Keyring for RawEcdh {
    async fn wrap_key(
        &self,
        data_key: &DataKey,
        request: KeyRequest<'_>,
    ) -> Result<Vec<EncryptedDataKey>, KeyringError> {
        let generated;
        let (mine, theirs) = match &self.scheme {
            Scheme::Discovery { .. } => {
                return Err(KeyringError::misconfigured(
                    self.description.to_string(),
                    "a discovery keyring encrypts nothing; name the recipient",
                ));
            }
            Scheme::Static { mine, theirs } => (mine, theirs),
            Scheme::Ephemeral { theirs } => {
                generated = EcPrivateKey::generate(theirs.curve())
                    .map_err(|_| self.failed("no key could be generated"))?;
                (&generated, theirs)
            }
        };
        let parties = EcdhParties {
            sender: mine.public_key().to_bytes(),
            recipient: theirs.to_bytes(),
        };
        let shared = mine
            .agree(theirs)
            .map_err(|Refused| self.failed("the keys do not agree"))?;
        let ciphertext = parties
            .wrap(theirs.curve(), shared.expose(), data_key, request)
            .map_err(|_| self.failed("the cryptography library failed to encrypt"))?;
        Ok(vec![EncryptedDataKey::new(
            PROVIDER_ID,
            parties.provider_info(),
            ciphertext,
        )])
    }

    async fn unwrap_key(
        &self,
        keys: &[EncryptedDataKey],
        request: KeyRequest<'_>,
    ) -> Result<Unwrapped, Vec<Attempt>> {
        first_to_open(&self.description, keys, |key| {
            let parties = EcdhParties::parse(key.provider_info()).unwrap_or_default();
            let (mine, theirs) = self.matching(key, parties).map_err(Refusal::Skipped)?;
            mine.agree(&theirs)
                .map_err(|Refused| "the keys do not agree")
                .and_then(|shared| {
                    parties.unwrap(theirs.curve(), shared.expose(), key.ciphertext(), request)
                })
                .map_err(Refusal::Failed)
        })
    }
}

impl fmt::Debug for RawEcdh {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RawEcdh({})", self.description)
    }
}

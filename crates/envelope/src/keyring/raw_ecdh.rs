use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use subtle::ConstantTimeEq;

use super::{Attempt, KeyRequest, Keyring, KeyringError, Refusal, Unwrapped, first_to_open};
use crate::crypto::aead::{Aead, TAG_LENGTH};
use crate::crypto::ec_key::{EcCurve, EcPrivateKey, EcPublicKey};
use crate::crypto::kdf::{self, CounterHash};
use crate::crypto::{Refused, random};
use crate::encrypted_data_key::EncryptedDataKey;
use crate::error::{Error, Result};
use crate::secret::{DataKey, DerivedKey};

const PROVIDER_ID: &str = "raw-ecdh";
/// The same scheme with the private key in AWS KMS: either side opens the other's messages.
const KMS_PROVIDER_ID: &str = "aws-kms-ecdh";
const INFO_VERSION: u8 = 1;
const SALT_LENGTH: usize = 32;
const COMMITMENT_LENGTH: usize = 32;
/// The wrapping key is used once, so its IV may be fixed (specification, "Raw ECDH Keyring").
const IV: [u8; 12] = [0; 12];

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

/// Both points of an encrypted data key.
struct Parties<'a> {
    sender: &'a [u8],
    recipient: &'a [u8],
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
        parties: &Parties<'_>,
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
        let parties = Parties {
            sender: mine.public_key().to_bytes(),
            recipient: theirs.to_bytes(),
        };
        let fixed = parties.fixed_info(theirs.curve(), &request.context.to_bytes());
        let shared = mine
            .agree(theirs)
            .map_err(|Refused| self.failed("the keys do not agree"))?;
        let ciphertext = seal(&shared, &fixed, data_key)
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
        let context = request.context.to_bytes();
        first_to_open(&self.description, keys, |key| {
            let parties = Parties::parse(key.provider_info()).unwrap_or(Parties {
                sender: &[],
                recipient: &[],
            });
            let (mine, theirs) = self.matching(key, &parties).map_err(Refusal::Skipped)?;
            let fixed = parties.fixed_info(theirs.curve(), &context);
            mine.agree(&theirs)
                .map_err(|Refused| "the keys do not agree")
                .and_then(|shared| open(&shared, &fixed, key.ciphertext(), request))
                .map_err(Refusal::Failed)
        })
    }
}

impl<'a> Parties<'a> {
    /// Version, then both points behind their 32-bit lengths, the recipient first.
    fn provider_info(&self) -> Vec<u8> {
        let mut info = vec![INFO_VERSION];
        for point in [self.recipient, self.sender] {
            // A compressed point has 67 bytes at most.
            let length = u32::try_from(point.len()).unwrap_or(u32::MAX);
            info.extend_from_slice(&length.to_be_bytes());
            info.extend_from_slice(point);
        }
        info
    }

    fn parse(info: &'a [u8]) -> Option<Self> {
        let (version, rest) = info.split_first()?;
        let (recipient, rest) = take(rest)?;
        let (sender, rest) = take(rest)?;
        (*version == INFO_VERSION && rest.is_empty()).then_some(Self { sender, recipient })
    }

    /// What the derived keys and the wrapped key are bound to: scheme, curve, both parties, and
    /// the encryption context.
    fn fixed_info(&self, curve: EcCurve, context: &[u8]) -> Vec<u8> {
        [
            b"ecdh-key-derivation\0".as_slice(),
            curve.name().as_bytes(),
            b"\0HMAC_SHA384\0",
            self.sender,
            self.recipient,
            &[0, INFO_VERSION, 0],
            context,
        ]
        .concat()
    }
}

/// A field behind its 32-bit length, and what follows.
fn take(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<4>()?;
    rest.split_at_checked(u32::from_be_bytes(*length).try_into().ok()?)
}

/// The commitment and the wrapping key, from one derivation.
fn derive(shared: &DerivedKey, fixed: &[u8], salt: &[u8]) -> Result<DerivedKey> {
    let mut derived = Ok(());
    let keys = DerivedKey::fill_with(COMMITMENT_LENGTH + 32, |output| {
        derived = kdf::counter_mode(CounterHash::Sha384, shared.expose(), fixed, salt, output);
        Some(())
    });
    derived?;
    keys.ok_or(Error::SealFailed)
}

/// Salt, commitment, wrapped key and tag.
fn seal(shared: &DerivedKey, fixed: &[u8], data_key: &DataKey) -> Result<Vec<u8>> {
    let salt = random::random_bytes::<SALT_LENGTH>()?;
    let keys = derive(shared, fixed, &salt)?;
    let (commitment, wrapping_key) = keys.expose().split_at(COMMITMENT_LENGTH);
    let mut wrapped = vec![0; data_key.expose().len()];
    let mut tag = [0; TAG_LENGTH];
    Aead::new(wrapping_key)?.seal_to(IV, fixed, data_key.expose(), &mut wrapped, &mut tag)?;
    Ok([&salt, commitment, &wrapped, &tag].concat())
}

fn open(
    shared: &DerivedKey,
    fixed: &[u8],
    ciphertext: &[u8],
    request: KeyRequest<'_>,
) -> Result<DataKey, &'static str> {
    const TOO_SHORT: &str = "the wrapped key is too short";
    let (salt, rest) = ciphertext.split_at_checked(SALT_LENGTH).ok_or(TOO_SHORT)?;
    let (found, rest) = rest.split_at_checked(COMMITMENT_LENGTH).ok_or(TOO_SHORT)?;
    let (wrapped, tag) = rest.split_last_chunk::<TAG_LENGTH>().ok_or(TOO_SHORT)?;
    // Checked first, so that an unwrapped key of another length never exists.
    if wrapped.len() != request.suite.data_key_length() {
        return Err("the wrapped key has the wrong length for the algorithm suite");
    }
    let keys = derive(shared, fixed, salt).map_err(|_| "the wrapping key cannot be derived")?;
    let (commitment, wrapping_key) = keys.expose().split_at(COMMITMENT_LENGTH);
    if !bool::from(commitment.ct_eq(found)) {
        return Err(
            "the key commitment differs: another key, another encryption context, or tampered",
        );
    }
    let cipher = Aead::new(wrapping_key).map_err(|_| "the wrapping key cannot be used")?;
    let mut bytes = vec![0; wrapped.len()];
    cipher
        .open_to(IV, fixed, wrapped, tag, &mut bytes)
        .map_err(|Refused| "not authentic: tampered")?;
    DataKey::from_bytes(bytes, request.suite)
        .map_err(|_| "the unwrapped key has the wrong length for the algorithm suite")
}

impl fmt::Debug for RawEcdh {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RawEcdh({})", self.description)
    }
}

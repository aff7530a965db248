use subtle::ConstantTimeEq;

use super::KeyRequest;
use crate::crypto::aead::{Aead, TAG_LENGTH};
use crate::crypto::ec_key::EcCurve;
use crate::crypto::kdf::{self, CounterHash};
use crate::crypto::{Refused, random};
use crate::error::{Error, Result};
use crate::secret::{DataKey, DerivedKey};

const INFO_VERSION: u8 = 1;
const SALT_LENGTH: usize = 32;
const COMMITMENT_LENGTH: usize = 32;
/// The wrapping key is used once, so its IV may be fixed (specification, "Raw ECDH Keyring").
const IV: [u8; 12] = [0; 12];

/// Between whom a data key is wrapped by elliptic-curve Diffie-Hellman: two compressed points.
///
/// It turns the secret that both share into what stands in a message. Where the secret comes from
/// is the keyring's matter: [`RawEcdh`](crate::RawEcdh) holds the private key, others ask a key
/// service. Source: AWS Encryption SDK specification, "Raw ECDH Keyring".
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct EcdhParties<'a> {
    /// Who encrypts.
    pub sender: &'a [u8],
    /// Who decrypts.
    pub recipient: &'a [u8],
}

impl<'a> EcdhParties<'a> {
    /// The provider info: its version, then both points behind their 32-bit lengths, the recipient
    /// first.
    #[must_use]
    pub fn provider_info(&self) -> Vec<u8> {
        let mut info = vec![INFO_VERSION];
        for point in [self.recipient, self.sender] {
            // A compressed point has 67 bytes at most.
            let length = u32::try_from(point.len()).unwrap_or(u32::MAX);
            info.extend_from_slice(&length.to_be_bytes());
            info.extend_from_slice(point);
        }
        info
    }

    /// Reads a provider info. Nothing is known of the points yet.
    #[must_use]
    pub fn parse(provider_info: &'a [u8]) -> Option<Self> {
        let (version, rest) = provider_info.split_first()?;
        let (recipient, rest) = take(rest)?;
        let (sender, rest) = take(rest)?;
        (*version == INFO_VERSION && rest.is_empty()).then_some(Self { sender, recipient })
    }

    /// Wraps the data key under the secret that the parties share: the ciphertext.
    ///
    /// # Errors
    /// [`Error::Randomness`], [`Error::SealFailed`].
    pub fn wrap(
        &self,
        curve: EcCurve,
        shared: &[u8],
        data_key: &DataKey,
        request: KeyRequest<'_>,
    ) -> Result<Vec<u8>> {
        let fixed = self.fixed_info(curve, request);
        let salt = random::random_bytes::<SALT_LENGTH>()?;
        let keys = derive(shared, &fixed, &salt)?;
        let (commitment, wrapping_key) = keys.expose().split_at(COMMITMENT_LENGTH);
        let mut wrapped = vec![0; data_key.expose().len()];
        let mut tag = [0; TAG_LENGTH];
        Aead::new(wrapping_key)?.seal_to(IV, &fixed, data_key.expose(), &mut wrapped, &mut tag)?;
        Ok([&salt, commitment, &wrapped, &tag].concat())
    }

    /// Unwraps what [`wrap`](Self::wrap) wrapped.
    ///
    /// # Errors
    /// Why not, as a reason for an [`Attempt`](super::Attempt).
    pub fn unwrap(
        &self,
        curve: EcCurve,
        shared: &[u8],
        ciphertext: &[u8],
        request: KeyRequest<'_>,
    ) -> Result<DataKey, &'static str> {
        const TOO_SHORT: &str = "the wrapped key is too short";
        let fixed = self.fixed_info(curve, request);
        let (salt, rest) = ciphertext.split_at_checked(SALT_LENGTH).ok_or(TOO_SHORT)?;
        let (found, rest) = rest.split_at_checked(COMMITMENT_LENGTH).ok_or(TOO_SHORT)?;
        let (wrapped, tag) = rest.split_last_chunk::<TAG_LENGTH>().ok_or(TOO_SHORT)?;
        // Checked first, so that an unwrapped key of another length never exists.
        if wrapped.len() != request.suite.data_key_length() {
            return Err("the wrapped key has the wrong length for the algorithm suite");
        }
        let keys =
            derive(shared, &fixed, salt).map_err(|_| "the wrapping key cannot be derived")?;
        let (commitment, wrapping_key) = keys.expose().split_at(COMMITMENT_LENGTH);
        if !bool::from(commitment.ct_eq(found)) {
            return Err(
                "the key commitment differs: another key, another encryption context, or tampered",
            );
        }
        let cipher = Aead::new(wrapping_key).map_err(|_| "the wrapping key cannot be used")?;
        let mut bytes = vec![0; wrapped.len()];
        cipher
            .open_to(IV, &fixed, wrapped, tag, &mut bytes)
            .map_err(|Refused| "not authentic: tampered")?;
        DataKey::from_bytes(bytes, request.suite)
            .map_err(|_| "the unwrapped key has the wrong length for the algorithm suite")
    }

    /// What the derived keys and the wrapped key are bound to: scheme, curve, both parties, and
    /// the encryption context.
    fn fixed_info(&self, curve: EcCurve, request: KeyRequest<'_>) -> Vec<u8> {
        [
            b"ecdh-key-derivation\0".as_slice(),
            curve.name().as_bytes(),
            b"\0HMAC_SHA384\0",
            self.sender,
            self.recipient,
            &[0, INFO_VERSION, 0],
            &request.context.to_bytes(),
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
fn derive(shared: &[u8], fixed: &[u8], salt: &[u8]) -> Result<DerivedKey> {
    let mut derived = Ok(());
    let keys = DerivedKey::fill_with(COMMITMENT_LENGTH + 32, |output| {
        derived = kdf::counter_mode(CounterHash::Sha384, shared, fixed, salt, output);
        Some(())
    });
    derived?;
    keys.ok_or(Error::SealFailed)
}

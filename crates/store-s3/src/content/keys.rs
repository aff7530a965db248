use envelope::{AlgorithmSuite, Result, random_bytes};
use hkdf::Hkdf;
use sha2::Sha512;
use subtle::ConstantTimeEq;
use zeroize::{Zeroize, Zeroizing};

use super::gcm::GcmKey;
use crate::error::Error;

/// Length of the initialisation vector of AES-GCM in bytes.
pub(crate) const IV_LENGTH: usize = 12;
/// Length of the message id of V3 in bytes.
pub(crate) const MESSAGE_ID_LENGTH: usize = 28;
/// Length of the key commitment of V3 in bytes.
pub(crate) const COMMITMENT_LENGTH: usize = 28;

const SUITE: AlgorithmSuite = AlgorithmSuite::S3_AES_256_GCM_HKDF_SHA512_COMMIT_KEY;
const CONTENT_KEY_LENGTH: usize = 32;
const CONTENT_KEY_LABEL: &[u8] = b"DERIVEKEY";
const COMMITMENT_LABEL: &[u8] = b"COMMITKEY";

/// The content key of a new V3 object, and the commitment to be stored with it.
///
/// # Errors
/// [`envelope::Error::KeyLength`] and [`Error::FieldLength`] for a data key or a message id of
/// another length.
pub(crate) fn new_key(
    data_key: &[u8],
    message_id: &[u8],
) -> Result<(GcmKey, [u8; COMMITMENT_LENGTH])> {
    let derivation = Derivation::new(data_key, message_id)?;
    Ok((derivation.content_key()?, derivation.commitment()?))
}

/// The content key of a stored V3 object. It is derived only once the object's commitment
/// was found to be that of its data key (specification, "Decrypting with commitment").
///
/// # Errors
/// As [`new_key`], and [`Error::CommitmentMismatch`].
pub(crate) fn committed_key(
    data_key: &[u8],
    message_id: &[u8],
    commitment: &[u8],
) -> Result<GcmKey> {
    check_length("the key commitment", commitment, COMMITMENT_LENGTH)?;
    let derivation = Derivation::new(data_key, message_id)?;
    let derived = derivation.commitment()?;
    if !bool::from(derived.as_slice().ct_eq(commitment)) {
        return Err(Error::CommitmentMismatch.into());
    }
    derivation.content_key()
}

/// Random bytes that are not all zero: nothing but an uninitialised source gives those, and an
/// initialisation vector or message id must not repeat.
///
/// # Errors
/// [`envelope::Error::Randomness`].
pub(crate) fn random_nonzero<const N: usize>() -> Result<[u8; N]> {
    nonzero(random_bytes()?)
}

pub(super) fn nonzero<const N: usize>(bytes: [u8; N]) -> Result<[u8; N]> {
    match bytes.iter().any(|byte| *byte != 0) {
        true => Ok(bytes),
        false => Err(envelope::Error::Randomness),
    }
}

/// # Errors
/// [`Error::FieldLength`] unless `bytes` are `needed` many.
pub(super) fn check_length(field: &'static str, bytes: &[u8], needed: usize) -> Result<()> {
    match bytes.len() {
        length if length == needed => Ok(()),
        length => Err(Error::FieldLength {
            field,
            length,
            needed,
        }
        .into()),
    }
}

/// HKDF-SHA512 (RFC 5869) of a data key, salted with the message id.
struct Derivation(Hkdf<Sha512>);

impl Derivation {
    fn new(data_key: &[u8], message_id: &[u8]) -> Result<Self> {
        if data_key.len() != SUITE.data_key_length() {
            return Err(envelope::Error::KeyLength {
                length: data_key.len(),
                legal: "32 bytes",
            });
        }
        check_length("the message id", message_id, MESSAGE_ID_LENGTH)?;
        let (mut extracted, hkdf) = Hkdf::extract(Some(message_id), data_key);
        // Both outputs follow from it.
        extracted.as_mut_slice().zeroize();
        Ok(Self(hkdf))
    }

    fn commitment(&self) -> Result<[u8; COMMITMENT_LENGTH]> {
        let mut commitment = [0; COMMITMENT_LENGTH];
        self.expand(COMMITMENT_LABEL, &mut commitment)?;
        Ok(commitment)
    }

    fn content_key(&self) -> Result<GcmKey> {
        let mut key = Zeroizing::new(vec![0; CONTENT_KEY_LENGTH].into_boxed_slice());
        self.expand(CONTENT_KEY_LABEL, &mut key)?;
        GcmKey::v3(key)
    }

    fn expand(&self, label: &[u8], output: &mut [u8]) -> Result<()> {
        self.0
            .expand_multi_info(&[&SUITE.id().to_be_bytes(), label], output)
            .map_err(|_| envelope::Error::SealFailed)
    }
}

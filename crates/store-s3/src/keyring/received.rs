use std::borrow::Cow;
use std::sync::Arc;

use envelope::keyring::{Attempt, KeyRequest, Unwrapped};
use envelope::{DataKey, EncryptedDataKey};

use super::{MaterialDescription, PROVIDER_ID, WrapAlgorithm, WrapInfo, bound_algorithm};

/// Why a keyring did not open an object's encrypted data key.
#[derive(Debug)]
pub(super) enum Refusal {
    /// It is not for this keyring.
    Skipped(Cow<'static, str>),
    /// It looked like this keyring's own.
    Failed(Cow<'static, str>),
    /// A key service gave no answer, or none about the key.
    #[cfg(feature = "kms")]
    Service(envelope::ErrorKind, String),
}

impl Refusal {
    pub(super) fn skipped(reason: impl Into<Cow<'static, str>>) -> Self {
        Self::Skipped(reason.into())
    }

    pub(super) fn failed(reason: impl Into<Cow<'static, str>>) -> Self {
        Self::Failed(reason.into())
    }
}

/// The one encrypted data key of an object, and what its data key must be bound to.
#[derive(Debug)]
pub(super) struct Received<'a> {
    pub(super) info: WrapInfo,
    pub(super) ciphertext: &'a [u8],
    pub(super) bound: &'static str,
}

impl<'a> Received<'a> {
    pub(super) fn new(
        keys: &'a [EncryptedDataKey],
        request: KeyRequest<'_>,
    ) -> Result<Self, Refusal> {
        let bound = bound_algorithm(request.suite).ok_or_else(|| {
            Refusal::skipped(
                "opens S3 Encryption Client objects only; use RawAes, RawRsa or another keyring of the crate envelope for messages",
            )
        })?;
        let [key] = keys else {
            return Err(Refusal::failed(format!(
                "the object has {} encrypted data keys, and must have exactly one",
                keys.len()
            )));
        };
        if key.provider_id() != PROVIDER_ID {
            return Err(Refusal::skipped(format!(
                "wrapped by {:?}, which is no keyring of envelope_s3::keyring; use one of those for S3ec",
                key.provider_id()
            )));
        }
        let info = WrapInfo::from_bytes(key.provider_info()).map_err(Refusal::skipped)?;
        Ok(Self {
            info,
            ciphertext: key.ciphertext(),
            bound,
        })
    }

    /// The wrap, if the keyring with this description is the one for the object.
    pub(super) fn described_as(&self, own: &MaterialDescription) -> Result<(), Refusal> {
        if own.fits(&self.info.description) {
            return Ok(());
        }
        Err(Refusal::skipped(
            "the object has another material description than this key",
        ))
    }

    /// The wrap is one of another kind of key.
    pub(super) fn another_keyring(&self) -> Refusal {
        let keyring = match self.info.wrap {
            WrapAlgorithm::AesGcm | WrapAlgorithm::AesKeyWrap | WrapAlgorithm::V1Aes => "Aes",
            WrapAlgorithm::RsaOaepSha1 | WrapAlgorithm::RsaOaepSha256 | WrapAlgorithm::V1Rsa => {
                "Rsa"
            }
            WrapAlgorithm::KmsContext | WrapAlgorithm::Kms => "Kms",
        };
        Refusal::skipped(format!(
            "wrapped with {}; use envelope_s3::keyring::{keyring}",
            self.info.wrap.name()
        ))
    }
}

/// A keyring's answer about an object's one encrypted data key.
pub(super) fn answer(
    keyring: &Arc<str>,
    opened: Result<DataKey, Refusal>,
) -> Result<Unwrapped, Vec<Attempt>> {
    let keyring = Arc::clone(keyring);
    let attempt = match opened {
        Ok(data_key) => return Ok(Unwrapped { index: 0, data_key }),
        Err(Refusal::Skipped(reason)) => Attempt::skipped(0, keyring, reason),
        Err(Refusal::Failed(reason)) => Attempt::failed_with(0, keyring, reason),
        #[cfg(feature = "kms")]
        Err(Refusal::Service(kind, reason)) => Attempt::of_kind(kind, 0, keyring, reason),
    };
    Err(vec![attempt])
}

//! What may be written and read: the client's decision tables. All of it is checked before a key is
//! used.

use std::collections::BTreeMap;

use envelope::{
    AlgorithmSuite, CommitmentPolicy, EncryptedDataKey, EncryptionContext, Error as EnvelopeError,
    Result,
};

use super::S3ec;
use crate::error::Error;
use crate::keyring::{BOUND_ALGORITHM, PROVIDER_ID, WrapInfo, bound_algorithm};
use crate::metadata::{Content, Envelope, WrapAlgorithm};

/// Pair that the first clients put into the context; no caller's either.
const KEY_ID: &str = "kms_cmk_id";

pub(super) fn suite(content: &Content) -> AlgorithmSuite {
    match content {
        Content::V1Cbc { .. } | Content::V2Cbc { .. } => AlgorithmSuite::S3_AES_256_CBC_IV16_NO_KDF,
        Content::V2Gcm { .. } => AlgorithmSuite::S3_AES_256_GCM_IV12_TAG16_NO_KDF,
        Content::V3 { .. } => AlgorithmSuite::S3_AES_256_GCM_HKDF_SHA512_COMMIT_KEY,
    }
}

/// # Errors
/// When two settings contradict each other.
pub(super) fn check_configuration(format: &S3ec) -> Result<()> {
    let suite = format.suite();
    let forbids = format.policy == CommitmentPolicy::ForbidEncryptAllowDecrypt;
    if forbids == suite.commits() {
        return Err(EnvelopeError::PolicyForbidsEncrypt {
            policy: format.policy,
            suite,
        });
    }
    if format.writes_instruction_files && !format.reads_instruction_files {
        return Err(EnvelopeError::InvalidOption {
            what: "instruction files",
            reason: "must not be written by a store that does not read them",
        });
    }
    format
        .further_suffixes
        .iter()
        .try_for_each(|suffix| check_suffix(suffix))?;
    if format.waiting.is_some() && format.delayed_authentication {
        return Err(EnvelopeError::InvalidOption {
            what: "delayed authentication",
            reason: "must not be set together with how objects wait until they verified",
        });
    }
    Ok(())
}

/// # Errors
/// When an object's name with this suffix would be the object itself, or lie elsewhere.
pub(super) fn check_suffix(suffix: &str) -> Result<()> {
    match suffix.is_empty() || suffix.contains('/') {
        true => Err(EnvelopeError::InvalidOption {
            what: "the suffix of an instruction file",
            reason: "must not be empty and have no slash",
        }),
        false => Ok(()),
    }
}

/// # Errors
/// When the store would take a file with this suffix for an object.
pub(super) fn check_rotation_suffix(format: &S3ec, suffix: &str) -> Result<()> {
    check_suffix(suffix)?;
    match format.suffixes().any(|known| known == suffix) {
        true => Ok(()),
        false => Err(EnvelopeError::InvalidOption {
            what: "the suffix of a new instruction file",
            reason: "must be one that the store knows; name it with further_suffix",
        }),
    }
}

/// # Errors
/// When the policy or a switch forbids to read such an object.
pub(super) fn check_readable(format: &S3ec, envelope: &Envelope) -> Result<()> {
    let suite = suite(&envelope.content);
    // Told by the cipher that will be used, whatever the metadata says beside.
    if format.policy == CommitmentPolicy::RequireEncryptRequireDecrypt && !suite.commits() {
        return Err(EnvelopeError::PolicyForbidsDecrypt {
            policy: format.policy,
            suite,
        });
    }
    if envelope.content.is_cbc() && !format.legacy_unauthenticated {
        return Err(Error::LegacyContent.into());
    }
    if envelope.wrap.is_legacy() && !format.legacy_wraps {
        return Err(Error::LegacyWrap {
            wrap: envelope.wrap.name(),
        }
        .into());
    }
    // CVE-2020-8912: a key bound to GCM must not open what claims to be CBC.
    if envelope.is_bound_to_another_cipher() {
        return Err(Error::BoundToAnotherCipher.into());
    }
    Ok(())
}

/// The context that binds a new data key: the caller's, and the pair that names the cipher.
///
/// # Errors
/// When the caller's has a pair that is the client's own, and when it is too long.
pub(super) fn bound_context(
    context: &EncryptionContext,
    suite: AlgorithmSuite,
) -> Result<EncryptionContext> {
    check_callers_context(context)?;
    let bound = bound_algorithm(suite).map(|bound| (BOUND_ALGORITHM, bound));
    EncryptionContext::new(context.iter().chain(bound))
}

fn check_callers_context(context: &EncryptionContext) -> Result<()> {
    for key in [BOUND_ALGORITHM, KEY_ID] {
        if context.get(key).is_some() {
            return Err(Error::ReservedContextKey { key }.into());
        }
    }
    Ok(())
}

/// The context that a key service is given, and the part of it that is the caller's.
///
/// # Errors
/// When the stored context is not the expected one, or not one of such an object.
pub(super) fn check_context(
    envelope: &Envelope,
    expected: &EncryptionContext,
) -> Result<(EncryptionContext, EncryptionContext)> {
    check_callers_context(expected)?;
    let stored = &envelope.description;
    match envelope.wrap {
        WrapAlgorithm::KmsContext => {
            let theirs = stored
                .iter()
                .filter(|(key, _)| ![BOUND_ALGORITHM, KEY_ID].contains(&key.as_str()));
            let theirs = EncryptionContext::new(theirs.map(|(key, value)| (&**key, &**value)))?;
            // None given is an empty one: whoever expects nothing must find nothing.
            if theirs != *expected {
                return Err(Error::ContextMismatch.into());
            }
            let cipher = stored.get(BOUND_ALGORITHM).map(String::as_str);
            if cipher != Some(envelope.content.name()) {
                return Err(Error::BoundToAnotherCipher.into());
            }
            Ok((context(stored)?, theirs))
        }
        WrapAlgorithm::Kms => {
            // Otherwise the other wrap could be relabelled as this one, which compares nothing.
            if !expected.is_empty() {
                return Err(Error::ContextMismatch.into());
            }
            if stored.contains_key(BOUND_ALGORITHM) {
                return Err(Error::BoundToAnotherCipher.into());
            }
            Ok((context(stored)?, EncryptionContext::default()))
        }
        _ if !expected.is_empty() => Err(Error::ContextWithRawKey.into()),
        _ => Ok(Default::default()),
    }
}

fn context(pairs: &BTreeMap<String, String>) -> Result<EncryptionContext> {
    EncryptionContext::new(pairs.iter().map(|(key, value)| (&**key, &**value)))
}

/// The pairs as they are stored.
pub(super) fn pairs(context: &EncryptionContext) -> BTreeMap<String, String> {
    let pairs = context.iter();
    pairs
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect()
}

/// The one encrypted data key that an object holds, and how it was wrapped.
///
/// # Errors
/// When there is another number of them, or when no keyring of this crate made it.
pub(super) fn one_key(keys: &[EncryptedDataKey]) -> Result<(&EncryptedDataKey, WrapInfo)> {
    let [key] = keys else {
        return Err(Error::NotOneKey.into());
    };
    let info = match key.provider_id() == PROVIDER_ID {
        true => WrapInfo::from_bytes(key.provider_info()).ok(),
        false => None,
    };
    let info = info.ok_or_else(|| Error::foreign_keyring(key.provider_id()))?;
    Ok((key, info))
}

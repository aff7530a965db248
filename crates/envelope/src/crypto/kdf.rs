use hkdf::Hkdf;
use hmac::{EagerHash, Hmac, KeyInit, Mac};
use sha2::{Sha256, Sha384, Sha512};
use subtle::ConstantTimeEq;
use zeroize::Zeroize;

use crate::error::{Error, Result};
use crate::secret::{DataKey, DerivedKey};
use crate::suite::{AlgorithmSuite, KeyDerivation};

/// Length of a key commitment in bytes.
pub(crate) const COMMITMENT_LENGTH: usize = 32;

/// What is derived from a data key for one message.
pub(crate) struct MessageKeys {
    /// Keys the cipher of header and body.
    pub(crate) content_key: DerivedKey,
    /// Stands in the header and ties it to this data key, if the suite commits.
    pub(crate) commitment: Option<[u8; COMMITMENT_LENGTH]>,
}

impl MessageKeys {
    /// Derives with HKDF (RFC 5869), as the suite says (specification, "Algorithm Suites", key
    /// derivation and commitment).
    pub(crate) fn derive(
        data_key: &DataKey,
        suite: AlgorithmSuite,
        message_id: &[u8],
    ) -> Result<Self> {
        let (id, key, length) = (
            suite.id().to_be_bytes(),
            data_key.expose(),
            suite.data_key_length(),
        );
        let mut commitment = None;
        let content_key = DerivedKey::fill_with(length, |output| match suite.derivation() {
            KeyDerivation::Identity => {
                // The caller compared the lengths.
                if key.len() == output.len() {
                    output.copy_from_slice(key);
                }
                (key.len() == output.len()).then_some(())
            }
            KeyDerivation::HkdfSha256 => {
                hkdf::<Sha256>(None, key, &mut [(&[&id, message_id], output)])
            }
            KeyDerivation::HkdfSha384 => {
                hkdf::<Sha384>(None, key, &mut [(&[&id, message_id], output)])
            }
            KeyDerivation::HkdfSha512Commit => {
                let commitment = commitment.insert([0; COMMITMENT_LENGTH]);
                let mut outputs: [(&[&[u8]], &mut [u8]); 2] = [
                    (&[b"COMMITKEY"], commitment),
                    (&[&id, b"DERIVEKEY"], output),
                ];
                hkdf::<Sha512>(Some(message_id), key, &mut outputs)
            }
        });
        Ok(Self {
            content_key: content_key.ok_or(Error::SealFailed)?,
            commitment,
        })
    }

    /// Compares the derived commitment with the header's in constant time; the one is there when
    /// the other is.
    pub(crate) fn check_commitment(
        &self,
        in_header: Option<&[u8; COMMITMENT_LENGTH]>,
    ) -> Result<()> {
        let equal = match (&self.commitment, in_header) {
            (None, None) => true,
            (Some(derived), Some(in_header)) => derived.ct_eq(in_header).into(),
            _ => false,
        };
        if equal {
            return Ok(());
        }
        Err(Error::CommitmentMismatch)
    }
}

/// One HKDF-Extract, then an HKDF-Expand for each info (in parts) and output (RFC 5869).
pub(crate) fn hkdf<H: EagerHash>(
    salt: Option<&[u8]>,
    key: &[u8],
    outputs: &mut [(&[&[u8]], &mut [u8])],
) -> Option<()> {
    let (mut extracted, hkdf) = Hkdf::<H>::extract(salt, key);
    // Every output follows from it.
    extracted.as_mut_slice().zeroize();
    outputs
        .iter_mut()
        .try_for_each(|(info, output)| hkdf.expand_multi_info(info, output).ok())
}

/// Which hash the HMAC of a counter-mode derivation uses.
#[derive(Debug, Clone, Copy)]
pub(crate) enum CounterHash {
    Sha256,
    Sha384,
}

/// Fills `output` by KDF in counter mode with HMAC (NIST SP 800-108r1, section 4.1): block i is
/// `HMAC(key, i || label || 00 || context || length of the output in bits)`.
pub(crate) fn counter_mode(
    hash: CounterHash,
    key: &[u8],
    label: &[u8],
    context: &[u8],
    output: &mut [u8],
) -> Result<()> {
    match hash {
        CounterHash::Sha256 => counter_mode_with::<Hmac<Sha256>>(key, label, context, output),
        CounterHash::Sha384 => counter_mode_with::<Hmac<Sha384>>(key, label, context, output),
    }
}

fn counter_mode_with<M: Mac + KeyInit + Clone>(
    key: &[u8],
    label: &[u8],
    context: &[u8],
    output: &mut [u8],
) -> Result<()> {
    let keyed = <M as KeyInit>::new_from_slice(key).map_err(|_| Error::SealFailed)?;
    let bits = u32::try_from(output.len())
        .ok()
        .and_then(|bytes| bytes.checked_mul(8))
        .ok_or(Error::SealFailed)?;
    for (block, counter) in output.chunks_mut(M::output_size()).zip(1_u32..) {
        let mut mac = keyed.clone();
        for part in [
            &counter.to_be_bytes(),
            label,
            &[0],
            context,
            &bits.to_be_bytes(),
        ] {
            mac.update(part);
        }
        let mut digest = mac.finalize().into_bytes();
        if let Some(bytes) = digest.get(..block.len()) {
            block.copy_from_slice(bytes);
        }
        digest.as_mut_slice().zeroize();
    }
    Ok(())
}

use std::fmt;

use zeroize::{Zeroize, Zeroizing};

use crate::error::{Error, Result};
use crate::suite::AlgorithmSuite;

/// Key bytes on the heap, wiped when dropped. On the heap so that moving a key leaves no copy.
struct SecretBytes(Zeroizing<Box<[u8]>>);

impl SecretBytes {
    /// Copies `bytes` into wiped memory and wipes the source.
    fn take(bytes: &mut [u8]) -> Self {
        let secret = Self(Zeroizing::new(Box::from(&*bytes)));
        bytes.zeroize();
        secret
    }
}

impl DataKey {
    /// Fills a new key of the suite's length in place.
    pub(crate) fn fill_with(
        suite: AlgorithmSuite,
        fill: impl FnOnce(&mut [u8]) -> Result<()>,
    ) -> Result<Self> {
        filled(suite.data_key_length(), fill).map(Self)
    }
}

impl WrappingKey {
    /// Fills a new key of `length` bytes in place. The caller answers for the length.
    pub(crate) fn fill_with(
        length: usize,
        fill: impl FnOnce(&mut [u8]) -> Result<()>,
    ) -> Result<Self> {
        filled(length, fill).map(Self)
    }
}

fn filled(length: usize, fill: impl FnOnce(&mut [u8]) -> Result<()>) -> Result<SecretBytes> {
    let mut bytes = Zeroizing::new(vec![0; length].into_boxed_slice());
    fill(&mut bytes)?;
    Ok(SecretBytes(bytes))
}

/// A data key: encrypts one message, or those that share cached materials, and is stored beside
/// them only in wrapped form (AWS Encryption SDK specification, "Structures", plaintext data key).
///
/// Wiped when dropped, never cloned, never printed. [`expose`](DataKey::expose) is the one way
/// to its bytes.
pub struct DataKey(SecretBytes);

impl DataKey {
    /// Takes the bytes of an unwrapped data key and checks their length against the suite. Objects
    /// of the S3 Encryption Client that commit to no key may have one of 16 or 24 bytes.
    ///
    /// # Errors
    /// [`Error::KeyLength`] when the suite needs another length.
    pub fn from_bytes(mut bytes: Vec<u8>, suite: AlgorithmSuite) -> Result<Self> {
        let length = bytes.len();
        let secret = SecretBytes::take(&mut bytes);
        // Old S3 Encryption Clients wrapped AES keys of any length.
        let legal = length == suite.data_key_length()
            || matches!(length, 16 | 24) && !suite.commits() && suite.message_version() == 0;
        if !legal {
            return Err(Error::KeyLength {
                length,
                legal: "the length that the algorithm suite has",
            });
        }
        Ok(Self(secret))
    }

    /// The secret bytes. Whoever calls this answers for where they go.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        &self.0.0
    }
}

impl fmt::Debug for DataKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DataKey(redacted)")
    }
}

/// An AES wrapping key of 128, 192 or 256 bits: wraps data keys and never leaves the process
/// (AWS Encryption SDK specification, "Raw AES Keyring", wrapping key).
///
/// Wiped when dropped, never cloned, never printed.
///
/// ```
/// use envelope::WrappingKey;
///
/// let key = WrappingKey::generate()?;
/// assert_eq!(key.expose().len(), 32);
/// assert_eq!(format!("{key:?}"), "WrappingKey(redacted)");
/// # Ok::<(), envelope::Error>(())
/// ```
pub struct WrappingKey(SecretBytes);

impl WrappingKey {
    /// Copies the key and wipes the caller's bytes.
    ///
    /// # Errors
    /// [`Error::KeyLength`] unless there are 16, 24 or 32 bytes. The caller's bytes are wiped
    /// in any case.
    pub fn from_bytes(bytes: &mut [u8]) -> Result<Self> {
        let length = bytes.len();
        let secret = SecretBytes::take(bytes);
        if !matches!(length, 16 | 24 | 32) {
            return Err(Error::KeyLength {
                length,
                legal: "16, 24 or 32 bytes",
            });
        }
        Ok(Self(secret))
    }

    /// The secret bytes. Whoever calls this answers for where they go.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        &self.0.0
    }
}

impl fmt::Debug for WrappingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WrappingKey(redacted)")
    }
}

/// A key derived for one use. Lives until a cipher is keyed with it.
pub(crate) struct DerivedKey(Zeroizing<Box<[u8]>>);

impl DerivedKey {
    /// Fills a new key of `length` bytes in place, so that it never stands on the stack. There
    /// is no key unless `fill` succeeds.
    pub(crate) fn fill_with(
        length: usize,
        fill: impl FnOnce(&mut [u8]) -> Option<()>,
    ) -> Option<Self> {
        let mut bytes = Zeroizing::new(vec![0; length].into_boxed_slice());
        fill(&mut bytes)?;
        Some(Self(bytes))
    }

    /// A copy of a secret that a library holds. None of an empty one.
    pub(crate) fn copy_of(secret: &[u8]) -> Option<Self> {
        Self::fill_with(secret.len(), |key| {
            key.copy_from_slice(secret);
            (!secret.is_empty()).then_some(())
        })
    }

    pub(crate) fn expose(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for DerivedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DerivedKey(redacted)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrapping_keys_have_three_legal_lengths_and_wipe_their_source() {
        for (length, legal) in [(15, false), (16, true), (24, true), (31, false), (32, true)] {
            let mut bytes = vec![7; length];
            let key = WrappingKey::from_bytes(&mut bytes);
            assert_eq!(key.is_ok(), legal, "{length} bytes");
            assert!(bytes.iter().all(|byte| *byte == 0));
            if let Err(error) = key {
                assert!(matches!(error, Error::KeyLength { length: found, .. } if found == length));
            }
        }
    }

    #[test]
    fn no_debug_text_holds_key_bytes() {
        let key = WrappingKey::from_bytes(&mut [0xab; 32]).unwrap();
        let suite = AlgorithmSuite::AES_256_GCM_HKDF_SHA512_COMMIT_KEY;
        let data_key = DataKey::from_bytes(vec![0xab; 32], suite).unwrap();
        let derived = DerivedKey::copy_of(&[0xab; 32]).unwrap();
        let text = format!("{key:?} {data_key:?} {derived:?}");
        assert_eq!(
            text,
            "WrappingKey(redacted) DataKey(redacted) DerivedKey(redacted)"
        );
    }
}

use super::{Refused, backend};
use crate::error::{Error, Result};
use crate::secret::{DataKey, WrappingKey};
use crate::suite::AlgorithmSuite;

/// Fills `bytes` from the one source of randomness of this crate.
pub(crate) fn fill(bytes: &mut [u8]) -> Result<()> {
    backend::fill_random(bytes).map_err(|Refused| Error::Randomness)
}

/// Random bytes for values that are not secret: message ids, initialisation vectors. Secrets are
/// made by [`DataKey::generate`] and [`WrappingKey::generate`], which leave no copy.
///
/// # Errors
/// [`Error::Randomness`] when the operating system gives none.
pub fn random_bytes<const N: usize>() -> Result<[u8; N]> {
    let mut bytes = [0; N];
    fill(&mut bytes)?;
    Ok(bytes)
}

/// 128 random bits as 32 hexadecimal digits: a name for something that is written once. No secret.
///
/// # Errors
/// [`Error::Randomness`] when the operating system gives none.
pub fn random_id() -> Result<String> {
    let bytes = random_bytes::<16>()?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

impl DataKey {
    /// A random data key of the length that the suite needs.
    ///
    /// # Errors
    /// [`Error::Randomness`] when the operating system gives none.
    pub fn generate(suite: AlgorithmSuite) -> Result<Self> {
        Self::fill_with(suite, fill)
    }
}

impl WrappingKey {
    /// A random 256-bit key.
    ///
    /// # Errors
    /// [`Error::Randomness`] when the operating system gives none.
    pub fn generate() -> Result<Self> {
        Self::generate_bits(256)
    }

    /// A random key of 128, 192 or 256 bits.
    ///
    /// # Errors
    /// [`Error::KeyLength`] for any other length, [`Error::Randomness`] when the operating
    /// system gives no randomness.
    pub fn generate_bits(bits: usize) -> Result<Self> {
        if !matches!(bits, 128 | 192 | 256) {
            return Err(Error::KeyLength {
                length: bits / 8,
                legal: "16, 24 or 32 bytes",
            });
        }
        Self::fill_with(bits / 8, fill)
    }
}

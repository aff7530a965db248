use super::{Refused, backend};
use crate::error::{Error, Result};

/// Fills `bytes` from the one source of randomness of this crate.
pub(crate) fn fill(bytes: &mut [u8]) -> Result<()> {
    backend::fill_random(bytes).map_err(|Refused| Error::Randomness)
}

/// A random array, for values that are not secret (message ids, IVs).
pub(crate) fn array<const N: usize>() -> Result<[u8; N]> {
    let mut bytes = [0; N];
    fill(&mut bytes)?;
    Ok(bytes)
}

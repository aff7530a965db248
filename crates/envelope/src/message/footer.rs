use super::codec::push_prefixed;
use crate::error::Result;

/// Bytes of the footer beside the signature: its 16-bit length.
pub(crate) const LENGTH_PREFIX: usize = 2;

/// The footer of a signed message: the DER signature behind its length.
pub(crate) fn write(signature: &[u8]) -> Result<Vec<u8>> {
    let mut bytes = Vec::with_capacity(LENGTH_PREFIX + signature.len());
    push_prefixed(&mut bytes, signature, "the signature exceeds 65535 bytes")?;
    Ok(bytes)
}

/// The whole footer's length in bytes, once its first two are there.
pub(crate) fn length(prefix: &[u8]) -> Option<usize> {
    let length = prefix.first_chunk::<LENGTH_PREFIX>()?;
    Some(LENGTH_PREFIX + usize::from(u16::from_be_bytes(*length)))
}

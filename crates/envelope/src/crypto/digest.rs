use sha2::{Digest, Sha384};

/// SHA-384 of the parts one after the other.
pub(crate) fn sha384<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> [u8; 48] {
    let mut hash = Sha384::new();
    for part in parts {
        hash.update(part);
    }
    hash.finalize().into()
}

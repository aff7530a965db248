use std::fmt;

use zeroize::Zeroizing;

/// A data key as KMS made it: in the clear and wrapped.
pub struct GeneratedDataKey {
    /// The data key. Wiped when dropped.
    pub secret: Zeroizing<Vec<u8>>,
    /// The same under the KMS key and the encryption context: KMS's ciphertext blob.
    pub ciphertext: Vec<u8>,
}

impl fmt::Debug for GeneratedDataKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("GeneratedDataKey(redacted)")
    }
}

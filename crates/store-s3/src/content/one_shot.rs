//! AES-GCM in one call: the fast way where all of an object is at hand.

#[cfg(feature = "aws-lc-rs")]
mod aws_lc;
#[cfg(all(feature = "rust-crypto", any(test, not(feature = "aws-lc-rs"))))]
mod rust_crypto;

#[cfg(feature = "aws-lc-rs")]
pub(super) use aws_lc::{Mac, open, seal};
#[cfg(all(feature = "rust-crypto", not(feature = "aws-lc-rs")))]
pub(super) use rust_crypto::{Mac, open, seal};

/// A cryptography library refused; it tells no reason, and neither do we.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Refused;

#[cfg(all(test, feature = "aws-lc-rs", feature = "rust-crypto"))]
mod tests {
    use super::{aws_lc, rust_crypto};
    use crate::content::gcm::GcmKey;

    #[test]
    fn both_backends_seal_alike_and_open_what_the_other_sealed() {
        for key_length in [16, 24, 32] {
            for length in [0, 1, 15, 16, 17, 1000] {
                let key = GcmKey::new(&vec![7; key_length], &[9; 12], b"aad").unwrap();
                let plaintext: Vec<u8> = (0..=255).cycle().take(length).collect();
                let (mut first, mut second) = (vec![0; length], vec![0; length]);
                let tag = aws_lc::seal(&key, &plaintext, &mut first).unwrap();
                let other = rust_crypto::seal(&key, &plaintext, &mut second).unwrap();
                assert_eq!((&first, tag), (&second, other));
                for open in [aws_lc::open, rust_crypto::open] {
                    let mut object = [first.as_slice(), &tag].concat();
                    open(&key, &mut object).unwrap();
                    assert_eq!(object, plaintext);
                }
            }
        }
    }
}

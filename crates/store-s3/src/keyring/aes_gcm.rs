//! AES-GCM of data keys: in one call, by the backend that is on.

use zeroize::Zeroizing;

pub(super) const IV_LENGTH: usize = 12;
pub(super) const TAG_LENGTH: usize = 16;

#[cfg(feature = "aws-lc-rs")]
pub(super) use aws_lc::{open, seal};
#[cfg(not(feature = "aws-lc-rs"))]
pub(super) use rust_crypto::{open, seal};

#[cfg(feature = "aws-lc-rs")]
mod aws_lc {
    use aws_lc_rs::aead::{
        AES_128_GCM, AES_192_GCM, AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey,
    };

    use super::{IV_LENGTH, TAG_LENGTH, Zeroizing};

    fn keyed(key: &[u8]) -> Option<LessSafeKey> {
        let algorithm = match key.len() {
            16 => &AES_128_GCM,
            24 => &AES_192_GCM,
            32 => &AES_256_GCM,
            _ => return None,
        };
        UnboundKey::new(algorithm, key).ok().map(LessSafeKey::new)
    }

    /// Ciphertext and tag. None if the library refuses.
    pub(in crate::keyring) fn seal(
        key: &[u8],
        iv: [u8; IV_LENGTH],
        aad: &[u8],
        plaintext: &[u8],
    ) -> Option<Vec<u8>> {
        let mut sealed = vec![0; plaintext.len() + TAG_LENGTH];
        let (ciphertext, tag) = sealed.split_last_chunk_mut::<TAG_LENGTH>()?;
        let iv = Nonce::assume_unique_for_key(iv);
        keyed(key)?
            .seal_out_of_place_scatter(iv, Aad::from(aad), plaintext, ciphertext, &[], tag)
            .ok()?;
        Some(sealed)
    }

    /// None of what is not authentic.
    pub(in crate::keyring) fn open(
        key: &[u8],
        iv: [u8; IV_LENGTH],
        aad: &[u8],
        sealed: &[u8],
    ) -> Option<Zeroizing<Vec<u8>>> {
        let (ciphertext, tag) = sealed.split_last_chunk::<TAG_LENGTH>()?;
        let mut plaintext = Zeroizing::new(vec![0; ciphertext.len()]);
        let iv = Nonce::assume_unique_for_key(iv);
        keyed(key)?
            .open_separate_gather(iv, Aad::from(aad), ciphertext, tag, &mut plaintext)
            .ok()?;
        Some(plaintext)
    }
}

#[cfg(not(feature = "aws-lc-rs"))]
mod rust_crypto {
    use aes_gcm::aead::consts::U12;
    use aes_gcm::aead::inout::InOutBuf;
    use aes_gcm::aes::Aes192;
    use aes_gcm::{AeadInOut, Aes128Gcm, Aes256Gcm, AesGcm, KeyInit, Nonce, Tag};

    use super::{IV_LENGTH, TAG_LENGTH, Zeroizing};

    /// The same expression with the cipher that a key of this length is for.
    macro_rules! with_cipher {
        ($key:expr, $cipher:ident => $body:expr) => {
            match $key.len() {
                16 => Aes128Gcm::new_from_slice($key)
                    .ok()
                    .and_then(|$cipher| $body),
                24 => AesGcm::<Aes192, U12>::new_from_slice($key)
                    .ok()
                    .and_then(|$cipher| $body),
                32 => Aes256Gcm::new_from_slice($key)
                    .ok()
                    .and_then(|$cipher| $body),
                _ => None,
            }
        };
    }

    /// Ciphertext and tag. None if the library refuses.
    pub(in crate::keyring) fn seal(
        key: &[u8],
        iv: [u8; IV_LENGTH],
        aad: &[u8],
        plaintext: &[u8],
    ) -> Option<Vec<u8>> {
        let mut sealed = vec![0; plaintext.len() + TAG_LENGTH];
        let (ciphertext, tag) = sealed.split_last_chunk_mut::<TAG_LENGTH>()?;
        let buffer = InOutBuf::new(plaintext, ciphertext).ok()?;
        let iv = Nonce::from(iv);
        *tag = with_cipher!(key, cipher => {
            cipher.encrypt_inout_detached(&iv, aad, buffer).ok()
        })?
        .into();
        Some(sealed)
    }

    /// None of what is not authentic.
    pub(in crate::keyring) fn open(
        key: &[u8],
        iv: [u8; IV_LENGTH],
        aad: &[u8],
        sealed: &[u8],
    ) -> Option<Zeroizing<Vec<u8>>> {
        let (ciphertext, tag) = sealed.split_last_chunk::<TAG_LENGTH>()?;
        let mut plaintext = Zeroizing::new(vec![0; ciphertext.len()]);
        let buffer = InOutBuf::new(ciphertext, &mut plaintext).ok()?;
        let (iv, tag) = (Nonce::from(iv), Tag::from(*tag));
        with_cipher!(key, cipher => {
            cipher.decrypt_inout_detached(&iv, aad, buffer, &tag).ok()
        })?;
        Some(plaintext)
    }
}

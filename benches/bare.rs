//! The bare cipher of the backend that `envelope` uses, keyed once: what the benchmarks compare
//! with. It seals and opens the same frames as a message of the same plaintext, and does nothing
//! else.

/// Length of a tag in bytes.
pub const TAG: usize = 16;

#[cfg(feature = "aws-lc-rs")]
mod backend {
    use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};

    pub(crate) type Key = LessSafeKey;

    pub(crate) fn key() -> Option<Key> {
        Some(LessSafeKey::new(
            UnboundKey::new(&AES_256_GCM, &[7; 32]).ok()?,
        ))
    }

    pub(crate) fn seal(key: &Key, iv: [u8; 12], plain: &[u8], sealed: &mut [u8]) -> Option<()> {
        let (content, tag) = sealed.split_at_mut(plain.len());
        let iv = Nonce::assume_unique_for_key(iv);
        key.seal_out_of_place_scatter(iv, Aad::empty(), plain, content, &[], tag)
            .ok()
    }

    pub(crate) fn open(key: &Key, iv: [u8; 12], sealed: &[u8], plain: &mut [u8]) -> Option<()> {
        let (content, tag) = sealed.split_at(plain.len());
        let iv = Nonce::assume_unique_for_key(iv);
        key.open_separate_gather(iv, Aad::empty(), content, tag, plain)
            .ok()
    }
}

#[cfg(all(feature = "rust-crypto", not(feature = "aws-lc-rs")))]
mod backend {
    use aes_gcm::aead::inout::InOutBuf;
    use aes_gcm::{AeadInOut, Aes256Gcm, KeyInit, Nonce, Tag};

    pub(crate) type Key = Aes256Gcm;

    pub(crate) fn key() -> Option<Key> {
        Aes256Gcm::new_from_slice(&[7; 32]).ok()
    }

    pub(crate) fn seal(key: &Key, iv: [u8; 12], plain: &[u8], sealed: &mut [u8]) -> Option<()> {
        let (content, tag) = sealed.split_at_mut(plain.len());
        let buffer = InOutBuf::new(plain, content).ok()?;
        let sealed = key
            .encrypt_inout_detached(&Nonce::from(iv), &[], buffer)
            .ok()?;
        tag.copy_from_slice(&sealed);
        Some(())
    }

    pub(crate) fn open(key: &Key, iv: [u8; 12], sealed: &[u8], plain: &mut [u8]) -> Option<()> {
        let (content, tag) = sealed.split_at(plain.len());
        let buffer = InOutBuf::new(content, plain).ok()?;
        let tag = Tag::try_from(tag).ok()?;
        key.decrypt_inout_detached(&Nonce::from(iv), &[], buffer, &tag)
            .ok()
    }
}

/// A keyed cipher.
#[allow(
    missing_debug_implementations,
    reason = "the cipher's own type has none"
)]
pub struct Bare(backend::Key);

impl Bare {
    /// The cipher under a fixed key; none if the backend refuses it.
    #[must_use]
    pub fn new() -> Option<Self> {
        backend::key().map(Self)
    }

    /// Seals frames of this many bytes into `sealed`, each followed by its tag.
    #[must_use]
    pub fn seal(&self, plaintext: &[u8], frame: usize, sealed: &mut [u8]) -> Option<()> {
        let frames = plaintext.chunks(frame).zip(sealed.chunks_mut(frame + TAG));
        (1_u32..)
            .zip(frames)
            .try_for_each(|(number, (plain, sealed))| {
                backend::seal(&self.0, iv(number), plain, sealed)
            })
    }

    /// Opens what [`seal`](Self::seal) made.
    #[must_use]
    pub fn open(&self, sealed: &[u8], frame: usize, plaintext: &mut [u8]) -> Option<()> {
        let frames = sealed.chunks(frame + TAG).zip(plaintext.chunks_mut(frame));
        (1_u32..)
            .zip(frames)
            .try_for_each(|(number, (sealed, plain))| {
                backend::open(&self.0, iv(number), sealed, plain)
            })
    }
}

fn iv(number: u32) -> [u8; 12] {
    let mut iv = [0; 12];
    iv[8..].copy_from_slice(&number.to_be_bytes());
    iv
}

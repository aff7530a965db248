use aes::{Aes128, Aes192, Aes256};
use ctr::Ctr32BE;
use ctr::cipher::{KeyIvInit, StreamCipher};
use envelope::{Error, Result};

use super::BLOCK_LENGTH;

/// AES in counter mode, from one counter block on. The last 32 bits of the block count, as in
/// AES-GCM.
///
/// The key schedules are boxed so that moving one leaves no copy.
pub(super) enum Counter {
    Aes128(Box<Ctr32BE<Aes128>>),
    Aes192(Box<Ctr32BE<Aes192>>),
    Aes256(Box<Ctr32BE<Aes256>>),
}

impl Counter {
    /// Takes a key of 16, 24 or 32 bytes.
    pub(super) fn new(key: &[u8], block: [u8; BLOCK_LENGTH]) -> Result<Self> {
        fn keyed<C: KeyIvInit>(key: &[u8], block: [u8; BLOCK_LENGTH]) -> Result<Box<C>> {
            C::new_from_slices(key, &block)
                .map(Box::new)
                .map_err(|_| Error::SealFailed)
        }
        match key.len() {
            16 => keyed(key, block).map(Self::Aes128),
            24 => keyed(key, block).map(Self::Aes192),
            32 => keyed(key, block).map(Self::Aes256),
            length => Err(Error::KeyLength {
                length,
                legal: "16, 24 or 32 bytes",
            }),
        }
    }

    /// Encrypts or decrypts `input` into `output`, which has the same length.
    pub(super) fn apply(&mut self, input: &[u8], output: &mut [u8]) -> Result<()> {
        match self {
            Self::Aes128(counter) => counter.try_apply_keystream_b2b(input, output),
            Self::Aes192(counter) => counter.try_apply_keystream_b2b(input, output),
            Self::Aes256(counter) => counter.try_apply_keystream_b2b(input, output),
        }
        .map_err(|_| Error::SealFailed)
    }

    /// One block under the cipher.
    pub(super) fn encrypt_block(
        key: &[u8],
        block: [u8; BLOCK_LENGTH],
    ) -> Result<[u8; BLOCK_LENGTH]> {
        let mut encrypted = [0; BLOCK_LENGTH];
        Self::new(key, block)?.apply(&[0; BLOCK_LENGTH], &mut encrypted)?;
        Ok(encrypted)
    }
}

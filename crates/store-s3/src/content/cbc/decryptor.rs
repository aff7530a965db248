use aes::{Aes128, Aes192, Aes256};
use cbc::cipher::array::Array;
use cbc::cipher::{BlockModeDecrypt, KeyIvInit};
use envelope::{Error, Result};

use crate::content::BLOCK_LENGTH;

/// AES-CBC block by block, without padding. The key schedules are boxed so that moving one leaves
/// no copy.
pub(in crate::content) enum Decryptor {
    Aes128(Box<cbc::Decryptor<Aes128>>),
    Aes192(Box<cbc::Decryptor<Aes192>>),
    Aes256(Box<cbc::Decryptor<Aes256>>),
}

impl Decryptor {
    /// Takes a key of 16, 24 or 32 bytes.
    pub(super) fn new(key: &[u8], iv: [u8; BLOCK_LENGTH]) -> Result<Self> {
        fn keyed<C: KeyIvInit>(key: &[u8], iv: [u8; BLOCK_LENGTH]) -> Result<Box<C>> {
            C::new_from_slices(key, &iv)
                .map(Box::new)
                .map_err(|_| Error::SealFailed)
        }
        match key.len() {
            16 => keyed(key, iv).map(Self::Aes128),
            24 => keyed(key, iv).map(Self::Aes192),
            32 => keyed(key, iv).map(Self::Aes256),
            length => Err(Error::KeyLength {
                length,
                legal: "16, 24 or 32 bytes",
            }),
        }
    }

    /// Decrypts whole blocks in place.
    pub(in crate::content) fn apply(&mut self, bytes: &mut [u8]) {
        let (blocks, _) = Array::slice_as_chunks_mut(bytes);
        match self {
            Self::Aes128(decryptor) => decryptor.decrypt_blocks(blocks),
            Self::Aes192(decryptor) => decryptor.decrypt_blocks(blocks),
            Self::Aes256(decryptor) => decryptor.decrypt_blocks(blocks),
        }
    }
}

use aes::{Aes128, Aes192, Aes256};
use block_buffer::EagerBuffer;
use cbc::cipher::array::Array;
use cbc::cipher::block_padding::{Padding, Pkcs7};
use cbc::cipher::consts::U16;
use cbc::cipher::{Block, BlockModeEncrypt, KeyIvInit};
use envelope::{Error, OutputBuffer, Result, Transform};

use super::CbcKey;

/// Encrypts one object that nothing authenticates, for readers that know nothing newer.
pub(crate) struct CbcEncryptor {
    encryptor: Encryptor,
    /// Plaintext of a block that is not complete.
    partial: EagerBuffer<U16>,
}

enum Encryptor {
    Aes128(Box<cbc::Encryptor<Aes128>>),
    Aes192(Box<cbc::Encryptor<Aes192>>),
    Aes256(Box<cbc::Encryptor<Aes256>>),
}

impl CbcEncryptor {
    /// # Errors
    /// [`Error::SealFailed`] when the cryptography library refuses the key.
    pub(crate) fn new(key: &CbcKey) -> Result<Self> {
        fn keyed<C: KeyIvInit>(key: &CbcKey) -> Result<Box<C>> {
            C::new_from_slices(&key.key, &key.iv)
                .map(Box::new)
                .map_err(|_| Error::SealFailed)
        }
        let encryptor = match key.key.len() {
            16 => keyed(key).map(Encryptor::Aes128),
            24 => keyed(key).map(Encryptor::Aes192),
            _ => keyed(key).map(Encryptor::Aes256),
        }?;
        Ok(Self {
            encryptor,
            partial: EagerBuffer::default(),
        })
    }
}

impl Encryptor {
    fn apply(&mut self, blocks: &mut [Block<Aes256>]) {
        match self {
            Self::Aes128(encryptor) => encryptor.encrypt_blocks(blocks),
            Self::Aes192(encryptor) => encryptor.encrypt_blocks(blocks),
            Self::Aes256(encryptor) => encryptor.encrypt_blocks(blocks),
        }
    }
}

impl Transform for CbcEncryptor {
    fn update(&mut self, input: &[u8], output: &mut OutputBuffer) -> Result<()> {
        let encryptor = &mut self.encryptor;
        self.partial.digest_blocks(input, |blocks| {
            let plaintext = Array::slice_as_flattened(blocks);
            let ciphertext = output.spare(plaintext.len());
            ciphertext.copy_from_slice(plaintext);
            encryptor.apply(Array::slice_as_chunks_mut(ciphertext).0);
            output.advance(plaintext.len());
        });
        Ok(())
    }

    fn finish(mut self: Box<Self>, output: &mut OutputBuffer) -> Result<()> {
        let length = self.partial.get_pos();
        let mut block = self.partial.pad_with_zeros();
        Pkcs7::raw_pad(&mut block, length);
        self.encryptor.apply(std::slice::from_mut(&mut block));
        output.extend_from_slice(&block);
        Ok(())
    }
}

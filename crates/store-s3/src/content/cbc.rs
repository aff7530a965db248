//! AES-CBC over a whole object, with the padding of PKCS#7. It authenticates nothing: old objects
//! only, and every failure is the same error (specification, CVE-2020-8911).

mod body;
mod decryptor;
#[cfg(feature = "legacy-v1-write")]
mod encryptor;
mod ranges;
mod transform;

use std::fmt;

use cbc::cipher::block_padding::{Padding, Pkcs7};
use envelope::Result;
use zeroize::Zeroizing;

pub(crate) use body::CbcBody;
#[cfg(feature = "legacy-v1-write")]
pub(crate) use encryptor::CbcEncryptor;
pub(crate) use ranges::CbcRanges;

use super::BLOCK_LENGTH;
use super::keys::check_length;
use crate::error::Error;
use decryptor::Decryptor;

/// What opens one object: the data key and the initialisation vector. Wiped when dropped, never
/// printed.
pub(crate) struct CbcKey {
    key: Zeroizing<Box<[u8]>>,
    iv: [u8; BLOCK_LENGTH],
}

impl CbcKey {
    /// # Errors
    /// [`envelope::Error::KeyLength`] unless the data key has 16, 24 or 32 bytes, and
    /// [`Error::FieldLength`] unless the vector has 16.
    pub(crate) fn new(data_key: &[u8], iv: &[u8]) -> Result<Self> {
        if !matches!(data_key.len(), 16 | 24 | 32) {
            return Err(envelope::Error::KeyLength {
                length: data_key.len(),
                legal: "16, 24 or 32 bytes",
            });
        }
        check_length("the initialisation vector", iv, BLOCK_LENGTH)?;
        let mut vector = [0; BLOCK_LENGTH];
        vector.copy_from_slice(iv);
        Ok(Self {
            key: Zeroizing::new(Box::from(data_key)),
            iv: vector,
        })
    }

    pub(super) fn decryptor(&self) -> Result<Decryptor> {
        Decryptor::new(&self.key, self.iv)
    }

    /// Length of the plaintext of an object, by its padding. `last` are the object's last two
    /// blocks, or its only one.
    fn plaintext_length(&self, object_length: u64, last: &[u8]) -> Result<u64> {
        if object_length == 0 || !object_length.is_multiple_of(BLOCK_LENGTH as u64) {
            return Err(Error::CbcNotValid.into());
        }
        // A block is the vector of the next one.
        let (before, block) = last
            .split_last_chunk::<BLOCK_LENGTH>()
            .ok_or(Error::CbcNotValid)?;
        let mut decryptor = match before {
            [] => self.decryptor()?,
            before => Decryptor::new(
                &self.key,
                before.try_into().map_err(|_| Error::CbcNotValid)?,
            )?,
        };
        let mut block = Zeroizing::new(*block);
        decryptor.apply(block.as_mut_slice());
        let padding = padding_length(block.as_slice())?;
        object_length
            .checked_sub(padding as u64)
            .ok_or(Error::CbcNotValid.into())
    }
}

/// Length of the padding in the last block of a plaintext.
fn padding_length(block: &[u8]) -> Result<usize> {
    match Pkcs7::raw_unpad(block) {
        Ok(plaintext) => Ok(block.len() - plaintext.len()),
        Err(_) => Err(Error::CbcNotValid.into()),
    }
}

impl fmt::Debug for CbcKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CbcKey(redacted)")
    }
}

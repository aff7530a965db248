//! AES-GCM over a whole object, whose tag is at its end (specification, sections on content
//! encryption of V2 and V3).

mod body;
mod counter_transform;
mod delayed;
mod encryptor;
mod ranges;
mod stream;

use std::fmt;

use envelope::{Error, Result};
use zeroize::Zeroizing;

pub(crate) use body::GcmBody;
pub(crate) use delayed::GcmDelayed;
pub(crate) use encryptor::GcmEncryptor;
pub(crate) use ranges::GcmRanges;

use super::BLOCK_LENGTH;
use super::block_hash::BlockHash;
use super::counter::Counter;
use super::keys::{IV_LENGTH, check_length};
use super::one_shot::{Mac, Refused};
use super::tag_hash::TagHash;

/// Length of a tag in bytes.
pub(super) const TAG_LENGTH: usize = 16;

/// The longest plaintext of one object in bytes: 2^39 - 256 bits, the limit of AES-GCM.
pub(crate) const MAXIMUM_PLAINTEXT: u64 = (1 << 36) - 32;

/// Counter of the block that masks the tag; the plaintext's first block has the next one.
const FIRST_COUNTER: u32 = 1;

/// The highest counter that a part of an object may begin with.
const LAST_COUNTER: u32 = u32::MAX - 1;

/// What seals or opens one object: the key, the initialisation vector and the additional
/// authenticated data. Wiped when dropped, never printed.
pub(crate) struct GcmKey {
    key: Zeroizing<Box<[u8]>>,
    iv: [u8; IV_LENGTH],
    aad: &'static [u8],
}

impl GcmKey {
    /// That of a V2 object: the data key itself, and nothing authenticated beside.
    ///
    /// # Errors
    /// [`Error::KeyLength`] unless the data key has 16, 24 or 32 bytes, and
    /// [`FieldLength`](crate::Error::FieldLength) unless the vector has 12.
    pub(crate) fn v2(data_key: &[u8], iv: &[u8]) -> Result<Self> {
        Self::new(data_key, iv, &[])
    }

    /// That of a V3 object. Its key is its own, so the vector can be the same for all.
    pub(super) fn v3(content_key: Zeroizing<Box<[u8]>>) -> Result<Self> {
        Self::new(&content_key, &[1; IV_LENGTH], &[0x00, 0x73])
    }

    pub(super) fn new(key: &[u8], iv: &[u8], aad: &'static [u8]) -> Result<Self> {
        if !matches!(key.len(), 16 | 24 | 32) {
            return Err(Error::KeyLength {
                length: key.len(),
                legal: "16, 24 or 32 bytes",
            });
        }
        check_length("the initialisation vector", iv, IV_LENGTH)?;
        let mut vector = [0; IV_LENGTH];
        vector.copy_from_slice(iv);
        Ok(Self {
            key: Zeroizing::new(Box::from(key)),
            iv: vector,
            aad,
        })
    }

    /// The secret bytes. Whoever calls this answers for where they go.
    pub(super) fn expose(&self) -> &[u8] {
        &self.key
    }

    pub(super) fn iv(&self) -> &[u8; IV_LENGTH] {
        &self.iv
    }

    pub(super) fn aad(&self) -> &'static [u8] {
        self.aad
    }

    /// The key stream from this place of the plaintext on.
    fn counter(&self, offset: u64) -> Result<Counter> {
        Counter::new(&self.key, counter_block(&self.iv, offset)?)
    }

    fn block_hash(&self) -> Result<BlockHash> {
        let mac_iv = self.iv.map(|byte| !byte);
        let mac = Mac::new(self, mac_iv).map_err(|Refused| Error::SealFailed)?;
        let hash_key = Counter::encrypt_block(&self.key, [0; BLOCK_LENGTH])?;
        let mask = |iv| Counter::encrypt_block(&self.key, block(iv, FIRST_COUNTER));
        Ok(BlockHash::new(
            mac,
            hash_key,
            mask(&self.iv)?,
            mask(&mac_iv)?,
        ))
    }

    fn tag_hash(&self) -> Result<TagHash> {
        TagHash::new(self.block_hash()?, self.aad)
    }
}

impl fmt::Debug for GcmKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("GcmKey(redacted)")
    }
}

/// The counter block of the plaintext at `offset`, which is where a block begins (specification,
/// ranged reads).
///
/// # Errors
/// [`Error::InvalidOption`] for any other place, and beyond the counter's end.
pub(super) fn counter_block(iv: &[u8; IV_LENGTH], offset: u64) -> Result<[u8; BLOCK_LENGTH]> {
    let block_length = BLOCK_LENGTH as u64;
    let counter = offset
        .is_multiple_of(block_length)
        .then_some(offset / block_length)
        .and_then(|blocks| u32::try_from(blocks).ok())
        .and_then(|blocks| blocks.checked_add(FIRST_COUNTER + 1))
        .filter(|counter| *counter <= LAST_COUNTER)
        .ok_or(Error::InvalidOption {
            what: "the place in the plaintext",
            reason: "must be where a block begins, before 2^36 - 48",
        })?;
    Ok(block(iv, counter))
}

fn block(iv: &[u8; IV_LENGTH], counter: u32) -> [u8; BLOCK_LENGTH] {
    let mut block = [0; BLOCK_LENGTH];
    for (byte, value) in block
        .iter_mut()
        .zip(iv.iter().chain(&counter.to_be_bytes()))
    {
        *byte = *value;
    }
    block
}

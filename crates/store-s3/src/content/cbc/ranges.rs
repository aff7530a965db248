use std::ops::Range;

use envelope::Result;
use envelope_store::format::{OpenedRange, Ranges};

use super::CbcKey;
use super::transform::CbcTransform;
use crate::content::BLOCK_LENGTH;
use crate::content::window::Window;
use crate::error::Error;

const BLOCK: u64 = BLOCK_LENGTH as u64;

/// Reads parts of one object. Nothing of it is authenticated.
#[derive(Debug)]
pub(crate) struct CbcRanges(CbcKey);

impl CbcRanges {
    pub(crate) fn new(key: CbcKey) -> Self {
        Self(key)
    }
}

impl Ranges for CbcRanges {
    /// The padding is in the last block, and the block before it is needed to decrypt it.
    fn length_bytes(&self, object_length: u64) -> Range<u64> {
        object_length.saturating_sub(2 * BLOCK)..object_length
    }

    fn plaintext_length(&self, object_length: u64, bytes: &[u8]) -> Result<u64> {
        let wanted = self.length_bytes(object_length);
        if bytes.len() as u64 != wanted.end - wanted.start {
            return Err(Error::CbcNotValid.into());
        }
        self.0.plaintext_length(object_length, bytes)
    }

    fn open(&self, range: Range<u64>, object_length: u64) -> Result<OpenedRange> {
        if !object_length.is_multiple_of(BLOCK) {
            return Err(Error::CbcNotValid.into());
        }
        // At least the last byte is padding.
        let longest = object_length.checked_sub(1).ok_or(Error::CbcNotValid)?;
        if range.start > range.end || range.end > longest {
            return Err(envelope::Error::RangeOutOfBounds {
                start: range.start,
                end: range.end,
                length: longest,
            });
        }
        // One block more before, as the vector of the first that is wanted: it decrypts to nothing
        // of use and is dropped. The object's first block has the stored vector.
        let first = range.start - range.start % BLOCK;
        let begin = first.saturating_sub(BLOCK);
        let end = match range.is_empty() {
            true => begin,
            false => range.end.next_multiple_of(BLOCK),
        };
        let window = match range.is_empty() {
            true => Window::new(0, 0, 0),
            false => Window::new(
                range.start - begin,
                range.end - range.start,
                end - range.end,
            ),
        };
        Ok(OpenedRange {
            stored: begin..end,
            transform: Box::new(CbcTransform::new(self.0.decryptor()?, window)),
        })
    }
}

use std::ops::Range;

use envelope::Result;
use envelope_store::format::{OpenedRange, Ranges};

use super::body::check_length;
use super::counter_transform::CounterTransform;
use super::{FIRST_COUNTER, GcmKey, LAST_COUNTER, TAG_LENGTH};
use crate::content::BLOCK_LENGTH;
use crate::content::window::Window;
use crate::error::Error;

/// Where the last part of an object can begin.
const LAST_BEGIN: u64 = (LAST_COUNTER - FIRST_COUNTER - 1) as u64 * BLOCK_LENGTH as u64;

/// Reads parts of one object, none of which is authenticated.
#[derive(Debug)]
pub(crate) struct GcmRanges(GcmKey);

impl GcmRanges {
    pub(crate) fn new(key: GcmKey) -> Self {
        Self(key)
    }
}

impl Ranges for GcmRanges {
    fn plaintext_length(&self, object_length: u64, _bytes: &[u8]) -> Result<u64> {
        let length = object_length
            .checked_sub(TAG_LENGTH as u64)
            .ok_or(Error::BodyTruncated {
                length: object_length,
            })?;
        check_length(length)?;
        Ok(length)
    }

    fn open(&self, range: Range<u64>, object_length: u64) -> Result<OpenedRange> {
        let length = self.plaintext_length(object_length, &[])?;
        if range.start > range.end || range.end > length {
            return Err(envelope::Error::RangeOutOfBounds {
                start: range.start,
                end: range.end,
                length,
            });
        }
        // The counter of the very last block may not be begun with.
        let begin = (range.start - range.start % BLOCK_LENGTH as u64).min(LAST_BEGIN);
        let before = range.start - begin;
        let mut counter = self.0.counter(begin)?;
        for _ in 0..before {
            counter.apply(&[0], &mut [0])?;
        }
        let window = Window::new(before, range.end - range.start, 0);
        Ok(OpenedRange {
            stored: begin..range.end,
            transform: Box::new(CounterTransform::new(counter, window)),
        })
    }
}

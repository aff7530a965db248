//! Objects that no format of the store recognises.

use std::ops::Range;

use envelope::{Error, OutputBuffer, Result, Transform};

use crate::format::{OpenedRange, Ranges};

/// What is done about objects that are not encrypted in a format that the store reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ForeignObjects {
    /// They are errors wherever they are met.
    #[default]
    Refuse,
    /// Listings and `head` show them with their stored sizes, and reading them is an error.
    Report,
    /// They are read as they are stored. Nothing of them is verified: whoever can write to the
    /// inner store can put such an object in an encrypted one's place. Each is marked with
    /// [`NotEncrypted`], except by `get_ranges`, which has no place for a mark.
    Pass,
}

/// In the `extensions` of a [`GetResult`](object_store::GetResult): the object is not encrypted in
/// a format that the store reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct NotEncrypted;

/// The object as it is stored, in parts.
#[derive(Debug)]
pub(crate) struct StoredRanges;

impl Ranges for StoredRanges {
    fn plaintext_length(&self, object_length: u64, _: &[u8]) -> Result<u64> {
        Ok(object_length)
    }

    fn open(&self, range: Range<u64>, object_length: u64) -> Result<OpenedRange> {
        if range.end > object_length {
            return Err(Error::RangeOutOfBounds {
                start: range.start,
                end: range.end,
                length: object_length,
            });
        }
        Ok(OpenedRange {
            stored: range,
            transform: Box::new(Unchanged),
        })
    }
}

/// Bytes out as they came in.
#[derive(Debug)]
pub(crate) struct Unchanged;

impl Transform for Unchanged {
    fn update(&mut self, input: &[u8], output: &mut OutputBuffer) -> Result<()> {
        output.extend_from_slice(input);
        Ok(())
    }

    fn finish(self: Box<Self>, _output: &mut OutputBuffer) -> Result<()> {
        Ok(())
    }
}

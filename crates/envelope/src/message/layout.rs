//! Sizes and ranges of unsigned framed messages: arithmetic on lengths, nothing else.

use std::ops::Range;

use super::frame::{FINAL_OVERHEAD, REGULAR_OVERHEAD};
use crate::error::{Error, Result};

/// Where the parts of one unsigned framed message lie.
///
/// All lengths and offsets are in bytes. A plaintext length computed here is a claim until the
/// final frame was authenticated: whoever shortens an object shortens its plaintext. The lengths
/// follow from the AWS Encryption SDK message format, "Framed Data".
///
/// ```
/// use envelope::Layout;
///
/// let layout = Layout::new(300, 4096)?;
/// let ciphertext = layout.ciphertext_len(10_000)?;
/// assert_eq!(layout.plaintext_len(ciphertext)?, 10_000);
/// // Bytes 5000..5010 lie in the second frame.
/// assert_eq!(layout.ciphertext_range(5000..5010, ciphertext)?, 4428..8556);
/// # Ok::<(), envelope::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Layout {
    header_length: u64,
    frame_length: u32,
}

/// The frames that cover a plaintext range, and which of their bytes are wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RangePlan {
    pub(crate) range: Range<u64>,
    pub(crate) ciphertext: Range<u64>,
    pub(crate) first_sequence: u32,
    pub(crate) last_sequence: u32,
    pub(crate) ends_message: bool,
    /// Plaintext bytes of the first frame that lie before the range.
    pub(crate) skip: u64,
}

impl RangePlan {
    /// The plaintext bytes wanted.
    #[must_use]
    pub fn range(&self) -> Range<u64> {
        self.range.clone()
    }

    /// The message bytes to fetch: whole frames.
    #[must_use]
    pub fn ciphertext(&self) -> Range<u64> {
        self.ciphertext.clone()
    }
}

impl Layout {
    /// A layout from the header's whole length (tag included) and its frame length.
    ///
    /// # Errors
    /// [`Error::InvalidOption`] for a frame length of 0.
    pub fn new(header_length: u64, frame_length: u32) -> Result<Self> {
        if frame_length == 0 {
            return Err(Error::InvalidOption {
                what: "the frame length",
                reason: "must be from 1 to 4294967295 bytes",
            });
        }
        Ok(Self {
            header_length,
            frame_length,
        })
    }

    /// Length of the message that this crate writes for a plaintext of this length.
    ///
    /// # Errors
    /// [`Error::TooManyFrames`] when the plaintext does not fit 2^32 - 1 frames.
    pub fn ciphertext_len(&self, plaintext_len: u64) -> Result<u64> {
        let frame = u64::from(self.frame_length);
        // A plaintext that fills its frames ends in a full final frame, not in an empty one.
        let regular = plaintext_len.saturating_sub(1) / frame;
        if regular >= u64::from(u32::MAX) {
            return Err(Error::TooManyFrames);
        }
        let body = plaintext_len
            .checked_add(regular * REGULAR_OVERHEAD as u64 + FINAL_OVERHEAD as u64)
            .and_then(|body| body.checked_add(self.header_length));
        body.ok_or(Error::TooManyFrames)
    }

    /// Length of the plaintext in a message of this length. Understands both legal shapes of a
    /// plaintext that fills its frames: a full final frame, or an empty one.
    ///
    /// # Errors
    /// [`Error::ImpossibleLength`] when no complete message has this length.
    pub fn plaintext_len(&self, ciphertext_len: u64) -> Result<u64> {
        let (regular, last) = self.frames(ciphertext_len)?;
        Ok(regular * u64::from(self.frame_length) + last)
    }

    /// The message bytes that hold a plaintext range: whole frames, without the header.
    ///
    /// # Errors
    /// As [`plan`](Self::plan).
    pub fn ciphertext_range(&self, range: Range<u64>, ciphertext_len: u64) -> Result<Range<u64>> {
        Ok(self.plan(range, ciphertext_len)?.ciphertext)
    }

    /// The frames that cover a plaintext range. A range that reaches the end of the plaintext takes
    /// the final frame too, which proves that the end is there. An empty range elsewhere needs no
    /// bytes.
    ///
    /// # Errors
    /// [`Error::ImpossibleLength`] for a length that no complete message has, and
    /// [`Error::RangeOutOfBounds`] when the range reaches beyond the plaintext.
    pub fn plan(&self, range: Range<u64>, ciphertext_len: u64) -> Result<RangePlan> {
        let (regular, last) = self.frames(ciphertext_len)?;
        let frame = u64::from(self.frame_length);
        let length = regular * frame + last;
        if range.start > range.end || range.end > length {
            return Err(Error::RangeOutOfBounds {
                start: range.start,
                end: range.end,
                length,
            });
        }
        let stride = frame + REGULAR_OVERHEAD as u64;
        // Offsets come from frame numbers, never from the plaintext length: a plaintext that
        // fills its frames has two legal shapes.
        let first_index = (range.start / frame).min(regular);
        let start = self.header_length + first_index * stride;
        let skip = range.start - first_index * frame;
        // A range that reaches the end takes the final frame along, even an empty one: nothing
        // else proves that the plaintext ends there.
        let last_byte = range.end.checked_sub(1).filter(|_| !range.is_empty());
        let in_final_frame = last_byte.is_some_and(|byte| byte / frame >= regular);
        let ends_message = in_final_frame || range.end == length;
        let (last_index, end) = match last_byte {
            _ if ends_message => (regular, ciphertext_len),
            None => (first_index, start),
            Some(byte) => {
                let index = byte / frame;
                (index, self.header_length + (index + 1) * stride)
            }
        };
        Ok(RangePlan {
            ends_message,
            range,
            ciphertext: start..end,
            first_sequence: sequence(first_index)?,
            last_sequence: sequence(last_index)?,
            skip,
        })
    }

    /// Number of regular frames, and content length of the final frame.
    fn frames(&self, ciphertext_len: u64) -> Result<(u64, u64)> {
        let impossible = Error::ImpossibleLength {
            length: ciphertext_len,
        };
        // body = regular * (L + 32) + last + 40, with 0 <= last <= L
        let stride = u64::from(self.frame_length) + REGULAR_OVERHEAD as u64;
        let Some(frames) = ciphertext_len
            .checked_sub(self.header_length)
            .and_then(|body| body.checked_sub(FINAL_OVERHEAD as u64))
        else {
            return Err(impossible);
        };
        let (regular, last) = (frames / stride, frames % stride);
        if last > u64::from(self.frame_length) || regular >= u64::from(u32::MAX) {
            return Err(impossible);
        }
        Ok((regular, last))
    }
}

fn sequence(index: u64) -> Result<u32> {
    u32::try_from(index + 1).map_err(|_| Error::TooManyFrames)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_shapes_of_a_filled_last_frame_have_the_same_plaintext() {
        let layout = Layout::new(100, 10).unwrap();
        let full = 100 + (10 + 32) + (10 + 40);
        let empty = 100 + 2 * (10 + 32) + 40;
        assert_eq!(layout.ciphertext_len(20).unwrap(), full);
        assert_eq!(layout.plaintext_len(full).unwrap(), 20);
        assert_eq!(layout.plaintext_len(empty).unwrap(), 20);
        assert_eq!(layout.ciphertext_range(15..20, full).unwrap(), 142..full);
        assert_eq!(layout.ciphertext_range(15..20, empty).unwrap(), 142..empty);
        assert_eq!(layout.ciphertext_range(15..19, empty).unwrap(), 142..184);
    }

    #[test]
    fn lengths_between_the_shapes_are_impossible() {
        let layout = Layout::new(100, 10).unwrap();
        for length in [0, 99, 100, 139, 151, 181] {
            assert!(
                matches!(layout.plaintext_len(length), Err(Error::ImpossibleLength { length: found }) if found == length),
                "{length}"
            );
        }
    }

    #[test]
    fn limits_do_not_overflow() {
        let layout = Layout::new(u64::MAX, u32::MAX).unwrap();
        assert!(layout.ciphertext_len(u64::MAX).is_err());
        let layout = Layout::new(0, 1).unwrap();
        assert!(layout.ciphertext_len(u64::from(u32::MAX)).is_ok());
        assert!(matches!(
            layout.ciphertext_len(u64::from(u32::MAX) + 1),
            Err(Error::TooManyFrames)
        ));
        assert!(layout.plan(0..u64::MAX, u64::MAX).is_err());
    }
}

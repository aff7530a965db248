use super::frame::{
    Content, Extent, FINAL_MARKER, FINAL_OVERHEAD, FrameRules, NON_FRAMED_OVERHEAD,
    REGULAR_OVERHEAD,
};
use crate::error::{Error, Result};

/// Follows the frames of a message by their first bytes alone, without a key.
///
/// It finds the end of the body, and so the length that the plaintext claims to have, signed
/// messages included. Nothing it says is verified. Source: AWS Encryption SDK message format,
/// "Framed Data" and "Non-Framed Data". Made by
/// [`HeaderClaims::frames`](crate::HeaderClaims::frames).
#[derive(Debug, Clone)]
pub struct FrameScanner {
    rules: FrameRules,
    sequence: u32,
    plaintext: u64,
}

/// What the first bytes of a frame say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FrameScan {
    /// More of the frame's first bytes are needed: this many in all.
    Incomplete(usize),
    /// A regular frame of this many bytes; the next one follows it.
    Regular {
        /// Length of the whole frame in bytes.
        length: u64,
    },
    /// The final frame, or a whole non-framed body. Only a signed message goes on behind it.
    Final {
        /// Length of the whole frame in bytes.
        length: u64,
        /// Length in bytes of the plaintext of all frames.
        plaintext_length: u64,
    },
}

impl FrameScanner {
    pub(crate) fn new(content: Content) -> Self {
        Self {
            rules: FrameRules {
                content,
                // Frames are skipped, not held.
                maximum: u64::MAX,
            },
            sequence: 1,
            plaintext: 0,
        }
    }

    /// Reads the beginning of the next frame; 24 bytes are always enough.
    ///
    /// # Errors
    /// [`Error::FrameOutOfOrder`], [`Error::FinalFrameTooLong`], [`Error::BodyTooLong`]
    /// and [`Error::TooManyFrames`].
    pub fn scan(&mut self, beginning: &[u8]) -> Result<FrameScan> {
        let length = match self.rules.extent(beginning, self.sequence)? {
            Extent::AtLeast(length) => return Ok(FrameScan::Incomplete(length)),
            Extent::Exactly(length) => length,
        };
        let is_final = beginning.starts_with(&FINAL_MARKER.to_be_bytes());
        let (is_last, overhead) = match self.rules.content {
            Content::NonFramed => (true, NON_FRAMED_OVERHEAD),
            Content::Framed { .. } if is_final => (true, FINAL_OVERHEAD),
            Content::Framed { .. } => (false, REGULAR_OVERHEAD),
        };
        // At most 2^32 frames of 2^32 bytes: the sum fits.
        self.plaintext = self.plaintext.saturating_add((length - overhead) as u64);
        let length = length as u64;
        if is_last {
            return Ok(FrameScan::Final {
                length,
                plaintext_length: self.plaintext,
            });
        }
        self.sequence = self.sequence.checked_add(1).ok_or(Error::TooManyFrames)?;
        Ok(FrameScan::Regular { length })
    }
}

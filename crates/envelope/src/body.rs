//! Opens the frames of a message whose header verified. The decryptor and range reads share it.

use std::sync::Arc;

use crate::crypto::Refused;
use crate::crypto::aead::Aead;
use crate::error::{Error, Result};
use crate::message::frame::{BodyAad, Extent, Frame, FrameKind, FrameRules};
use crate::transform::OutputBuffer;

/// Authenticates and decrypts single frames. Cheap to clone: the cipher is keyed once.
#[derive(Clone, Debug)]
pub(crate) struct FrameOpener {
    cipher: Arc<Aead>,
    aad: BodyAad,
}

impl FrameOpener {
    pub(crate) fn new(cipher: Aead, message_id: &[u8]) -> Self {
        Self {
            cipher: Arc::new(cipher),
            aad: BodyAad::new(message_id),
        }
    }

    /// Opens a frame into the output's spare bytes and returns its content length. Nothing
    /// counts as output until the caller advances over it.
    pub(crate) fn open(&mut self, frame: &Frame<'_>, output: &mut OutputBuffer) -> Result<usize> {
        let sequence = frame.sequence;
        let length = frame.content.len();
        let aad = self.aad.of(frame.kind, sequence, length);
        self.cipher
            .open_to(
                // As received, and covered by the tag. Other writers count IVs differently: some
                // of the published vectors begin theirs with eight ff bytes.
                frame.iv,
                aad,
                frame.content,
                &frame.tag,
                output.spare(length),
            )
            .map_err(|Refused| Error::FrameNotAuthentic { sequence })?;
        Ok(length)
    }
}

/// Cuts received bytes into frames: straight from the input where a frame lies there whole,
/// through a buffer of at most one frame where it does not.
#[derive(Debug, Clone)]
pub(crate) struct FrameCutter {
    rules: FrameRules,
    /// The number of the frame that comes next.
    sequence: u32,
    partial: Vec<u8>,
}

impl FrameCutter {
    pub(crate) fn new(rules: FrameRules, first_sequence: u32) -> Self {
        Self {
            rules,
            sequence: first_sequence,
            partial: Vec::new(),
        }
    }

    /// The number of the frame that comes next.
    pub(crate) fn sequence(&self) -> u32 {
        self.sequence
    }

    /// Hands the next whole frame to `open`, and cuts its bytes off `input`. Returns the kind of
    /// the frame, or nothing when the input was used up first.
    pub(crate) fn next(
        &mut self,
        input: &mut &[u8],
        open: impl FnOnce(&[u8], &Frame<'_>) -> Result<()>,
    ) -> Result<Option<FrameKind>> {
        let kind = if self.partial.is_empty() {
            match self.rules.extent(input, self.sequence)? {
                Extent::Exactly(length) if input.len() >= length => {
                    let (bytes, rest) = input.split_at(length);
                    *input = rest;
                    self.open_one(bytes, open)?
                }
                _ => {
                    self.partial.extend_from_slice(input);
                    *input = &[];
                    return Ok(None);
                }
            }
        } else {
            let length = loop {
                let extent = self.rules.extent(&self.partial, self.sequence)?;
                let (Extent::AtLeast(wanted) | Extent::Exactly(wanted)) = extent;
                let missing = wanted.saturating_sub(self.partial.len());
                let (head, rest) = input.split_at(missing.min(input.len()));
                self.partial.extend_from_slice(head);
                *input = rest;
                if head.len() < missing {
                    return Ok(None);
                }
                if let Extent::Exactly(length) = extent {
                    break length;
                }
            };
            debug_assert_eq!(length, self.partial.len());
            let kind = self.open_one(&self.partial, open)?;
            self.partial.clear();
            kind
        };
        if !kind.is_last() {
            self.sequence = self.sequence.checked_add(1).ok_or(Error::TooManyFrames)?;
        }
        Ok(Some(kind))
    }

    fn open_one(
        &self,
        bytes: &[u8],
        open: impl FnOnce(&[u8], &Frame<'_>) -> Result<()>,
    ) -> Result<FrameKind> {
        let frame = self.rules.parse(bytes)?;
        open(bytes, &frame)?;
        Ok(frame.kind)
    }
}

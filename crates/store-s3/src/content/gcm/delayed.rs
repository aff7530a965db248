use envelope::{OutputBuffer, Result, Transform};

use super::body::{check_length, check_tag};
use super::stream::GcmStream;
use super::{GcmKey, TAG_LENGTH};
use crate::content::tail::Tail;

/// Opens one object and releases its plaintext at once. Only [`finish`](Transform::finish) tells
/// whether it was authentic (specification, delayed authentication).
pub(crate) struct GcmDelayed {
    stream: GcmStream,
    tag: Tail<TAG_LENGTH>,
    failed: bool,
}

impl GcmDelayed {
    /// # Errors
    /// [`envelope::Error::SealFailed`] when the cryptography library refuses the key.
    pub(crate) fn new(key: &GcmKey) -> Result<Self> {
        Ok(Self {
            stream: GcmStream::new(key)?,
            tag: Tail::new(),
            failed: false,
        })
    }
}

impl Transform for GcmDelayed {
    fn update(&mut self, input: &[u8], output: &mut OutputBuffer) -> Result<()> {
        if self.failed {
            return Err(envelope::Error::AlreadyFailed);
        }
        let stream = &mut self.stream;
        let result = self.tag.push(input, |ciphertext| {
            check_length(stream.length().saturating_add(ciphertext.len() as u64))?;
            stream.open(ciphertext, output.spare(ciphertext.len()))?;
            output.advance(ciphertext.len());
            Ok(())
        });
        self.failed = result.is_err();
        result
    }

    fn finish(self: Box<Self>, _output: &mut OutputBuffer) -> Result<()> {
        if self.failed {
            return Err(envelope::Error::AlreadyFailed);
        }
        let length = self.stream.length() + self.tag.as_slice().len() as u64;
        check_tag(&self.stream.finish()?, &self.tag, length)
    }
}

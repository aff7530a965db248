use std::num::NonZeroUsize;

use envelope::{OutputBuffer, Result, Transform};

use super::stream::GcmStream;
use super::{GcmKey, MAXIMUM_PLAINTEXT};
use crate::content::one_shot::{self, Refused};
use crate::error::Error;

/// Bytes that several threads seal faster than one call of the backend.
const PARALLEL: usize = 8 << 20;

/// Encrypts one object, and appends its tag at the end.
pub(crate) struct GcmEncryptor {
    key: GcmKey,
    threads: NonZeroUsize,
    /// Begins with the first bytes, as all of them may come at once.
    stream: Option<GcmStream>,
    /// Bytes of plaintext so far.
    pub(in crate::content) length: u64,
    failed: bool,
}

impl GcmEncryptor {
    /// Encrypts long inputs on as many threads.
    pub(crate) fn new(key: GcmKey, threads: NonZeroUsize) -> Self {
        Self {
            key,
            threads,
            stream: None,
            length: 0,
            failed: false,
        }
    }

    fn try_update(&mut self, input: &[u8], output: &mut OutputBuffer) -> Result<()> {
        self.count(input)?;
        let stream = match &mut self.stream {
            Some(stream) => stream,
            None => self.stream.insert(GcmStream::new(&self.key)?),
        };
        let ciphertext = output.spare(input.len());
        stream.seal(&self.key, self.threads, input, ciphertext)?;
        output.advance(input.len());
        Ok(())
    }

    /// The limit of AES-GCM is checked before a byte beyond it is encrypted.
    fn count(&mut self, input: &[u8]) -> Result<()> {
        self.length = self.length.saturating_add(input.len() as u64);
        match self.length <= MAXIMUM_PLAINTEXT {
            true => Ok(()),
            false => Err(Error::PlaintextTooLong {
                bound: MAXIMUM_PLAINTEXT,
            }
            .into()),
        }
    }
}

impl Transform for GcmEncryptor {
    fn update(&mut self, input: &[u8], output: &mut OutputBuffer) -> Result<()> {
        if self.failed {
            return Err(envelope::Error::AlreadyFailed);
        }
        let result = self.try_update(input, output);
        self.failed = result.is_err();
        result
    }

    fn finish(self: Box<Self>, output: &mut OutputBuffer) -> Result<()> {
        if self.failed {
            return Err(envelope::Error::AlreadyFailed);
        }
        let stream = match self.stream {
            Some(stream) => stream,
            None => GcmStream::new(&self.key)?,
        };
        output.extend_from_slice(&stream.finish()?);
        Ok(())
    }

    fn finish_with(mut self: Box<Self>, input: &[u8], output: &mut OutputBuffer) -> Result<()> {
        let parallel = self.threads.get() > 1 && input.len() >= PARALLEL;
        if self.failed || self.stream.is_some() || parallel {
            self.update(input, output)?;
            return self.finish(output);
        }
        self.count(input)?;
        let ciphertext = output.spare(input.len());
        let tag = one_shot::seal(&self.key, input, ciphertext)
            .map_err(|Refused| envelope::Error::SealFailed)?;
        output.advance(input.len());
        output.extend_from_slice(&tag);
        Ok(())
    }
}

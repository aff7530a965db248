use crate::body::{FrameCutter, FrameOpener};
use crate::context::EncryptionContext;
use crate::crypto::signature::{SignatureHash, VerifyingKey};
use crate::error::{Error, Result};
use crate::message::footer;
use crate::message::frame::{FrameKind, FrameRules};
use crate::suite::AlgorithmSuite;
use crate::transform::{OutputBuffer, Transform};

/// Decrypts the body of one message piece by piece, in constant memory: about one frame.
///
/// Made by [`UnverifiedHeader::verify`](crate::UnverifiedHeader::verify), so the header is
/// authentic. Each frame is released once its tag verified, but the final frame of a signed
/// message only once the signature did (AWS Encryption SDK specification, "Decrypt
/// the message body"). Only
/// [`finish`](Decryptor::finish) proves that the message is complete.
///
/// A clone reads on from the same place. To release nothing before all of a long message
/// verified, read it twice: once with a clone, its output thrown away, and then again.
#[derive(Debug, Clone)]
pub struct Decryptor {
    opener: FrameOpener,
    cutter: FrameCutter,
    signature: Option<(VerifyingKey, SignatureHash)>,
    context: EncryptionContext,
    suite: AlgorithmSuite,
    /// Message bytes taken so far, for error texts.
    position: u64,
    part: Part,
}

/// Which part of the message comes next.
#[derive(Debug, Clone)]
enum Part {
    Frames,
    Footer {
        bytes: Vec<u8>,
        /// Plaintext of the final frame, to be released with the signature's verification.
        withheld: OutputBuffer,
    },
    End,
    Failed,
}

impl Decryptor {
    pub(crate) fn new(
        opener: FrameOpener,
        rules: FrameRules,
        signature: Option<(VerifyingKey, SignatureHash)>,
        context: EncryptionContext,
        suite: AlgorithmSuite,
        header_length: u64,
    ) -> Self {
        Self {
            opener,
            cutter: FrameCutter::new(rules, 1),
            signature,
            context,
            suite,
            position: header_length,
            part: Part::Frames,
        }
    }

    /// The authenticated encryption context.
    #[must_use]
    pub fn context(&self) -> &EncryptionContext {
        &self.context
    }

    /// The authenticated algorithm suite.
    #[must_use]
    pub fn suite(&self) -> AlgorithmSuite {
        self.suite
    }

    /// Takes the next bytes after the header and appends the plaintext of each frame that
    /// verified.
    ///
    /// # Errors
    /// The frame errors, [`Error::SignatureNotValid`] and [`Error::TrailingBytes`].
    pub fn update(&mut self, input: &[u8], output: &mut OutputBuffer) -> Result<()> {
        let result = self.try_update(input, output);
        if result.is_err() {
            self.part = Part::Failed;
        }
        result
    }

    fn try_update(&mut self, mut input: &[u8], output: &mut OutputBuffer) -> Result<()> {
        self.position = self.position.saturating_add(input.len() as u64);
        while !input.is_empty() {
            match &mut self.part {
                Part::Failed => return Err(Error::AlreadyFailed),
                Part::End => return Err(Error::TrailingBytes),
                Part::Frames => self.next_frame(&mut input, output)?,
                Part::Footer { bytes, withheld } => {
                    let wanted = footer::length(bytes).unwrap_or(footer::LENGTH_PREFIX);
                    let missing = wanted.saturating_sub(bytes.len());
                    let (head, rest) = input.split_at(missing.min(input.len()));
                    bytes.extend_from_slice(head);
                    input = rest;
                    if footer::length(bytes) == Some(bytes.len()) {
                        let signature = bytes.get(footer::LENGTH_PREFIX..).unwrap_or_default();
                        if let Some((key, hash)) = self.signature.take() {
                            key.verify(hash, signature)?;
                        }
                        output.extend_from_slice(withheld.as_slice());
                        self.part = Part::End;
                    }
                }
            }
        }
        Ok(())
    }

    fn next_frame(&mut self, input: &mut &[u8], output: &mut OutputBuffer) -> Result<()> {
        let (opener, signature) = (&mut self.opener, &mut self.signature);
        let mut withheld = OutputBuffer::new();
        let kind = self.cutter.next(input, |bytes, frame| {
            let output = match signature {
                Some(_) if frame.kind.is_last() => &mut withheld,
                _ => output,
            };
            let length = opener.open(frame, output)?;
            if let Some((_, hash)) = signature {
                hash.update(bytes);
            }
            output.advance(length);
            Ok(())
        })?;
        if kind.is_some_and(FrameKind::is_last) {
            self.part = match self.signature {
                Some(_) => Part::Footer {
                    bytes: Vec::new(),
                    withheld,
                },
                None => Part::End,
            };
        }
        Ok(())
    }

    /// Ends the message.
    ///
    /// # Errors
    /// [`Error::Truncated`] when the message is not complete: everything released before is a
    /// beginning only, and must not be taken for the whole.
    pub fn finish(self, _output: &mut OutputBuffer) -> Result<()> {
        let field = match self.part {
            Part::End => return Ok(()),
            Part::Failed => return Err(Error::AlreadyFailed),
            Part::Frames => "a frame",
            Part::Footer { .. } => "the signature",
        };
        Err(Error::Truncated {
            field,
            offset: self.position,
        })
    }
}

impl Transform for Decryptor {
    fn update(&mut self, input: &[u8], output: &mut OutputBuffer) -> Result<()> {
        Decryptor::update(self, input, output)
    }

    fn finish(self: Box<Self>, output: &mut OutputBuffer) -> Result<()> {
        Decryptor::finish(*self, output)
    }
}

use std::ops::Range;

use crate::body::{FrameCutter, FrameOpener};
use crate::context::EncryptionContext;
use crate::error::{Error, Result};
use crate::message::frame::FrameRules;
use crate::message::layout::{Layout, RangePlan};
use crate::transform::{OutputBuffer, Transform};

/// Reads any plaintext ranges of an unsigned message from the frames that cover them.
///
/// Made by [`UnverifiedHeader::verify_for_ranges`](crate::UnverifiedHeader::verify_for_ranges);
/// serves any number of ranges without asking for keys again. Every byte it returns was
/// authenticated in its place. What a range alone cannot prove is how long the message is,
/// unless it reaches the message's end. The frames are those of the AWS Encryption SDK message
/// format, "Framed Data"; reading a part of them is our addition.
///
/// ```
/// # futures::executor::block_on(async {
/// use envelope::{AlgorithmSuite, DecryptOptions, EncryptOptions, MaterialsManager};
/// use envelope::{OutputBuffer, RawAes, UnverifiedHeader, WrappingKey};
///
/// let keyring = RawAes::new("acme", "2026-11", WrappingKey::generate()?)?;
/// let options = EncryptOptions::default()
///     .with_suite(AlgorithmSuite::AES_256_GCM_HKDF_SHA512_COMMIT_KEY);
/// let message = envelope::encrypt(&keyring, &[7; 10_000], &options).await?;
///
/// let header = UnverifiedHeader::parse_whole(&message, &DecryptOptions::default())?;
/// let materials = keyring.decryption_materials(header.request()).await?;
/// let ranges = header.verify_for_ranges(materials)?;
///
/// let plan = ranges.layout().plan(9_000..9_010, message.len() as u64)?;
/// let fetched = &message[plan.ciphertext().start as usize..plan.ciphertext().end as usize];
/// let mut plaintext = OutputBuffer::new();
/// let mut range = ranges.open(plan);
/// range.update(fetched, &mut plaintext)?;
/// range.finish()?;
/// assert_eq!(plaintext.as_slice(), [7; 10]);
/// # Ok::<(), envelope::Error>(())
/// # }).unwrap();
/// ```
#[derive(Debug, Clone)]
pub struct RangeDecryptor {
    layout: Layout,
    rules: FrameRules,
    opener: FrameOpener,
    context: EncryptionContext,
}

impl RangeDecryptor {
    pub(crate) fn new(
        layout: Layout,
        rules: FrameRules,
        opener: FrameOpener,
        context: EncryptionContext,
    ) -> Self {
        Self {
            layout,
            rules,
            opener,
            context,
        }
    }

    /// Sizes and offsets of the message, from its authentic header.
    #[must_use]
    pub fn layout(&self) -> Layout {
        self.layout
    }

    /// The authenticated encryption context.
    #[must_use]
    pub fn context(&self) -> &EncryptionContext {
        &self.context
    }

    /// Reads one range, from the bytes that its plan names.
    #[must_use]
    pub fn open(&self, plan: RangePlan) -> RangeTransform {
        RangeTransform {
            opener: self.opener.clone(),
            cutter: FrameCutter::new(self.rules, plan.first_sequence),
            complete: plan.ciphertext.is_empty(),
            skip: plan.skip,
            left: plan.range.end - plan.range.start,
            position: plan.ciphertext.start,
            plan,
            failed: false,
        }
    }
}

/// The frames of one range in, its plaintext out.
#[derive(Debug)]
pub struct RangeTransform {
    opener: FrameOpener,
    cutter: FrameCutter,
    plan: RangePlan,
    /// Plaintext bytes to drop before the range.
    skip: u64,
    /// Plaintext bytes of the range still to come.
    left: u64,
    position: u64,
    complete: bool,
    failed: bool,
}

impl RangeTransform {
    /// Takes the next bytes of the planned frames and appends the plaintext wanted of each frame
    /// that verified.
    ///
    /// # Errors
    /// The frame errors, and [`Error::TrailingBytes`] for more bytes than were planned.
    pub fn update(&mut self, input: &[u8], output: &mut OutputBuffer) -> Result<()> {
        if self.failed {
            return Err(Error::AlreadyFailed);
        }
        let result = self.try_update(input, output);
        self.failed = result.is_err();
        result
    }

    fn try_update(&mut self, mut input: &[u8], output: &mut OutputBuffer) -> Result<()> {
        self.position = self.position.saturating_add(input.len() as u64);
        while !input.is_empty() {
            if self.complete {
                return Err(Error::TrailingBytes);
            }
            let sequence = self.cutter.sequence();
            let last = sequence == self.plan.last_sequence;
            let must_be_final = last && self.plan.ends_message;
            let Self {
                opener,
                cutter,
                skip,
                left,
                ..
            } = self;
            let kind = cutter.next(&mut input, |_, frame| {
                // The plan came from the object's length. A final frame elsewhere than planned
                // means that the length was not this message's.
                if frame.kind.is_last() != must_be_final {
                    return Err(Error::FrameNotAuthentic { sequence });
                }
                let length = opener.open(frame, output)?;
                trim(output, length, skip, left);
                Ok(())
            })?;
            self.complete = last && kind.is_some();
        }
        Ok(())
    }

    /// Ends the range.
    ///
    /// # Errors
    /// [`Error::Truncated`] when planned bytes are missing.
    pub fn finish(self) -> Result<()> {
        if self.failed {
            return Err(Error::AlreadyFailed);
        }
        if !self.complete || self.left > 0 {
            return Err(Error::Truncated {
                field: "a frame",
                offset: self.position,
            });
        }
        Ok(())
    }

    /// The plaintext range that is being read.
    #[must_use]
    pub fn range(&self) -> Range<u64> {
        self.plan.range()
    }
}

/// Counts the wanted middle of a frame just opened into the output's spare bytes.
fn trim(output: &mut OutputBuffer, length: usize, skip: &mut u64, left: &mut u64) {
    let skipped = usize::try_from(*skip).map_or(length, |skip| skip.min(length));
    let wanted = length - skipped;
    let taken = usize::try_from(*left).map_or(wanted, |left| left.min(wanted));
    if skipped > 0 {
        output
            .spare(length)
            .copy_within(skipped..skipped + taken, 0);
    }
    output.advance(taken);
    *skip -= skipped as u64;
    *left -= taken as u64;
}

impl Transform for RangeTransform {
    fn update(&mut self, input: &[u8], output: &mut OutputBuffer) -> Result<()> {
        RangeTransform::update(self, input, output)
    }

    fn finish(self: Box<Self>, _output: &mut OutputBuffer) -> Result<()> {
        RangeTransform::finish(*self)
    }
}

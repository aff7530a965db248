use std::num::NonZeroUsize;
use std::thread::{Builder, scope};

use envelope::{Error, Result};
use ghash::Block;

use super::{GcmKey, TAG_LENGTH};
use crate::content::BLOCK_LENGTH;
use crate::content::counter::Counter;
use crate::content::tag_hash::TagHash;

/// Bytes that are encrypted and then hashed: both must find them in the first-level cache.
const STEP: usize = 16 << 10;

/// A thread is worth its beginning from this many bytes on.
const SEGMENT: usize = 512 << 10;

/// AES-GCM piece by piece: a key stream and a hash.
pub(super) struct GcmStream {
    counter: Counter,
    hash: TagHash,
    /// Bytes sealed or opened so far.
    offset: u64,
}

impl GcmStream {
    pub(super) fn new(key: &GcmKey) -> Result<Self> {
        Ok(Self {
            counter: key.counter(0)?,
            hash: key.tag_hash()?,
            offset: 0,
        })
    }

    /// Encrypts `plaintext` into `ciphertext`, which has the same length. Long ones are cut into
    /// segments for as many threads; what comes out is the same.
    pub(super) fn seal(
        &mut self,
        key: &GcmKey,
        threads: NonZeroUsize,
        plaintext: &[u8],
        ciphertext: &mut [u8],
    ) -> Result<()> {
        let threads = threads.get().min(plaintext.len() / SEGMENT);
        if threads < 2 {
            return self.seal_here(plaintext, ciphertext);
        }
        let misaligned = self.offset % BLOCK_LENGTH as u64;
        let head =
            usize::try_from(misaligned).map_or(0, |used| (BLOCK_LENGTH - used) % BLOCK_LENGTH);
        let segment = (plaintext.len() - head) / threads / STEP * STEP;
        let (plaintext_head, plaintext) = split(plaintext, head)?;
        let (ciphertext_head, ciphertext) = split_mut(ciphertext, head)?;
        let (plaintext, plaintext_tail) = split(plaintext, segment * threads)?;
        let (ciphertext, ciphertext_tail) = split_mut(ciphertext, segment * threads)?;
        self.seal_here(plaintext_head, ciphertext_head)?;
        self.seal_segments(key, segment, plaintext, ciphertext)?;
        self.seal_here(plaintext_tail, ciphertext_tail)
    }

    fn seal_here(&mut self, plaintext: &[u8], ciphertext: &mut [u8]) -> Result<()> {
        for (plaintext, ciphertext) in plaintext.chunks(STEP).zip(ciphertext.chunks_mut(STEP)) {
            self.counter.apply(plaintext, ciphertext)?;
            self.hash.update(ciphertext)?;
        }
        self.offset = self.offset.saturating_add(plaintext.len() as u64);
        Ok(())
    }

    /// Encrypts segments of this length at the same time, the first of them on this thread.
    fn seal_segments(
        &mut self,
        key: &GcmKey,
        length: usize,
        plaintext: &[u8],
        ciphertext: &mut [u8],
    ) -> Result<()> {
        let begin = self.offset;
        let mut segments = plaintext
            .chunks(length)
            .zip(ciphertext.chunks_mut(length))
            .zip((begin..).step_by(length))
            .map(|((plaintext, ciphertext), offset)| {
                move || seal_segment(key, offset, plaintext, ciphertext)
            });
        let first = segments.next();
        let hashes = scope(|scope| -> Result<Vec<Block>> {
            let others: Vec<_> = segments
                .map(|segment| Builder::new().spawn_scoped(scope, segment))
                .collect();
            let mut hashes = Vec::with_capacity(others.len() + 1);
            if let Some(mut first) = first {
                hashes.push(first()?);
            }
            for thread in others {
                let thread = thread.map_err(|_| Error::SealFailed)?;
                hashes.push(thread.join().map_err(|_| Error::SealFailed)??);
            }
            Ok(hashes)
        })?;
        for hash in &hashes {
            self.hash.append(hash, length / BLOCK_LENGTH);
        }
        self.offset = begin.saturating_add(plaintext.len() as u64);
        self.counter = key.counter(self.offset)?;
        Ok(())
    }

    /// Decrypts `ciphertext` into `plaintext`, which has the same length and is not verified yet.
    pub(super) fn open(&mut self, ciphertext: &[u8], plaintext: &mut [u8]) -> Result<()> {
        for (ciphertext, plaintext) in ciphertext.chunks(STEP).zip(plaintext.chunks_mut(STEP)) {
            self.hash.update(ciphertext)?;
            self.counter.apply(ciphertext, plaintext)?;
        }
        self.offset = self.offset.saturating_add(ciphertext.len() as u64);
        Ok(())
    }

    /// Bytes sealed or opened so far.
    pub(super) fn length(&self) -> u64 {
        self.offset
    }

    pub(super) fn finish(self) -> Result<[u8; TAG_LENGTH]> {
        self.hash.finish()
    }
}

fn seal_segment(
    key: &GcmKey,
    offset: u64,
    plaintext: &[u8],
    ciphertext: &mut [u8],
) -> Result<Block> {
    let (mut counter, mut hash) = (key.counter(offset)?, key.block_hash()?);
    for (plaintext, ciphertext) in plaintext.chunks(STEP).zip(ciphertext.chunks_mut(STEP)) {
        counter.apply(plaintext, ciphertext)?;
        hash.update(Block::slice_as_chunks(ciphertext).0)?;
    }
    Ok(hash.finish())
}

fn split(bytes: &[u8], middle: usize) -> Result<(&[u8], &[u8])> {
    bytes.split_at_checked(middle).ok_or(Error::SealFailed)
}

fn split_mut(bytes: &mut [u8], middle: usize) -> Result<(&mut [u8], &mut [u8])> {
    bytes.split_at_mut_checked(middle).ok_or(Error::SealFailed)
}

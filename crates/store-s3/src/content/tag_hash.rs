use block_buffer::EagerBuffer;
use ctr::cipher::consts::U16;
use envelope::Result;
use ghash::Block;

use super::BLOCK_LENGTH;
use super::block_hash::BlockHash;

/// GHASH over one ciphertext, and the tag that it gives (NIST SP 800-38D, section 7).
pub(super) struct TagHash {
    hash: BlockHash,
    /// The ciphertext's last block, while it is not complete.
    partial: EagerBuffer<U16>,
    aad_length: u64,
    length: u64,
}

impl TagHash {
    pub(super) fn new(mut hash: BlockHash, aad: &[u8]) -> Result<Self> {
        let mut partial = EagerBuffer::default();
        update(&mut hash, &mut partial, aad)?;
        pad(&mut hash, &mut partial)?;
        Ok(Self {
            hash,
            partial,
            aad_length: aad.len() as u64,
            length: 0,
        })
    }

    /// Takes the next ciphertext.
    pub(super) fn update(&mut self, ciphertext: &[u8]) -> Result<()> {
        self.length = self.length.saturating_add(ciphertext.len() as u64);
        update(&mut self.hash, &mut self.partial, ciphertext)
    }

    /// Takes the hash of the next `blocks` blocks, which were hashed on their own. The ciphertext
    /// before them ends with a block.
    pub(super) fn append(&mut self, hash: &Block, blocks: usize) {
        self.hash.append(hash, blocks);
        let length = blocks.saturating_mul(BLOCK_LENGTH);
        self.length = self.length.saturating_add(length as u64);
    }

    /// The tag of all that was taken.
    pub(super) fn finish(mut self) -> Result<[u8; BLOCK_LENGTH]> {
        pad(&mut self.hash, &mut self.partial)?;
        Ok(self.hash.tag(self.aad_length, self.length))
    }
}

fn update(hash: &mut BlockHash, partial: &mut EagerBuffer<U16>, bytes: &[u8]) -> Result<()> {
    let mut result = Ok(());
    partial.digest_blocks(bytes, |blocks| {
        if result.is_ok() {
            result = hash.update(blocks);
        }
    });
    result
}

/// Fills the last block with zeros.
fn pad(hash: &mut BlockHash, partial: &mut EagerBuffer<U16>) -> Result<()> {
    match partial.get_pos() {
        0 => Ok(()),
        _ => hash.update(&[partial.pad_with_zeros()]),
    }
}

use envelope::{Error, Result};
use ghash::universal_hash::UniversalHash;
use ghash::{Block, GHash};
use zeroize::Zeroize;

use super::BLOCK_LENGTH;
use super::one_shot::{Mac, Refused};

/// As many blocks are worth a call of the backend, which hashes several times as fast as `ghash`.
const BULK: usize = 128;

/// GHASH over whole blocks (NIST SP 800-38D, section 6.4), times its key H once more. Hashes of that
/// shape follow from tags, and can be put together: what stands before n blocks counts times H^n.
///
/// A backend has no GHASH to offer, only tags. That of additional data alone is
/// `(GHASH(data) + lengths) * H + mask`, and all but the hash is known here. Such tags are made under
/// another initialisation vector than the object's, so that its own tag stays the only one under its
/// vector.
pub(super) struct BlockHash {
    mac: Mac,
    /// Keyed, and nothing hashed yet.
    keyed: GHash,
    hash_key: Block,
    /// Masks the object's tag.
    mask: Block,
    /// Masks those of `mac`.
    mac_mask: Block,
    /// The hash of what was folded.
    folded: Block,
    /// Hashes `running_blocks` blocks more.
    running: GHash,
    running_blocks: usize,
    /// The last power of the key, which tends to be the next one, and its exponent.
    power: (usize, Block),
}

impl BlockHash {
    /// Takes the hash key, and what masks the object's tag and those of `mac`. All are secret.
    pub(super) fn new(
        mac: Mac,
        hash_key: [u8; BLOCK_LENGTH],
        mask: [u8; BLOCK_LENGTH],
        mac_mask: [u8; BLOCK_LENGTH],
    ) -> Self {
        let keyed = GHash::new(&hash_key.into());
        Self {
            mac,
            running: keyed.clone(),
            keyed,
            hash_key: hash_key.into(),
            mask: mask.into(),
            mac_mask: mac_mask.into(),
            folded: Block::default(),
            running_blocks: 0,
            power: (1, hash_key.into()),
        }
    }

    /// Takes the next blocks.
    pub(super) fn update(&mut self, blocks: &[Block]) -> Result<()> {
        if blocks.len() < BULK {
            self.running.update(blocks);
            self.running_blocks = self.running_blocks.saturating_add(blocks.len());
            return Ok(());
        }
        let data = Block::slice_as_flattened(blocks);
        let tag = self.mac.tag(data).map_err(|Refused| Error::SealFailed)?;
        let lengths = multiply(&self.hash_key, &lengths(data.len() as u64, 0));
        let hash = xor(&xor(&tag.into(), &self.mac_mask), &lengths);
        self.append(&hash, blocks.len());
        Ok(())
    }

    /// Takes the hash of the next `blocks` blocks, which were hashed on their own.
    pub(super) fn append(&mut self, hash: &Block, blocks: usize) {
        self.fold();
        self.append_folded(hash, blocks);
    }

    /// The hash of all blocks.
    pub(super) fn finish(&mut self) -> Block {
        self.fold();
        self.folded
    }

    /// The tag, when all blocks are taken.
    pub(super) fn tag(&mut self, aad_length: u64, length: u64) -> [u8; BLOCK_LENGTH] {
        let lengths = multiply(&self.hash_key, &lengths(aad_length, length));
        xor(&xor(&self.finish(), &lengths), &self.mask).into()
    }

    fn fold(&mut self) {
        if self.running_blocks > 0 {
            let mut running = std::mem::replace(&mut self.running, self.keyed.clone());
            running.update(&[Block::default()]);
            let blocks = std::mem::take(&mut self.running_blocks);
            self.append_folded(&running.finalize(), blocks);
        }
    }

    fn append_folded(&mut self, hash: &Block, blocks: usize) {
        if self.power.0 != blocks {
            self.power = (blocks, power(&self.hash_key, blocks));
        }
        self.folded = xor(&multiply(&self.power.1, &self.folded), hash);
    }
}

impl Drop for BlockHash {
    fn drop(&mut self) {
        for secret in [
            &mut self.hash_key,
            &mut self.mask,
            &mut self.mac_mask,
            &mut self.folded,
            &mut self.power.1,
        ] {
            secret.as_mut_slice().zeroize();
        }
    }
}

/// The block of lengths, given in bytes, that ends what is hashed.
fn lengths(aad: u64, ciphertext: u64) -> Block {
    let bits = |bytes: u64| u128::from(bytes) * 8;
    ((bits(aad) << 64) | bits(ciphertext)).to_be_bytes().into()
}

/// `base` to the power of `exponent`, by squaring.
fn power(base: &Block, exponent: usize) -> Block {
    let mut square = *base;
    // The block 1: its first bit is set.
    let mut power = Block::from((1_u128 << 127).to_be_bytes());
    let mut rest = exponent;
    while rest > 0 {
        if rest % 2 == 1 {
            power = multiply(&power, &square);
        }
        square = multiply(&square, &square);
        rest /= 2;
    }
    square.as_mut_slice().zeroize();
    power
}

/// The product in the field of GHASH: the hash of the one block `b` under the key `a`.
fn multiply(a: &Block, b: &Block) -> Block {
    let mut keyed = GHash::new(a);
    keyed.update(std::slice::from_ref(b));
    keyed.finalize()
}

fn xor(a: &Block, b: &Block) -> Block {
    let mut sum = *a;
    for (sum, b) in sum.iter_mut().zip(b) {
        *sum ^= b;
    }
    sum
}

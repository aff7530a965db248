use block_buffer::EagerBuffer;
use ctr::cipher::consts::U16;
use ghash::universal_hash::UniversalHash;
use ghash::{Block, GHash};
use zeroize::Zeroize;

use super::BLOCK_LENGTH;

/// GHASH over one ciphertext, and the tag that it gives (NIST SP 800-38D, sections 6.4 and 7).
pub(super) struct TagHash {
    /// Keyed, and nothing hashed yet.
    keyed: GHash,
    running: GHash,
    /// What was hashed before `running` began. It counts from the next block on.
    carried: Option<Block>,
    /// The ciphertext's last block, while it is not complete.
    partial: EagerBuffer<U16>,
    aad_length: usize,
    length: u64,
    mask: [u8; BLOCK_LENGTH],
}

impl TagHash {
    /// Takes the hash key and what masks the tag. Both are secret.
    pub(super) fn new(key: &[u8; BLOCK_LENGTH], mask: [u8; BLOCK_LENGTH], aad: &[u8]) -> Self {
        let keyed = GHash::new(key.into());
        let mut running = keyed.clone();
        running.update_padded(aad);
        Self {
            keyed,
            running,
            carried: None,
            partial: EagerBuffer::default(),
            aad_length: aad.len(),
            length: 0,
            mask,
        }
    }

    /// Takes the next ciphertext.
    pub(super) fn update(&mut self, ciphertext: &[u8]) {
        self.length = self.length.saturating_add(ciphertext.len() as u64);
        let (running, carried) = (&mut self.running, &mut self.carried);
        self.partial
            .digest_blocks(ciphertext, |blocks| absorb(running, carried, blocks));
    }

    /// Begins the hash of a segment: of blocks that lie somewhere in the ciphertext.
    pub(super) fn segment(&self) -> GHash {
        self.keyed.clone()
    }

    /// Takes segments in their order, each of `blocks` blocks and hashed on its own. The ciphertext
    /// before them ends with a block.
    ///
    /// The hash is a polynomial in its key H, so what stands before n blocks counts times H^n.
    pub(super) fn append(&mut self, segments: &[Block], blocks: usize) {
        let mut power = power(&self.keyed, blocks);
        let before = match self.carried.take() {
            Some(carried) => carried,
            None => self.running.clone().finalize(),
        };
        let hash = segments.iter().fold(before, |hash, segment| {
            xor(&multiply(&power, &hash), segment)
        });
        power.as_mut_slice().zeroize();
        self.running = self.keyed.clone();
        self.carried = Some(hash);
        let length = blocks
            .saturating_mul(BLOCK_LENGTH)
            .saturating_mul(segments.len());
        self.length = self.length.saturating_add(length as u64);
    }

    /// The tag of all that was taken.
    pub(super) fn finish(mut self) -> [u8; BLOCK_LENGTH] {
        let mut last = [Block::default(); 2];
        let [padded, lengths] = &mut last;
        let rest = self.partial.get_pos();
        *padded = self.partial.pad_with_zeros();
        let bits = |bytes: u64| u128::from(bytes) * 8;
        *lengths = ((bits(self.aad_length as u64) << 64) | bits(self.length))
            .to_be_bytes()
            .into();
        let blocks = if rest == 0 {
            last.get(1..)
        } else {
            Some(last.as_slice())
        };
        absorb(
            &mut self.running,
            &mut self.carried,
            blocks.unwrap_or_default(),
        );
        let hash = self.running.clone().finalize();
        xor(&hash, &self.mask.into()).into()
    }
}

impl Drop for TagHash {
    fn drop(&mut self) {
        self.mask.zeroize();
    }
}

fn absorb(running: &mut GHash, carried: &mut Option<Block>, blocks: &[Block]) {
    let Some((first, rest)) = blocks.split_first() else {
        return;
    };
    match carried.take() {
        Some(carried) => {
            running.update(&[xor(&carried, first)]);
            running.update(rest);
        }
        None => running.update(blocks),
    }
}

/// The hash key to the power of `exponent`, by squaring.
fn power(keyed: &GHash, exponent: usize) -> Block {
    let mut one = Block::default();
    if let Some(first) = one.first_mut() {
        *first = 0x80;
    }
    // The hash of the block 1 is the key itself.
    let mut square = {
        let mut keyed = keyed.clone();
        keyed.update(&[one]);
        keyed.finalize()
    };
    let mut power = one;
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

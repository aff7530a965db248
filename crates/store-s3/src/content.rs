//! Ciphers over whole objects.
//!
//! ```text
//! keys.rs          the content key and the key commitment of V3; what is drawn at random
//! counter.rs       AES in counter mode
//! block_hash.rs    GHASH over blocks, fast and in segments
//! tag_hash.rs      GHASH over a ciphertext, and its tag
//! one_shot.rs      AES-GCM in one call: the only place here that names a backend
//! tail.rs          the last bytes of what comes in pieces
//! window.rs        the wanted middle of what comes in pieces
//! gcm.rs  gcm/     GcmKey, and what seals and opens with it
//! cbc.rs  cbc/     CbcKey, and what opens with it
//! ```

mod block_hash;
mod cbc;
mod counter;
mod gcm;
mod keys;
pub(crate) mod one_shot;
mod tag_hash;
mod tail;
mod window;

#[cfg(test)]
mod tests;

#[cfg(feature = "legacy-v1-write")]
pub(crate) use cbc::CbcEncryptor;
pub(crate) use cbc::{CbcBody, CbcKey, CbcRanges};
pub(crate) use gcm::{
    GcmBody, GcmDelayed, GcmEncryptor, GcmKey, GcmRanges, MAXIMUM_PLAINTEXT, TAG_LENGTH,
};
pub(crate) use keys::{
    COMMITMENT_LENGTH, IV_LENGTH, MESSAGE_ID_LENGTH, committed_key, new_key, random_nonzero,
};

/// Length of an AES block in bytes.
const BLOCK_LENGTH: usize = 16;

use envelope::Result;
use envelope_store::format::{VerifiedBody, WholeBody};
use subtle::ConstantTimeEq;

use super::{GcmDelayed, GcmKey, MAXIMUM_PLAINTEXT, TAG_LENGTH};
use crate::content::one_shot::{self, Refused};
use crate::content::tag_hash::TagHash;
use crate::content::tail::Tail;
use crate::error::Error;

/// Opens one object, and releases nothing before its tag verified.
pub(crate) struct GcmBody {
    key: GcmKey,
    /// Begins with the first bytes, as all of them may come at once.
    hash: Option<TagHash>,
    tag: Tail<TAG_LENGTH>,
    /// Bytes of the object so far.
    pub(in crate::content) length: u64,
}

impl GcmBody {
    pub(crate) fn new(key: GcmKey) -> Self {
        Self {
            key,
            hash: None,
            tag: Tail::new(),
            length: 0,
        }
    }
}

impl WholeBody for GcmBody {
    fn open_at_once(self: Box<Self>, mut object: Vec<u8>) -> Result<Vec<u8>> {
        let length = object.len() as u64;
        if length < TAG_LENGTH as u64 {
            return Err(Error::BodyTruncated { length }.into());
        }
        one_shot::open(&self.key, &mut object).map_err(|Refused| Error::BodyNotAuthentic)?;
        Ok(object)
    }

    fn verify(&mut self, object: &[u8]) -> Result<()> {
        self.length = self.length.saturating_add(object.len() as u64);
        check_length(self.length.saturating_sub(TAG_LENGTH as u64))?;
        let hash = match &mut self.hash {
            Some(hash) => hash,
            None => self.hash.insert(self.key.tag_hash()?),
        };
        self.tag.push(object, |ciphertext| hash.update(ciphertext))
    }

    fn verified(self: Box<Self>) -> Result<VerifiedBody> {
        let hash = match self.hash {
            Some(hash) => hash,
            None => self.key.tag_hash()?,
        };
        check_length(self.length.saturating_sub(TAG_LENGTH as u64))?;
        check_tag(&hash.finish()?, &self.tag, self.length)?;
        let plaintext_length = self.length - TAG_LENGTH as u64;
        // The bytes may come from a disk by then, and are authenticated once more.
        Ok(VerifiedBody {
            plaintext_length,
            transform: Box::new(GcmDelayed::new(&self.key)?),
        })
    }
}

/// # Errors
/// [`Error::BodyNotAuthentic`] for more plaintext than AES-GCM can authenticate.
pub(super) fn check_length(plaintext: u64) -> Result<()> {
    match plaintext <= MAXIMUM_PLAINTEXT {
        true => Ok(()),
        false => Err(Error::BodyNotAuthentic.into()),
    }
}

/// Compares the tag of an object of `length` bytes, in constant time.
pub(super) fn check_tag(
    computed: &[u8; TAG_LENGTH],
    stored: &Tail<TAG_LENGTH>,
    length: u64,
) -> Result<()> {
    let stored = stored.full().ok_or(Error::BodyTruncated { length })?;
    match computed.ct_eq(stored).into() {
        true => Ok(()),
        false => Err(Error::BodyNotAuthentic.into()),
    }
}

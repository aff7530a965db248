use envelope::Result;
use envelope_store::format::{VerifiedBody, WholeBody};

use super::transform::CbcTransform;
use super::{CbcKey, padding_length};
use crate::content::BLOCK_LENGTH;
use crate::content::tail::Tail;
use crate::content::window::Window;
use crate::error::Error;

/// Opens one object. Only its padding can be verified; nothing is released before it was.
pub(crate) struct CbcBody {
    key: CbcKey,
    last: Tail<{ 2 * BLOCK_LENGTH }>,
    /// Bytes of the object so far.
    length: u64,
}

impl CbcBody {
    pub(crate) fn new(key: CbcKey) -> Self {
        Self {
            key,
            last: Tail::new(),
            length: 0,
        }
    }
}

impl WholeBody for CbcBody {
    fn open_at_once(self: Box<Self>, mut object: Vec<u8>) -> Result<Vec<u8>> {
        if !object.len().is_multiple_of(BLOCK_LENGTH) {
            return Err(Error::CbcNotValid.into());
        }
        self.key.decryptor()?.apply(&mut object);
        let block = object
            .last_chunk::<BLOCK_LENGTH>()
            .ok_or(Error::CbcNotValid)?;
        let padding = padding_length(block)?;
        object.truncate(object.len() - padding);
        Ok(object)
    }

    fn verify(&mut self, object: &[u8]) -> Result<()> {
        self.length = self.length.saturating_add(object.len() as u64);
        self.last.push(object, |_| Ok(()))
    }

    fn verified(self: Box<Self>) -> Result<VerifiedBody> {
        let plaintext_length = self
            .key
            .plaintext_length(self.length, self.last.as_slice())?;
        let window = Window::new(0, plaintext_length, self.length - plaintext_length);
        Ok(VerifiedBody {
            plaintext_length,
            transform: Box::new(CbcTransform::new(self.key.decryptor()?, window)),
        })
    }
}

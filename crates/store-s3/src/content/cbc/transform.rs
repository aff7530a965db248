use block_buffer::EagerBuffer;
use cbc::cipher::array::Array;
use cbc::cipher::consts::U16;
use envelope::{Error, OutputBuffer, Result, Transform};

use super::decryptor::Decryptor;
use crate::content::window::Window;

/// Decrypts blocks and releases the wanted ones of their bytes.
pub(super) struct CbcTransform {
    decryptor: Decryptor,
    /// Ciphertext of a block that is not complete.
    partial: EagerBuffer<U16>,
    window: Window,
    failed: bool,
}

impl CbcTransform {
    pub(super) fn new(decryptor: Decryptor, window: Window) -> Self {
        Self {
            decryptor,
            partial: EagerBuffer::default(),
            window,
            failed: false,
        }
    }

    fn try_update(&mut self, input: &[u8], output: &mut OutputBuffer) -> Result<()> {
        let (decryptor, window) = (&mut self.decryptor, &mut self.window);
        let mut result = Ok(());
        self.partial.digest_blocks(input, |blocks| {
            let ciphertext = Array::slice_as_flattened(blocks);
            let plaintext = output.spare(ciphertext.len());
            plaintext.copy_from_slice(ciphertext);
            decryptor.apply(plaintext);
            match window.next(ciphertext.len()) {
                Ok(wanted) => {
                    let length = wanted.len();
                    if wanted.start > 0 {
                        plaintext.copy_within(wanted, 0);
                    }
                    output.advance(length);
                }
                Err(error) => result = Err(error),
            }
        });
        result
    }
}

impl Transform for CbcTransform {
    fn update(&mut self, input: &[u8], output: &mut OutputBuffer) -> Result<()> {
        if self.failed {
            return Err(Error::AlreadyFailed);
        }
        let result = self.try_update(input, output);
        self.failed = result.is_err();
        result
    }

    fn finish(self: Box<Self>, _output: &mut OutputBuffer) -> Result<()> {
        match self.failed {
            true => Err(Error::AlreadyFailed),
            false => self.window.finish(),
        }
    }
}

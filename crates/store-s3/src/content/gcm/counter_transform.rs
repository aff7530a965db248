use envelope::{Error, OutputBuffer, Result, Transform};

use crate::content::counter::Counter;
use crate::content::window::Window;

/// Decrypts bytes in counter mode, and authenticates none of them.
pub(super) struct CounterTransform {
    counter: Counter,
    window: Window,
    failed: bool,
}

impl CounterTransform {
    /// The key stream begins with the first byte that the window wants.
    pub(super) fn new(counter: Counter, window: Window) -> Self {
        Self {
            counter,
            window,
            failed: false,
        }
    }

    fn try_update(&mut self, input: &[u8], output: &mut OutputBuffer) -> Result<()> {
        let wanted = self.window.next(input.len())?;
        let ciphertext = input.get(wanted).unwrap_or_default();
        self.counter
            .apply(ciphertext, output.spare(ciphertext.len()))?;
        output.advance(ciphertext.len());
        Ok(())
    }
}

impl Transform for CounterTransform {
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

use std::ops::Range;

use envelope::Result;

use crate::error::Error;

/// Which bytes are wanted of those that come in pieces: not the first ones and not the last.
pub(super) struct Window {
    before: u64,
    wanted: u64,
    after: u64,
    taken: u64,
}

impl Window {
    /// `wanted` bytes between `before` and `after` others.
    pub(super) fn new(before: u64, wanted: u64, after: u64) -> Self {
        Self {
            before,
            wanted,
            after,
            taken: 0,
        }
    }

    /// Takes the next `length` bytes: where the wanted ones are among them.
    ///
    /// # Errors
    /// [`envelope::Error::TrailingBytes`] for more bytes than were to come.
    pub(super) fn next(&mut self, length: usize) -> Result<Range<usize>> {
        self.taken = self.taken.saturating_add(length as u64);
        let before = count_down(&mut self.before, length);
        let wanted = count_down(&mut self.wanted, length - before);
        let after = count_down(&mut self.after, length - before - wanted);
        match before + wanted + after == length {
            true => Ok(before..before + wanted),
            false => Err(envelope::Error::TrailingBytes),
        }
    }

    /// Ends the bytes.
    ///
    /// # Errors
    /// [`Error::BodyTruncated`] when more were to come.
    pub(super) fn finish(&self) -> Result<()> {
        match self.before == 0 && self.wanted == 0 && self.after == 0 {
            true => Ok(()),
            false => Err(Error::BodyTruncated { length: self.taken }.into()),
        }
    }
}

/// Takes at most `length` from `left`, and says how many.
fn count_down(left: &mut u64, length: usize) -> usize {
    let taken = usize::try_from(*left).map_or(length, |left| left.min(length));
    *left -= taken as u64;
    taken
}

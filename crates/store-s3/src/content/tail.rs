/// The last bytes of what comes in pieces: nothing is passed on before `N` more bytes followed it.
pub(super) struct Tail<const N: usize> {
    bytes: [u8; N],
    length: usize,
}

impl<const N: usize> Tail<N> {
    pub(super) fn new() -> Self {
        Self {
            bytes: [0; N],
            length: 0,
        }
    }

    /// Takes the next bytes and passes on those that cannot be the last `N` any more, in one or
    /// two pieces.
    pub(super) fn push<E>(
        &mut self,
        input: &[u8],
        mut pass_on: impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        // As many as are not among the last `N`.
        let passed = self.length.saturating_add(input.len()).saturating_sub(N);
        let earlier = passed.min(self.length);
        let (now, kept) = input.split_at_checked(passed - earlier).unwrap_or_default();
        pass_on(self.bytes.get(..earlier).unwrap_or_default())?;
        pass_on(now)?;
        self.bytes.copy_within(earlier..self.length, 0);
        self.length -= earlier;
        let end = self.length.saturating_add(kept.len());
        if let Some(free) = self.bytes.get_mut(self.length..end) {
            free.copy_from_slice(kept);
            self.length = end;
        }
        Ok(())
    }

    /// The last bytes: fewer than `N` when there were no more.
    pub(super) fn as_slice(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or_default()
    }

    /// The last `N` bytes, when there were as many.
    pub(super) fn full(&self) -> Option<&[u8; N]> {
        (self.length == N).then_some(&self.bytes)
    }
}

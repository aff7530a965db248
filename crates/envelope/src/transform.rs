use crate::error::Result;

/// Turns a stream of bytes into another, chunk by chunk: sealing and opening have this one shape.
///
/// How the input is cut into chunks never changes the output. After an error a transform is
/// spent: every later call fails.
pub trait Transform {
    /// Takes the next input and appends whatever output is ready.
    ///
    /// # Errors
    /// Whatever makes the input unacceptable. Output appended before stays valid to the extent
    /// that the transform promises; nothing unauthenticated is ever appended.
    fn update(&mut self, input: &[u8], output: &mut OutputBuffer) -> Result<()>;

    /// Ends the input and appends the rest.
    ///
    /// # Errors
    /// When the input ended too early, or when what can be checked only at the end fails.
    fn finish(self: Box<Self>, output: &mut OutputBuffer) -> Result<()>;

    /// Takes all of the rest of the input at once, ends it and appends the rest of the output.
    /// Override where that is faster than [`update`](Self::update) and [`finish`](Self::finish).
    ///
    /// # Errors
    /// As theirs.
    fn finish_with(mut self: Box<Self>, input: &[u8], output: &mut OutputBuffer) -> Result<()> {
        self.update(input, output)?;
        self.finish(output)
    }
}

impl<T: Transform + ?Sized> Transform for Box<T> {
    fn update(&mut self, input: &[u8], output: &mut OutputBuffer) -> Result<()> {
        (**self).update(input, output)
    }

    fn finish(self: Box<Self>, output: &mut OutputBuffer) -> Result<()> {
        (*self).finish(output)
    }

    fn finish_with(self: Box<Self>, input: &[u8], output: &mut OutputBuffer) -> Result<()> {
        (*self).finish_with(input, output)
    }
}

/// Where a [`Transform`] writes: bytes that grow at the end and can be used again.
///
/// A plain `Vec` would be filled with zeros before each frame is sealed into it. This buffer
/// keeps its memory initialised across [`clear`](OutputBuffer::clear), so frames are sealed and
/// opened straight into place.
#[derive(Clone, Default)]
pub struct OutputBuffer {
    bytes: Vec<u8>,
    filled: usize,
}

impl OutputBuffer {
    /// An empty buffer.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// An empty buffer that holds `capacity` bytes without growing.
    #[must_use]
    pub fn with_capacity(capacity: usize) -> Self {
        Self {
            bytes: vec![0; capacity],
            filled: 0,
        }
    }

    /// The bytes written so far.
    #[must_use]
    pub fn as_slice(&self) -> &[u8] {
        self.bytes.get(..self.filled).unwrap_or_default()
    }

    /// Number of bytes written so far.
    #[must_use]
    pub fn len(&self) -> usize {
        self.filled
    }

    /// Whether nothing was written yet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.filled == 0
    }

    /// Forgets what was written and keeps the memory.
    pub fn clear(&mut self) {
        self.filled = 0;
    }

    /// Appends a copy of `bytes`.
    pub fn extend_from_slice(&mut self, bytes: &[u8]) {
        self.spare(bytes.len()).copy_from_slice(bytes);
        self.advance(bytes.len());
    }

    /// The next `length` bytes, to be written and then counted with [`advance`](Self::advance).
    /// What stands in them is not part of the output and may be left over from earlier use.
    pub fn spare(&mut self, length: usize) -> &mut [u8] {
        let end = self.filled.saturating_add(length);
        if self.bytes.len() < end {
            self.bytes.resize(end, 0);
        }
        self.bytes.get_mut(self.filled..end).unwrap_or_default()
    }

    /// Counts `length` bytes of [`spare`](Self::spare) as written; at most those that exist.
    pub fn advance(&mut self, length: usize) {
        self.filled = self.bytes.len().min(self.filled.saturating_add(length));
    }

    /// The bytes written, without a copy.
    #[must_use]
    pub fn into_vec(mut self) -> Vec<u8> {
        self.bytes.truncate(self.filled);
        self.bytes
    }
}

/// Shows the length only: the content may be plaintext.
impl std::fmt::Debug for OutputBuffer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "OutputBuffer({} bytes)", self.filled)
    }
}

use crate::error::{Error, Result};

/// A bounds-checked cursor over received bytes. All integers are big-endian.
pub(crate) struct Reader<'a> {
    input: &'a [u8],
    position: usize,
    /// Where `input` begins within the message, for error texts.
    base: usize,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(input: &'a [u8]) -> Self {
        Self {
            input,
            position: 0,
            base: 0,
        }
    }

    /// Bytes consumed so far.
    pub(crate) fn position(&self) -> usize {
        self.position
    }

    /// Offset of the next byte in the message.
    pub(crate) fn offset(&self) -> u64 {
        (self.base + self.position) as u64
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.position == self.input.len()
    }

    pub(crate) fn bytes(&mut self, length: usize, field: &'static str) -> Result<&'a [u8]> {
        let rest = self.input.get(self.position..).unwrap_or_default();
        let Some((bytes, _)) = rest.split_at_checked(length) else {
            return Err(Error::Truncated {
                field,
                offset: (self.base + self.input.len()) as u64,
            });
        };
        self.position += length;
        Ok(bytes)
    }

    pub(crate) fn array<const N: usize>(&mut self, field: &'static str) -> Result<[u8; N]> {
        let bytes = self.bytes(N, field)?;
        // `bytes` returned exactly N of them.
        Ok(bytes.try_into().unwrap_or([0; N]))
    }

    pub(crate) fn u8(&mut self, field: &'static str) -> Result<u8> {
        self.array(field).map(u8::from_be_bytes)
    }

    pub(crate) fn u16(&mut self, field: &'static str) -> Result<u16> {
        self.array(field).map(u16::from_be_bytes)
    }

    pub(crate) fn u32(&mut self, field: &'static str) -> Result<u32> {
        self.array(field).map(u32::from_be_bytes)
    }

    /// A field behind its 16-bit length.
    pub(crate) fn prefixed(&mut self, field: &'static str) -> Result<&'a [u8]> {
        let length = self.u16(field)?;
        self.bytes(usize::from(length), field)
    }

    /// A text behind its 16-bit length.
    pub(crate) fn prefixed_text(&mut self, field: &'static str) -> Result<&'a str> {
        let offset = self.offset();
        std::str::from_utf8(self.prefixed(field)?).map_err(|_| Error::Malformed {
            field,
            offset,
            reason: "must be UTF-8",
        })
    }

    /// A reader over a section behind its 16-bit length.
    pub(crate) fn section(&mut self, field: &'static str) -> Result<Reader<'a>> {
        let input = self.prefixed(field)?;
        Ok(Reader {
            input,
            position: 0,
            base: self.base + self.position - input.len(),
        })
    }
}

/// Appends `field` behind its 16-bit length.
pub(crate) fn push_prefixed(
    bytes: &mut Vec<u8>,
    field: &[u8],
    too_long: &'static str,
) -> Result<()> {
    let Ok(length) = u16::try_from(field.len()) else {
        return Err(Error::InconsistentMaterials { reason: too_long });
    };
    bytes.extend_from_slice(&length.to_be_bytes());
    bytes.extend_from_slice(field);
    Ok(())
}

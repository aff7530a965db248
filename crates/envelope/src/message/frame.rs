use super::codec::Reader;
use crate::error::{Error, Result};

/// Bytes of a regular frame beside its content: sequence number, IV and tag.
pub(crate) const REGULAR_OVERHEAD: usize = 4 + 12 + 16;
/// Bytes of the final frame beside its content: marker, sequence number, IV, length and tag.
pub(crate) const FINAL_OVERHEAD: usize = 4 + 4 + 12 + 4 + 16;

/// Stands where a regular frame has its sequence number.
pub(crate) const FINAL_MARKER: u32 = u32::MAX;
/// Bytes of a final frame before its content.
const FINAL_PREFIX: usize = 4 + 4 + 12 + 4;

/// Bytes of a non-framed body before its content: IV and length.
const NON_FRAMED_PREFIX: usize = 12 + 8;
/// Bytes of a non-framed body beside its content: IV, length and tag.
pub(crate) const NON_FRAMED_OVERHEAD: usize = NON_FRAMED_PREFIX + 16;
/// Most bytes that one AES-GCM operation takes (specification, "Non-Framed Data").
const LONGEST_NON_FRAMED: u64 = (1 << 36) - 32;

/// How the body of a message is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Content {
    /// Into frames of this many plaintext bytes.
    Framed { frame_length: u32 },
    /// Not at all: one piece.
    NonFramed,
}

/// Which piece of a body a frame is. A non-framed body is one piece of its own kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FrameKind {
    Regular,
    Final,
    NonFramed,
}

impl FrameKind {
    /// Whether the body ends with it.
    pub(crate) fn is_last(self) -> bool {
        self != Self::Regular
    }
}

/// One received frame. Its sequence number was compared with its place.
#[derive(Debug)]
pub(crate) struct Frame<'a> {
    pub(crate) kind: FrameKind,
    pub(crate) sequence: u32,
    pub(crate) iv: [u8; 12],
    pub(crate) content: &'a [u8],
    pub(crate) tag: [u8; 16],
}

/// What the beginning of a frame says about its length in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Extent {
    /// At least this many bytes are needed before more can be said.
    AtLeast(usize),
    /// The whole frame.
    Exactly(usize),
}

/// The rules that every frame of one message must keep.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FrameRules {
    pub(crate) content: Content,
    /// The reader's own limit on the content of one frame, in bytes.
    pub(crate) maximum: u64,
}

impl FrameRules {
    /// Tells the length of the frame that begins with `prefix`, checking all that is there:
    /// sequence number, content length and the reader's limit.
    pub(crate) fn extent(self, prefix: &[u8], expected: u32) -> Result<Extent> {
        let frame_length = match self.content {
            Content::Framed { frame_length } => frame_length,
            Content::NonFramed => return self.extent_of_whole(prefix),
        };
        let Some((first, rest)) = prefix.split_first_chunk::<4>() else {
            return Ok(Extent::AtLeast(4));
        };
        let sequence = u32::from_be_bytes(*first);
        if sequence != FINAL_MARKER {
            check_sequence(sequence, expected)?;
            return self.exactly(frame_length.into(), REGULAR_OVERHEAD);
        }
        if let Some(sequence) = rest.first_chunk::<4>() {
            check_sequence(u32::from_be_bytes(*sequence), expected)?;
        }
        let Some(length) = prefix.get(20..FINAL_PREFIX) else {
            return Ok(Extent::AtLeast(FINAL_PREFIX));
        };
        let length = u32::from_be_bytes(length.try_into().unwrap_or_default());
        // Specification, "Final Frame": the content may not exceed the frame length.
        if length > frame_length {
            return Err(Error::FinalFrameTooLong {
                length,
                frame_length,
            });
        }
        self.exactly(length.into(), FINAL_OVERHEAD)
    }

    fn extent_of_whole(self, prefix: &[u8]) -> Result<Extent> {
        let Some(length) = prefix.get(12..NON_FRAMED_PREFIX) else {
            return Ok(Extent::AtLeast(NON_FRAMED_PREFIX));
        };
        let length = u64::from_be_bytes(length.try_into().unwrap_or_default());
        if length > LONGEST_NON_FRAMED {
            return Err(Error::BodyTooLong { length });
        }
        self.exactly(length, NON_FRAMED_OVERHEAD)
    }

    fn exactly(self, length: u64, overhead: usize) -> Result<Extent> {
        usize::try_from(length)
            .ok()
            .filter(|_| length <= self.maximum)
            .and_then(|content| content.checked_add(overhead))
            .map(Extent::Exactly)
            .ok_or(Error::FrameTooLong {
                length,
                maximum: self.maximum,
            })
    }

    /// Reads a frame whose extent was found to be exactly `bytes`.
    pub(crate) fn parse(self, bytes: &[u8]) -> Result<Frame<'_>> {
        const FRAME: &str = "a frame";
        let mut reader = Reader::new(bytes);
        if self.content == Content::NonFramed {
            return Ok(Frame {
                kind: FrameKind::NonFramed,
                sequence: 1,
                iv: reader.array(FRAME)?,
                content: {
                    reader.bytes(8, FRAME)?;
                    reader.bytes(bytes.len().saturating_sub(NON_FRAMED_OVERHEAD), FRAME)?
                },
                tag: reader.array(FRAME)?,
            });
        }
        let mut sequence = reader.u32(FRAME)?;
        let kind = if sequence == FINAL_MARKER {
            sequence = reader.u32(FRAME)?;
            FrameKind::Final
        } else {
            FrameKind::Regular
        };
        let iv = reader.array(FRAME)?;
        let content_length = match kind {
            FrameKind::Final => reader.u32(FRAME)? as usize,
            _ => bytes.len().saturating_sub(REGULAR_OVERHEAD),
        };
        Ok(Frame {
            kind,
            sequence,
            iv,
            content: reader.bytes(content_length, FRAME)?,
            tag: reader.array(FRAME)?,
        })
    }
}

/// Specification, "Sequence Number": from 1, by 1.
fn check_sequence(found: u32, expected: u32) -> Result<()> {
    if found == expected {
        return Ok(());
    }
    Err(Error::FrameOutOfOrder { expected, found })
}

/// Writes all of a frame but content and tag, and returns the places of those two.
///
/// `bytes` is exactly the frame's length; a shorter one is a mistake of the caller. Non-framed
/// bodies are read only (specification, "Encrypt": they must not be written).
pub(crate) fn lay_out(
    kind: FrameKind,
    sequence: u32,
    bytes: &mut [u8],
) -> Result<(&mut [u8], &mut [u8; 16])> {
    const MISFIT: Error = Error::SealFailed;
    let content_length = match kind {
        FrameKind::Regular => bytes.len().checked_sub(REGULAR_OVERHEAD),
        FrameKind::Final => bytes.len().checked_sub(FINAL_OVERHEAD),
        FrameKind::NonFramed => None,
    }
    .and_then(|length| u32::try_from(length).ok())
    .ok_or(MISFIT)?;
    let (fields, tag) = bytes.split_last_chunk_mut::<16>().ok_or(MISFIT)?;
    let content = match kind {
        FrameKind::Regular => {
            let (number, rest) = fields.split_first_chunk_mut().ok_or(MISFIT)?;
            *number = sequence.to_be_bytes();
            let (iv, content) = rest.split_first_chunk_mut().ok_or(MISFIT)?;
            *iv = self::iv(sequence);
            content
        }
        FrameKind::Final | FrameKind::NonFramed => {
            let (marker, rest) = fields.split_first_chunk_mut().ok_or(MISFIT)?;
            *marker = FINAL_MARKER.to_be_bytes();
            let (number, rest) = rest.split_first_chunk_mut().ok_or(MISFIT)?;
            *number = sequence.to_be_bytes();
            let (iv, rest) = rest.split_first_chunk_mut().ok_or(MISFIT)?;
            *iv = self::iv(sequence);
            let (length, content) = rest.split_first_chunk_mut().ok_or(MISFIT)?;
            *length = content_length.to_be_bytes();
            content
        }
    };
    Ok((content, tag))
}

/// The IV of a frame: its sequence number as a 12-byte integer. The header's is that of 0.
pub(crate) fn iv(sequence: u32) -> [u8; 12] {
    u128::from(sequence)
        .to_be_bytes()
        .last_chunk()
        .copied()
        .unwrap_or_default()
}

/// The additional authenticated data of the frames of one message, rewritten in place for each
/// (specification, "Message Body AAD").
#[derive(Debug, Clone)]
pub(crate) struct BodyAad {
    regular: Vec<u8>,
    last: Vec<u8>,
    whole: Vec<u8>,
}

/// Sequence number and content length end the data.
const AAD_TAIL: usize = 4 + 8;

impl BodyAad {
    pub(crate) fn new(message_id: &[u8]) -> Self {
        let labelled = |label: &[u8]| [message_id, label, &[0; AAD_TAIL]].concat();
        Self {
            regular: labelled(b"AWSKMSEncryptionClient Frame"),
            last: labelled(b"AWSKMSEncryptionClient Final Frame"),
            whole: labelled(b"AWSKMSEncryptionClient Single Block"),
        }
    }

    pub(crate) fn of(&mut self, kind: FrameKind, sequence: u32, content_length: usize) -> &[u8] {
        let aad = match kind {
            FrameKind::Regular => &mut self.regular,
            FrameKind::Final => &mut self.last,
            FrameKind::NonFramed => &mut self.whole,
        };
        if let Some(tail) = aad.last_chunk_mut::<AAD_TAIL>() {
            let value = (u128::from(sequence) << 64) | content_length as u128;
            if let Some(bytes) = value.to_be_bytes().last_chunk() {
                *tail = *bytes;
            }
        }
        aad
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULES: FrameRules = FrameRules {
        content: Content::Framed { frame_length: 4 },
        maximum: 8,
    };

    #[test]
    fn the_iv_is_the_sequence_number() {
        assert_eq!(iv(0x0102_0304), [0, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4]);
    }

    #[test]
    fn the_aad_ends_in_sequence_and_length() {
        let mut aad = BodyAad::new(b"id");
        assert_eq!(
            aad.of(FrameKind::Regular, 7, 258),
            b"idAWSKMSEncryptionClient Frame\0\0\0\x07\0\0\0\0\0\0\x01\x02"
        );
        assert_eq!(
            aad.of(FrameKind::Final, u32::MAX, 0),
            b"idAWSKMSEncryptionClient Final Frame\xff\xff\xff\xff\0\0\0\0\0\0\0\0"
        );
    }

    #[test]
    fn what_is_laid_out_parses_back() {
        for (kind, length) in [
            (FrameKind::Regular, REGULAR_OVERHEAD + 4),
            (FrameKind::Final, FINAL_OVERHEAD + 3),
        ] {
            let mut bytes = vec![0; length];
            let (content, tag) = lay_out(kind, 9, &mut bytes).unwrap();
            content.fill(1);
            tag.fill(2);
            assert_eq!(RULES.extent(&bytes, 9).unwrap(), Extent::Exactly(length));
            let frame = RULES.parse(&bytes).unwrap();
            assert_eq!((frame.kind, frame.sequence, frame.iv), (kind, 9, iv(9)));
            assert!(frame.content.iter().all(|byte| *byte == 1));
            assert_eq!(frame.tag, [2; 16]);
        }
    }

    #[test]
    fn refuses_disorder_and_excess_from_the_first_bytes() {
        let out_of_order = RULES.extent(&5u32.to_be_bytes(), 2);
        assert!(matches!(
            out_of_order,
            Err(Error::FrameOutOfOrder {
                expected: 2,
                found: 5
            })
        ));
        let mut last = vec![0; FINAL_OVERHEAD + 5];
        lay_out(FrameKind::Final, 1, &mut last).unwrap();
        assert!(matches!(
            RULES.extent(&last, 1),
            Err(Error::FinalFrameTooLong {
                length: 5,
                frame_length: 4
            })
        ));
        let large = FrameRules {
            content: Content::Framed {
                frame_length: u32::MAX,
            },
            ..RULES
        };
        assert!(matches!(
            large.extent(&1u32.to_be_bytes(), 1),
            Err(Error::FrameTooLong { maximum: 8, .. })
        ));
    }

    #[test]
    fn a_non_framed_body_is_one_piece_behind_its_length() {
        let rules = FrameRules {
            content: Content::NonFramed,
            ..RULES
        };
        let mut body = [&[1; 12][..], &5_u64.to_be_bytes(), b"hello", &[2; 16]].concat();
        assert_eq!(rules.extent(&body[..19], 1).unwrap(), Extent::AtLeast(20));
        assert_eq!(rules.extent(&body[..20], 1).unwrap(), Extent::Exactly(41));
        let frame = rules.parse(&body).unwrap();
        assert_eq!((frame.kind, frame.sequence), (FrameKind::NonFramed, 1));
        assert_eq!(
            (frame.iv, frame.content, frame.tag),
            ([1; 12], &b"hello"[..], [2; 16])
        );
        let mut extent = |length: u64| {
            body[12..20].copy_from_slice(&length.to_be_bytes());
            rules.extent(&body, 1)
        };
        assert!(matches!(
            extent(9),
            Err(Error::FrameTooLong {
                length: 9,
                maximum: 8
            })
        ));
        // The longest that the format allows is the reader's to refuse, anything above is not.
        assert!(matches!(
            extent((1 << 36) - 32),
            Err(Error::FrameTooLong { .. })
        ));
        for length in [(1 << 36) - 31, u64::MAX] {
            assert!(matches!(extent(length), Err(Error::BodyTooLong { length: l }) if l == length));
        }
    }
}

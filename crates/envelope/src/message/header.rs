use std::collections::BTreeMap;

use super::codec::{Reader, push_prefixed};
use crate::context::EncryptionContext;
use crate::encrypted_data_key::EncryptedDataKey;
use crate::error::{Error, Result};
use crate::suite::AlgorithmSuite;

/// Length of a version-2 message id in bytes.
pub(crate) const MESSAGE_ID_LENGTH: usize = 32;
/// Length of the suite data (the key commitment) in bytes.
const SUITE_DATA_LENGTH: usize = 32;
/// Length of the header tag in bytes.
pub(crate) const HEADER_TAG_LENGTH: usize = 16;

const VERSION_2: u8 = 0x02;
const CONTENT_FRAMED: u8 = 0x02;

/// The fields of a version-2 header body that a writer chooses.
pub(crate) struct HeaderFields<'a> {
    pub(crate) suite: AlgorithmSuite,
    pub(crate) message_id: &'a [u8; MESSAGE_ID_LENGTH],
    pub(crate) context: &'a EncryptionContext,
    pub(crate) encrypted_data_keys: &'a [EncryptedDataKey],
    pub(crate) frame_length: u32,
    pub(crate) commitment: &'a [u8; SUITE_DATA_LENGTH],
}

impl HeaderFields<'_> {
    /// The header body as it goes on the wire (specification, "Header Body Version 2.0").
    pub(crate) fn write(&self) -> Result<Vec<u8>> {
        let mut bytes = Vec::with_capacity(512);
        bytes.push(VERSION_2);
        bytes.extend_from_slice(&self.suite.id().to_be_bytes());
        bytes.extend_from_slice(self.message_id);
        push_prefixed(
            &mut bytes,
            &self.context.to_bytes(),
            "the encryption context exceeds 65535 bytes",
        )?;
        let Ok(count) = u16::try_from(self.encrypted_data_keys.len()) else {
            return Err(Error::InconsistentMaterials {
                reason: "a message holds at most 65535 encrypted data keys",
            });
        };
        if count == 0 {
            return Err(Error::InconsistentMaterials {
                reason: "a message needs at least one encrypted data key",
            });
        }
        bytes.extend_from_slice(&count.to_be_bytes());
        for key in self.encrypted_data_keys {
            const TOO_LONG: &str = "a field of an encrypted data key exceeds 65535 bytes";
            push_prefixed(&mut bytes, key.provider_id().as_bytes(), TOO_LONG)?;
            push_prefixed(&mut bytes, key.provider_info(), TOO_LONG)?;
            push_prefixed(&mut bytes, key.ciphertext(), TOO_LONG)?;
        }
        bytes.push(CONTENT_FRAMED);
        bytes.extend_from_slice(&self.frame_length.to_be_bytes());
        bytes.extend_from_slice(self.commitment);
        Ok(bytes)
    }
}

/// What a reader allows before it allocates.
#[derive(Debug, Clone, Copy)]
pub(crate) struct HeaderLimits {
    pub(crate) maximum_encrypted_data_keys: Option<usize>,
    pub(crate) maximum_length: usize,
}

/// A parsed header. Nothing in it is trusted until its tag verified.
#[derive(Debug)]
pub(crate) struct Header {
    /// The header body exactly as received: what the tag and the signature cover.
    pub(crate) body: Vec<u8>,
    pub(crate) tag: [u8; HEADER_TAG_LENGTH],
    pub(crate) suite: AlgorithmSuite,
    pub(crate) message_id: [u8; MESSAGE_ID_LENGTH],
    pub(crate) context: EncryptionContext,
    pub(crate) encrypted_data_keys: Vec<EncryptedDataKey>,
    pub(crate) frame_length: u32,
    pub(crate) commitment: [u8; SUITE_DATA_LENGTH],
}

impl Header {
    /// Length of body and tag in bytes.
    pub(crate) fn length(&self) -> usize {
        self.body.len() + HEADER_TAG_LENGTH
    }

    /// Reads a header from the start of `input`.
    ///
    /// # Errors
    /// [`Error::Truncated`] when more input could complete it, [`Error::HeaderTooLong`] when it
    /// is or would become longer than allowed, and the parse errors.
    pub(crate) fn parse(input: &[u8], limits: HeaderLimits) -> Result<Self> {
        let maximum = limits.maximum_length;
        let within_limit = input.get(..maximum).unwrap_or(input);
        match Self::parse_unlimited(within_limit, limits.maximum_encrypted_data_keys) {
            Err(Error::Truncated { .. }) if input.len() >= maximum => {
                Err(Error::HeaderTooLong { maximum })
            }
            parsed => parsed,
        }
    }

    fn parse_unlimited(input: &[u8], maximum_keys: Option<usize>) -> Result<Self> {
        let mut reader = Reader::new(input);
        let version = reader.u8("the version")?;
        if version != VERSION_2 {
            return Err(if looks_like_base64(input) {
                Error::Base64Input
            } else {
                Error::UnsupportedVersion { version }
            });
        }
        let suite = AlgorithmSuite::from_id(reader.u16("the algorithm suite id")?)?;
        let message_id = reader.array("the message id")?;
        let context = read_context(&mut reader)?;
        let encrypted_data_keys = read_encrypted_data_keys(&mut reader, maximum_keys)?;
        match reader.u8("the content type")? {
            CONTENT_FRAMED => {}
            value => return Err(Error::UnsupportedContentType { value }),
        }
        let offset = reader.offset();
        let frame_length = reader.u32("the frame length")?;
        if frame_length == 0 {
            // Specification, "Frame Length": zero stands for non-framed content only.
            return Err(Error::Malformed {
                field: "the frame length",
                offset,
                reason: "must not be zero in a framed message",
            });
        }
        let commitment = reader.array("the key commitment")?;
        let body = input.get(..reader.position()).unwrap_or_default().to_vec();
        let tag = reader.array("the header tag")?;
        Ok(Self {
            body,
            tag,
            suite,
            message_id,
            context,
            encrypted_data_keys,
            frame_length,
            commitment,
        })
    }
}

/// The version and the suite's first bits give base64 text a fixed beginning: `AY` for version 1
/// with its type byte, `AgR4` and `AgV4` for version 2.
fn looks_like_base64(input: &[u8]) -> bool {
    [b"AY".as_slice(), b"AgR4", b"AgV4"]
        .iter()
        .any(|beginning| input.starts_with(beginning))
}

/// Specification, "AAD": a 16-bit total length, then nothing or a count and that many pairs.
fn read_context(reader: &mut Reader<'_>) -> Result<EncryptionContext> {
    let mut section = reader.section("the encryption context")?;
    let mut pairs = BTreeMap::new();
    if section.is_empty() {
        return Ok(EncryptionContext::from_message(pairs));
    }
    let section_fault = |section: &Reader<'_>, reason| Error::Malformed {
        field: "the encryption context",
        offset: section.offset(),
        reason,
    };
    // The section is all here, so an end inside it is a wrong length, not a short input.
    let whole = |error, section: &Reader<'_>| match error {
        Error::Truncated { .. } => section_fault(section, "is shorter than its pairs"),
        other => other,
    };
    let count = section
        .u16("the pair count")
        .map_err(|error| whole(error, &section))?;
    for _ in 0..count {
        let mut text = || {
            section
                .prefixed_text("the encryption context")
                .map_err(|error| whole(error, &section))
        };
        let (key, value) = (text()?.to_owned(), text()?.to_owned());
        if pairs.insert(key, value).is_some() {
            return Err(Error::DuplicateContextKey);
        }
    }
    if !section.is_empty() {
        return Err(section_fault(&section, "is longer than its pairs"));
    }
    Ok(EncryptionContext::from_message(pairs))
}

fn read_encrypted_data_keys(
    reader: &mut Reader<'_>,
    maximum: Option<usize>,
) -> Result<Vec<EncryptedDataKey>> {
    let offset = reader.offset();
    let count = usize::from(reader.u16("the encrypted data key count")?);
    if count == 0 {
        return Err(Error::Malformed {
            field: "the encrypted data key count",
            offset,
            reason: "must not be zero",
        });
    }
    // Specification, "Decrypt": the maximum is checked before any entry is read.
    if let Some(maximum) = maximum.filter(|maximum| count > *maximum) {
        return Err(Error::TooManyEncryptedDataKeys { count, maximum });
    }
    // Not `with_capacity`: the count is a claim until the entries are there.
    let mut keys = Vec::new();
    for _ in 0..count {
        keys.push(EncryptedDataKey::new(
            reader.prefixed_text("a key provider id")?,
            reader.prefixed("a key provider info")?,
            reader.prefixed("an encrypted data key")?,
        ));
    }
    Ok(keys)
}

use std::collections::BTreeMap;

use super::codec::{Reader, push_prefixed};
use super::frame::Content;
use crate::context::EncryptionContext;
use crate::encrypted_data_key::EncryptedDataKey;
use crate::error::{Error, Result};
use crate::suite::AlgorithmSuite;

/// Length of the suite data (the key commitment) in bytes.
const SUITE_DATA_LENGTH: usize = 32;

const VERSION_1: u8 = 0x01;
const VERSION_2: u8 = 0x02;
/// The only type of a version-1 message: customer authenticated encrypted data.
const TYPE: u8 = 0x80;
const CONTENT_NON_FRAMED: u8 = 0x01;
const CONTENT_FRAMED: u8 = 0x02;

/// Length of the message id in bytes, by the version of the message.
pub(crate) fn message_id_length(suite: AlgorithmSuite) -> usize {
    match suite.message_version() {
        VERSION_1 => 16,
        _ => 32,
    }
}

/// The fields of a header body that a writer chooses.
pub(crate) struct HeaderFields<'a> {
    pub(crate) suite: AlgorithmSuite,
    pub(crate) message_id: &'a [u8],
    /// The stored part of the context.
    pub(crate) context: &'a EncryptionContext,
    pub(crate) encrypted_data_keys: &'a [EncryptedDataKey],
    pub(crate) frame_length: u32,
    /// The key commitment, exactly when the suite commits.
    pub(crate) commitment: Option<&'a [u8; SUITE_DATA_LENGTH]>,
}

impl HeaderFields<'_> {
    /// The header body as it goes on the wire (specification, "Header Body Version 1.0" and
    /// "Header Body Version 2.0").
    pub(crate) fn write(&self) -> Result<Vec<u8>> {
        let version = self.suite.message_version();
        let mut bytes = Vec::with_capacity(512);
        bytes.push(version);
        if version == VERSION_1 {
            bytes.push(TYPE);
        }
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
        if version == VERSION_1 {
            bytes.extend_from_slice(&RESERVED);
            bytes.push(IV_LENGTH);
        }
        bytes.extend_from_slice(&self.frame_length.to_be_bytes());
        if let Some(commitment) = self.commitment {
            bytes.extend_from_slice(commitment);
        }
        Ok(bytes)
    }

    /// Length of what follows the body, in bytes.
    pub(crate) fn authentication_length(suite: AlgorithmSuite) -> usize {
        match suite.message_version() {
            VERSION_1 => 12 + 16,
            _ => 16,
        }
    }

    /// What follows the body: its tag, in version 1 behind the IV.
    pub(crate) fn authentication(suite: AlgorithmSuite, iv: &[u8; 12], tag: &[u8; 16]) -> Vec<u8> {
        match suite.message_version() {
            VERSION_1 => [iv.as_slice(), tag].concat(),
            _ => tag.to_vec(),
        }
    }
}

/// Reserved bytes of a version-1 header.
const RESERVED: [u8; 4] = [0; 4];
/// Length of an IV in bytes, as a version-1 header states it.
const IV_LENGTH: u8 = 12;

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
    /// What follows it, as received: the signature covers that too.
    pub(crate) authentication: Vec<u8>,
    /// The IV of the tag: stated in version 1, zero in version 2.
    pub(crate) iv: [u8; 12],
    pub(crate) tag: [u8; 16],
    pub(crate) suite: AlgorithmSuite,
    pub(crate) message_id: Vec<u8>,
    pub(crate) context: EncryptionContext,
    pub(crate) encrypted_data_keys: Vec<EncryptedDataKey>,
    pub(crate) content: Content,
    /// The key commitment, exactly when the suite commits.
    pub(crate) commitment: Option<[u8; SUITE_DATA_LENGTH]>,
}

impl Header {
    /// Length of body and authentication in bytes.
    pub(crate) fn length(&self) -> usize {
        self.body.len() + self.authentication.len()
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
        match version {
            VERSION_1 => match reader.u8("the message type")? {
                TYPE => {}
                value => return Err(Error::UnsupportedType { value }),
            },
            VERSION_2 => {}
            _ if looks_like_base64(input)? => return Err(Error::Base64Input),
            _ => return Err(Error::UnsupportedVersion { version }),
        }
        let id = reader.u16("the algorithm suite id")?;
        let suite = AlgorithmSuite::from_id(id)?;
        // Specification, "Algorithm Suite ID": a suite belongs to one version.
        if suite.message_version() != version {
            return Err(Error::UnsupportedSuite { id });
        }
        let message_id = reader.bytes(message_id_length(suite), "the message id")?;
        let context = read_context(&mut reader)?;
        let encrypted_data_keys = read_encrypted_data_keys(&mut reader, maximum_keys)?;
        let content_type = reader.u8("the content type")?;
        if version == VERSION_1 {
            read_reserved(&mut reader)?;
        }
        let content = read_content(&mut reader, content_type)?;
        let commitment = match suite.commits() {
            true => Some(reader.array("the key commitment")?),
            false => None,
        };
        let end = reader.position();
        let iv = match version {
            VERSION_1 => reader.array("the header IV")?,
            _ => [0; 12],
        };
        let tag = reader.array("the header tag")?;
        let (body, rest) = input.split_at(end);
        let authentication = rest.get(..reader.position() - end).unwrap_or_default();
        Ok(Self {
            body: body.to_vec(),
            authentication: authentication.to_vec(),
            iv,
            tag,
            suite,
            message_id: message_id.to_vec(),
            context,
            encrypted_data_keys,
            content,
            commitment,
        })
    }
}

/// Specification, "Header Body Version 1.0": four zero bytes, and an IV length of 12.
fn read_reserved(reader: &mut Reader<'_>) -> Result<()> {
    let offset = reader.offset();
    if reader.array("the reserved bytes")? != RESERVED {
        return Err(Error::Malformed {
            field: "the reserved bytes",
            offset,
            reason: "must be zero",
        });
    }
    let offset = reader.offset();
    if reader.u8("the IV length")? != IV_LENGTH {
        return Err(Error::Malformed {
            field: "the IV length",
            offset,
            reason: "must be 12",
        });
    }
    Ok(())
}

/// Specification, "Frame Length": zero exactly when the content is not framed.
fn read_content(reader: &mut Reader<'_>, content_type: u8) -> Result<Content> {
    if !matches!(content_type, CONTENT_FRAMED | CONTENT_NON_FRAMED) {
        return Err(Error::UnsupportedContentType {
            value: content_type,
        });
    }
    let offset = reader.offset();
    let malformed = |reason| {
        Err(Error::Malformed {
            field: "the frame length",
            offset,
            reason,
        })
    };
    match (content_type, reader.u32("the frame length")?) {
        (CONTENT_NON_FRAMED, 0) => Ok(Content::NonFramed),
        (CONTENT_NON_FRAMED, _) => malformed("must be zero in a non-framed message"),
        (_, 0) => malformed("must not be zero in a framed message"),
        (_, frame_length) => Ok(Content::Framed { frame_length }),
    }
}

/// The version and the suite's first bits give base64 text a fixed beginning: `AY` for version 1
/// with its type byte, `AgR4` and `AgV4` for version 2.
fn looks_like_base64(input: &[u8]) -> Result<bool> {
    let mut beginnings = [b"AY".as_slice(), b"AgR4", b"AgV4"].into_iter();
    // However the input is cut, the answer is the same.
    if beginnings
        .clone()
        .any(|b| b.len() > input.len() && b.starts_with(input))
    {
        return Err(Error::Truncated {
            field: "the version",
            offset: input.len() as u64,
        });
    }
    Ok(beginnings.any(|beginning| input.starts_with(beginning)))
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

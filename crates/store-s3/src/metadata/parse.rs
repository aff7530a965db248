use super::fields::Fields;
use super::names::{
    COMMITMENT_V3, CONTENT_CIPHER, CONTEXT_V3, DESCRIPTION, DESCRIPTION_V3, IV, KEY_V1, KEY_V2,
    KEY_V3, KEYS, MESSAGE_ID_V3, SUITE_V3, TAG_LENGTH, V1_OR_V2, V2_ONLY, V3, V3_ON_OBJECT, WRAP,
    WRAP_V3,
};
use super::{AES_CBC, AES_GCM, COMMITTING_SUITE, Content, Envelope, WrapAlgorithm};
use crate::content::{COMMITMENT_LENGTH, MESSAGE_ID_LENGTH};
use crate::error::Error;

/// What Ruby clients also call CBC; the padding is the same.
const AES_CBC_PKCS7: &str = "AES/CBC/PKCS7Padding";

/// What an object's user metadata tells.
#[derive(Debug, Clone)]
#[cfg_attr(test, derive(PartialEq, Eq))]
pub(crate) enum Found {
    /// All of it. An instruction file that also exists does not count.
    Envelope(Envelope),
    /// The keys are in the instruction file, if the object is the client's.
    InFile(InFile),
}

/// What an object says itself when its keys are in an instruction file.
#[derive(Debug, Clone)]
#[cfg_attr(test, derive(PartialEq, Eq))]
pub(crate) enum InFile {
    /// An object of format V3.
    V3 {
        message_id: [u8; MESSAGE_ID_LENGTH],
        commitment: [u8; COMMITMENT_LENGTH],
    },
    /// No sign of the client: one of format V1 or V2, or none of its objects.
    V1OrV2 {
        /// The one thing that Ruby clients leave on the object: the plaintext's length, a claim.
        plaintext_length: Option<u64>,
    },
}

/// Reads an object's user metadata.
///
/// # Errors
/// [`Error::MixedEnvelope`], [`Error::IncompleteEnvelope`], [`Error::UnknownAlgorithm`] and
/// [`Error::InvalidValue`].
pub(crate) fn parse<'a>(
    pairs: impl IntoIterator<Item = (&'a str, &'a str)>,
) -> Result<Found, Error> {
    let fields = Fields::of_object(pairs)?;
    check_one_format(&fields)?;
    if fields.has(KEY_V3) {
        let (message_id, commitment) = committing(&fields)?;
        return v3(&fields, message_id, commitment).map(Found::Envelope);
    }
    if fields.has(KEY_V2) {
        return v2(&fields).map(Found::Envelope);
    }
    if fields.has(KEY_V1) {
        return v1(&fields).map(Found::Envelope);
    }
    if fields.first_of(&V3).is_some() {
        let (message_id, commitment) = committing(&fields)?;
        // The rest belongs together: all of it in the file, or all of it here.
        if fields
            .first_of(&[WRAP_V3, CONTEXT_V3, DESCRIPTION_V3])
            .is_some()
        {
            return Err(Error::IncompleteEnvelope { missing: KEY_V3 });
        }
        let found = InFile::V3 {
            message_id,
            commitment,
        };
        return Ok(Found::InFile(found));
    }
    // An object whose envelope is in a file holds nothing of it.
    if fields.first_of(&V1_OR_V2).is_some() {
        return Err(Error::IncompleteEnvelope { missing: KEY_V2 });
    }
    let plaintext_length = fields.plaintext_length()?;
    Ok(Found::InFile(InFile::V1OrV2 { plaintext_length }))
}

/// Reads an instruction file, and joins it to what its object says.
///
/// # Errors
/// [`Error::InstructionFileNotValid`], [`Error::CommitmentInInstructionFile`], and as [`parse`].
pub(crate) fn parse_instruction_file(object: &InFile, json: &[u8]) -> Result<Envelope, Error> {
    let fields = Fields::of_file(json)?;
    // Whoever may write the file could choose a commitment to fit other keys. This holds under every
    // policy, and when they equal the object's.
    if let Some(key) = fields.first_of(&V3_ON_OBJECT) {
        return Err(Error::CommitmentInInstructionFile { key });
    }
    check_one_format(&fields)?;
    match *object {
        InFile::V3 {
            message_id,
            commitment,
        } => {
            if let Some(other) = fields.first_of(&V1_OR_V2) {
                let one = SUITE_V3;
                return Err(Error::MixedEnvelope { one, other });
            }
            v3(&fields, message_id, commitment)
        }
        InFile::V1OrV2 { plaintext_length } => {
            // The file of a V3 object that lost its metadata.
            if fields.first_of(&V3).is_some() {
                return Err(Error::IncompleteEnvelope { missing: SUITE_V3 });
            }
            let envelope = if fields.has(KEY_V1) {
                v1(&fields)?
            } else {
                v2(&fields)?
            };
            let plaintext_length = envelope.plaintext_length.or(plaintext_length);
            Ok(Envelope {
                plaintext_length,
                ..envelope
            })
        }
    }
}

/// Whether this can be an instruction file: it has the key of one.
pub(crate) fn is_instruction_file(json: &[u8]) -> bool {
    Fields::of_file(json).is_ok_and(|fields| fields.first_of(&KEYS).is_some())
}

/// Keys of two formats make one pass for the other, in a reader that knows only that.
fn check_one_format(fields: &Fields) -> Result<(), Error> {
    let mut keys = KEYS.into_iter().filter(|key| fields.has(key));
    if let (Some(one), Some(other)) = (keys.next(), keys.next()) {
        return Err(Error::MixedEnvelope { one, other });
    }
    match (fields.first_of(&V1_OR_V2), fields.first_of(&V3)) {
        (Some(one), Some(other)) => Err(Error::MixedEnvelope { one, other }),
        _ => Ok(()),
    }
}

fn v1(fields: &Fields) -> Result<Envelope, Error> {
    // V1 names no algorithm.
    if let Some(other) = fields.first_of(&V2_ONLY) {
        return Err(Error::MixedEnvelope { one: KEY_V1, other });
    }
    let iv = fields.array(IV)?;
    fields.required(DESCRIPTION)?;
    let encrypted_data_key = fields.bytes(KEY_V1)?;
    let wrap = WrapAlgorithm::of_v1(&encrypted_data_key);
    check_key_length(KEY_V1, wrap, &encrypted_data_key)?;
    Ok(Envelope {
        content: Content::V1Cbc { iv },
        wrap,
        encrypted_data_key,
        description: fields.description(DESCRIPTION)?,
        plaintext_length: fields.plaintext_length()?,
    })
}

fn v2(fields: &Fields) -> Result<Envelope, Error> {
    let encrypted_data_key = fields.bytes(KEY_V2)?;
    let cipher = fields.required(CONTENT_CIPHER)?;
    let name = fields.required(WRAP)?;
    let wrap =
        WrapAlgorithm::from_name(name).ok_or_else(|| Error::unknown_algorithm(WRAP, name))?;
    check_key_length(KEY_V2, wrap, &encrypted_data_key)?;
    let content = match cipher {
        AES_GCM => {
            // Go clients neither need it nor look at it, and their test objects
            // (`go-GetMockV2Object`) have none. As in the Java client, it must be there.
            if fields.required(TAG_LENGTH)? != "128" {
                return Err(Error::invalid_value(TAG_LENGTH, "it must be 128"));
            }
            Content::V2Gcm {
                iv: fields.array(IV)?,
            }
        }
        AES_CBC | AES_CBC_PKCS7 => {
            // Java clients write a 0 when they encrypt such an object's key anew.
            if !matches!(fields.optional(TAG_LENGTH), None | Some("0")) {
                return Err(Error::invalid_value(TAG_LENGTH, "CBC has no tag"));
            }
            Content::V2Cbc {
                iv: fields.array(IV)?,
            }
        }
        other => return Err(Error::unknown_algorithm(CONTENT_CIPHER, other)),
    };
    Ok(Envelope {
        content,
        wrap,
        encrypted_data_key,
        description: fields.description(DESCRIPTION)?,
        plaintext_length: fields.plaintext_length()?,
    })
}

/// What the object itself must hold in V3: the message id and the commitment, of the one suite.
fn committing(
    fields: &Fields,
) -> Result<([u8; MESSAGE_ID_LENGTH], [u8; COMMITMENT_LENGTH]), Error> {
    let suite = fields.required(SUITE_V3)?;
    if suite != COMMITTING_SUITE {
        return Err(Error::unknown_algorithm(SUITE_V3, suite));
    }
    let commitment = fields.array(COMMITMENT_V3)?;
    let message_id = fields.array(MESSAGE_ID_V3)?;
    Ok((message_id, commitment))
}

fn v3(
    fields: &Fields,
    message_id: [u8; MESSAGE_ID_LENGTH],
    commitment: [u8; COMMITMENT_LENGTH],
) -> Result<Envelope, Error> {
    let encrypted_data_key = fields.bytes(KEY_V3)?;
    let code = fields.required(WRAP_V3)?;
    let wrap =
        WrapAlgorithm::from_v3_code(code).ok_or_else(|| Error::unknown_algorithm(WRAP_V3, code))?;
    check_key_length(KEY_V3, wrap, &encrypted_data_key)?;
    Ok(Envelope {
        content: Content::V3 {
            message_id,
            commitment,
        },
        wrap,
        encrypted_data_key,
        description: fields.description(wrap.v3_description())?,
        // V3 has none, though Go clients write the key.
        plaintext_length: None,
    })
}

fn check_key_length(
    name: &'static str,
    wrap: WrapAlgorithm,
    encrypted_data_key: &[u8],
) -> Result<(), Error> {
    let found = encrypted_data_key.len();
    let wrong = match wrap.key_lengths() {
        Some(lengths) => !lengths.contains(&found),
        None => found == 0,
    };
    if wrong {
        let algorithm = wrap.name();
        let reason = format!("{found} bytes are no key that {algorithm} encrypted");
        return Err(Error::invalid_value(name, reason));
    }
    Ok(())
}

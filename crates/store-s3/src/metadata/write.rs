use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::json::to_ascii;
use super::names::{
    COMMITMENT_V3, CONTENT_CIPHER, DESCRIPTION, DESCRIPTION_V3, IV, KEY_V1, KEY_V2, KEY_V3,
    MESSAGE_ID_V3, PLAINTEXT_LENGTH, SUITE_V3, TAG_LENGTH, V3_ON_OBJECT, WRAP, WRAP_V3,
};
use super::{COMMITTING_SUITE, Content, Envelope, WrapAlgorithm};
use crate::error::Error;

/// Pairs of user metadata, in ASCII.
pub(crate) type Pairs = Vec<(&'static str, String)>;

impl Envelope {
    /// All pairs, for an object that holds its keys itself.
    ///
    /// # Errors
    /// [`Error::WrapNotInFormat`].
    pub(crate) fn to_pairs(&self) -> Result<Pairs, Error> {
        let mut pairs = match &self.content {
            Content::V1Cbc { iv } => self.v1(iv)?,
            Content::V2Cbc { iv } => self.v2(iv)?,
            Content::V2Gcm { iv } => {
                let mut pairs = self.v2(iv)?;
                pairs.push((TAG_LENGTH, "128".to_owned()));
                pairs
            }
            Content::V3 {
                message_id,
                commitment,
            } => return self.v3(message_id, commitment),
        };
        let length = self.plaintext_length;
        pairs.extend(length.map(|length| (PLAINTEXT_LENGTH, length.to_string())));
        Ok(pairs)
    }

    /// The pairs of an object, and the content of its instruction file.
    ///
    /// # Errors
    /// [`Error::WrapNotInFormat`].
    pub(crate) fn split(&self) -> Result<(Pairs, Vec<u8>), Error> {
        let pairs = self.to_pairs()?.into_iter();
        // The Python client refuses files with the length in them.
        let (object, file): (Pairs, Pairs) =
            pairs.partition(|(name, _)| V3_ON_OBJECT.contains(name) || *name == PLAINTEXT_LENGTH);
        let file = to_ascii(file.iter().map(|(name, value)| (*name, &**value)));
        Ok((object, file.into_bytes()))
    }

    fn v1(&self, iv: &[u8]) -> Result<Pairs, Error> {
        if !matches!(self.wrap, WrapAlgorithm::V1Aes | WrapAlgorithm::V1Rsa) {
            return Err(self.not_in_format());
        }
        Ok(vec![
            (KEY_V1, STANDARD.encode(&self.encrypted_data_key)),
            (IV, STANDARD.encode(iv)),
            (DESCRIPTION, self.description()),
        ])
    }

    fn v2(&self, iv: &[u8]) -> Result<Pairs, Error> {
        let name = self.wrap.name();
        if WrapAlgorithm::from_name(name).is_none() {
            return Err(self.not_in_format());
        }
        Ok(vec![
            (KEY_V2, STANDARD.encode(&self.encrypted_data_key)),
            (IV, STANDARD.encode(iv)),
            (CONTENT_CIPHER, self.content.name().to_owned()),
            (WRAP, name.to_owned()),
            (DESCRIPTION, self.description()),
        ])
    }

    fn v3(&self, message_id: &[u8], commitment: &[u8]) -> Result<Pairs, Error> {
        let code = self.wrap.v3_code().ok_or_else(|| self.not_in_format())?;
        let mut pairs = vec![
            (SUITE_V3, COMMITTING_SUITE.to_owned()),
            (COMMITMENT_V3, STANDARD.encode(commitment)),
            (MESSAGE_ID_V3, STANDARD.encode(message_id)),
            (KEY_V3, STANDARD.encode(&self.encrypted_data_key)),
            (WRAP_V3, code.to_owned()),
        ];
        let name = self.wrap.v3_description();
        // The Java client leaves an empty description out.
        if name != DESCRIPTION_V3 || !self.description.is_empty() {
            pairs.push((name, self.description()));
        }
        Ok(pairs)
    }

    fn description(&self) -> String {
        to_ascii(
            self.description
                .iter()
                .map(|(key, value)| (&**key, &**value)),
        )
    }

    fn not_in_format(&self) -> Error {
        Error::WrapNotInFormat {
            wrap: self.wrap.name(),
            version: self.content.version(),
        }
    }
}

use std::fmt;
use std::str::FromStr;

use crate::kms_error::KmsError;

/// KMS takes no longer key identifier (AWS KMS API reference, `KeyId`).
const MAXIMUM_LENGTH: usize = 2048;

/// The full name of a KMS key or alias: `arn:partition:kms:region:account:key/id`.
///
/// Source: AWS Encryption SDK specification, "AWS KMS Key ARN".
///
/// ```
/// use envelope_aws_kms::Arn;
///
/// let arn: Arn = "arn:aws:kms:eu-west-1:111122223333:key/mrk-1234".parse()?;
/// assert_eq!(arn.region(), "eu-west-1");
/// assert!(arn.is_key() && arn.is_multi_region());
/// # Ok::<(), envelope_aws_kms::KmsError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Arn {
    partition: String,
    region: String,
    account: String,
    is_key: bool,
    id: String,
}

impl Arn {
    /// The group of regions, as `aws` or `aws-cn`.
    #[must_use]
    pub fn partition(&self) -> &str {
        &self.partition
    }

    /// The region, as `eu-west-1`.
    #[must_use]
    pub fn region(&self) -> &str {
        &self.region
    }

    /// The account that the key belongs to.
    #[must_use]
    pub fn account(&self) -> &str {
        &self.account
    }

    /// The id of the key, or the alias without `alias/`.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Whether it names a key, rather than an alias.
    #[must_use]
    pub fn is_key(&self) -> bool {
        self.is_key
    }

    /// Whether the key has replicas in other regions, or may have. An alias never has, whatever
    /// its name.
    #[must_use]
    pub fn is_multi_region(&self) -> bool {
        self.is_key && self.id.starts_with("mrk-")
    }

    /// The same key in another region.
    #[must_use]
    pub fn in_region(&self, region: impl Into<String>) -> Self {
        Self {
            region: region.into(),
            ..self.clone()
        }
    }

    /// Whether what one key wrapped can be unwrapped by the other: they are the same, or replicas of
    /// one multi-region key (specification, "AWS KMS MRK Match for Decrypt").
    #[must_use]
    pub fn is_replica_of(&self, other: &Self) -> bool {
        let across = self.is_multi_region() && self.in_region(&*other.region) == *other;
        across || self == other
    }
}

impl FromStr for Arn {
    type Err = KmsError;

    /// # Errors
    /// [`KmsError::InvalidKeyId`].
    fn from_str(text: &str) -> Result<Self, KmsError> {
        let invalid = |reason| KmsError::InvalidKeyId {
            // Whoever wrote a message chose the text: no more of it than a person reads.
            key_id: text.chars().take(MAXIMUM_LENGTH).collect(),
            reason,
        };
        if text.len() > MAXIMUM_LENGTH {
            return Err(invalid("is longer than 2048 bytes"));
        }
        if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(invalid(
                "has a space, a control character or one that is not ASCII",
            ));
        }
        let mut parts = text.split(':');
        let mut part = || parts.next().unwrap_or_default();
        let (prefix, partition, service) = (part(), part(), part());
        let (region, account, resource) = (part(), part(), part());
        if prefix != "arn" || parts.next().is_some() {
            return Err(invalid(
                "is no ARN; one is arn:aws:kms:region:account:key/id",
            ));
        }
        if service != "kms" {
            return Err(invalid("is no ARN of KMS: its third part must be kms"));
        }
        if [partition, region, account].contains(&"") {
            return Err(invalid("has an empty partition, region or account"));
        }
        let is_key = match resource.split_once('/') {
            Some(("key", id)) if !id.is_empty() => true,
            Some(("alias", id)) if !id.is_empty() => false,
            _ => {
                return Err(invalid(
                    "must end in key/ and an id, or in alias/ and a name",
                ));
            }
        };
        let id = resource.split_once('/').map_or("", |(_, id)| id);
        Ok(Self {
            partition: partition.to_owned(),
            region: region.to_owned(),
            account: account.to_owned(),
            is_key,
            id: id.to_owned(),
        })
    }
}

impl fmt::Display for Arn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = if self.is_key { "key" } else { "alias" };
        write!(
            f,
            "arn:{}:kms:{}:{}:{kind}/{}",
            self.partition, self.region, self.account, self.id
        )
    }
}

/// The ARN of a key, and of nothing else.
pub(crate) fn key_arn(text: &str) -> Result<Arn, KmsError> {
    let arn: Arn = text.parse()?;
    if !arn.is_key {
        return Err(KmsError::InvalidKeyId {
            key_id: text.to_owned(),
            reason: "is an alias; give the ARN of its key",
        });
    }
    Ok(arn)
}

/// The ARN of a key or an alias where one is given; other identifiers are only looked at.
pub(crate) fn parse_identifier(key_id: &str) -> Result<Option<Arn>, KmsError> {
    let invalid = |reason| KmsError::InvalidKeyId {
        key_id: key_id.to_owned(),
        reason,
    };
    if key_id.trim().is_empty() {
        return Err(KmsError::EmptyKeyId);
    }
    if key_id.starts_with("arn:") {
        return key_id.parse().map(Some);
    }
    let (is_alias, name) = match key_id.strip_prefix("alias/") {
        Some(name) => (true, name),
        None => (false, key_id),
    };
    // An id has no slash; key/ stands in ARNs only.
    let legal = |byte: u8| byte.is_ascii_graphic() && byte != b':' && (is_alias || byte != b'/');
    if name.is_empty() || name.len() > MAXIMUM_LENGTH || !name.bytes().all(legal) {
        return Err(invalid(
            "is none; give a key id, a key ARN, an alias (alias/…) or an alias ARN",
        ));
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "arn:aws:kms:eu-west-1:111122223333:key/1234abcd-12ab";

    fn reason(text: &str) -> &'static str {
        match text.parse::<Arn>() {
            Err(KmsError::InvalidKeyId { key_id, reason }) => {
                assert!(text.starts_with(&key_id));
                reason
            }
            other => panic!("{text}: {other:?}"),
        }
    }

    #[test]
    fn a_key_arn_has_its_parts_and_is_written_as_it_was_read() {
        let arn: Arn = KEY.parse().unwrap();
        assert_eq!(arn.partition(), "aws");
        assert_eq!(arn.region(), "eu-west-1");
        assert_eq!(arn.account(), "111122223333");
        assert_eq!(arn.id(), "1234abcd-12ab");
        assert!(arn.is_key() && !arn.is_multi_region());
        assert_eq!(arn.to_string(), KEY);
        // The id is all that follows the first slash.
        let alias = "arn:aws-cn:kms:cn-north-1:1:alias/team/invoices";
        let arn: Arn = alias.parse().unwrap();
        assert_eq!((arn.is_key(), arn.id()), (false, "team/invoices"));
        assert_eq!(arn.to_string(), alias);
    }

    #[test]
    fn every_malformed_form_is_refused_for_its_reason() {
        let shape = "is no ARN; one is arn:aws:kms:region:account:key/id";
        let empty = "has an empty partition, region or account";
        let resource = "must end in key/ and an id, or in alias/ and a name";
        let characters = "has a space, a control character or one that is not ASCII";
        for (text, expected) in [
            ("", shape),
            ("1234abcd-12ab", shape),
            ("alias/invoices", shape),
            (":aws:kms:eu-west-1:1:key/a", shape),
            ("arn-not:aws:kms:eu-west-1:1:key/a", shape),
            ("arn:aws:kms:eu-west-1:1:key/a:b", shape),
            ("arn:aws:kms:eu-west-1:1:key:a", shape),
            ("arn:aws:kms:eu-west-1:1", resource),
            ("arn:aws:kms:eu-west-1:key/a", resource),
            ("arn", "is no ARN of KMS: its third part must be kms"),
            (
                "arn:aws::eu-west-1:1:key/a",
                "is no ARN of KMS: its third part must be kms",
            ),
            (
                "arn:aws:s3:eu-west-1:1:key/a",
                "is no ARN of KMS: its third part must be kms",
            ),
            ("arn::kms:eu-west-1:1:key/a", empty),
            ("arn:aws:kms::1:key/a", empty),
            ("arn:aws:kms:eu-west-1::key/a", empty),
            ("arn:aws:kms:eu-west-1:1:", resource),
            ("arn:aws:kms:eu-west-1:1:key", resource),
            ("arn:aws:kms:eu-west-1:1:key/", resource),
            ("arn:aws:kms:eu-west-1:1:alias/", resource),
            ("arn:aws:kms:eu-west-1:1:/a", resource),
            ("arn:aws:kms:eu-west-1:1:keys/a", resource),
            ("arn:aws:kms:eu-west-1:1:Key/a", resource),
            ("arn:aws:kms:eu-west-1:1:key/a b", characters),
            ("arn:aws:kms:eu-west-1:1:key/a\n", characters),
            ("arn:aws:kms:eu-west-1:1:key/ä", characters),
        ] {
            assert_eq!(reason(text), expected, "{text:?}");
        }
        let long = format!("arn:aws:kms:eu-west-1:1:key/{}", "a".repeat(2048));
        assert_eq!(reason(&long), "is longer than 2048 bytes");
    }

    #[test]
    fn only_a_key_is_multi_region() {
        let multi: Arn = "arn:aws:kms:eu-west-1:1:key/mrk-a".parse().unwrap();
        let alias: Arn = "arn:aws:kms:eu-west-1:1:alias/mrk-a".parse().unwrap();
        assert!(multi.is_multi_region() && !alias.is_multi_region());
        assert!(multi.is_replica_of(&multi.in_region("us-east-1")));
        assert!(!alias.is_replica_of(&alias.in_region("us-east-1")));
        assert!(alias.is_replica_of(&alias));
        for other in [
            "arn:aws:kms:us-east-1:1:key/mrk-b",
            "arn:aws:kms:us-east-1:2:key/mrk-a",
            "arn:aws-cn:kms:us-east-1:1:key/mrk-a",
            "arn:aws:kms:us-east-1:1:alias/mrk-a",
        ] {
            assert!(!multi.is_replica_of(&other.parse().unwrap()), "{other}");
        }
    }

    #[test]
    fn identifiers_that_are_no_arns_are_looked_at() {
        for legal in ["1234abcd-12ab", "mrk-1234", "alias/a/b"] {
            assert_eq!(parse_identifier(legal).unwrap(), None, "{legal}");
        }
        assert!(parse_identifier(KEY).unwrap().is_some());
        for illegal in ["key/1234", "alias/", "alias/a b", "a:b", "arn:aws"] {
            let error = parse_identifier(illegal).unwrap_err();
            assert!(matches!(error, KmsError::InvalidKeyId { .. }), "{illegal}");
        }
        let error = key_arn("arn:aws:kms:eu-west-1:1:alias/a").unwrap_err();
        assert_eq!(
            error.to_string(),
            "the KMS key id \"arn:aws:kms:eu-west-1:1:alias/a\" is an alias; give the ARN of its key"
        );
    }
}

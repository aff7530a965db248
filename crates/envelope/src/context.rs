use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use crate::error::{Error, Result};

/// Keys with this beginning belong to the format (specification, "Encryption Context").
pub(crate) const RESERVED_PREFIX: &str = "aws-crypto-";
/// The reserved key that carries a signed message's public key.
pub(crate) const PUBLIC_KEY_FIELD: &str = "aws-crypto-public-key";
/// The canonical form sits behind a 16-bit length.
const MAXIMUM_LENGTH: usize = u16::MAX as usize;

/// Pairs of text that are bound to a message without being secret: which tenant, which purpose.
///
/// The context is stored in the clear in the header, is authenticated with it, and is part of
/// what wraps the data key: a message opens only under the context that it was written with.
/// Its canonical form is sorted by the bytes of the UTF-8 keys (specification, "Encryption
/// Context serialization").
///
/// ```
/// use envelope::EncryptionContext;
///
/// let context = EncryptionContext::new([("tenant", "acme"), ("kind", "invoice")])?;
/// assert_eq!(context.get("tenant"), Some("acme"));
/// # Ok::<(), envelope::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq, Default)]
pub struct EncryptionContext {
    pairs: BTreeMap<String, String>,
}

impl EncryptionContext {
    /// Collects the pairs; a key given twice keeps its last value.
    ///
    /// # Errors
    /// [`Error::ReservedContextKey`] for keys that begin with `aws-crypto-`, and
    /// [`Error::ContextTooLong`] when the canonical form would exceed 65 535 bytes.
    pub fn new<K, V>(pairs: impl IntoIterator<Item = (K, V)>) -> Result<Self>
    where
        K: Into<String>,
        V: Into<String>,
    {
        let pairs: BTreeMap<String, String> = pairs
            .into_iter()
            .map(|(key, value)| (key.into(), value.into()))
            .collect();
        let context = Self { pairs };
        context.check_unreserved()?;
        context.check_length()?;
        Ok(context)
    }

    /// A context read from a header, where reserved keys are legal. The caller has refused
    /// duplicates; the length was bounded by the header.
    pub(crate) fn from_message(pairs: BTreeMap<String, String>) -> Self {
        Self { pairs }
    }

    /// Adds the reserved pair of a signed message.
    pub(crate) fn insert_public_key(&mut self, base64: String) -> Result<()> {
        self.pairs.insert(PUBLIC_KEY_FIELD.to_owned(), base64);
        self.check_length()
    }

    /// Joins the pairs of `other` that are not here yet, and returns those alone.
    ///
    /// # Errors
    /// [`Error::ContextMismatch`] when a key stands in both with different values.
    pub(crate) fn merge(&mut self, other: &Self) -> Result<Self> {
        let mut added = Self::default();
        for (key, value) in &other.pairs {
            match self.pairs.get(key) {
                Some(found) if found == value => {}
                Some(_) => return Err(Error::ContextMismatch { key: key.clone() }),
                None => {
                    self.pairs.insert(key.clone(), value.clone());
                    added.pairs.insert(key.clone(), value.clone());
                }
            }
        }
        self.check_length()?;
        Ok(added)
    }

    /// Refuses keys that the format keeps for itself: a context that was read from a message holds
    /// one when the message is signed (specification, "Encryption Context").
    pub(crate) fn check_unreserved(&self) -> Result<()> {
        match self
            .pairs
            .keys()
            .find(|key| key.starts_with(RESERVED_PREFIX))
        {
            Some(key) => Err(Error::ReservedContextKey { key: key.clone() }),
            None => Ok(()),
        }
    }

    /// This context without the reserved keys: what the caller of [`encrypt`](crate::encrypt)
    /// bound to the message, ready to be bound to another.
    #[must_use]
    pub fn without_reserved(&self) -> Self {
        let mut pairs = self.pairs.clone();
        pairs.retain(|key, _| !key.starts_with(RESERVED_PREFIX));
        Self { pairs }
    }

    /// The pairs outside `keys`, and those within.
    pub(crate) fn split(&self, keys: &BTreeSet<String>) -> (Self, Self) {
        let (within, outside) = self
            .pairs
            .clone()
            .into_iter()
            .partition(|(key, _)| keys.contains(key));
        (Self { pairs: outside }, Self { pairs: within })
    }

    /// The value stored under `key`.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&str> {
        self.pairs.get(key).map(String::as_str)
    }

    /// All pairs in canonical order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.pairs.iter().map(|(k, v)| (k.as_str(), v.as_str()))
    }

    /// Whether there are no pairs.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.pairs.is_empty()
    }

    /// Number of pairs.
    #[must_use]
    pub fn len(&self) -> usize {
        self.pairs.len()
    }

    /// The canonical form: nothing at all when empty, else a 16-bit pair count and the pairs in
    /// order, each text behind its 16-bit length. This is what wrapping keys authenticate.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.canonical_length());
        if self.pairs.is_empty() {
            return bytes;
        }
        push_length(&mut bytes, self.pairs.len());
        for (key, value) in &self.pairs {
            push_length(&mut bytes, key.len());
            bytes.extend_from_slice(key.as_bytes());
            push_length(&mut bytes, value.len());
            bytes.extend_from_slice(value.as_bytes());
        }
        bytes
    }

    fn canonical_length(&self) -> usize {
        if self.pairs.is_empty() {
            return 0;
        }
        self.pairs
            .iter()
            .fold(2, |sum, (key, value)| sum + 4 + key.len() + value.len())
    }

    fn check_length(&self) -> Result<()> {
        let length = self.canonical_length();
        if length > MAXIMUM_LENGTH {
            return Err(Error::ContextTooLong { length });
        }
        Ok(())
    }
}

/// Every constructor bounds the whole form by 65 535 bytes, so each count and length fits.
fn push_length(bytes: &mut Vec<u8>, length: usize) {
    let length = u16::try_from(length).unwrap_or(u16::MAX);
    bytes.extend_from_slice(&length.to_be_bytes());
}

impl fmt::Debug for EncryptionContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(&self.pairs).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sorts_by_utf8_bytes_not_utf16_units() {
        // U+FF5E is below U+1D122 in UTF-8 but above its surrogates in UTF-16.
        let context = EncryptionContext::new([("\u{1D122}", ""), ("\u{FF5E}", "")]).unwrap();
        let keys: Vec<_> = context.iter().map(|(key, _)| key.to_owned()).collect();
        assert_eq!(keys, ["\u{FF5E}", "\u{1D122}"]);
    }

    #[test]
    fn an_empty_context_has_no_bytes() {
        assert!(EncryptionContext::default().to_bytes().is_empty());
    }

    #[test]
    fn writes_the_canonical_form() {
        let context = EncryptionContext::new([("b", "2"), ("a", "")]).unwrap();
        assert_eq!(
            context.to_bytes(),
            b"\x00\x02\x00\x01a\x00\x00\x00\x01b\x00\x012"
        );
    }

    #[test]
    fn refuses_reserved_keys_and_too_long_forms() {
        assert!(matches!(
            EncryptionContext::new([("aws-crypto-public-key", "x")]),
            Err(Error::ReservedContextKey { key }) if key == "aws-crypto-public-key"
        ));
        // 2 for the count, 4 for the lengths, 1 for the key.
        let longest = "v".repeat(MAXIMUM_LENGTH - 7);
        assert!(EncryptionContext::new([("k", longest.clone())]).is_ok());
        assert!(matches!(
            EncryptionContext::new([("k", longest + "v")]),
            Err(Error::ContextTooLong { length: 65_536 })
        ));
    }

    #[test]
    fn merging_reports_what_was_added_and_what_differs() {
        let mut stored = EncryptionContext::new([("a", "1")]).unwrap();
        let expected = EncryptionContext::new([("a", "1"), ("b", "2")]).unwrap();
        let added = stored.merge(&expected).unwrap();
        assert_eq!(added, EncryptionContext::new([("b", "2")]).unwrap());
        assert_eq!(stored, expected);
        let other = EncryptionContext::new([("a", "other")]).unwrap();
        assert!(matches!(
            stored.merge(&other),
            Err(Error::ContextMismatch { key }) if key == "a"
        ));
    }
}

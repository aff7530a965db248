use std::collections::BTreeMap;

/// Pairs of text beside an object that say which key wrapped its data key, such as `kid` = `7`.
///
/// They are public, chosen by the key's owner, and nothing authenticates them: they pick a key and
/// prove nothing. An [`EncryptionContext`](envelope::EncryptionContext) is something else: it is
/// bound to the wrapped key.
///
/// ```
/// use envelope_s3::keyring::MaterialDescription;
///
/// let description = MaterialDescription::new([("kid", "7")]);
/// assert_eq!(description.iter().next(), Some(("kid", "7")));
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MaterialDescription(BTreeMap<String, String>);

impl MaterialDescription {
    /// Collects the pairs; a key given twice keeps its last value.
    #[must_use]
    pub fn new<K, V>(pairs: impl IntoIterator<Item = (K, V)>) -> Self
    where
        K: Into<String>,
        V: Into<String>,
    {
        let pairs = pairs.into_iter();
        Self(pairs.map(|(k, v)| (k.into(), v.into())).collect())
    }

    /// Whether there is no pair, which describes no key in particular.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All pairs, sorted by their keys.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(k, v)| (k.as_str(), v.as_str()))
    }

    /// The pairs as an object stores them.
    pub(super) fn pairs(&self) -> &BTreeMap<String, String> {
        &self.0
    }

    /// A key that is described is for objects with exactly this description; one that is not may be
    /// any object's.
    pub(super) fn fits(&self, stored: &BTreeMap<String, String>) -> bool {
        self.is_empty() || self.0 == *stored
    }
}

use std::collections::BTreeMap;
use std::fmt;

use envelope::{BranchKey, WrappingKey};
use zeroize::Zeroizing;

use super::branch_key_error::BranchKeyError;
use super::item::{Attributes, ENCRYPTED};

/// One version of a branch key, unwrapped. The key is wiped when this is dropped.
pub struct BranchKeyVersion {
    id: String,
    version: String,
    create_time: String,
    context: BTreeMap<String, String>,
    key: BranchKey,
}

impl BranchKeyVersion {
    pub(crate) fn new(
        attributes: &Attributes,
        mut key: Zeroizing<Vec<u8>>,
    ) -> Result<Self, BranchKeyError> {
        let id = attributes.branch_key_id();
        let version = attributes.version()?;
        let key = WrappingKey::from_bytes(&mut key)
            .and_then(|key| BranchKey::new(id, version.into_bytes(), key))
            .map_err(|_| attributes.malformed(ENCRYPTED, "holds no key of 32 bytes"))?;
        Ok(Self {
            id: id.to_owned(),
            version: version.to_string(),
            create_time: attributes.create_time().to_owned(),
            context: attributes.context(),
            key,
        })
    }

    /// The branch key's id.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The version: a UUID.
    #[must_use]
    pub fn version(&self) -> &str {
        &self.version
    }

    /// When the version was made: ISO 8601, UTC, as the item says.
    #[must_use]
    pub fn create_time(&self) -> &str {
        &self.create_time
    }

    /// The encryption context that the branch key was made with.
    #[must_use]
    pub fn context(&self) -> &BTreeMap<String, String> {
        &self.context
    }

    /// The keyring of this one version, which needs no service any more.
    #[must_use]
    pub fn keyring(&self) -> &BranchKey {
        &self.key
    }
}

impl fmt::Debug for BranchKeyVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BranchKeyVersion")
            .field("id", &self.id)
            .field("version", &self.version)
            .field("create_time", &self.create_time)
            .finish_non_exhaustive()
    }
}

use anyhow::Result;
use envelope_aws_kms::{Arn, BranchKeyStore, KmsConfiguration};
use serde_json::{Value, json};

use crate::emulator::{Emulator, REGION};

/// The table of branch keys.
pub(crate) const TABLE: &str = "branch-keys-restored";
/// What they are bound to: the table was once called so.
const LOGICAL_NAME: &str = "branch-keys";

/// A store of branch keys in the one table, for us and for Python.
#[derive(Debug, Clone)]
pub(crate) struct KeyStore {
    pub(crate) configuration: KmsConfiguration,
    /// Where its client of KMS is.
    region: String,
}

impl KeyStore {
    /// Branch keys under this key.
    pub(crate) fn under(key: &Arn) -> Self {
        Self {
            configuration: KmsConfiguration::Key(key.clone()),
            region: key.region().to_owned(),
        }
    }

    /// Branch keys under this multi-region key or any of its replicas.
    pub(crate) fn under_replicas_of(key: &Arn) -> Self {
        Self {
            configuration: KmsConfiguration::MultiRegionKey(key.clone()),
            region: key.region().to_owned(),
        }
    }

    /// Reads branch keys under any key of the region.
    pub(crate) fn discovery(region: &str) -> Self {
        Self {
            configuration: KmsConfiguration::Discovery,
            region: region.to_owned(),
        }
    }

    /// Reads branch keys under any key that is in the region or has a replica there.
    pub(crate) fn multi_region_discovery(region: &str) -> Self {
        let region = region.to_owned();
        Self {
            configuration: KmsConfiguration::MultiRegionDiscovery {
                region: region.clone(),
            },
            region,
        }
    }

    /// Our own store.
    pub(crate) fn open(&self, kms: &Emulator) -> Result<BranchKeyStore> {
        let configuration = self.configuration.clone();
        let (dynamodb, kms) = (kms.dynamodb(), kms.kms(&self.region));
        let store = BranchKeyStore::new(dynamodb, kms, TABLE, configuration)?;
        Ok(store.with_logical_name(LOGICAL_NAME)?)
    }

    /// What the peer makes the same store from.
    pub(crate) fn to_json(&self) -> Result<Value> {
        let configuration = match &self.configuration {
            KmsConfiguration::Key(key) => json!({"type": "key", "key": key.to_string()}),
            KmsConfiguration::MultiRegionKey(key) => {
                json!({"type": "multi_region_key", "key": key.to_string()})
            }
            KmsConfiguration::Discovery => json!({"type": "discovery"}),
            KmsConfiguration::MultiRegionDiscovery { region } => {
                json!({"type": "multi_region_discovery", "region": region})
            }
            other => anyhow::bail!("the peer is not told of {other:?}"),
        };
        Ok(json!({
            "table": TABLE, "logical_name": LOGICAL_NAME, "table_region": REGION,
            "kms": configuration, "kms_region": self.region,
        }))
    }
}

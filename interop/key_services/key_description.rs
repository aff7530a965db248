use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use aws_sdk_kms::types::KeySpec;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use envelope::{AlgorithmSuite, EcPublicKey, Keyring, RsaPadding, RsaPublicKey};
use envelope_aws_kms::{
    Arn, BranchKeyIdSupplier, Discovery, Ecdh, Hierarchical, MultiRegion, MultiRegionDiscovery,
    Rsa, Strict,
};
use serde_json::{Value, json};

use crate::emulator::{Emulator, REGION};
use crate::key_store::KeyStore;

/// How long a branch key is kept: each keyring of the exchange is a new one.
const LIFETIME: Duration = Duration::from_secs(60);

/// One way to wrap data keys with KMS, and what the peer is told of it.
pub(crate) enum KeyDescription {
    Strict(Arn),
    MultiRegion(Arn),
    /// A generator and a child.
    Multi([Arn; 2]),
    /// A generator and a child, each of which may be a multi-region key.
    MultiRegionMulti([Arn; 2]),
    /// Keys of the emulator's account in this region.
    Discovery(&'static str),
    MultiRegionDiscovery(&'static str),
    DiscoveryMulti([&'static str; 2]),
    MultiRegionDiscoveryMulti([&'static str; 2]),
    /// The branch key with this id, or the one that the tenant in the encryption context is called.
    Hierarchical {
        store: KeyStore,
        branch_key: Option<String>,
    },
    Rsa {
        key: Arn,
        padding: RsaPadding,
        /// DER of a SubjectPublicKeyInfo.
        public_key: Vec<u8>,
    },
    /// The private key of one party and the public key of the other.
    Ecdh {
        mine: AgreementKey,
        theirs: AgreementKey,
    },
    /// What anybody encrypted to this key.
    EcdhDiscovery(AgreementKey),
}

/// A key of KMS for key agreement.
#[derive(Clone)]
pub(crate) struct AgreementKey {
    arn: Arn,
    curve: &'static str,
    /// DER of a SubjectPublicKeyInfo.
    public_key: Vec<u8>,
}

impl AgreementKey {
    /// A new key; the curve is called as the peer calls it.
    pub(crate) async fn create(kms: &Emulator, spec: KeySpec, curve: &'static str) -> Result<Self> {
        let arn = kms.key(REGION, spec, false).await?;
        let public_key = kms.public_key(&arn).await?;
        Ok(Self {
            arn,
            curve,
            public_key,
        })
    }
}

impl KeyDescription {
    /// Our own keyring.
    pub(crate) fn keyring(&self, kms: &Emulator) -> Result<Arc<dyn Keyring>> {
        let client = |arn: &Arn| kms.kms(arn.region());
        let supplier = kms.supplier();
        let filter = kms.filter()?;
        Ok(match self {
            Self::Strict(key) => Arc::new(Strict::new(client(key), key.to_string())?),
            Self::MultiRegion(key) => Arc::new(MultiRegion::new(client(key), key.to_string())?),
            Self::Multi([generator, child]) => {
                let child = [child.to_string()];
                Arc::new(Strict::multi(&supplier, generator.to_string(), child)?)
            }
            Self::MultiRegionMulti([generator, child]) => {
                let child = [child.to_string()];
                Arc::new(MultiRegion::multi(&supplier, generator.to_string(), child)?)
            }
            Self::Discovery(region) => {
                Arc::new(Discovery::new(kms.kms(region)).with_filter(filter))
            }
            Self::MultiRegionDiscovery(region) => {
                Arc::new(MultiRegionDiscovery::new(kms.kms(region))?.with_filter(filter))
            }
            Self::DiscoveryMulti(regions) => {
                Arc::new(Discovery::multi(&supplier, regions, &filter)?)
            }
            Self::MultiRegionDiscoveryMulti(regions) => {
                Arc::new(MultiRegionDiscovery::multi(&supplier, regions, &filter)?)
            }
            Self::Hierarchical { store, branch_key } => {
                let supplier = match branch_key {
                    Some(id) => BranchKeyIdSupplier::fixed(id),
                    None => BranchKeyIdSupplier::value_of("tenant"),
                };
                let store = store.open(kms)?;
                Arc::new(Hierarchical::new(store, supplier, LIFETIME)?)
            }
            Self::Rsa {
                key,
                padding,
                public_key,
            } => {
                let keyring = Rsa::new(client(key), key.to_string(), *padding)?;
                Arc::new(keyring.with_public_key(RsaPublicKey::from_der(public_key)?))
            }
            Self::Ecdh { mine, theirs } => Arc::new(Ecdh::between(
                client(&mine.arn),
                mine.arn.to_string(),
                EcPublicKey::from_der(&mine.public_key)?,
                EcPublicKey::from_der(&theirs.public_key)?,
            )?),
            Self::EcdhDiscovery(mine) => Arc::new(Ecdh::discovery(
                client(&mine.arn),
                mine.arn.to_string(),
                EcPublicKey::from_der(&mine.public_key)?,
            )?),
        })
    }

    /// What the peer makes the same keyring from.
    pub(crate) fn to_json(&self, kms: &Emulator) -> Result<Value> {
        let key = |kind: &str, key: &Arn| json!({"type": kind, "key": key.to_string()});
        let multi = |kind: &str, [generator, child]: &[Arn; 2]| {
            json!({
                "type": kind, "generator": generator.to_string(),
                "children": [child.to_string()],
            })
        };
        let discovery = |kind: &str, regions: &[&str]| json!({"type": kind, "regions": regions, "account": kms.account});
        Ok(match self {
            Self::Strict(arn) => key("strict", arn),
            Self::MultiRegion(arn) => key("multi-region", arn),
            Self::Multi(keys) => multi("multi", keys),
            Self::MultiRegionMulti(keys) => multi("multi-region-multi", keys),
            Self::Discovery(region) => discovery("discovery", &[region]),
            Self::MultiRegionDiscovery(region) => discovery("multi-region-discovery", &[region]),
            Self::DiscoveryMulti(regions) => discovery("discovery-multi", regions),
            Self::MultiRegionDiscoveryMulti(regions) => {
                discovery("multi-region-discovery-multi", regions)
            }
            Self::Hierarchical { store, branch_key } => json!({
                "type": "hierarchical", "store": store.to_json()?, "branch_key_id": branch_key,
            }),
            Self::Rsa {
                key,
                padding,
                public_key,
            } => json!({
                "type": "rsa", "key": key.to_string(), "padding": padding.to_string(),
                "public_key": STANDARD.encode(public_key),
            }),
            Self::Ecdh { mine, theirs } => json!({
                "type": "ecdh", "key": mine.arn.to_string(), "curve": mine.curve,
                "mine": STANDARD.encode(&mine.public_key),
                "theirs": STANDARD.encode(&theirs.public_key),
            }),
            Self::EcdhDiscovery(mine) => json!({
                "type": "ecdh-discovery", "key": mine.arn.to_string(), "curve": mine.curve,
            }),
        })
    }

    /// The suites that it wraps data keys for.
    pub(crate) fn serves(&self, suite: AlgorithmSuite) -> bool {
        !matches!(self, Self::Rsa { .. }) || !suite.is_signed()
    }
}

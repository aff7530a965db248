use anyhow::{Context, Result, anyhow, ensure};
use envelope::{EncryptionContext, ErrorKind};
use envelope_aws_kms::BranchKeyStore;
use serde_json::{Value, json};

use crate::check::{check as one, refused};
use crate::emulator::{Emulator, REGION};
use crate::exchange::{self, Exchange};
use crate::key_description::KeyDescription;
use crate::key_store::KeyStore;
use crate::matrix::Matrix;
use crate::messages::{UNSIGNED, not_opened, opening, opens, seal};
use crate::peer::{Peer, pairs};
use crate::{branch_key_items, branch_key_races};

/// Who makes a branch key or a version of it.
#[derive(Debug, Clone, Copy)]
enum Party {
    Ours,
    Python,
}

const PARTIES: [Party; 2] = [Party::Ours, Party::Python];

/// Branch keys in one table, for us and for Python.
pub(crate) struct BranchKeys<'a> {
    pub(crate) kms: &'a Emulator,
    pub(crate) peer: &'a mut Peer,
    pub(crate) description: KeyStore,
    pub(crate) store: BranchKeyStore,
}

/// Each side uses branch keys that the other made.
pub(crate) async fn check(kms: &Emulator, peer: &mut Peer, matrix: Matrix) -> Result<()> {
    let key = kms.symmetric_key(REGION).await?;
    let mut keys = BranchKeys::new(kms, peer, KeyStore::under(&key))?;
    keys.store.create_table().await?;
    one(
        kms.name,
        "branch keys: made and versioned by either side",
        versions(&mut keys),
    )
    .await?;
    let mut exchanges = Vec::new();
    for party in PARTIES {
        let none = EncryptionContext::default();
        let id = keys.create(party, None, &none).await?;
        keys.version(party, &id).await?;
        exchanges.push(Exchange::new(|| keys.one(&id), []));
    }
    exchange::check(kms, keys.peer, matrix, "branch keys", &exchanges).await?;
    one(
        kms.name,
        "branch keys: one for each tenant",
        tenants(&mut keys),
    )
    .await?;
    branch_key_items::check(&mut keys).await?;
    branch_key_races::check(&mut keys).await
}

/// Where a branch key is under a multi-region key, each side reads it in the other region, and without
/// being told the key.
pub(crate) async fn check_regions(kms: &Emulator, peer: &mut Peer, matrix: Matrix) -> Result<()> {
    let (primary, replica) = kms.replicated_key().await?;
    let mut exchanges = Vec::new();
    for party in PARTIES {
        for (here, there) in [(&primary, &replica), (&replica, &primary)] {
            let none = EncryptionContext::default();
            let store = KeyStore::under_replicas_of(here);
            let mut keys = BranchKeys::new(kms, &mut *peer, store)?;
            let id = keys.create(party, None, &none).await?;
            keys.version(party, &id).await?;
            let of = |store| KeyDescription::Hierarchical {
                store,
                branch_key: Some(id.clone()),
            };
            exchanges.push(Exchange::new(
                || of(KeyStore::under_replicas_of(here)),
                [
                    of(KeyStore::under(here)),
                    of(KeyStore::under_replicas_of(there)),
                    of(KeyStore::discovery(here.region())),
                    of(KeyStore::multi_region_discovery(there.region())),
                ],
            ));
        }
    }
    exchange::check(kms, peer, matrix, "branch keys of two regions", &exchanges).await
}

/// What a branch key is for.
pub(crate) fn team() -> Result<EncryptionContext> {
    Ok(EncryptionContext::new([("team", "Größe"), ("stage", "1")])?)
}

impl<'a> BranchKeys<'a> {
    fn new(kms: &'a Emulator, peer: &'a mut Peer, description: KeyStore) -> Result<Self> {
        let store = description.open(kms)?;
        Ok(Self {
            kms,
            peer,
            description,
            store,
        })
    }

    /// The keyrings of this branch key.
    pub(crate) fn one(&self, id: &str) -> KeyDescription {
        KeyDescription::Hierarchical {
            store: self.description.clone(),
            branch_key: Some(id.to_owned()),
        }
    }

    async fn create(
        &mut self,
        party: Party,
        id: Option<&str>,
        context: &EncryptionContext,
    ) -> Result<String> {
        match party {
            Party::Ours => Ok(self.store.create_key(id, context).await?),
            Party::Python => self
                .peer_creates(id, context)
                .await?
                .map_err(anyhow::Error::msg),
        }
    }

    /// The inner error is the peer's.
    pub(crate) async fn peer_creates(
        &mut self,
        id: Option<&str>,
        context: &EncryptionContext,
    ) -> Result<Result<String, String>> {
        let context = (!context.is_empty()).then(|| pairs(context));
        let created = self
            .peer
            .ask(json!({
                "command": "create_branch_key", "store": self.description.to_json()?,
                "branch_key_id": id, "context": context,
            }))
            .await?;
        match created {
            Ok(created) => {
                let id = created.get("branch_key_id").and_then(Value::as_str);
                Ok(Ok(id.context("the new branch key has no id")?.to_owned()))
            }
            Err(refusal) => Ok(Err(refusal)),
        }
    }

    async fn version(&mut self, party: Party, id: &str) -> Result<()> {
        match party {
            Party::Ours => {
                self.store.create_version(id).await?;
                Ok(())
            }
            Party::Python => self.peer_versions(id).await?.map_err(anyhow::Error::msg),
        }
    }

    /// The inner error is the peer's.
    pub(crate) async fn peer_versions(&mut self, id: &str) -> Result<Result<(), String>> {
        let versioned = self
            .peer
            .ask(json!({
                "command": "version_branch_key", "store": self.description.to_json()?,
                "branch_key_id": id,
            }))
            .await?;
        Ok(versioned.map(drop))
    }

    /// A message of each side.
    pub(crate) async fn seal(
        &mut self,
        keys: &KeyDescription,
        context: &EncryptionContext,
    ) -> Result<[Vec<u8>; 2]> {
        let ours = seal(&*keys.keyring(self.kms)?, UNSIGNED, context).await?;
        let theirs = keys.to_json(self.kms)?;
        let theirs = self.peer.seal(&theirs, UNSIGNED, context).await?;
        Ok([ours, theirs.map_err(anyhow::Error::msg)?])
    }

    /// That each side reads each of the messages.
    async fn open(
        &mut self,
        keys: &KeyDescription,
        messages: &[Vec<u8>],
        context: &EncryptionContext,
    ) -> Result<()> {
        let keyring = keys.keyring(self.kms)?;
        let description = keys.to_json(self.kms)?;
        for message in messages {
            opens(&*keyring, message, UNSIGNED, context).await?;
            let opened = self.peer.opens(&description, message, UNSIGNED, context);
            opened.await?.map_err(|refusal| anyhow!("{refusal}"))?;
        }
        Ok(())
    }
}

/// Made by one side and versioned by each: both sides read what either wrote, before and after.
async fn versions(keys: &mut BranchKeys<'_>) -> Result<String> {
    let context = EncryptionContext::new([("kind", "invoice")])?;
    let mut count = 0;
    for maker in PARTIES {
        let id = format!("Zürich of {maker:?}");
        for id in [Some(id.as_str()), None] {
            let of = match id {
                Some(_) => team()?,
                None => EncryptionContext::default(),
            };
            let id = keys.create(maker, id, &of).await?;
            let description = keys.one(&id);
            let mut messages = Vec::from(keys.seal(&description, &context).await?);
            let mut active = keys.store.active(&id).await?;
            let pairs = active
                .context()
                .iter()
                .map(|(k, v)| (k.as_str(), v.as_str()));
            ensure!(
                pairs.eq(of.iter()),
                "another context: {:?}",
                active.context()
            );
            for versioner in PARTIES {
                let old = active;
                keys.version(versioner, &id).await?;
                active = keys.store.active(&id).await?;
                ensure!(active.version() != old.version(), "it stayed active");
                keys.store.version(&id, old.version()).await?;
                messages.extend(keys.seal(&description, &context).await?);
                let opened = keys.open(&description, &messages, &context).await;
                opened.with_context(|| format!("{id}, versioned by {versioner:?}"))?;
            }
            count += messages.len();
        }
    }
    Ok(format!(
        "{count} messages under 12 versions of 4 branch keys"
    ))
}

/// Chosen by the encryption context, on both sides.
async fn tenants(keys: &mut BranchKeys<'_>) -> Result<String> {
    let per_tenant = KeyDescription::Hierarchical {
        store: keys.description.clone(),
        branch_key: None,
    };
    for (tenant, maker) in [("acme", Party::Ours), ("globex", Party::Python)] {
        keys.create(maker, Some(tenant), &team()?).await?;
        let context = EncryptionContext::new([("tenant", tenant), ("kind", "invoice")])?;
        let messages = keys.seal(&per_tenant, &context).await?;
        keys.open(&per_tenant, &messages, &context).await?;
        keys.open(&keys.one(tenant), &messages, &context).await?;
        let other = keys.one("Zürich of Ours");
        for message in &messages {
            let kind = ErrorKind::NoKey;
            let keyring = other.keyring(keys.kms)?;
            let parts = ["skipped: another branch key"];
            not_opened(&*keyring, message, &opening(), kind, &parts).await?;
            let other = other.to_json(keys.kms)?;
            let answer = keys.peer.opens(&other, message, UNSIGNED, &context).await?;
            refused(answer, &["No Encrypted Data Keys found to match"])?;
        }
    }
    let nobody = EncryptionContext::new([("kind", "invoice")])?;
    let error = seal(&*per_tenant.keyring(keys.kms)?, UNSIGNED, &nobody).await;
    let error = error.err().context("it was written")?;
    ensure!(error.kind() == ErrorKind::InvalidRequest, "{error:?}");
    let parts = ["the encryption context has no \"tenant\", which names the branch key"];
    let text = refused(Err::<(), _>(error), &parts)?;
    let per_tenant = per_tenant.to_json(keys.kms)?;
    let answer = keys.peer.seal(&per_tenant, UNSIGNED, &nobody).await?;
    refused(answer, &["tenant"])?;
    Ok(text)
}

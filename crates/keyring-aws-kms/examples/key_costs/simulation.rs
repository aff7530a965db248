use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Result, ensure};
use aws_sdk_kms::types::{KeySpec, KeyState};
use envelope::{
    AlgorithmSuite, CacheLimits, CachingManager, DecryptOptions, EncryptOptions, EncryptionContext,
    MaterialsCache, MaterialsManager, decrypt, encrypt,
};
use envelope_aws_kms::test_util::{InMemoryDynamoDb, InMemoryKms};
use envelope_aws_kms::{
    Arn, BranchKeyCache, BranchKeyIdSupplier, BranchKeyStore, Hierarchical, KmsConfiguration,
    Strict,
};

use crate::prices::CALLS_TO_CREATE;
use crate::workload::{Calls, Workload};

const REGION: &str = "eu-west-1";
const TABLE: &str = "branch-keys";
const PLAINTEXT: &[u8] = b"an object";

/// What asks for keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Keys {
    Strict,
    Cached,
    Branch,
}

impl Keys {
    pub(crate) const ALL: [Self; 3] = [Self::Strict, Self::Cached, Self::Branch];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Strict => "strict keyring",
            Self::Cached => "cached data keys",
            Self::Branch => "branch keys",
        }
    }

    /// The calls that the formulas foretell.
    pub(crate) fn expected(self, workload: &Workload) -> Calls {
        match self {
            Self::Strict => workload.strict(),
            Self::Cached => workload.cached(),
            Self::Branch => workload.branch_keys(),
        }
    }
}

/// A fleet over services in memory, with a clock that it sets itself.
pub(crate) struct Simulation {
    workload: Workload,
    kms: InMemoryKms,
    dynamo_db: InMemoryDynamoDb,
    key: Arn,
    /// What each partition of all processes uses.
    managers: Vec<Box<dyn MaterialsManager>>,
    nanoseconds: Arc<AtomicU64>,
}

impl Simulation {
    pub(crate) async fn new(keys: Keys, workload: Workload) -> Result<Self> {
        let (kms, dynamo_db) = (InMemoryKms::new(), InMemoryDynamoDb::new());
        let key = kms.create_key(REGION, KeySpec::SymmetricDefault)?;
        let mut simulation = Self {
            workload,
            kms,
            dynamo_db,
            key,
            managers: Vec::new(),
            nanoseconds: Arc::default(),
        };
        if keys == Keys::Branch {
            simulation.create_branch_keys().await?;
        }
        for _ in 0..workload.processes {
            let managers = simulation.process(keys)?;
            simulation.managers.extend(managers);
        }
        Ok(simulation)
    }

    /// Writes and reads every object, and counts the calls.
    pub(crate) async fn run(&self) -> Result<Calls> {
        let before = self.calls();
        for number in 0..self.workload.objects {
            let (time, tenant, partition) = self.workload.object(number);
            self.set_time(time);
            let message = self.write(tenant, partition).await?;
            let reader = (partition + 1) % self.workload.all_partitions();
            self.read(&message, reader).await?;
        }
        let after = self.calls();
        Ok(Calls {
            kms: after.kms - before.kms,
            dynamo_db: after.dynamo_db - before.dynamo_db,
        })
    }

    /// How long objects are still written after the KMS key was disabled, if that happens just after
    /// a key was fetched: the age of that key at the first failure, in steps.
    pub(crate) async fn revocation(&self, step: Duration) -> Result<Duration> {
        self.set_time(Duration::ZERO);
        self.write(0, 0).await?;
        self.kms.set_key_state(&self.key, KeyState::Disabled)?;
        let mut age = Duration::ZERO;
        while self.write(0, 0).await.is_ok() {
            age += step;
            self.set_time(age);
            ensure!(age <= 2 * self.workload.lifetime, "the key is still used");
        }
        Ok(age)
    }

    async fn write(&self, tenant: u64, partition: u64) -> Result<Vec<u8>> {
        let context = EncryptionContext::new([("tenant", tenant.to_string())])?;
        let options = EncryptOptions::default()
            .with_suite(AlgorithmSuite::AES_256_GCM_HKDF_SHA512_COMMIT_KEY)
            .with_context(context);
        Ok(encrypt(self.of(partition)?, PLAINTEXT, &options).await?)
    }

    async fn read(&self, message: &[u8], partition: u64) -> Result<()> {
        let opened = decrypt(self.of(partition)?, message, &DecryptOptions::default()).await?;
        ensure!(opened.plaintext == PLAINTEXT, "another plaintext came back");
        Ok(())
    }

    fn of(&self, partition: u64) -> Result<&dyn MaterialsManager> {
        let manager = self.managers.get(usize::try_from(partition)?);
        manager
            .map(|manager| &**manager)
            .ok_or_else(|| anyhow::anyhow!("there is no partition {partition}"))
    }

    /// The managers of one process: one cache, and a partition of it that nobody else names for each.
    fn process(&self, keys: Keys) -> Result<Vec<Box<dyn MaterialsManager>>> {
        let Workload {
            lifetime,
            messages,
            partitions,
            ..
        } = self.workload;
        let capacity = usize::try_from(self.workload.entries())?;
        let now = Arc::clone(&self.nanoseconds);
        let clock = move || Duration::from_nanos(now.load(Ordering::Relaxed));
        let strict = || Strict::new(self.kms.client(REGION), self.key.to_string());
        let materials = MaterialsCache::with_clock(capacity, clock.clone())?;
        let branch_keys = BranchKeyCache::with_clock(capacity, clock)?;
        let manager = |_| -> Result<Box<dyn MaterialsManager>> {
            Ok(match keys {
                Keys::Strict => Box::new(strict()?),
                Keys::Cached => {
                    let limits = CacheLimits::new(lifetime).with_messages(messages);
                    Box::new(CachingManager::new(strict()?, materials.clone(), limits)?)
                }
                Keys::Branch => {
                    let per_tenant = BranchKeyIdSupplier::value_of("tenant");
                    let keyring = Hierarchical::new(self.store()?, per_tenant, lifetime)?
                        .with_cache(branch_keys.clone());
                    // Renewed at the end of the lifetime and not before it, so that the formula is
                    // exact.
                    Box::new(keyring.with_grace(Duration::ZERO)?)
                }
            })
        };
        (0..partitions).map(manager).collect()
    }

    async fn create_branch_keys(&self) -> Result<()> {
        let store = self.store()?;
        store.create_table().await?;
        let before = self.calls();
        for tenant in 0..self.workload.tenants {
            let id = tenant.to_string();
            let context = EncryptionContext::new([("tenant", &id)])?;
            store.create_key(Some(&id), &context).await?;
        }
        let after = self.calls();
        let tenants = self.workload.tenants;
        ensure!(
            after.kms - before.kms == tenants * CALLS_TO_CREATE.kms
                && after.dynamo_db - before.dynamo_db == tenants * CALLS_TO_CREATE.dynamo_db,
            "making branch keys took other calls than the formula says"
        );
        Ok(())
    }

    fn store(&self) -> Result<BranchKeyStore> {
        let (dynamo_db, kms) = (self.dynamo_db.client(REGION), self.kms.client(REGION));
        let configuration = KmsConfiguration::Key(self.key.clone());
        Ok(BranchKeyStore::new(dynamo_db, kms, TABLE, configuration)?)
    }

    fn calls(&self) -> Calls {
        Calls {
            kms: self.kms.total_calls(),
            dynamo_db: self.dynamo_db.total_calls(),
        }
    }

    fn set_time(&self, time: Duration) {
        let nanoseconds = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        self.nanoseconds.store(nanoseconds, Ordering::Relaxed);
    }
}

use std::time::Duration;

/// Objects that a fleet writes and reads, evenly spread over time, tenants and the partitions of all
/// processes.
///
/// Each object is written in one partition and read at once in another, which reads what that one
/// writes. Each tenant has an encryption context of its own, so nothing is shared between tenants.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Workload {
    /// Objects written; each is read once.
    pub(crate) objects: u64,
    /// Time from one object of the fleet to the next.
    pub(crate) interval: Duration,
    pub(crate) tenants: u64,
    pub(crate) processes: u64,
    /// Partitions in each process, which share a cache and nothing in it.
    pub(crate) partitions: u64,
    /// How long a key is used before it is asked for again.
    pub(crate) lifetime: Duration,
    /// Most messages under one cached data key.
    pub(crate) messages: u64,
}

/// Calls to the services, without those that make branch keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Calls {
    pub(crate) kms: u64,
    pub(crate) dynamo_db: u64,
}

impl Workload {
    /// Partitions of all processes.
    pub(crate) fn all_partitions(&self) -> u64 {
        self.processes * self.partitions
    }

    /// When an object is written, for which tenant, and in which partition.
    pub(crate) fn object(&self, number: u64) -> (Duration, u64, u64) {
        let interval = u64::try_from(self.interval.as_nanos()).unwrap_or(u64::MAX);
        let time = Duration::from_nanos(interval.saturating_mul(number));
        let tenant = number % self.tenants;
        let partition = number / self.tenants % self.all_partitions();
        (time, tenant, partition)
    }

    /// Strict keyring: `GenerateDataKey` for each object written, `Decrypt` for each one read.
    pub(crate) fn strict(&self) -> Calls {
        Calls {
            kms: 2 * self.objects,
            dynamo_db: 0,
        }
    }

    /// Cached data keys: each is made once by the partition that writes and unwrapped once by the one
    /// that reads.
    pub(crate) fn cached(&self) -> Calls {
        Calls {
            kms: 2 * self.fetches(self.messages),
            dynamo_db: 0,
        }
    }

    /// Branch keys: a partition that writes and one that reads fetch the tenant's branch key for each
    /// lifetime: `GetItem` and `Decrypt`.
    pub(crate) fn branch_keys(&self) -> Calls {
        let fetches = 2 * self.fetches(u64::MAX);
        Calls {
            kms: fetches,
            dynamo_db: fetches,
        }
    }

    /// How many objects of one tenant in one partition a fetched key serves, if messages are no limit.
    pub(crate) fn reuse(&self) -> u64 {
        let apart = self.interval.as_nanos() * u128::from(self.tenants * self.all_partitions());
        let within = self.lifetime.as_nanos().div_ceil(apart.max(1));
        u64::try_from(within).unwrap_or(u64::MAX)
    }

    /// Entries that a process's cache needs: in each partition a key of each tenant, and those that it
    /// reads with, which stay for their lifetime even if no more messages come under them.
    pub(crate) fn entries(&self) -> u64 {
        self.partitions * self.tenants * (1 + self.reuse().div_ceil(self.messages))
    }

    /// Keys fetched by all partitions that write, each for at most `messages` objects.
    fn fetches(&self, messages: u64) -> u64 {
        let reuse = self.reuse().min(messages);
        let pairs = self.tenants * self.all_partitions();
        let (each, left) = (self.objects / pairs, self.objects % pairs);
        left * (each + 1).div_ceil(reuse) + (pairs - left) * each.div_ceil(reuse)
    }
}

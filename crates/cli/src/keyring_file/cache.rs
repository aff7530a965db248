use std::time::Duration;

use bytesize::ByteSize;
use envelope::{CacheLimits, MaterialsCache};
use serde::Deserialize;

/// Entries that are kept for each direction.
const CAPACITY: usize = 1000;

/// `[cache]`
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct CacheSection {
    #[serde(with = "humantime_serde")]
    max_age: Duration,
    max_messages: Option<u64>,
    max_bytes: Option<ByteSize>,
}

impl CacheSection {
    pub(super) fn open(self) -> envelope::Result<(MaterialsCache, CacheLimits)> {
        let mut limits = CacheLimits::new(self.max_age);
        if let Some(messages) = self.max_messages {
            limits = limits.with_messages(messages);
        }
        if let Some(bytes) = self.max_bytes {
            limits = limits.with_bytes(bytes.as_u64());
        }
        Ok((MaterialsCache::new(CAPACITY)?, limits))
    }
}

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, ensure};
use envelope::{
    CacheLimits, CachingManager, DecryptOptions, EncryptionContext, Keyring, MaterialsCache,
};

use crate::messages::{PLAINTEXT, UNSIGNED, seal};

/// A message that was read once, and the materials for it.
pub(crate) struct Cached {
    manager: CachingManager,
    message: Vec<u8>,
}

impl Cached {
    pub(crate) async fn start(keyring: Arc<dyn Keyring>) -> Result<Self> {
        let message = seal(&*keyring, UNSIGNED, &EncryptionContext::default()).await?;
        let limits = CacheLimits::new(Duration::from_secs(600));
        let manager = CachingManager::new(keyring, MaterialsCache::new(10)?, limits)?;
        let cached = Self { manager, message };
        cached.reads().await?;
        Ok(cached)
    }

    pub(crate) async fn reads(&self) -> Result<()> {
        let options = DecryptOptions::default();
        let opened = envelope::decrypt(&self.manager, &self.message, &options).await?;
        ensure!(opened.plaintext == PLAINTEXT, "altered");
        Ok(())
    }
}

use std::time::Duration;

use envelope::{
    AlgorithmSuite, CommitmentPolicy, DEFAULT_MAXIMUM_FRAME_LENGTH, DecryptOptions, EncryptOptions,
    EncryptionContext, Layout,
};
use object_store::path::Path;
use object_store::{Extensions, Result};

use crate::error::Error;

/// Frame length in bytes when none is named. Longer frames are faster, shorter ones make small
/// ranges cheaper.
pub const DEFAULT_FRAME_LENGTH: u32 = 64 << 10;
/// Length in bytes that headers are padded to when none is named.
pub const DEFAULT_HEADER_LENGTH: usize = 1024;
/// Length in bytes of the parts of a multipart upload when none is named.
pub const DEFAULT_PART_LENGTH: usize = 8 << 20;

/// How long a header is remembered when no lifetime is named.
pub const DEFAULT_HEADER_LIFETIME: Duration = Duration::from_secs(300);

/// The key of the context that holds a bound path.
const PATH_KEY: &str = "object-path";
/// The suite of every object: unsigned, as ranges of signed messages cannot be read, and
/// committing.
const SUITE: AlgorithmSuite = AlgorithmSuite::AES_256_GCM_HKDF_SHA512_COMMIT_KEY;

/// How [`list`](object_store::ObjectStore::list) finds the plaintext sizes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ListedSizes {
    /// By arithmetic, without a request: every object of the store has this store's header and
    /// frame length.
    Computed,
    /// By reading each object's header, this many at once. A limit on the inner store's requests
    /// must leave room for them while a listing is under way: put such a limit around the
    /// encrypted store.
    LookedUp {
        /// Requests under way at once, 1 or more.
        concurrency: usize,
    },
}

/// What is the same for every object of a store.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub(crate) frame_length: u32,
    pub(crate) header_length: usize,
    pub(crate) part_length: usize,
    pub(crate) header_lifetime: Duration,
    pub(crate) listed_sizes: ListedSizes,
    pub(crate) bind_paths: bool,
    pub(crate) context: EncryptionContext,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            frame_length: DEFAULT_FRAME_LENGTH,
            header_length: DEFAULT_HEADER_LENGTH,
            part_length: DEFAULT_PART_LENGTH,
            header_lifetime: DEFAULT_HEADER_LIFETIME,
            listed_sizes: ListedSizes::Computed,
            bind_paths: false,
            context: EncryptionContext::default(),
        }
    }
}

impl Settings {
    /// The layout of every object that this store writes.
    pub(crate) fn layout(&self) -> envelope::Result<Layout> {
        Layout::new(self.header_length as u64, self.frame_length)
    }

    pub(crate) fn encrypt_options(
        &self,
        location: &Path,
        extensions: &Extensions,
    ) -> Result<EncryptOptions> {
        let context = self.context(location, extensions)?;
        Ok(EncryptOptions::default()
            .with_suite(SUITE)
            .with_frame_length(self.frame_length)
            .with_header_length(self.header_length)
            .with_context(context))
    }

    pub(crate) fn decrypt_options(&self, expected: EncryptionContext) -> DecryptOptions {
        DecryptOptions::default()
            .with_policy(CommitmentPolicy::RequireEncryptRequireDecrypt)
            .with_maximum_frame_length(DEFAULT_MAXIMUM_FRAME_LENGTH.max(self.frame_length.into()))
            .expect_context(expected)
    }

    /// The store's context, the request's, and the path if it is bound.
    pub(crate) fn context(
        &self,
        location: &Path,
        extensions: &Extensions,
    ) -> Result<EncryptionContext> {
        let own = |(key, value): (&str, &str)| (key.to_owned(), value.to_owned());
        let mut pairs: Vec<_> = self.context.iter().map(own).collect();
        if let Some(context) = extensions.get::<EncryptionContext>() {
            let context = context.without_reserved();
            let differs = |(key, value): &(&str, &str)| {
                self.context.get(key).is_some_and(|own| own != *value)
            };
            if let Some((key, _)) = context.iter().find(differs) {
                return Err(Error::ContextConflict {
                    location: location.clone(),
                    key: key.to_owned(),
                }
                .into());
            }
            pairs.extend(context.iter().map(own));
        }
        if self.bind_paths {
            pairs.push((PATH_KEY.to_owned(), location.to_string()));
        }
        EncryptionContext::new(pairs).map_err(Error::envelope(location))
    }
}

use std::time::Duration;

use envelope::EncryptionContext;
use object_store::path::Path;
use object_store::{Extensions, Result};

use crate::error::Error;
use crate::foreign::ForeignObjects;

/// Length in bytes of the parts of a multipart upload when none is named.
pub const DEFAULT_PART_LENGTH: usize = 8 << 20;

/// How long a header is remembered when no lifetime is named.
pub const DEFAULT_HEADER_LIFETIME: Duration = Duration::from_secs(300);

/// The key of the context that holds a bound path.
const PATH_KEY: &str = "object-path";

/// How [`list`](object_store::ObjectStore::list) finds the plaintext sizes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ListedSizes {
    /// By arithmetic, without a request: every object of the store has this store's format, with
    /// the same header and frame length.
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
    pub(crate) part_length: usize,
    pub(crate) header_lifetime: Duration,
    pub(crate) listed_sizes: ListedSizes,
    pub(crate) foreign_objects: ForeignObjects,
    pub(crate) bind_paths: bool,
    pub(crate) context: EncryptionContext,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            part_length: DEFAULT_PART_LENGTH,
            header_lifetime: DEFAULT_HEADER_LIFETIME,
            listed_sizes: ListedSizes::Computed,
            foreign_objects: ForeignObjects::Refuse,
            bind_paths: false,
            context: EncryptionContext::default(),
        }
    }
}

impl Settings {
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

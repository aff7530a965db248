use std::sync::Arc;
use std::time::Duration;

use envelope::{EncryptionContext, MaterialsManager};

use crate::encrypted_store::EncryptedStore;
use crate::foreign::ForeignObjects;
use crate::format::Format;
use crate::framed::Framed;
use crate::keyed_format::KeyedFormat;
use crate::settings::{ListedSizes, Settings};

/// Sets up an [`EncryptedStore`].
#[derive(Debug)]
pub struct EncryptedStoreBuilder<S> {
    store: S,
    format: Box<dyn Format>,
    also_read: Vec<Arc<KeyedFormat>>,
    settings: Settings,
}

impl<S> EncryptedStoreBuilder<S> {
    pub(crate) fn new(store: S) -> Self {
        Self {
            store,
            format: Box::new(Framed::new()),
            also_read: Vec::new(),
            settings: Settings::default(),
        }
    }

    /// Writes and reads objects in this format.
    #[must_use]
    pub fn format(mut self, format: impl Format) -> Self {
        self.format = Box::new(format);
        self
    }

    /// Reads objects in this format too, with keys of its own. Of formats that could each have
    /// written an object, the one that knows it for certain reads it.
    #[must_use]
    pub fn also_read(
        mut self,
        format: impl Format,
        manager: impl MaterialsManager + 'static,
    ) -> Self {
        self.also_read.push(Arc::new(KeyedFormat {
            format: Box::new(format),
            manager: Box::new(manager),
        }));
        self
    }

    /// Sends multipart uploads in parts of this many bytes, whatever comes in; the last may be
    /// shorter. Some stores demand 5 MiB or more. S3 takes 10 000 parts: choose longer ones for
    /// objects above 78 GiB.
    #[must_use]
    pub fn part_length(mut self, part_length: usize) -> Self {
        self.settings.part_length = part_length.max(1);
        self
    }

    /// Remembers the header of an object for this long after it was read, and with it the key that
    /// opens the object. A range of such an object takes one request and no call to a key service.
    /// What is too old goes with the next header that is read. Zero remembers nothing.
    #[must_use]
    pub fn header_lifetime(mut self, lifetime: Duration) -> Self {
        self.settings.header_lifetime = lifetime;
        self
    }

    /// Finds listed sizes in this way.
    #[must_use]
    pub fn listed_sizes(mut self, listed_sizes: ListedSizes) -> Self {
        self.settings.listed_sizes = listed_sizes;
        self
    }

    /// Does this about objects that are not encrypted in a format of the store. Where they are not
    /// refused, listings look sizes up, because arithmetic does not tell such objects from others.
    #[must_use]
    pub fn foreign_objects(mut self, foreign_objects: ForeignObjects) -> Self {
        self.settings.foreign_objects = foreign_objects;
        self
    }

    /// Binds this context to every object that is written, and demands it of every object read.
    #[must_use]
    pub fn context(mut self, context: EncryptionContext) -> Self {
        self.settings.context = context;
        self
    }

    /// Binds each object to its path, so that nobody can put one object in another's place.
    /// Objects then cannot be copied or renamed.
    #[must_use]
    pub fn bind_paths(mut self) -> Self {
        self.settings.bind_paths = true;
        self
    }

    /// The store, with these keys.
    #[must_use]
    pub fn build(self, manager: impl MaterialsManager + 'static) -> EncryptedStore<S> {
        let writing = KeyedFormat {
            format: self.format,
            manager: Box::new(manager),
        };
        EncryptedStore::from_parts(self.store, writing, self.also_read, self.settings)
    }
}

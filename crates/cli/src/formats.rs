use envelope::MaterialsManager;
use envelope_s3::S3ec;
use envelope_store::format::Format;
use envelope_store::{EncryptedStore, EncryptedStoreBuilder, Framed};
use object_store::path::Path;

use crate::keys::Keys;

/// The formats of objects: both are read, and one of them is written.
#[derive(Debug)]
pub(crate) struct Formats {
    pub(crate) framed: Framed,
    pub(crate) s3ec: S3ec,
    pub(crate) writes: Family,
}

/// Which of the formats is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Family {
    Framed,
    S3ec,
}

impl Formats {
    /// A store of objects in these formats, and the keys to build it with.
    pub(crate) fn over<S>(
        self,
        store: S,
        keys: Keys,
    ) -> (EncryptedStoreBuilder<S>, Box<dyn MaterialsManager>) {
        let Self { framed, s3ec, .. } = self;
        let builder = EncryptedStore::builder(store);
        match self.writes {
            Family::Framed => (
                builder.format(framed).also_read(s3ec, keys.s3ec),
                keys.framed,
            ),
            Family::S3ec => (
                builder.format(s3ec).also_read(framed, keys.framed),
                keys.s3ec,
            ),
        }
    }

    /// The objects that a file at this place may be the instruction file of.
    pub(crate) fn objects_of_instruction_file(
        &self,
        location: &Path,
    ) -> impl Iterator<Item = Path> {
        let framed = self.framed.object_of_instruction_file(location);
        framed
            .into_iter()
            .chain(self.s3ec.object_of_instruction_file(location))
    }

    /// Whether no object is shown at this place.
    pub(crate) fn hides(&self, location: &Path) -> bool {
        self.objects_of_instruction_file(location).next().is_some()
    }
}

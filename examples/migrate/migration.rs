use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use envelope::CommitmentPolicy;
use envelope_s3::S3ec;
use envelope_store::format::Format;
use envelope_store::{EncryptedStore, Framed, Longer, Opened, Waiting};
use object_store::path::Path;
use object_store::{Attributes, DynObjectStore, ObjectStoreExt};

use crate::keys::Keys;
use crate::objects::{self, Digest, PART_LENGTH};
use crate::place::Place;

/// Objects longer than this wait in temporary files until they verified, as ciphertext.
const WAITING_IN_MEMORY: u64 = 8 << 20;

/// All objects of one place, to another place, format and key.
pub(crate) struct Migration<'a> {
    source: &'a Place,
    destination: &'a Place,
    /// Tells instruction files of the source from objects.
    format: Box<dyn Format>,
    /// Plaintext views of both places.
    reader: Arc<DynObjectStore>,
    writer: Arc<DynObjectStore>,
    written: &'static str,
}

/// What was moved.
pub(crate) struct Moved {
    /// The SHA-256 of each object's content, by its path below the prefix.
    pub(crate) digests: BTreeMap<Path, Digest>,
    length: u64,
    formats: BTreeMap<&'static str, Count>,
    without_attributes: u64,
}

#[derive(Default)]
struct Count {
    objects: u64,
    not_authenticated: u64,
}

impl<'a> Migration<'a> {
    /// S3 Encryption Client objects become framed ones.
    pub(crate) fn to_framed(source: &'a Place, destination: &'a Place, keys: &Keys) -> Self {
        Self {
            source,
            destination,
            format: Box::new(any_s3ec()),
            reader: s3ec(source, keys),
            writer: framed(destination, keys),
            written: "framed objects",
        }
    }

    /// Framed objects become S3 Encryption Client ones, in format V3.
    pub(crate) fn to_s3ec(source: &'a Place, destination: &'a Place, keys: &Keys) -> Self {
        Self {
            source,
            destination,
            format: Box::new(Framed::new()),
            reader: framed(source, keys),
            writer: s3ec(destination, keys),
            written: "V3 objects",
        }
    }

    pub(crate) fn source(&self) -> &Place {
        self.source
    }

    pub(crate) fn destination(&self) -> &Place {
        self.destination
    }

    /// Moves one object after another. The first that fails ends it.
    pub(crate) async fn run(&self) -> Result<Moved> {
        let mut moved = Moved {
            digests: BTreeMap::new(),
            length: 0,
            formats: BTreeMap::new(),
            without_attributes: 0,
        };
        for meta in self.source.list().await? {
            // It comes with its object.
            if self
                .format
                .object_of_instruction_file(&meta.location)
                .is_some()
            {
                continue;
            }
            let below = meta.location.prefix_match(&self.source.prefix);
            let below: Path = below.context("listed outside the prefix")?.collect();
            let object = self.reader.get(&meta.location).await?;
            let opened = object.extensions.get::<Opened>().cloned();
            let opened = opened.context("a read tells what opened the object")?;
            let mut attributes = object.attributes.clone();
            if !self.destination.keeps_attributes && !attributes.is_empty() {
                moved.without_attributes += 1;
                attributes = Attributes::new();
            }
            let location = self.at_destination(&below);
            let content = object.into_stream();
            let put = objects::put(&self.writer, &location, attributes, content);
            let (digest, length) = put.await?;
            let count = moved.formats.entry(opened.format()).or_default();
            count.objects += 1;
            count.not_authenticated += u64::from(!opened.is_verified());
            moved.length += length;
            moved.digests.insert(below, digest);
        }
        Ok(moved)
    }

    /// Reads both sides anew, and returns the digests when they are the same.
    pub(crate) async fn digests(&self, moved: &Moved) -> Result<BTreeMap<Path, Digest>> {
        let mut digests = BTreeMap::new();
        for below in moved.digests.keys() {
            let location: Path = self.source.prefix.parts().chain(below.parts()).collect();
            let old = objects::digest(&self.reader, &location).await?;
            let new = objects::digest(&self.writer, &self.at_destination(below)).await?;
            ensure!(old == new, "{below} is not the same on both sides");
            digests.insert(below.clone(), new);
        }
        Ok(digests)
    }

    fn at_destination(&self, below: &Path) -> Path {
        let prefix = self.destination.prefix.parts();
        prefix.chain(below.parts()).collect()
    }
}

impl fmt::Display for Migration<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            source,
            destination,
            written,
            ..
        } = self;
        write!(f, "move {source} to {written} in {destination}")
    }
}

impl Moved {
    pub(crate) fn print(&self) {
        for (format, count) in &self.formats {
            let Count {
                objects,
                not_authenticated,
            } = count;
            print!("   {objects:>3} were {format}");
            match not_authenticated {
                0 => println!(", no byte passed on before it was authenticated"),
                _ => println!("; nothing authenticates {not_authenticated} of them"),
            }
        }
        if self.without_attributes > 0 {
            println!(
                "   {:>3} lost their content type and user metadata, which local files do not keep",
                self.without_attributes
            );
        }
    }
}

impl fmt::Display for Moved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (objects, length) = (self.digests.len(), self.length);
        write!(f, "{objects} objects, {length} bytes of plaintext")
    }
}

/// Everything that a client ever wrote. Each word of `danger` is one that a migration is for.
fn any_s3ec() -> S3ec {
    S3ec::v3()
        .policy(CommitmentPolicy::RequireEncryptAllowDecrypt)
        .waiting(Waiting {
            in_memory: WAITING_IN_MEMORY,
            longer: Longer::TemporaryFile,
        })
        .danger()
        .read_legacy_wraps()
        .danger()
        .read_legacy_unauthenticated()
}

fn s3ec(place: &Place, keys: &Keys) -> Arc<DynObjectStore> {
    let store = EncryptedStore::builder(Arc::clone(&place.store))
        .format(any_s3ec())
        .part_length(PART_LENGTH)
        .build(Arc::clone(&keys.s3ec));
    Arc::new(store)
}

fn framed(place: &Place, keys: &Keys) -> Arc<DynObjectStore> {
    let store = EncryptedStore::builder(Arc::clone(&place.store))
        .part_length(PART_LENGTH)
        .build(Arc::clone(&keys.framed));
    Arc::new(store)
}

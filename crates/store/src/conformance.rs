//! Checks that an encrypted store works over a backend: for those who write one, or configure one
//! that is not listed among the tested.
//!
//! They go beyond `object_store`'s own `integration` module, which should pass first: ciphertext at
//! rest, plaintext sizes, authenticated ranges, one version for each read, keys that follow their
//! objects.
//!
//! ```
//! # futures::executor::block_on(async {
//! use std::sync::Arc;
//! use envelope_store::conformance::{self, Backend};
//! use object_store::memory::InMemory;
//!
//! conformance::check(Arc::new(InMemory::new()), &"scratch".into(), Backend::default()).await?;
//! # Ok::<(), conformance::Failure>(())
//! # }).unwrap();
//! ```

use std::sync::Arc;

use envelope::{Error as MessageError, RawAes, WrappingKey};
use futures::TryStreamExt;
use object_store::path::Path;
use object_store::{
    Attribute, Attributes, DynObjectStore, Error as StoreError, GetOptions, ObjectStore,
    ObjectStoreExt, PutMode, PutOptions, UpdateVersion,
};

use crate::encrypted_store::EncryptedStore;
use crate::error::Error;
use crate::framed::Framed;
use crate::opened::Opened;

/// Frame length in bytes: short, so that small objects have many frames.
const FRAME_LENGTH: u32 = 1000;
/// The same as a length in memory.
const FRAME: usize = FRAME_LENGTH as usize;
/// Length of an upload's parts in bytes: the least that S3 takes.
const PART: usize = 5 << 20;
/// A text that ciphertext holds by accident never.
const MARK: &[u8] = b"this must never be stored in the clear";

/// What a backend can do.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Backend {
    /// It keeps attributes. `LocalFileSystem` does not.
    pub attributes: bool,
    /// It has `PutMode::Update`. `LocalFileSystem` does not.
    pub conditional_updates: bool,
}

impl Default for Backend {
    /// One that can do everything.
    fn default() -> Self {
        Self {
            attributes: true,
            conditional_updates: true,
        }
    }
}

impl Backend {
    /// It keeps no attributes.
    #[must_use]
    pub fn without_attributes(self) -> Self {
        let attributes = false;
        Self { attributes, ..self }
    }

    /// It has no `PutMode::Update`.
    #[must_use]
    pub fn without_conditional_updates(self) -> Self {
        let conditional_updates = false;
        Self {
            conditional_updates,
            ..self
        }
    }
}

/// The check that failed, and how.
#[derive(Debug, thiserror::Error)]
#[error("{format}, {check}: {reason}")]
pub struct Failure {
    format: &'static str,
    check: &'static str,
    reason: String,
}

type Outcome = Result<(), Wrong>;

/// Why a check failed.
struct Wrong(String);

impl From<StoreError> for Wrong {
    fn from(error: StoreError) -> Self {
        Self(format!("{error:?}"))
    }
}

impl From<MessageError> for Wrong {
    fn from(error: MessageError) -> Self {
        Self(error.to_string())
    }
}

macro_rules! ensure {
    ($condition:expr, $($reason:tt)+) => {
        if !$condition {
            return Err(Wrong(format!($($reason)+)));
        }
    };
}

/// Runs every check in both kinds of the framed format, on objects below `prefix`, which are deleted
/// at the end. `prefix` must be used by nobody else.
///
/// # Errors
/// The first check that failed. Objects are left as they are then.
pub async fn check(
    store: Arc<DynObjectStore>,
    prefix: &Path,
    backend: Backend,
) -> Result<(), Failure> {
    let framed = Framed::new().frame_length(FRAME_LENGTH);
    let formats = [
        ("framed", framed.clone()),
        ("framed-instruction", framed.with_instruction_files()),
    ];
    for (name, format) in formats {
        let bench = Bench {
            inner: Arc::clone(&store),
            format,
            prefix: prefix.clone().join(name),
            backend,
        };
        bench.check(name).await?;
    }
    Ok(())
}

/// A backend with stores over it.
struct Bench {
    inner: Arc<DynObjectStore>,
    format: Framed,
    prefix: Path,
    backend: Backend,
}

impl Bench {
    async fn check(&self, format: &'static str) -> Result<(), Failure> {
        macro_rules! run {
            ($($check:ident),+ $(,)?) => {$(
                if let Err(Wrong(reason)) = self.$check().await {
                    return Err(Failure { format, check: stringify!($check), reason });
                }
            )+};
        }
        run!(
            nothing_readable_is_stored,
            sizes_are_those_of_the_plaintext,
            ranges_are_exact,
            uploads_equal_puts,
            conditions_hold,
            reads_never_mix_versions,
            copies_and_renames_open,
            attributes_survive,
            changes_are_found,
            other_keys_open_after_reencryption,
            everything_can_be_deleted,
        );
        Ok(())
    }

    fn store(&self) -> Result<EncryptedStore<Arc<DynObjectStore>>, MessageError> {
        self.store_of([7; 32])
    }

    fn store_of(&self, key: [u8; 32]) -> Result<EncryptedStore<Arc<DynObjectStore>>, MessageError> {
        let store = EncryptedStore::builder(Arc::clone(&self.inner))
            .format(self.format.clone())
            .part_length(PART)
            .build(keyring(key)?);
        Ok(store)
    }

    fn at(&self, name: &str) -> Path {
        self.prefix.clone().join(name)
    }

    async fn nothing_readable_is_stored(&self) -> Outcome {
        let location = self.at("mark");
        self.store()?.put(&location, MARK.to_vec().into()).await?;
        for meta in self
            .inner
            .list(Some(&self.prefix))
            .try_collect::<Vec<_>>()
            .await?
        {
            let stored = self.inner.get(&meta.location).await?.bytes().await?;
            let found = stored.windows(MARK.len()).any(|window| window == MARK);
            ensure!(!found, "{} holds plaintext", meta.location);
        }
        Ok(())
    }

    async fn sizes_are_those_of_the_plaintext(&self) -> Outcome {
        let store = self.store()?;
        let below = self.at("sizes");
        let sizes = [0, 1, FRAME - 1, FRAME, FRAME + 1, 3 * FRAME];
        for size in sizes {
            let location = below.clone().join(size.to_string());
            store.put(&location, content(size).into()).await?;
            let head = store.head(&location).await?;
            ensure!(
                head.size == size as u64,
                "head of {size} bytes says {}",
                head.size
            );
            let read = store.get(&location).await?;
            ensure!(
                read.extensions.get::<Opened>().is_some(),
                "nothing opened {size} bytes"
            );
            ensure!(
                read.bytes().await? == content(size),
                "{size} bytes came back changed"
            );
        }
        let listed: Vec<_> = store.list(Some(&below)).try_collect().await?;
        let delimited = store.list_with_delimiter(Some(&below)).await?.objects;
        for objects in [listed, delimited] {
            ensure!(
                objects.len() == sizes.len(),
                "{} objects are listed",
                objects.len()
            );
            for meta in objects {
                let named = meta.location.filename().unwrap_or_default();
                ensure!(
                    named == meta.size.to_string(),
                    "{named} is listed with {}",
                    meta.size
                );
            }
        }
        Ok(())
    }

    async fn ranges_are_exact(&self) -> Outcome {
        let store = self.store()?;
        let location = self.at("ranges");
        let plaintext = content(5 * FRAME + 10);
        store.put(&location, plaintext.clone().into()).await?;
        let length = plaintext.len();
        let edges = [
            0,
            1,
            FRAME - 1,
            FRAME,
            FRAME + 1,
            5 * FRAME,
            length - 1,
            length,
        ];
        for start in edges {
            for end in edges.into_iter().filter(|end| start < *end) {
                let range = start as u64..end as u64;
                let found = store.get_range(&location, range.clone()).await?;
                ensure!(
                    Some(&*found) == plaintext.get(start..end),
                    "{range:?} differs"
                );
            }
        }
        let starts = [0, 2000, 5000];
        let ranges = starts.map(|start| start as u64..start as u64 + 10);
        for (start, found) in starts
            .iter()
            .zip(store.get_ranges(&location, &ranges).await?)
        {
            let expected = plaintext.get(*start..start + 10);
            ensure!(
                Some(&*found) == expected,
                "10 bytes from {start}, of several ranges, differ"
            );
        }
        let offset = GetOptions::new().with_range(Some(object_store::GetRange::Offset(4990)));
        let found = store.get_opts(&location, offset).await?.bytes().await?;
        ensure!(
            Some(&*found) == plaintext.get(4990..),
            "the end from 4990 differs"
        );
        let outside = store.get_range(&location, length as u64 + 1..length as u64 + 2);
        ensure!(outside.await.is_err(), "a range behind the end was read");
        Ok(())
    }

    async fn uploads_equal_puts(&self) -> Outcome {
        let store = self.store()?;
        let location = self.at("upload");
        let plaintext = content(PART + PART / 2);
        let mut upload = store.put_multipart(&location).await?;
        for part in plaintext.chunks(PART / 3) {
            upload.put_part(part.to_vec().into()).await?;
        }
        upload.complete().await?;
        let read = store.get(&location).await?.bytes().await?;
        ensure!(read == plaintext, "an upload came back changed");
        let mut upload = store.put_multipart(&location).await?;
        upload.put_part(content(PART).into()).await?;
        upload.abort().await?;
        let read = store.get(&location).await?.bytes().await?;
        ensure!(read == plaintext, "an aborted upload changed the object");
        Ok(())
    }

    async fn conditions_hold(&self) -> Outcome {
        let store = self.store()?;
        let location = self.at("conditions");
        let create = || PutOptions::from(PutMode::Create);
        store.put_opts(&location, "1".into(), create()).await?;
        let again = store.put_opts(&location, "2".into(), create()).await;
        ensure!(
            matches!(again, Err(StoreError::AlreadyExists { .. })),
            "creating twice: {again:?}"
        );
        let old = store.head(&location).await?;
        store.put(&location, "3".into()).await?;
        let stale = GetOptions::new().with_if_match(old.e_tag.clone());
        let read = store.get_opts(&location, stale).await.map(drop);
        ensure!(
            matches!(read, Err(StoreError::Precondition { .. })),
            "reading with an old ETag: {read:?}"
        );
        if self.backend.conditional_updates {
            let version = UpdateVersion {
                e_tag: old.e_tag,
                version: old.version,
            };
            let update = PutOptions::from(PutMode::Update(version));
            let stale = store.put_opts(&location, "4".into(), update).await;
            ensure!(
                matches!(stale, Err(StoreError::Precondition { .. })),
                "updating an old version: {stale:?}"
            );
        }
        let read = store.get(&location).await?.bytes().await?;
        ensure!(read == "3", "a refused write took place");
        Ok(())
    }

    async fn reads_never_mix_versions(&self) -> Outcome {
        let (reader, writer) = (self.store()?, self.store()?);
        let location = self.at("versions");
        for version in [b'a', b'b', b'c'] {
            let plaintext = vec![version; 3 * FRAME + usize::from(version)];
            writer.put(&location, plaintext.clone().into()).await?;
            let ranges = [0..10, 2500..2510];
            for found in reader.get_ranges(&location, &ranges).await? {
                ensure!(
                    found == vec![version; 10],
                    "a remembered header served too long"
                );
            }
        }
        Ok(())
    }

    async fn copies_and_renames_open(&self) -> Outcome {
        let store = self.store()?;
        let (from, copy, moved) = (self.at("from"), self.at("copy"), self.at("moved"));
        store.put(&from, "text".into()).await?;
        store.copy(&from, &copy).await?;
        store.delete(&from).await?;
        ensure!(
            store.get(&copy).await?.bytes().await? == "text",
            "a copy differs"
        );
        store.rename(&copy, &moved).await?;
        ensure!(
            store.get(&moved).await?.bytes().await? == "text",
            "a moved object differs"
        );
        let gone = store.head(&copy).await;
        ensure!(
            matches!(gone, Err(StoreError::NotFound { .. })),
            "a moved object is still there"
        );
        Ok(())
    }

    async fn attributes_survive(&self) -> Outcome {
        if !self.backend.attributes {
            return Ok(());
        }
        let store = self.store()?;
        let location = self.at("attributes");
        let attributes = Attributes::from_iter([
            (Attribute::ContentType, "text/csv"),
            (Attribute::ContentEncoding, "gzip"),
            (Attribute::Metadata("owner".into()), "me"),
        ]);
        let options = PutOptions::from(attributes.clone());
        store.put_opts(&location, "text".into(), options).await?;
        let found = store.get(&location).await?.attributes;
        ensure!(found == attributes, "{attributes:?} came back as {found:?}");
        Ok(())
    }

    async fn changes_are_found(&self) -> Outcome {
        let store = self.store()?;
        let location = self.at("changed");
        store.put(&location, content(3 * FRAME).into()).await?;
        let stored = self.inner.get(&location).await?.bytes().await?;
        for position in [100, stored.len() / 2, stored.len() - 1] {
            let mut changed = stored.to_vec();
            if let Some(byte) = changed.get_mut(position) {
                *byte ^= 1;
            }
            self.inner.put(&location, changed.into()).await?;
            let read = async {
                self.store()?
                    .get(&location)
                    .await?
                    .bytes()
                    .await
                    .map_err(Wrong::from)
            };
            ensure!(
                read.await.is_err(),
                "a change of byte {position} was not found"
            );
        }
        self.inner
            .put(&location, stored.slice(..stored.len() - 1).into())
            .await?;
        let cut = store.get_range(&location, 0..3 * FRAME as u64).await;
        ensure!(cut.is_err(), "a cut object was read whole");
        Ok(())
    }

    async fn other_keys_open_after_reencryption(&self) -> Outcome {
        let location = self.at("rotated");
        let (old, new) = (self.store()?, self.store_of([8; 32])?);
        let to = keyring([8; 32])?;
        old.put(&location, content(3 * FRAME).into()).await?;
        match old.rewrap(&location, &to).await {
            Ok(()) => {}
            Err(error) if matches!(Error::of(&error), Some(Error::KeysInHeader { .. })) => {
                old.reencrypt(&location, &to).await?;
            }
            Err(error) => return Err(error.into()),
        }
        let read = new.get(&location).await?.bytes().await?;
        ensure!(read == content(3 * FRAME), "other keys read something else");
        let refused = old.get(&location).await.map(drop);
        ensure!(refused.is_err(), "the old keys still open the object");
        Ok(())
    }

    async fn everything_can_be_deleted(&self) -> Outcome {
        let store = self.store()?;
        let listed = store.list(Some(&self.prefix)).map_ok(|meta| meta.location);
        let listed: Vec<_> = listed.try_collect().await?;
        for location in listed {
            store.delete(&location).await?;
        }
        let left: Vec<_> = self.inner.list(Some(&self.prefix)).try_collect().await?;
        ensure!(left.is_empty(), "{} objects are left over", left.len());
        Ok(())
    }
}

fn keyring(mut key: [u8; 32]) -> Result<RawAes, MessageError> {
    RawAes::new("conformance", "key", WrappingKey::from_bytes(&mut key)?)
}

fn content(length: usize) -> Vec<u8> {
    (0..251_u8).cycle().take(length).collect()
}

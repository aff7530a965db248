use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use envelope_fs::LocalStore;
use futures::TryStreamExt;
use object_store::local::LocalFileSystem;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{DynObjectStore, ObjectMeta, ObjectStoreScheme};
use url::Url;

const MEMORY: &str = "memory";

/// Where objects are, as they are stored: a store, and a prefix in it.
pub(crate) struct Place {
    name: String,
    pub(crate) store: Arc<DynObjectStore>,
    pub(crate) prefix: Path,
    /// Whether the store keeps a content type and user metadata.
    pub(crate) keeps_attributes: bool,
}

impl Place {
    /// A new bucket in memory.
    pub(crate) fn in_memory() -> Self {
        Self {
            name: MEMORY.to_owned(),
            store: Arc::new(InMemory::new()),
            prefix: Path::default(),
            keeps_attributes: true,
        }
    }

    /// The files below a folder.
    pub(crate) fn in_folder(folder: &std::path::Path) -> Result<Self> {
        let files = LocalFileSystem::new_with_prefix(folder)?;
        Ok(Self {
            name: folder.display().to_string(),
            store: Arc::new(LocalStore::new(files)),
            prefix: Path::default(),
            keeps_attributes: false,
        })
    }

    /// The place behind a URL, set up from the environment.
    pub(crate) fn open(text: &str) -> Result<Self> {
        let url = Url::parse(text).with_context(|| format!("{text} is not a URL"))?;
        let (scheme, prefix) = ObjectStoreScheme::parse(&url)?;
        let store: Arc<DynObjectStore> = match scheme {
            ObjectStoreScheme::Local => Arc::new(LocalStore::new(LocalFileSystem::new())),
            scheme => bucket(&scheme, text)?,
        };
        Ok(Self {
            name: text.trim_end_matches('/').to_owned(),
            store,
            prefix,
            keeps_attributes: url.scheme() != "file",
        })
    }

    pub(crate) fn is_in_memory(&self) -> bool {
        self.name == MEMORY
    }

    /// Whether one place is the other, or in it.
    pub(crate) fn overlaps(&self, other: &Self) -> bool {
        let (one, other) = (format!("{}/", self.name), format!("{}/", other.name));
        one.starts_with(&other) || other.starts_with(&one)
    }

    /// Everything that is stored, instruction files included.
    pub(crate) async fn list(&self) -> Result<Vec<ObjectMeta>> {
        let prefix = (!self.prefix.as_ref().is_empty()).then_some(&self.prefix);
        Ok(self.store.list(prefix).try_collect().await?)
    }

    /// What tells one version of each object from another.
    pub(crate) async fn stored(&self) -> Result<BTreeMap<Path, (Option<String>, u64)>> {
        let listed = self.list().await?.into_iter();
        Ok(listed
            .map(|meta| (meta.location, (meta.e_tag, meta.size)))
            .collect())
    }
}

/// The bucket behind a URL.
#[cfg(feature = "clouds")]
fn bucket(scheme: &ObjectStoreScheme, url: &str) -> Result<Arc<DynObjectStore>> {
    use envelope_gcs::GcsBuilder;
    use object_store::aws::AmazonS3Builder;
    use object_store::azure::MicrosoftAzureBuilder;
    use object_store::gcp::GoogleCloudStorageBuilder;

    Ok(match scheme {
        ObjectStoreScheme::AmazonS3 => Arc::new(envelope_s3::open(
            AmazonS3Builder::from_env().with_url(url),
        )?),
        ObjectStoreScheme::GoogleCloudStorage => {
            let bucket = GoogleCloudStorageBuilder::from_env().with_url(url);
            Arc::new(GcsBuilder::new(bucket).build()?)
        }
        ObjectStoreScheme::MicrosoftAzure => {
            Arc::new(MicrosoftAzureBuilder::from_env().with_url(url).build()?)
        }
        _ => bail!("{url}: no store for this; the schemes are s3, gs, az and file"),
    })
}

#[cfg(not(feature = "clouds"))]
fn bucket(_scheme: &ObjectStoreScheme, url: &str) -> Result<Arc<DynObjectStore>> {
    bail!(
        "{url}: only file URLs are built in; for s3, gs and az add `--features clouds` to cargo run"
    )
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::{Arc, LazyLock};

use envelope_fs::LocalStore;
use envelope_gcs::GcsBuilder;
use object_store::aws::AmazonS3Builder;
use object_store::azure::MicrosoftAzureBuilder;
use object_store::gcp::{GoogleCloudStorageBuilder, GoogleConfigKey};
use object_store::local::LocalFileSystem;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{ClientConfigKey, DynObjectStore, ObjectStoreScheme};
use url::Url;

use crate::error::Error;

/// Where objects are: a store behind a URL, a local path, or standard input and output.
#[derive(Debug, Clone)]
pub(crate) enum Location {
    Standard,
    Local(PathBuf),
    Url(Url),
}

impl Location {
    /// As typed: a path need not be text, a URL is.
    pub(crate) fn parse(argument: OsString) -> Result<Self, String> {
        if argument == "-" {
            return Ok(Self::Standard);
        }
        let Some(text) = argument.to_str().filter(|text| text.contains("://")) else {
            return Ok(Self::Local(argument.into()));
        };
        let url = Url::parse(text).map_err(|error| format!("{text} is not a URL: {error}"))?;
        // A store would be asked for another object than the one that was meant.
        match url.query().is_some() || url.fragment().is_some() {
            true => Err(format!(
                "{text} has a query or a fragment; in a name write %3F for ? and %23 for #"
            )),
            false => Ok(Self::Url(url)),
        }
    }

    pub(crate) fn url(&self) -> Option<&Url> {
        match self {
            Self::Url(url) => Some(url),
            Self::Standard | Self::Local(_) => None,
        }
    }

    /// Whether it names a place for objects and not one object.
    pub(crate) fn is_folder(&self) -> bool {
        match self {
            Self::Standard => false,
            Self::Local(path) => path.is_dir() || path.to_string_lossy().ends_with('/'),
            Self::Url(url) => url.path().is_empty() || url.path().ends_with('/'),
        }
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Standard => f.write_str("-"),
            Self::Local(path) => path.display().fmt(f),
            Self::Url(url) => url.fmt(f),
        }
    }
}

/// Settings of stores, by `object_store`'s names.
#[derive(Debug, Clone, Copy)]
pub(crate) struct StoreOptions<'a>(pub(crate) &'a [(String, String)]);

impl StoreOptions<'_> {
    /// The settings that a kind of store knows.
    fn known<K: FromStr>(self) -> impl Iterator<Item = (K, String)> {
        let pairs = self.0.iter();
        pairs.filter_map(|(key, value)| {
            let key = key.to_ascii_lowercase().parse().ok()?;
            Some((key, value.clone()))
        })
    }

    /// A copy has two stores, so a setting must fit one of them.
    pub(crate) fn check(self, urls: &[&Url]) -> Result<(), Error> {
        for (key, _) in self.0 {
            let key = key.to_ascii_lowercase();
            let fits = urls.iter().any(|url| match ObjectStoreScheme::parse(url) {
                Ok((ObjectStoreScheme::AmazonS3, _)) => {
                    object_store::aws::AmazonS3ConfigKey::from_str(&key).is_ok()
                }
                Ok((ObjectStoreScheme::GoogleCloudStorage, _)) => {
                    GoogleConfigKey::from_str(&key).is_ok()
                }
                Ok((ObjectStoreScheme::MicrosoftAzure, _)) => {
                    object_store::azure::AzureConfigKey::from_str(&key).is_ok()
                }
                _ => false,
            });
            if !fits {
                return Err(Error::Usage(format!(
                    "--store-option {key} is none of this store's settings; see object_store's \
                    documentation for their names"
                )));
            }
        }
        Ok(())
    }
}

/// A store, and a place in it.
#[derive(Debug, Clone)]
pub(crate) struct Opened {
    pub(crate) store: Arc<DynObjectStore>,
    pub(crate) path: Path,
    pub(crate) metadata: Metadata,
}

/// What metadata a store keeps with objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Metadata {
    None,
    /// Names are identifiers, which have no hyphens.
    Identifiers,
    All,
}

impl Opened {
    /// Says at once what would be found out when the first object is written. `name` is the
    /// store's.
    ///
    /// # Errors
    /// When the store cannot keep the metadata of objects of the S3 Encryption Client.
    pub(crate) fn check_s3ec(&self, name: &impl fmt::Display) -> Result<(), Error> {
        let keeps = match self.metadata {
            Metadata::All => return Ok(()),
            Metadata::None => "no metadata",
            Metadata::Identifiers => "no metadata with hyphens in its names",
        };
        Err(Error::Usage(format!(
            "{name}: this store keeps {keeps}, which the S3EC format needs; use --format framed or \
            framed-instruction"
        )))
    }
}

/// What `memory://` holds, for as long as the program runs.
static MEMORY: LazyLock<Arc<InMemory>> = LazyLock::new(Arc::default);

/// Opens the store of a URL, set up from the environment and by these options.
pub(crate) fn open(url: &Url, options: StoreOptions<'_>) -> Result<Opened, Error> {
    let (scheme, path) = ObjectStoreScheme::parse(url)
        .map_err(|error| Error::Usage(format!("{url}: {error}; the schemes are: {SCHEMES}")))?;
    // Nothing was sent yet: the configuration is to blame.
    let failed = |source| Error::Usage(Error::store(url.as_str(), source).message());
    let metadata = match scheme {
        ObjectStoreScheme::Local => Metadata::None,
        ObjectStoreScheme::MicrosoftAzure => Metadata::Identifiers,
        _ => Metadata::All,
    };
    let store: Arc<DynObjectStore> = match scheme {
        ObjectStoreScheme::Memory => MEMORY.clone(),
        ObjectStoreScheme::Local => Arc::new(LocalStore::new(LocalFileSystem::new())),
        ObjectStoreScheme::AmazonS3 => {
            let builder = AmazonS3Builder::from_env().with_url(url.as_str());
            let options = options.known();
            let builder = options.fold(builder, |builder, (key, value)| {
                builder.with_config(key, value)
            });
            Arc::new(envelope_s3::open(builder).map_err(failed)?)
        }
        ObjectStoreScheme::GoogleCloudStorage => {
            let builder = GoogleCloudStorageBuilder::from_env().with_url(url.as_str());
            let mut allow_http = std::env::var("GOOGLE_ALLOW_HTTP").ok();
            let builder = options.known().fold(builder, |builder, (key, value)| {
                if key == GoogleConfigKey::Client(ClientConfigKey::AllowHttp) {
                    allow_http = Some(value.clone());
                }
                builder.with_config(key, value)
            });
            let mut builder = GcsBuilder::new(builder);
            if allow_http.is_some_and(|allowed| allowed.eq_ignore_ascii_case("true")) {
                builder = builder.allow_http();
            }
            Arc::new(builder.build().map_err(failed)?)
        }
        ObjectStoreScheme::MicrosoftAzure => {
            let builder = MicrosoftAzureBuilder::from_env().with_url(url.as_str());
            let options = options.known();
            let builder = options.fold(builder, |builder, (key, value)| {
                builder.with_config(key, value)
            });
            Arc::new(builder.build().map_err(failed)?)
        }
        _ => {
            return Err(Error::Usage(format!(
                "{url}: no store of ours; the schemes are: {SCHEMES}"
            )));
        }
    };
    Ok(Opened {
        store,
        path,
        metadata,
    })
}

const SCHEMES: &str = "s3, gs, az, file, memory";

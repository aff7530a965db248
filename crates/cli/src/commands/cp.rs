use std::io::{self, Read};
use std::path::{self, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use envelope_fs::LocalStore;
use envelope_store as store;
use envelope_store::Framed;
use futures::future::ready;
use futures::stream::{self, StreamExt, TryStreamExt};
use indicatif::ProgressBar;
use object_store::local::LocalFileSystem;
use object_store::path::{Path, PathPart};
use object_store::{
    Attributes, DynObjectStore, Extensions, GetOptions, ObjectStore, ObjectStoreExt,
};
use serde_json::json;

use super::cat::write_out;
use crate::args::objects::Cp;
use crate::args::s3ec::of_policy;
use crate::error::Error;
use crate::failures::Failures;
use crate::formats::{Family, Formats};
use crate::interrupt;
use crate::keyring_file;
use crate::keys::Keys;
use crate::location::{self, Location, Metadata, Opened};
use crate::output::Output;
use crate::upload::Upload;

/// Bytes that standard input is read in.
const PIECE: usize = 1 << 20;

/// One object to copy.
struct Entry {
    from: Path,
    to: Path,
    /// Stored length in bytes.
    length: u64,
}

pub(crate) async fn run(
    command: &Cp,
    keyring: Option<&path::Path>,
    output: &Output,
) -> Result<(), Error> {
    let urls = [&command.source, &command.target];
    let urls: Vec<_> = urls.into_iter().filter_map(Location::url).collect();
    command.store.options().check(&urls)?;
    let copy = Copy { command };
    // Whatever is wrong with the keyring is said before anything is read.
    let keys = Sides::load(command, keyring).await?;
    match (&command.source, &command.target) {
        (Location::Standard, Location::Standard) => Err(Error::Usage(
            "standard input to standard output copies nothing; give a URL or a path".to_owned(),
        )),
        (Location::Standard | Location::Local(_), Location::Local(_))
        | (Location::Local(_), Location::Standard) => Err(Error::Usage(
            "both are plaintext; give a URL, or use the commands encrypt and decrypt".to_owned(),
        )),
        (Location::Standard, to) if to.is_folder() => Err(Error::Usage(format!(
            "{to} is a folder, and standard input has no name; give the object's"
        ))),
        (Location::Standard, _) => copy.upload_input(keys, output).await,
        (_, Location::Standard) => copy.write_output(keys).await,
        _ if command.recursive => copy.everything(keys, output).await,
        _ => copy.one(keys, output).await,
    }
}

/// The keys of each side that is encrypted.
struct Sides {
    source: Option<Keys>,
    target: Option<Keys>,
}

impl Sides {
    async fn load(command: &Cp, keyring: Option<&path::Path>) -> Result<Self, Error> {
        let load = async |location: &Location, plain: bool| match location.url() {
            Some(_) if !plain => keyring_file::load(keyring).await.map(Some),
            _ => Ok(None),
        };
        let target = load(&command.target, command.plain_destination).await?;
        let writing = |mut keys: Keys| -> Result<Keys, Error> {
            if command.format.family() == Family::S3ec {
                keys.check_writes_s3ec()?;
            }
            keys.framed = command.format.required.requiring(keys.framed)?;
            Ok(keys)
        };
        Ok(Self {
            source: load(&command.source, command.plain_source).await?,
            target: target.map(writing).transpose()?,
        })
    }
}

struct Copy<'a> {
    command: &'a Cp,
}

impl Copy<'_> {
    /// A side as it is stored, and the place in it.
    fn open(&self, location: &Location) -> Result<Opened, Error> {
        match location {
            Location::Url(url) => location::open(url, self.command.store.options()),
            Location::Local(path) => Ok(Opened {
                // The whole file system: the path tells the rest.
                store: Arc::new(LocalStore::new(LocalFileSystem::new())),
                path: location_of(path)
                    .map_err(|why| Error::Usage(format!("{}: {why}", path.display())))?,
                metadata: Metadata::None,
            }),
            Location::Standard => Err(Error::Usage(
                "standard input and output are no store; give a URL".to_owned(),
            )),
        }
    }

    /// What is read: plaintext.
    fn reader(
        &self,
        store: &Arc<DynObjectStore>,
        keys: Option<Keys>,
    ) -> Result<Arc<DynObjectStore>, Error> {
        let Some(keys) = keys else {
            return Ok(Arc::clone(store));
        };
        let (builder, keys) = self.formats_read().over(Arc::clone(store), keys);
        let builder = builder.context(self.command.context.load()?);
        Ok(Arc::new(builder.build(keys)))
    }

    fn formats_read(&self) -> Formats {
        let Cp {
            reading,
            s3ec,
            suffix,
            rules,
            ..
        } = self.command;
        Formats {
            framed: Framed::new().reading(reading.options(rules)),
            s3ec: suffix.known_to(s3ec.reading(of_policy(rules.commitment_policy))),
            writes: Family::Framed,
        }
    }

    /// What takes plaintext. `longest` is the length of the longest object to come, in bytes.
    fn writer(
        &self,
        target: &Opened,
        keys: Option<Keys>,
        longest: u64,
    ) -> Result<Arc<DynObjectStore>, Error> {
        let Some(keys) = keys else {
            return Ok(Arc::clone(&target.store));
        };
        let Cp {
            format,
            reading,
            s3ec,
            rules,
            ..
        } = self.command;
        let formats = format.formats(reading, s3ec, rules)?;
        if formats.writes == Family::S3ec {
            target.check_s3ec(&self.command.target)?;
        }
        let (builder, keys) = formats.over(Arc::clone(&target.store), keys);
        let builder = builder
            .part_length(self.command.parts.length(longest))
            .context(self.command.context.load()?);
        Ok(Arc::new(builder.build(keys)))
    }

    /// The source's attributes and those that were asked for.
    fn attributes(&self, found: &Attributes, target: &Opened) -> Result<Attributes, Error> {
        let asked = self.command.attributes();
        if target.metadata == Metadata::None {
            return match asked.is_empty() {
                true => Ok(asked),
                false => Err(Error::Usage(format!(
                    "{}: local files keep no metadata; leave --metadata out",
                    self.command.target
                ))),
            };
        }
        let pairs = found.iter().chain(&asked);
        Ok(pairs
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect())
    }

    async fn one(&self, keys: Sides, output: &Output) -> Result<(), Error> {
        let (source, target) = (
            self.open(&self.command.source)?,
            self.open(&self.command.target)?,
        );
        let name = self.command.source.to_string();
        let meta = interrupt::or(source.store.head(&source.path)).await?;
        let meta = meta.map_err(|error| Error::store(&name, error))?;
        let mut to = target.path.clone();
        if self.command.target.is_folder() {
            let filename = source.path.filename().unwrap_or_default();
            let part = PathPart::parse(filename);
            let part = part.map_err(|error| Error::Usage(format!("{name}: {error}")))?;
            to = to.join(part);
        }
        let entry = Entry {
            from: source.path.clone(),
            to,
            length: meta.size,
        };
        let views = Views {
            reader: self.reader(&source.store, keys.source)?,
            writer: self.writer(&target, keys.target, meta.size)?,
            target,
        };
        let progress = output.progress(Some(meta.size));
        let named = (name, self.command.target.to_string());
        let copied = self.copy(&views, &entry, named, &progress).await;
        progress.finish_and_clear();
        output.summary(false, &self.report(&entry, copied?))
    }

    async fn everything(&self, keys: Sides, output: &Output) -> Result<(), Error> {
        let (source, target) = (
            self.open(&self.command.source)?,
            self.open(&self.command.target)?,
        );
        let source_name = self.command.source.to_string();
        let prefix = (!source.path.as_ref().is_empty()).then_some(&source.path);
        let formats = self.formats_read();
        let mut failures = Failures::default();
        let mut entries = Vec::new();
        let mut listed = source.store.list(prefix);
        while let Some(meta) = interrupt::or(listed.next()).await? {
            let meta = match meta {
                Ok(meta) => meta,
                Err(error) => {
                    failures.add(&source_name, &Error::store(&source_name, error), output);
                    continue;
                }
            };
            // They go with their objects, where these are read as such.
            let hidden = keys.source.is_some() && formats.hides(&meta.location);
            let below = meta.location.prefix_match(&source.path);
            if let Some(below) = below.filter(|_| !hidden) {
                entries.push(Entry {
                    to: target.path.parts().chain(below).collect(),
                    from: meta.location.clone(),
                    length: meta.size,
                });
            }
        }
        drop(listed);
        if entries.is_empty() && failures.is_empty() {
            return self.one(keys, output).await;
        }
        let longest = entries.iter().map(|entry| entry.length).max().unwrap_or(0);
        let views = Views {
            reader: self.reader(&source.store, keys.source)?,
            writer: self.writer(&target, keys.target, longest)?,
            target,
        };
        let progress = output.progress(Some(entries.iter().map(|entry| entry.length).sum()));
        // After a signal no copy begins, and those under way tidy up.
        let mut copies = stream::iter(entries)
            .take_while(|_| ready(interrupt::check().is_ok()))
            .map(|entry| async {
                let named = (entry.from.to_string(), entry.to.to_string());
                let copied = self.copy(&views, &entry, named, &progress).await;
                (entry, copied)
            })
            .buffer_unordered(self.command.jobs.into());
        let (mut objects, mut total) = (0_u64, 0_u64);
        while let Some((entry, copied)) = copies.next().await {
            match copied {
                Ok(bytes) => {
                    objects += 1;
                    total += bytes;
                    output.summary(false, &self.report(&entry, bytes))?;
                }
                Err(Error::Interrupted) => {}
                Err(error) => {
                    progress.suspend(|| failures.add(entry.from.as_ref(), &error, output));
                }
            }
        }
        drop(copies);
        progress.finish_and_clear();
        interrupt::check()?;
        let summary = json!({ "command": "cp", "objects": objects, "bytes": total });
        output.summary(false, &summary)?;
        failures.into_result()
    }

    fn report(&self, entry: &Entry, bytes: u64) -> serde_json::Value {
        json!({
            "command": "cp",
            "source": entry.from.as_ref(),
            "destination": entry.to.as_ref(),
            "bytes": bytes,
        })
    }

    /// Copies one object, with its encryption context; nothing appears at its place unless everything
    /// verified.
    async fn copy(
        &self,
        views: &Views,
        entry: &Entry,
        (source, target): (String, String),
        progress: &ProgressBar,
    ) -> Result<u64, Error> {
        let failed = |error| Error::store(&source, error);
        let request = GetOptions::new().with_extensions(self.command.suffix.extensions());
        let result = interrupt::or(views.reader.get_opts(&entry.from, request)).await?;
        let result = result.map_err(failed)?;
        let mut extensions = Extensions::new();
        if let Some(opened) = result.extensions.get::<store::Opened>() {
            extensions.insert(opened.context().without_reserved());
        }
        let upload = Upload {
            store: &views.writer,
            to: &entry.to,
            attributes: self.attributes(&result.attributes, &views.target)?,
            extensions,
            part_length: self.command.parts.length(result.meta.size),
        };
        let plaintext = result.into_stream().map_err(failed);
        let plaintext = plaintext.inspect_ok(|bytes| progress.inc(bytes.len() as u64));
        upload.send(plaintext.boxed(), &target).await
    }

    async fn upload_input(&self, keys: Sides, output: &Output) -> Result<(), Error> {
        let target = self.open(&self.command.target)?;
        let writer = self.writer(&target, keys.target, 0)?;
        let progress = output.progress(None);
        let input = stream::try_unfold((), |()| async {
            // On a thread of its own, so that a signal is noticed while it waits.
            let reading = tokio::task::spawn_blocking(|| {
                let mut piece = Vec::with_capacity(PIECE);
                let mut input = io::stdin().lock().take(PIECE as u64);
                input.read_to_end(&mut piece).map(|_| piece)
            });
            let piece = reading.await.map_err(io::Error::other).flatten();
            let piece = piece.map_err(|source| Error::Read {
                name: "standard input".to_owned(),
                source,
            })?;
            progress.inc(piece.len() as u64);
            Ok((!piece.is_empty()).then_some((Bytes::from(piece), ())))
        });
        let upload = Upload {
            store: &writer,
            to: &target.path,
            attributes: self.attributes(&Attributes::new(), &target)?,
            extensions: Extensions::new(),
            part_length: self.command.parts.length(0),
        };
        let name = self.command.target.to_string();
        let sent = upload.send(input.boxed(), &name).await;
        progress.finish_and_clear();
        let length = sent?;
        let entry = Entry {
            from: Path::from("-"),
            to: target.path,
            length,
        };
        output.summary(false, &self.report(&entry, length))
    }

    async fn write_output(&self, keys: Sides) -> Result<(), Error> {
        let source = self.open(&self.command.source)?;
        let reader = self.reader(&source.store, keys.source)?;
        let name = self.command.source.to_string();
        let request = GetOptions::new().with_extensions(self.command.suffix.extensions());
        let result = interrupt::or(reader.get_opts(&source.path, request)).await?;
        let result = result.map_err(|error| Error::store(&name, error))?;
        write_out(result, &name).await
    }
}

/// Both sides as plaintext.
struct Views {
    reader: Arc<DynObjectStore>,
    writer: Arc<DynObjectStore>,
    target: Opened,
}

/// The whole path of a file, by the name it was given: links among its folders are followed, the file
/// itself may be one.
fn location_of(path: &path::Path) -> Result<Path, String> {
    let absolute = path::absolute(path).map_err(|error| error.to_string())?;
    let resolved = match (absolute.file_name(), absolute.parent()) {
        (Some(name), Some(folder)) => resolve(folder).map(|folder| folder.join(name)),
        _ => absolute.canonicalize(),
    };
    let resolved = resolved.map_err(|error| error.to_string())?;
    Path::from_absolute_path(resolved).map_err(|error| error.to_string())
}

/// Follows links and steps back as far as folders exist.
fn resolve(folder: &path::Path) -> io::Result<PathBuf> {
    match (folder.canonicalize(), folder.file_name(), folder.parent()) {
        (Err(error), Some(name), Some(above)) if error.kind() == io::ErrorKind::NotFound => {
            Ok(resolve(above)?.join(name))
        }
        (resolved, _, _) => resolved,
    }
}

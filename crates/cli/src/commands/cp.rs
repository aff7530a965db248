use std::io::{self, Read, Write};
use std::path;
use std::sync::Arc;

use bytes::Bytes;
use envelope_fs::LocalStore;
use envelope_store::format::Format;
use envelope_store::{DEFAULT_PART_LENGTH, EncryptedStore, Framed};
use futures::stream::{self, BoxStream, StreamExt, TryStreamExt};
use indicatif::ProgressBar;
use object_store::buffered::BufWriter;
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{Attributes, DynObjectStore, ObjectStore, ObjectStoreExt};
use serde_json::json;
use tokio::io::AsyncWriteExt;

use crate::args::objects::Cp;
use crate::error::Error;
use crate::failures::Failures;
use crate::interrupt;
use crate::keyring_file;
use crate::location::{self, Location, Opened};
use crate::output::Output;

/// Bytes that standard input is read in.
const PIECE: usize = 1 << 20;
/// Most parts that an upload to S3 has.
const PARTS: u64 = 10_000;

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
    let copy = Copy { command, keyring };
    match (&command.source, &command.target) {
        (Location::Standard, Location::Standard) => Err(Error::Usage(
            "standard input to standard output copies nothing; give a URL or a path".to_owned(),
        )),
        (Location::Standard | Location::Local(_), Location::Local(_))
        | (Location::Local(_), Location::Standard) => Err(Error::Usage(
            "both are plaintext; give a URL, or use the commands encrypt and decrypt".to_owned(),
        )),
        (Location::Standard, _) => copy.upload_input(output).await,
        (_, Location::Standard) => copy.write_output().await,
        _ if command.recursive => copy.everything(output).await,
        _ => copy.one(output).await,
    }
}

struct Copy<'a> {
    command: &'a Cp,
    keyring: Option<&'a path::Path>,
}

impl Copy<'_> {
    /// The store that is read, with nothing decrypted, and the place in it.
    fn source(&self) -> Result<Opened, Error> {
        match &self.command.source {
            Location::Url(url) => location::open(url, self.command.store.options()),
            Location::Local(path) => {
                let location = Path::from_filesystem_path(path)
                    .map_err(|error| Error::Usage(format!("{}: {error}", path.display())))?;
                Ok(local(location))
            }
            Location::Standard => Err(no_store()),
        }
    }

    fn target(&self) -> Result<Opened, Error> {
        match &self.command.target {
            Location::Url(url) => location::open(url, self.command.store.options()),
            Location::Local(path) => {
                let absolute = path::absolute(path)
                    .map_err(|error| Error::Usage(format!("{}: {error}", path.display())))?;
                let location = Path::from_absolute_path(absolute)
                    .map_err(|error| Error::Usage(format!("{}: {error}", path.display())))?;
                Ok(local(location))
            }
            Location::Standard => Err(no_store()),
        }
    }

    /// What is read: plaintext.
    fn reader(&self, store: &Arc<DynObjectStore>) -> Result<Arc<DynObjectStore>, Error> {
        let Cp {
            source,
            plain_source,
            reading,
            rules,
            context,
            ..
        } = self.command;
        if *plain_source || source.url().is_none() {
            return Ok(Arc::clone(store));
        }
        let store = EncryptedStore::builder(Arc::clone(store))
            .format(Framed::new().reading(reading.options(rules)))
            .context(context.load()?)
            .build(keyring_file::load(self.keyring)?);
        Ok(Arc::new(store))
    }

    /// What takes plaintext. `longest` is the length of the longest object to come, in bytes.
    fn writer(
        &self,
        store: &Arc<DynObjectStore>,
        longest: u64,
    ) -> Result<Arc<DynObjectStore>, Error> {
        let Cp {
            target,
            plain_destination,
            writing,
            reading,
            rules,
            context,
            ..
        } = self.command;
        if *plain_destination || target.url().is_none() {
            return Ok(Arc::clone(store));
        }
        let keys = writing.requiring(keyring_file::load(self.keyring)?)?;
        let store = EncryptedStore::builder(Arc::clone(store))
            .format(writing.format(rules)?.reading(reading.options(rules)))
            .part_length(self.part_length(longest))
            .context(context.load()?)
            .build(keys);
        Ok(Arc::new(store))
    }

    fn part_length(&self, longest: u64) -> usize {
        // A tenth more than the plaintext: frames, and what a source did not tell.
        let needed = longest.saturating_add(longest / 10) / PARTS;
        let asked = self.command.writing.part_size.map(|size| size.as_u64());
        let length = asked.unwrap_or(needed.max(DEFAULT_PART_LENGTH as u64));
        usize::try_from(length).unwrap_or(DEFAULT_PART_LENGTH)
    }

    fn attributes(&self, found: &Attributes, target: &Opened) -> Attributes {
        // Local files keep none.
        let kept = found.iter().filter(|_| target.attributes);
        let kept = kept.map(|(name, value)| (name.clone(), value.clone()));
        let asked = self.command.writing.attributes();
        let asked = asked
            .iter()
            .map(|(name, value)| (name.clone(), value.clone()));
        kept.chain(asked).collect()
    }

    async fn one(&self, output: &Output) -> Result<(), Error> {
        let (source, target) = (self.source()?, self.target()?);
        let name = self.command.source.to_string();
        let meta = source.store.head(&source.path).await;
        let meta = meta.map_err(|error| Error::store(&name, error))?;
        let to = match self.command.target.is_folder() {
            true => match source.path.filename() {
                Some(name) => target.path.clone().join(name),
                None => target.path.clone(),
            },
            false => target.path.clone(),
        };
        let entry = Entry {
            from: source.path.clone(),
            to,
            length: meta.size,
        };
        let (reader, writer) = (
            self.reader(&source.store)?,
            self.writer(&target.store, meta.size)?,
        );
        let progress = output.progress(Some(meta.size));
        let copied = self
            .copy(&reader, &writer, &target, &entry, &progress)
            .await;
        progress.finish_and_clear();
        let bytes = copied.map_err(|error| named(error, &name, &self.command.target))?;
        output.summary(false, &self.report(&entry, bytes))
    }

    async fn everything(&self, output: &Output) -> Result<(), Error> {
        let (source, target) = (self.source()?, self.target()?);
        let failed = |error| Error::store(self.command.source.to_string(), error);
        let prefix = (!source.path.as_ref().is_empty()).then_some(&source.path);
        let format = Framed::new();
        let listed = source.store.list(prefix).try_filter_map(|meta| {
            let hidden = format.is_instruction_file(&meta.location);
            let below = meta.location.prefix_match(&source.path);
            let to = below.map(|parts| target.path.parts().chain(parts).collect());
            let entry = to.filter(|_| !hidden).map(|to| Entry {
                from: meta.location.clone(),
                to,
                length: meta.size,
            });
            std::future::ready(Ok(entry))
        });
        let entries: Vec<_> = listed.try_collect().await.map_err(failed)?;
        let longest = entries.iter().map(|entry| entry.length).max().unwrap_or(0);
        let (reader, writer) = (
            self.reader(&source.store)?,
            self.writer(&target.store, longest)?,
        );
        let progress = output.progress(Some(entries.iter().map(|entry| entry.length).sum()));
        let mut copies = stream::iter(entries)
            .map(|entry| async {
                let copied = self
                    .copy(&reader, &writer, &target, &entry, &progress)
                    .await;
                (entry, copied)
            })
            .buffer_unordered(self.command.jobs.into());
        let mut failures = Failures::default();
        let (mut objects, mut total) = (0_u64, 0_u64);
        while let Some((entry, copied)) = copies.next().await {
            interrupt::check()?;
            match copied {
                Ok(bytes) => {
                    objects += 1;
                    total += bytes;
                    output.summary(false, &self.report(&entry, bytes))?;
                }
                Err(error) => {
                    let error = named(error, entry.from.as_ref(), &self.command.target);
                    progress.suspend(|| failures.add(entry.from.as_ref(), &error, output));
                }
            }
        }
        drop(copies);
        progress.finish_and_clear();
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

    /// Copies one object; nothing appears at its place unless everything verified.
    async fn copy(
        &self,
        reader: &Arc<DynObjectStore>,
        writer: &Arc<DynObjectStore>,
        target: &Opened,
        entry: &Entry,
        progress: &ProgressBar,
    ) -> Result<u64, Failed> {
        let result = reader.get(&entry.from).await.map_err(Failed::Reading)?;
        let attributes = self.attributes(&result.attributes, target);
        let length = result.meta.size;
        let plaintext = result.into_stream().map_err(Failed::Reading);
        let plaintext = plaintext.inspect_ok(|bytes| progress.inc(bytes.len() as u64));
        let upload = Upload {
            writer,
            to: &entry.to,
            attributes,
            part_length: self.part_length(length),
        };
        upload.send(plaintext.boxed()).await
    }

    async fn upload_input(&self, output: &Output) -> Result<(), Error> {
        let target = self.target()?;
        let writer = self.writer(&target.store, 0)?;
        let progress = output.progress(None);
        let input = stream::try_unfold((), |()| async {
            let piece = tokio::task::block_in_place(|| {
                let mut piece = Vec::with_capacity(PIECE);
                let mut input = io::stdin().lock().take(PIECE as u64);
                input.read_to_end(&mut piece).map(|_| piece)
            });
            let piece = piece.map_err(Failed::Input)?;
            progress.inc(piece.len() as u64);
            Ok((!piece.is_empty()).then_some((Bytes::from(piece), ())))
        });
        let upload = Upload {
            writer: &writer,
            to: &target.path,
            attributes: self.attributes(&Attributes::new(), &target),
            part_length: self.part_length(0),
        };
        let sent = upload.send(input.boxed()).await;
        progress.finish_and_clear();
        let bytes = sent.map_err(|error| named(error, "standard input", &self.command.target))?;
        let entry = Entry {
            from: Path::from("-"),
            to: target.path,
            length: bytes,
        };
        output.summary(false, &self.report(&entry, bytes))
    }

    async fn write_output(&self) -> Result<(), Error> {
        let source = self.source()?;
        let reader = self.reader(&source.store)?;
        let failed = |error| Error::store(self.command.source.to_string(), error);
        let result = reader.get(&source.path).await.map_err(failed)?;
        let mut plaintext = result.into_stream();
        while let Some(bytes) = plaintext.try_next().await.map_err(failed)? {
            interrupt::check()?;
            io::stdout()
                .lock()
                .write_all(&bytes)
                .map_err(|source| Error::Write {
                    name: "standard output".to_owned(),
                    source,
                })?;
        }
        Ok(())
    }
}

/// Which side of a copy failed.
enum Failed {
    Reading(object_store::Error),
    Input(io::Error),
    Writing(object_store::Error),
    Interrupted,
}

fn named(failed: Failed, source: &str, target: &Location) -> Error {
    match failed {
        Failed::Reading(error) => Error::store(source, error),
        Failed::Writing(error) => Error::store(target.to_string(), error),
        Failed::Input(error) => Error::Read {
            name: source.to_owned(),
            source: error,
        },
        Failed::Interrupted => Error::Interrupted,
    }
}

/// Where one object goes.
struct Upload<'a> {
    writer: &'a Arc<DynObjectStore>,
    to: &'a Path,
    attributes: Attributes,
    part_length: usize,
}

impl Upload<'_> {
    async fn send(
        self,
        mut plaintext: BoxStream<'_, Result<Bytes, Failed>>,
    ) -> Result<u64, Failed> {
        let writer = Arc::clone(self.writer);
        let mut upload = BufWriter::with_capacity(writer, self.to.clone(), self.part_length)
            .with_attributes(self.attributes);
        let mut total = 0;
        let sent: Result<(), Failed> = async {
            while let Some(bytes) = plaintext.try_next().await? {
                interrupt::check().map_err(|_| Failed::Interrupted)?;
                total += bytes.len() as u64;
                upload.put(bytes).await.map_err(Failed::Writing)?;
            }
            Ok(())
        }
        .await;
        if let Err(error) = sent {
            // The first error says more than one of tidying up.
            let _ = upload.abort().await;
            return Err(error);
        }
        // It tidies up by itself.
        upload.shutdown().await.map_err(of_io)?;
        Ok(total)
    }
}

/// `BufWriter` hides the store's error in one of I/O.
fn of_io(error: io::Error) -> Failed {
    Failed::Writing(match error.downcast() {
        Ok(error) => error,
        Err(error) => object_store::Error::Generic {
            store: "upload",
            source: error.into(),
        },
    })
}

/// The whole file system: paths tell the rest.
fn local(path: Path) -> Opened {
    Opened {
        store: Arc::new(LocalStore::new(LocalFileSystem::new())),
        path,
        attributes: false,
    }
}

fn no_store() -> Error {
    Error::Usage("standard input and output are no store; give a URL".to_owned())
}

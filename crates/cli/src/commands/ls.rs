use envelope_s3::S3ec;
use envelope_store as store;
use envelope_store::format::Format;
use envelope_store::{EncryptedStore, ForeignObjects, Framed, NotEncrypted};
use futures::future::ready;
use futures::stream::{self, BoxStream, StreamExt, TryStreamExt};
use object_store::{Extensions, GetOptions, ObjectMeta, ObjectStore, ObjectStoreExt};
use serde_json::json;

use crate::args::objects::Ls;
use crate::error::Error;
use crate::failures::Failures;
use crate::formats::{Family, Formats};
use crate::interrupt;
use crate::keys::Keys;
use crate::location::Opened;
use crate::output::Output;

/// Headers that are read at once.
const LOOKUPS: usize = 32;

/// An object as it is listed.
struct Line {
    meta: ObjectMeta,
    /// Length of the plaintext in bytes; nothing where only a key tells.
    size: Option<u64>,
    encrypted: bool,
}

/// Lists with the sizes that objects claim; it needs no key.
pub(crate) async fn run(command: &Ls, output: &Output) -> Result<(), Error> {
    let Opened { store, path, .. } = command.store.open(&command.url)?;
    let failed = |source| Error::store(command.url.as_str(), source);
    let prefix = (!path.as_ref().is_empty()).then_some(&path);
    let mut level = 0;
    let listed: BoxStream<'_, object_store::Result<ObjectMeta>> = match command.recursive {
        true => store.list(prefix),
        false => {
            let listed = store.list_with_delimiter(prefix).await.map_err(failed)?;
            level = listed.common_prefixes.len();
            for prefix in &listed.common_prefixes {
                let name = format!("{prefix}/");
                let text = format!("{:>14} {:20} {name}\n", "", "");
                output.result(&json!({ "path": name }), &text)?;
            }
            stream::iter(listed.objects.into_iter().map(Ok)).boxed()
        }
    };
    let formats = || Formats {
        framed: Framed::new(),
        s3ec: command.suffix.known_to(S3ec::v3()),
        writes: Family::Framed,
    };
    let (builder, keys) = formats().over(store.clone(), Keys::none());
    let encrypted = builder.foreign_objects(ForeignObjects::Report).build(keys);
    let formats = formats();
    let computed: &dyn Format = match command.format.family() {
        Family::Framed => &formats.framed,
        Family::S3ec => &formats.s3ec,
    };
    let describe = async |meta: ObjectMeta| {
        let described = match command.computed_sizes {
            true => compute(computed, meta.clone()),
            false => look_up(&encrypted, &meta, command.suffix.extensions()).await,
        };
        (meta, described)
    };
    let mut described = listed
        .try_filter(|meta| ready(!formats.hides(&meta.location)))
        .map_ok(|meta| async { Ok(describe(meta).await) })
        .try_buffered(LOOKUPS);
    let mut failures = Failures::default();
    let mut shown = level;
    while let Some((meta, described)) = described.try_next().await.map_err(failed)? {
        interrupt::check()?;
        shown += 1;
        match described {
            Ok(line) => show(&line, output)?,
            // Deleted since it was listed.
            Err(Error::Store {
                source: object_store::Error::NotFound { .. },
                ..
            }) => {}
            Err(error) => failures.add(meta.location.as_ref(), &error, output),
        }
    }
    drop(described);
    // Not a folder, so it may be an object.
    if shown == 0 && prefix.is_some() {
        let meta = store.head(&path).await.map_err(failed)?;
        let (_, described) = describe(meta).await;
        show(&described?, output)?;
    }
    failures.into_result()
}

fn compute(format: &dyn Format, meta: ObjectMeta) -> Result<Line, Error> {
    let size = format.listed_length(meta.size);
    let size = size.map_err(|error| Error::envelope(meta.location.as_ref(), error))?;
    Ok(Line {
        meta,
        size,
        encrypted: true,
    })
}

async fn look_up<S: ObjectStore>(
    store: &EncryptedStore<S>,
    meta: &ObjectMeta,
    wishes: Extensions,
) -> Result<Line, Error> {
    let request = GetOptions::new().with_head(true).with_extensions(wishes);
    match store.get_opts(&meta.location, request).await {
        Ok(head) => Ok(Line {
            encrypted: head.extensions.get::<NotEncrypted>().is_none(),
            size: Some(head.meta.size),
            meta: head.meta,
        }),
        Err(source)
            if matches!(
                store::Error::of(&source),
                Some(store::Error::SizeUnknown { .. })
            ) =>
        {
            Ok(Line {
                meta: meta.clone(),
                size: None,
                encrypted: true,
            })
        }
        Err(source) => Err(Error::store(meta.location.as_ref(), source)),
    }
}

fn show(line: &Line, output: &Output) -> Result<(), Error> {
    let Line {
        meta,
        size,
        encrypted,
    } = line;
    let modified = meta.last_modified.format("%Y-%m-%dT%H:%M:%SZ").to_string();
    let json = json!({
        "path": meta.location.as_ref(),
        "size": size,
        "last_modified": modified,
        "etag": meta.e_tag,
        "encrypted": encrypted,
    });
    let note = if *encrypted { "" } else { "  (not encrypted)" };
    let size = size.map_or("?".to_owned(), |size| size.to_string());
    let text = format!("{size:>14} {modified:20} {}{note}\n", meta.location);
    output.result(&json, &text)
}

use envelope_store::format::Format;
use envelope_store::{EncryptedStore, ForeignObjects, Framed, NotEncrypted};
use futures::future::ready;
use futures::stream::{self, BoxStream, StreamExt, TryStreamExt};
use object_store::{GetOptions, ObjectMeta, ObjectStore, ObjectStoreExt};
use serde_json::json;

use crate::args::objects::Ls;
use crate::error::Error;
use crate::failures::Failures;
use crate::interrupt;
use crate::location::Opened;
use crate::no_keys::NoKeys;
use crate::output::Output;

/// Headers that are read at once.
const LOOKUPS: usize = 32;

/// An object as it is listed.
struct Line {
    /// With the plaintext's size.
    meta: ObjectMeta,
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
    let format = Framed::new();
    let encrypted = EncryptedStore::builder(store.clone())
        .foreign_objects(ForeignObjects::Report)
        .build(NoKeys);
    let describe = async |meta: ObjectMeta| {
        let described = match command.computed_sizes {
            true => compute(&format, meta.clone()),
            false => look_up(&encrypted, &meta).await,
        };
        (meta, described)
    };
    let mut described = listed
        .try_filter(|meta| ready(format.object_of_instruction_file(&meta.location).is_none()))
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

fn compute(format: &Framed, meta: ObjectMeta) -> Result<Line, Error> {
    let size = format.listed_length(meta.size);
    let size = size.map_err(|error| Error::envelope(meta.location.as_ref(), error))?;
    Ok(Line {
        meta: ObjectMeta {
            size: size.unwrap_or(meta.size),
            ..meta
        },
        encrypted: true,
    })
}

async fn look_up<S: ObjectStore>(
    store: &EncryptedStore<S>,
    meta: &ObjectMeta,
) -> Result<Line, Error> {
    let head = store.get_opts(&meta.location, GetOptions::new().with_head(true));
    let head = head.await;
    let head = head.map_err(|source| Error::store(meta.location.as_ref(), source))?;
    Ok(Line {
        encrypted: head.extensions.get::<NotEncrypted>().is_none(),
        meta: head.meta,
    })
}

fn show(Line { meta, encrypted }: &Line, output: &Output) -> Result<(), Error> {
    let modified = meta.last_modified.format("%Y-%m-%dT%H:%M:%SZ").to_string();
    let json = json!({
        "path": meta.location.as_ref(),
        "size": meta.size,
        "last_modified": modified,
        "etag": meta.e_tag,
        "encrypted": encrypted,
    });
    let note = if *encrypted { "" } else { "  (not encrypted)" };
    let text = format!("{:>14} {modified:20} {}{note}\n", meta.size, meta.location);
    output.result(&json, &text)
}

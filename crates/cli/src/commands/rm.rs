use envelope_s3::S3ec;
use envelope_store::Framed;
use futures::{StreamExt, TryStreamExt};
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use serde_json::json;

use crate::args::objects::Rm;
use crate::error::Error;
use crate::failures::Failures;
use crate::formats::{Family, Formats};
use crate::interrupt;
use crate::keys::Keys;
use crate::location::Opened;
use crate::output::Output;

/// Objects that are removed at once.
const DELETES: usize = 16;

/// Removes objects and the instruction files that belong to them; it needs no key.
pub(crate) async fn run(command: &Rm, output: &Output) -> Result<(), Error> {
    let Opened { store, path, .. } = command.store.open(&command.url)?;
    let failed = |source| Error::store(command.url.as_str(), source);
    let formats = || Formats {
        framed: Framed::new().with_instruction_files(),
        s3ec: command.suffix.known_to(S3ec::v3()),
        writes: Family::Framed,
    };
    let (builder, keys) = formats().over(store.clone(), Keys::none());
    let encrypted = builder.build(keys);
    let formats = formats();
    let prefix = (!path.as_ref().is_empty()).then_some(&path);
    let listed = async || -> Result<Vec<Path>, Error> {
        let listed = store.list(prefix).map_ok(|meta| meta.location);
        listed.try_collect().await.map_err(failed)
    };
    let objects: Vec<_> = match command.recursive {
        true => listed().await?,
        false => Vec::new(),
    };
    if objects.is_empty() {
        // Some stores are content to delete what is not there.
        store.head(&path).await.map_err(failed)?;
        return encrypted.delete(&path).await.map_err(failed);
    }
    let objects = objects.into_iter();
    let objects = objects.filter(|at| !formats.hides(at));
    let mut failures = Failures::default();
    let mut removed = 0_u64;
    let mut deleting = futures::stream::iter(objects)
        .map(|location| async { (encrypted.delete(&location).await, location) })
        .buffer_unordered(DELETES);
    while let Some((deleted, location)) = deleting.next().await {
        interrupt::check()?;
        match deleted {
            Ok(()) => removed += 1,
            Err(source) => {
                let name = location.as_ref();
                failures.add(name, &Error::store(name, source), output);
            }
        }
    }
    drop(deleting);
    // Files that a crash left behind belong to no object.
    for file in listed().await? {
        // By its name it may be the file of more than one object.
        let mut orphan = formats.hides(&file);
        for object in formats.objects_of_instruction_file(&file) {
            let head = store.head(&object).await;
            orphan &= matches!(head, Err(object_store::Error::NotFound { .. }));
        }
        if orphan {
            store.delete(&file).await.map_err(failed)?;
        }
    }
    output.summary(false, &json!({ "command": "rm", "removed": removed }))?;
    failures.into_result()
}

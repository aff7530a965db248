use envelope_store::format::Format;
use envelope_store::{EncryptedStore, Framed};
use futures::{StreamExt, TryStreamExt};
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use serde_json::json;

use crate::args::objects::Rm;
use crate::error::Error;
use crate::failures::Failures;
use crate::interrupt;
use crate::location::Opened;
use crate::no_keys::NoKeys;
use crate::output::Output;

/// Objects that are removed at once.
const DELETES: usize = 16;

/// Removes objects and the instruction files that belong to them; it needs no key.
pub(crate) async fn run(command: &Rm, output: &Output) -> Result<(), Error> {
    let Opened { store, path, .. } = command.store.open(&command.url)?;
    let failed = |source| Error::store(command.url.as_str(), source);
    let encrypted = EncryptedStore::builder(store.clone())
        .format(Framed::new().with_instruction_files())
        .build(NoKeys);
    let format = Framed::new();
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
    let objects = objects.filter(|at| format.object_of_instruction_file(at).is_none());
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
        if let Some(object) = format.object_of_instruction_file(&file)
            && let Err(object_store::Error::NotFound { .. }) = store.head(&object).await
        {
            store.delete(&file).await.map_err(failed)?;
        }
    }
    output.summary(false, &json!({ "command": "rm", "removed": removed }))?;
    failures.into_result()
}

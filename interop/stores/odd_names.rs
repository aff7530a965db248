use std::collections::BTreeMap;

use anyhow::{Result, ensure};
use futures::TryStreamExt;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};

/// Below here, so that nothing else is listed.
const FOLDER: &str = "odd names";

/// Names that are escaped in URLs, in headers, in XML or on a disk.
pub(crate) const NAMES: [&str; 13] = [
    "two  words.txt",
    "ünïcödé/日本語.csv",
    "🙀/😀.parquet",
    "100%.txt",
    "%41%2F.txt",
    "a+b&c=d;e@f.txt",
    ".hidden",
    ".hidden folder/..dots",
    "question?.txt",
    "hash#.txt",
    "it's \"quoted\" <here>.txt",
    "[brackets] {braces} ^~`|.txt",
    "$dollar,comma:colon!(round)",
];

/// A name that a server may take for a path.
pub(crate) const BACKSLASH: [&str; 1] = ["back\\slash*.txt"];

/// Objects with these names are read, listed and copied like any other.
///
/// # Errors
/// When one is not, or when it is listed under another name or size.
pub(crate) async fn check(store: &dyn ObjectStore, names: &[&str]) -> Result<String> {
    let folder = Path::from(FOLDER);
    let mut expected = BTreeMap::new();
    for (index, name) in names.iter().enumerate() {
        // As a name of characters, and as one that is escaped already, where that is allowed.
        let parsed = Path::parse(format!("{FOLDER}/parsed/{name}")).ok();
        let path = Path::from(format!("{FOLDER}/{name}"));
        for location in [Some(path), parsed].into_iter().flatten() {
            let text = format!("{index} {location}");
            let copied = Path::parse(format!("{location} copied"))?;
            store.put(&location, text.clone().into()).await?;
            store.copy(&location, &copied).await?;
            expected.insert(location, text.clone());
            expected.insert(copied, text);
        }
    }
    for (location, text) in &expected {
        let read = store.get(location).await?.bytes().await?;
        ensure!(read == text.as_bytes(), "{location}: other bytes were read");
    }
    let listed: BTreeMap<Path, u64> = store
        .list(Some(&folder))
        .map_ok(|meta| (meta.location, meta.size))
        .try_collect()
        .await?;
    let sizes: BTreeMap<Path, u64> = expected
        .iter()
        .map(|(location, text)| (location.clone(), text.len() as u64))
        .collect();
    let differs = |(listed, in_other): (&BTreeMap<Path, u64>, &BTreeMap<Path, u64>)| {
        let only_here = listed
            .iter()
            .filter(|(name, size)| in_other.get(name) != Some(size));
        only_here
            .map(|(name, size)| format!("{name} {size}"))
            .collect()
    };
    let missing: Vec<String> = differs((&sizes, &listed));
    let surplus: Vec<String> = differs((&listed, &sizes));
    ensure!(
        missing.is_empty() && surplus.is_empty(),
        "not listed: {missing:?}; listed instead: {surplus:?}"
    );
    for location in expected.keys() {
        store.delete(location).await?;
    }
    let left: Vec<_> = store.list(Some(&folder)).try_collect().await?;
    ensure!(
        left.is_empty(),
        "still listed after they were deleted: {left:?}"
    );
    Ok(format!("{} objects", expected.len()))
}

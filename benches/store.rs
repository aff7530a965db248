//! Copies into and out of an encrypted store beside plain ones of the same access pattern.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    reason = "a benchmark stops at the first surprise"
)]

use std::sync::Arc;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use envelope::{RawAes, WrappingKey};
use envelope_store::EncryptedStore;
use futures::TryStreamExt;
use object_store::local::LocalFileSystem;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::prefix::PrefixStore;
use object_store::{ObjectStore, ObjectStoreExt};
use tokio::runtime::{Builder, Runtime};

/// Length of an object in bytes.
const LENGTH: u64 = 64 << 20;
/// Length of a range that is read, and of an object that is written, in bytes.
const RANGE: u64 = 8 << 20;

/// Reads in ranges, and puts each as an object of its own.
async fn copy_ranges(from: &dyn ObjectStore, to: &dyn ObjectStore) {
    let source = source();
    for part in 0..LENGTH / RANGE {
        let range = part * RANGE..(part + 1) * RANGE;
        let bytes = from.get_range(&source, range).await.unwrap();
        let target = Path::from(format!("target/{part}"));
        to.put(&target, bytes.into()).await.unwrap();
    }
}

/// Reads the whole object as it comes, and uploads it in parts.
async fn copy_stream(from: &dyn ObjectStore, to: &dyn ObjectStore) {
    let mut bytes = from.get(&source()).await.unwrap().into_stream();
    let mut upload = to
        .put_multipart(&Path::from("target/stream"))
        .await
        .unwrap();
    while let Some(bytes) = bytes.try_next().await.unwrap() {
        upload.put_part(bytes.into()).await.unwrap();
    }
    upload.complete().await.unwrap();
}

fn source() -> Path {
    Path::from("source")
}

fn copies(criterion: &mut Criterion, name: &str, plain: Arc<dyn ObjectStore>) {
    let runtime: Runtime = Builder::new_current_thread().build().unwrap();
    let keyring = RawAes::new("acme", "bench", WrappingKey::generate().unwrap()).unwrap();
    let inner = PrefixStore::new(Arc::clone(&plain), "encrypted");
    let encrypted = EncryptedStore::new(inner, keyring);
    let content = vec![7; usize::try_from(LENGTH).unwrap()];
    for store in [&*plain, &encrypted as &dyn ObjectStore] {
        let source = source();
        let put = store.put(&source, content.clone().into());
        runtime.block_on(put).unwrap();
    }

    let mut group = criterion.benchmark_group(name);
    group.sample_size(20).throughput(Throughput::Bytes(LENGTH));
    let pairs: [(&str, &dyn ObjectStore, &dyn ObjectStore); 3] = [
        ("plain", &*plain, &*plain),
        ("encrypt", &*plain, &encrypted),
        ("decrypt", &encrypted, &*plain),
    ];
    for (direction, from, to) in pairs {
        group.bench_function(format!("{direction}, 8 MiB ranges"), |bencher| {
            bencher.iter(|| runtime.block_on(copy_ranges(from, to)));
        });
    }
    for (direction, from, to) in pairs {
        group.bench_function(format!("{direction}, stream"), |bencher| {
            bencher.iter(|| runtime.block_on(copy_stream(from, to)));
        });
    }
    group.finish();
}

fn memory(criterion: &mut Criterion) {
    copies(criterion, "memory", Arc::new(InMemory::new()));
}

fn files(criterion: &mut Criterion) {
    let folder = tempfile::tempdir().unwrap();
    let store = LocalFileSystem::new_with_prefix(folder.path()).unwrap();
    copies(criterion, "files", Arc::new(store));
}

criterion_group!(benches, memory, files);
criterion_main!(benches);

//! Writes a Parquet file through the encrypted store, reads one column of one row group back by
//! ranges, and counts what that takes of the store below, next to the same without encryption.
//!
//! ```sh
//! cargo run --release -p examples --features parquet --example parquet
//! ```

mod counting_store;
mod parquet_file;

use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use envelope::{RawAes, WrappingKey};
use envelope_store::EncryptedStore;
use futures::TryStreamExt;
use object_store::ObjectStore;
use object_store::memory::InMemory;
use object_store::path::Path;

use counting_store::{CountingStore, Counts};
use parquet_file::ParquetFile;

const ROWS: i64 = 1_000_000;
const ROWS_PER_GROUP: i64 = 100_000;
/// What is read back.
const GROUP: i64 = 6;
const COLUMN: &str = "amount";

#[tokio::main]
async fn main() -> Result<()> {
    let keyring = RawAes::new("example", "2026-11", WrappingKey::generate()?)?;
    let (plain, plain_counts) = CountingStore::new(InMemory::new());
    let (inner, encrypted_counts) = CountingStore::new(InMemory::new());
    let plain: Arc<dyn ObjectStore> = Arc::new(plain);
    let inner: Arc<dyn ObjectStore> = Arc::new(inner);
    let encrypted: Arc<dyn ObjectStore> =
        Arc::new(EncryptedStore::new(Arc::clone(&inner), keyring));

    println!(
        "1. write {ROWS} rows of 3 columns in {} row groups, plain and encrypted",
        ROWS / ROWS_PER_GROUP
    );
    let path = Path::from("sales/2026.parquet");
    for store in [&plain, &encrypted] {
        ParquetFile::write(Arc::clone(store), &path, groups()?).await?;
    }

    // Where a query engine gets it from: readers of Parquet begin at the end.
    let size = listed_size(&encrypted).await?;
    ensure!(size == listed_size(&plain).await?, "sizes differ");
    println!(
        "2. the listing says {size} bytes for both; below, the encrypted one takes {}",
        listed_size(&inner).await?
    );

    println!("3. read column {COLUMN:?} of row group {GROUP}");
    println!("   {:<26}{:>10}{:>10}", "", "requests", "bytes");
    for (name, store, counts) in [
        ("plain", &plain, &plain_counts),
        ("encrypted, first time", &encrypted, &encrypted_counts),
        ("encrypted, header known", &encrypted, &encrypted_counts),
    ] {
        counts.take();
        check_column(store, &path, size).await?;
        let Counts { requests, bytes } = counts.take();
        println!("   {name:<26}{requests:>10}{bytes:>10}");
    }
    println!("   all {ROWS_PER_GROUP} values were right each time");
    Ok(())
}

/// Rows that are made up, one batch for each row group.
fn groups() -> Result<Vec<RecordBatch>> {
    let firsts = (0..ROWS).step_by(usize::try_from(ROWS_PER_GROUP)?);
    let batches = firsts.map(|first| {
        let rows = first..first + ROWS_PER_GROUP;
        let ids = Int64Array::from_iter_values(rows.clone());
        let amounts = Int64Array::from_iter_values(rows.clone().map(amount));
        let cities = StringArray::from_iter_values(rows.map(city));
        RecordBatch::try_from_iter([
            ("id", Arc::new(ids) as ArrayRef),
            (COLUMN, Arc::new(amounts)),
            ("city", Arc::new(cities)),
        ])
    });
    Ok(batches.collect::<Result<_, _>>()?)
}

/// Scattered, so that no encoding makes the column small.
fn amount(row: i64) -> i64 {
    row.wrapping_mul(0x2545_F491_4F6C_DD1D)
}

fn city(row: i64) -> &'static str {
    match row % 4 {
        0 => "Aachen",
        1 => "Bergen",
        2 => "Cádiz",
        _ => "Dakar",
    }
}

async fn listed_size(store: &Arc<dyn ObjectStore>) -> Result<u64> {
    let listed = store.list(None).try_next().await?;
    Ok(listed.context("the file is listed")?.size)
}

async fn check_column(store: &Arc<dyn ObjectStore>, path: &Path, size: u64) -> Result<()> {
    let file = ParquetFile::new(Arc::clone(store), path, size);
    let batches = file.read(usize::try_from(GROUP)?, COLUMN).await?;
    let mut expected = (GROUP * ROWS_PER_GROUP..(GROUP + 1) * ROWS_PER_GROUP).map(amount);
    for batch in batches {
        let values = batch.column(0).as_primitive_opt::<Int64Type>();
        for value in values.context("the column holds integers")?.values() {
            ensure!(expected.next() == Some(*value), "a value came back changed");
        }
    }
    ensure!(expected.next().is_none(), "values are missing");
    Ok(())
}

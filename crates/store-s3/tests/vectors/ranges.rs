//! Parts of objects, which nothing authenticates.

use envelope_s3::S3ec;
use envelope_s3::keyring::Aes;
use envelope_store::EncryptedStore;
use futures::executor::block_on;
use object_store::{GetOptions, GetRange, ObjectStore, Result};
use serde_json::Value;

use super::tampering::{flip_bit_of_bytes, flip_bit_of_text, resized};
use crate::support::stored_object::StoredObject;
use crate::support::watched::Watched;
use crate::support::{golden_aes, path, plaintext, reads_all, store_error, text, variant};

/// The header, as a request has it; nothing when no request of ours can have it.
fn range(header: &str) -> Option<GetRange> {
    let (start, end) = header.strip_prefix("bytes=")?.split_once('-')?;
    let number = |text: &str| text.parse::<u64>().ok();
    Some(match (start, end) {
        ("", end) => GetRange::Suffix(number(end)?),
        (start, "") => GetRange::Offset(number(start)?),
        (start, end) => GetRange::Bounded(number(start)?..number(end)?.saturating_add(1)),
    })
}

pub fn label(_: usize, case: &Value) -> String {
    text(&case["range"]).to_owned()
}

/// The 200 bytes of the published cases.
fn two_hundred() -> String {
    let block = |number: u8| format!("{number}bcdefghijklmnopqrst{number}BCDEFGHIJKLMNOPQRST");
    (0..5).map(block).collect()
}

async fn written(format: S3ec, keys: Aes) -> StoredObject {
    StoredObject::written(format, keys, two_hundred().as_bytes()).await
}

async fn v1() -> StoredObject {
    let keys = golden_aes().wrapping_for_v1_without_integrity();
    written(S3ec::legacy_v1(), keys).await
}

async fn read(object: &StoredObject, range: GetRange) -> Result<Vec<u8>> {
    let store = EncryptedStore::builder(object.put().await)
        .format(reads_all())
        .build(golden_aes());
    let options = GetOptions::new().with_range(Some(range));
    let result = store.get_opts(&path(), options).await?;
    Ok(result.bytes().await?.to_vec())
}

/// What the reference returns where ours does the same. It returns the whole object for what it does
/// not understand, and nothing for a range behind the plaintext; ours refuses these and understands
/// suffixes.
async fn check(object: &StoredObject, header: &str, theirs: Option<&str>) {
    let Some(range) = range(header) else {
        // No request of `object_store` says such a thing.
        assert_eq!(header, "10-20");
        return;
    };
    let read = read(object, range).await;
    match header {
        "bytes=-40" => assert_eq!(read.unwrap(), &two_hundred().as_bytes()[160..]),
        "bytes=100-50" | "bytes=216-217" => out_of_bounds(&read.unwrap_err()),
        _ => {
            let start: usize = header["bytes=".len()..]
                .split('-')
                .next()
                .unwrap()
                .parse()
                .unwrap();
            let read = read.unwrap();
            let all = two_hundred();
            assert_eq!(read, &all.as_bytes()[start..start + read.len()]);
            if let Some(theirs) = theirs {
                assert_eq!(read, theirs.as_bytes());
            }
            let expected = match header {
                "bytes=10-20" => 11,
                "bytes=190-300" => 10,
                "bytes=40-" => 160,
                other => panic!("nobody knows what {other} must come to"),
            };
            assert_eq!(read.len(), expected);
        }
    }
}

fn out_of_bounds(error: &object_store::Error) {
    let found = store_error(error);
    assert!(
        matches!(found, envelope_store::Error::Range { .. }),
        "{found}"
    );
}

pub fn gcm(case: &Value) {
    block_on(async {
        for format in [S3ec::v2(), S3ec::v3()] {
            let object = written(format, golden_aes()).await;
            check(&object, text(&case["range"]), case["result"].as_str()).await;
        }
    });
}

pub fn cbc(header: &Value) {
    block_on(async { check(&v1().await, text(header), None).await });
}

/// The plaintext has 200 bytes and the object 216.
pub fn beyond_the_object() {
    block_on(async {
        for object in [
            written(S3ec::v2(), golden_aes()).await,
            written(S3ec::v3(), golden_aes()).await,
            v1().await,
        ] {
            for beyond in [200..201, 215..216, 216..217, 300..401] {
                let error = read(&object, GetRange::Bounded(beyond)).await;
                out_of_bounds(&error.unwrap_err());
            }
            let error = read(&object, GetRange::Offset(u64::MAX)).await;
            out_of_bounds(&error.unwrap_err());
        }
    });
}

pub fn every_one_of_a_short_object() {
    let all = plaintext(50);
    block_on(async {
        let v1 = golden_aes().wrapping_for_v1_without_integrity();
        for object in [
            StoredObject::written(S3ec::v3(), golden_aes(), &all).await,
            StoredObject::written(S3ec::v2(), golden_aes(), &all).await,
            StoredObject::written(S3ec::legacy_v1(), v1, &all).await,
        ] {
            let store = EncryptedStore::builder(object.put().await)
                .format(reads_all())
                .build(golden_aes());
            for start in 0..50 {
                for end in start + 1..=50 {
                    let range = start as u64..end as u64;
                    let bytes = store.get_ranges(&path(), &[range]).await.unwrap();
                    assert_eq!(bytes, [&all[start..end]]);
                }
            }
        }
    });
}

/// Ours asks for no more than whole blocks, and for the block before where it is the vector of the
/// next one.
pub fn request(entry: &Value) {
    let header = entry["caller"].as_str().unwrap_or_default();
    let Some(range) = range(header).filter(|_| !entry["to_s3"].is_null()) else {
        // The reference does not ask for a part there.
        assert!(
            [
                "bytes=100-10",
                "bytes=-100",
                "bytes=-",
                "bytes=abc",
                "10-100",
                ""
            ]
            .contains(&header)
        );
        return;
    };
    let all = plaintext(1000);
    let wanted = range.as_range(1000).unwrap();
    block_on(async {
        for (format, object_length) in [(S3ec::v2(), 1016), (S3ec::v3(), 1016)] {
            let object = StoredObject::written(format, golden_aes(), &all).await;
            let watched = Watched::over(object.put().await);
            let store = EncryptedStore::builder(watched.clone())
                .format(reads_all())
                .build(golden_aes());
            let options = GetOptions::new().with_range(Some(range.clone()));
            let read = store.get_opts(&path(), options).await.unwrap();
            let read = read.bytes().await.unwrap();
            let at = |place: u64| usize::try_from(place).unwrap();
            assert_eq!(read, &all[at(wanted.start)..at(wanted.end)]);
            let first = wanted.start - wanted.start % 16;
            let request = watched.log().pop().unwrap();
            let asked = request.strip_prefix("get a/object ").unwrap();
            let (start, end) = asked.split_once("..").unwrap();
            assert_eq!(start, first.to_string());
            let end: u64 = end.parse().unwrap();
            assert!((wanted.end..=wanted.end.next_multiple_of(16)).contains(&end));
            assert!(end <= object_length);
        }
    });
}

/// A part is not authenticated, but its key is committed to all the same.
fn changed(what: &str) -> (StoredObject, S3ec, &'static str) {
    let object = StoredObject::golden("pyraw/v3/aes/17");
    let in_file = StoredObject::golden("pyraw/v3/aes/17-instr");
    let (object, expected) = match what {
        "x-amz-c changed" => (flip_bit_of_text(&object, "x-amz-c", 0), "UnknownAlgorithm"),
        "x-amz-d changed" => (
            flip_bit_of_bytes(&object, "x-amz-d", 0),
            "CommitmentMismatch",
        ),
        "x-amz-i changed" => (
            flip_bit_of_bytes(&object, "x-amz-i", 0),
            "CommitmentMismatch",
        ),
        "x-amz-d 20 bytes" => (resized(&object, "x-amz-d", 20), "InvalidValue"),
        "x-amz-d 40 bytes" => (resized(&object, "x-amz-d", 40), "InvalidValue"),
        "c/d/i repeated in the instruction file" => {
            let metadata = in_file.metadata.clone();
            let repeated = in_file.with_file_json(|file| {
                for (name, value) in metadata {
                    file[name] = value.into();
                }
            });
            (repeated, "CommitmentInInstructionFile")
        }
        "legacy unauthenticated modes off" => {
            return (object, S3ec::v3(), "RangeNotAuthenticated");
        }
        other => panic!("nobody knows what {other} must come to"),
    };
    (object, reads_all(), expected)
}

pub fn refused(what: &Value) {
    let (object, format, expected) = changed(text(what));
    block_on(async {
        let store = EncryptedStore::builder(object.put().await)
            .format(format)
            .build(golden_aes());
        let options = GetOptions::new().with_range(Some(0..16));
        let error = store.get_opts(&path(), options).await.unwrap_err();
        assert_eq!(variant(&error), expected);
    });
}

//! What real clients wrote: it opens with the switches that it needs and with no fewer.

use envelope::CommitmentPolicy;
use envelope_store::{EncryptedStore, Opened};
use futures::executor::block_on;
use object_store::{ObjectStore, ObjectStoreExt};
use serde_json::Value;

use crate::support::recorded_kms::RecordedKms;
use crate::support::stored_object::StoredObject;
use crate::support::stored_object::user_metadata;
use crate::support::{POLICIES, keys_with, path, reader, reads_all, text, variant};

/// What decides whether an object may be read.
pub struct Kind {
    pub commits: bool,
    pub cbc: bool,
    pub legacy_wrap: bool,
}

impl Kind {
    pub fn of_entry(entry: &Value) -> Self {
        let content = text(&entry["content_alg"]);
        let wrap = text(&entry["wrap_alg"]);
        Self {
            commits: content == "115",
            cbc: content == "AES/CBC/PKCS5Padding",
            legacy_wrap: !["kms+context", "AES/GCM", "RSA-OAEP-SHA1"].contains(&wrap),
        }
    }

    /// Why it is not read under these settings, by section 10 of the format.
    pub fn refusal(
        &self,
        policy: CommitmentPolicy,
        wraps: bool,
        unauthenticated: bool,
    ) -> Option<&'static str> {
        let required = policy == CommitmentPolicy::RequireEncryptRequireDecrypt;
        if required && !self.commits {
            return Some("PolicyForbidsDecrypt");
        }
        if self.cbc && !unauthenticated {
            return Some("LegacyContent");
        }
        (self.legacy_wrap && !wraps).then_some("LegacyWrap")
    }
}

pub fn check(entry: &Value) {
    let object = StoredObject::of_entry(entry);
    let plaintext = hex::decode(text(&entry["plaintext_hex"])).unwrap();
    let kind = Kind::of_entry(entry);
    block_on(async {
        opens(entry, &object, &plaintext).await;
        rules(&object, &plaintext, &kind).await;
        ranges(&object, &plaintext).await;
        context(entry, &object).await;
    });
}

async fn opens(entry: &Value, object: &StoredObject, plaintext: &[u8]) {
    let store = EncryptedStore::builder(object.put().await)
        .format(reads_all())
        .build(keys_with(&RecordedKms::golden()));
    let result = store.get_opts(&path(), object.options.clone()).await;
    let result = result.unwrap();
    let opened = result.extensions.get::<Opened>().unwrap();
    assert_eq!(opened.format(), format!("s3ec-{}", text(&entry["format"])));
    assert_eq!(opened.is_verified(), !Kind::of_entry(entry).cbc);
    assert_eq!(result.meta.size, plaintext.len() as u64);
    let theirs = user_metadata(&result.attributes);
    let stored = object.metadata.iter();
    let expected = stored.filter(|(name, _)| !name.starts_with("x-amz-"));
    assert!(theirs.iter().eq(expected), "{theirs:?}");
    assert_eq!(result.bytes().await.unwrap(), plaintext);

    // Every golden object tells its length, by its tag or in its metadata.
    let head = object.options.clone().with_head(true);
    let head = store.get_opts(&path(), head).await.unwrap();
    assert_eq!(head.meta.size, plaintext.len() as u64);
}

async fn rules(object: &StoredObject, plaintext: &[u8], kind: &Kind) {
    for policy in POLICIES {
        for switches in 0..4 {
            let (wraps, unauthenticated) = (switches & 1 != 0, switches & 2 != 0);
            let kms = RecordedKms::golden();
            let format = reader(policy, wraps, unauthenticated);
            let read = object.read(format, keys_with(&kms)).await;
            match kind.refusal(policy, wraps, unauthenticated) {
                None => assert_eq!(read.unwrap(), plaintext),
                Some(refusal) => {
                    assert_eq!(variant(&read.unwrap_err()), refusal);
                    // The rules come before the keys.
                    assert!(kms.asked().is_empty());
                }
            }
        }
    }
}

async fn ranges(object: &StoredObject, plaintext: &[u8]) {
    let kms = RecordedKms::golden();
    let inner = object.put().await;
    let refuses = EncryptedStore::builder(inner.clone())
        .format(reader(
            CommitmentPolicy::RequireEncryptAllowDecrypt,
            true,
            false,
        ))
        .build(keys_with(&kms));
    let part = object.options.clone().with_range(Some(0..1));
    let refused = refuses.get_opts(&path(), part.clone()).await.unwrap_err();
    assert_eq!(variant(&refused), "RangeNotAuthenticated");
    assert!(kms.asked().is_empty());

    let store = EncryptedStore::builder(inner)
        .format(reads_all())
        .build(keys_with(&kms));
    for (start, end) in [(0, 1), (1, 16), (15, 17), (16, 17)] {
        if end > plaintext.len() {
            continue;
        }
        let range = Some(start as u64..end as u64);
        let options = object.options.clone().with_range(range);
        let result = store.get_opts(&path(), options).await.unwrap();
        assert!(!result.extensions.get::<Opened>().unwrap().is_verified());
        assert_eq!(result.meta.size, plaintext.len() as u64);
        assert_eq!(result.bytes().await.unwrap(), &plaintext[start..end]);
    }
}

/// Whoever expects another context than the object's does not get it.
async fn context(entry: &Value, object: &StoredObject) {
    let store = EncryptedStore::builder(object.put().await)
        .format(reads_all())
        .build(keys_with(&RecordedKms::golden()));
    let mut options = object.options.clone();
    options
        .extensions
        .insert(crate::support::context(&[("department", "sales")]));
    let error = store.get_opts(&path(), options).await.unwrap_err();
    let expected = match text(&entry["keyring"]) {
        "kms" => "ContextMismatch",
        _ => "ContextWithRawKey",
    };
    assert_eq!(variant(&error), expected);

    let has_context = !entry["encryption_context"].as_object().unwrap().is_empty();
    if has_context && entry["instruction_suffix"].is_null() {
        let error = store.get(&path()).await.unwrap_err();
        assert_eq!(variant(&error), "ContextMismatch");
    }
}

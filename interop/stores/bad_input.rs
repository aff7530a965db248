//! What a caller gets wrong is told as `object_store` tells it, with or without our encryption.

use anyhow::{Result, ensure};
use envelope_store::EncryptedStore;
use futures::TryStreamExt;
use object_store::aws::AmazonS3Builder;
use object_store::path::Path;
use object_store::{Error, ObjectStore, ObjectStoreExt};

use crate::s3::S3;
use crate::suite::{BUCKETS, Suite, View, keyring};

/// What is wrong with a store.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Mistake {
    /// The bucket does not exist.
    NoBucket,
    /// The secret is another identity's.
    WrongSecret,
    /// Nobody has this key id.
    UnknownKeyId,
    /// The session token was never given out. Servers say the same of one that has expired.
    InvalidToken,
}

impl Mistake {
    fn name(self) -> &'static str {
        match self {
            Self::NoBucket => "bucket that does not exist",
            Self::WrongSecret => "wrong secret",
            Self::UnknownKeyId => "unknown key id",
            Self::InvalidToken => "invalid token",
        }
    }

    fn make(self, s3: &S3) -> AmazonS3Builder {
        let [bucket, ..] = BUCKETS;
        match self {
            Self::NoBucket => s3.builder("no-such-bucket"),
            Self::WrongSecret => s3.builder(bucket).with_secret_access_key("wrong"),
            Self::UnknownKeyId => s3.builder(bucket).with_access_key_id("unknown"),
            Self::InvalidToken => s3.builder(bucket).with_token("invalid"),
        }
    }
}

/// Makes each mistake; the server's answer to it has this kind.
pub(crate) async fn check(
    suite: &Suite,
    s3: &S3,
    mistakes: &[(Mistake, &'static str)],
) -> Result<()> {
    for (mistake, expected) in mistakes {
        let plain = mistake.make(s3).build()?;
        let encrypted = EncryptedStore::new(plain.clone(), keyring()?);
        let stores = [
            (View::Plain, &plain as &dyn ObjectStore),
            (View::Encrypted, &encrypted),
        ];
        for (view, store) in stores {
            let refused = refused(store, expected);
            suite.check(view, mistake.name(), refused).await?;
        }
    }
    Ok(())
}

async fn refused(store: &dyn ObjectStore, expected: &str) -> Result<String> {
    let (from, to) = (Path::from("from"), Path::from("to"));
    // `object_store` gives every failed listing this kind.
    let listing = "Generic";
    let listed = store.list(None).try_collect::<Vec<_>>().await;
    let operations = [
        ("put", kind(store.put(&from, "abc".into()).await), expected),
        (
            "put_multipart",
            kind(store.put_multipart(&from).await),
            expected,
        ),
        ("get", kind(store.get(&from).await), expected),
        (
            "get_range",
            kind(store.get_range(&from, 0..1).await),
            expected,
        ),
        ("head", kind(store.head(&from).await), expected),
        ("delete", kind(store.delete(&from).await), expected),
        ("copy", kind(store.copy(&from, &to).await), expected),
        ("rename", kind(store.rename(&from, &to).await), expected),
        ("list", kind(listed), listing),
        (
            "list_with_delimiter",
            kind(store.list_with_delimiter(None).await),
            listing,
        ),
    ];
    for (operation, kind, expected) in operations {
        ensure!(kind == expected, "{operation} is {kind} and not {expected}");
    }
    Ok(format!("{expected}, whatever is asked of an object"))
}

fn kind<T>(result: object_store::Result<T>) -> &'static str {
    match result {
        Ok(_) => "Ok",
        Err(Error::NotFound { .. }) => "NotFound",
        Err(Error::PermissionDenied { .. }) => "PermissionDenied",
        Err(Error::Unauthenticated { .. }) => "Unauthenticated",
        Err(Error::Generic { .. }) => "Generic",
        Err(_) => "another kind",
    }
}

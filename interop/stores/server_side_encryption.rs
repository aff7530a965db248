//! Encryption by the server as well: an object is then encrypted twice, and each side knows only
//! its own keys.

use anyhow::{Context, Result, bail, ensure};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use envelope_store::EncryptedStore;
use http::Method;
use http::header::{HeaderName, HeaderValue};
use md5::{Digest, Md5};
use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey};
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};

use crate::minio::KMS_KEY;
use crate::s3::S3;
use crate::suite::{Suite, View, keyring};

const BUCKET: &str = "server-side";
/// A key that the server gets with each request and does not keep.
const CUSTOMER_KEY: [u8; 32] = [9; 32];

const ALGORITHM: HeaderName = HeaderName::from_static("x-amz-server-side-encryption");
const CUSTOMER_ALGORITHM: HeaderName =
    HeaderName::from_static("x-amz-server-side-encryption-customer-algorithm");
const CUSTOMER_KEY_HEADER: HeaderName =
    HeaderName::from_static("x-amz-server-side-encryption-customer-key");
const CUSTOMER_KEY_DIGEST: HeaderName =
    HeaderName::from_static("x-amz-server-side-encryption-customer-key-md5");
const KMS_KEY_ID: HeaderName =
    HeaderName::from_static("x-amz-server-side-encryption-aws-kms-key-id");

/// Whose key the server encrypts with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum KeyOwner {
    /// The store's own key: SSE-S3.
    Store,
    /// A key of the key service: SSE-KMS.
    KeyService,
    /// The caller's key: SSE-C.
    Caller,
}

impl KeyOwner {
    fn name(self) -> &'static str {
        match self {
            Self::Store => "SSE-S3",
            Self::KeyService => "SSE-KMS",
            Self::Caller => "SSE-C",
        }
    }

    fn configure(self, builder: AmazonS3Builder) -> Result<AmazonS3Builder> {
        Ok(match self {
            Self::Store => {
                let key: AmazonS3ConfigKey = "aws_server_side_encryption".parse()?;
                builder.with_config(key, "AES256")
            }
            Self::KeyService => builder.with_sse_kms_encryption(KMS_KEY),
            Self::Caller => builder.with_ssec_encryption(BASE64_STANDARD.encode(CUSTOMER_KEY)),
        })
    }

    /// What a request must send along to see the object.
    fn headers(self) -> Result<Vec<(HeaderName, HeaderValue)>> {
        if self != Self::Caller {
            return Ok(Vec::new());
        }
        let encoded = |bytes: &[u8]| HeaderValue::from_str(&BASE64_STANDARD.encode(bytes));
        Ok(vec![
            (CUSTOMER_ALGORITHM, HeaderValue::from_static("AES256")),
            (CUSTOMER_KEY_HEADER, encoded(&CUSTOMER_KEY)?),
            (CUSTOMER_KEY_DIGEST, encoded(&Md5::digest(CUSTOMER_KEY))?),
        ])
    }

    /// The header and value by which the server tells of its encryption.
    fn told(self) -> (HeaderName, &'static str) {
        match self {
            Self::Store => (ALGORITHM, "AES256"),
            Self::KeyService => (ALGORITHM, "aws:kms"),
            Self::Caller => (CUSTOMER_ALGORITHM, "AES256"),
        }
    }
}

pub(crate) async fn check(suite: &Suite, s3: &S3) -> Result<()> {
    s3.create_buckets(&[BUCKET]).await?;
    let view = View::Encrypted;
    suite
        .check(view, "without server-side encryption", nothing_told(s3))
        .await?;
    for owner in [KeyOwner::Store, KeyOwner::KeyService, KeyOwner::Caller] {
        suite
            .check(view, owner.name(), encrypted_twice(s3, owner))
            .await?;
    }
    suite
        .check(view, "SSE-C without its key", unreadable(s3))
        .await
}

/// Objects that the server does not encrypt say so; else the other checks would show nothing.
async fn nothing_told(s3: &S3) -> Result<String> {
    let location = Path::from("none");
    let store = EncryptedStore::new(s3.builder(BUCKET).build()?, keyring()?);
    store.put(&location, "abc".into()).await?;
    let answer = s3.send(Method::HEAD, BUCKET, &location, &[], &[]).await?;
    ensure!(answer.status().is_success(), "{}", answer.status());
    let told = answer.headers().get(ALGORITHM);
    ensure!(told.is_none(), "the server says {told:?}");
    Ok("HEAD tells of none".to_owned())
}

async fn encrypted_twice(s3: &S3, owner: KeyOwner) -> Result<String> {
    let [put, uploaded, copied] =
        ["put", "uploaded", "copied"].map(|name| Path::from_iter([owner.name(), name]));
    let under = owner.configure(s3.builder(BUCKET))?.build()?;
    let store = EncryptedStore::new(under.clone(), keyring()?);
    let text = "a secret that must not be stored ";
    let plaintext = Bytes::from(text.repeat(300_000));

    store.put(&put, plaintext.clone().into()).await?;
    let mut upload = store.put_multipart(&uploaded).await?;
    for part in plaintext.chunks(4_000_000) {
        upload.put_part(Bytes::copy_from_slice(part).into()).await?;
    }
    upload.complete().await?;
    store.copy(&uploaded, &copied).await?;

    for location in [&put, &uploaded, &copied] {
        let read = store.get(location).await?.bytes().await?;
        ensure!(read == plaintext, "{location}: other bytes were read");
        let range = store.get_range(location, 70_000..8_500_000).await?;
        let expected = plaintext.slice(70_000..8_500_000);
        ensure!(range == expected, "{location}: the range has other bytes");

        let headers = owner.headers()?;
        let answer = s3
            .send(Method::HEAD, BUCKET, location, &[], &headers)
            .await?;
        ensure!(
            answer.status().is_success(),
            "{location}: {}",
            answer.status()
        );
        let (name, value) = owner.told();
        let told = answer.headers().get(&name);
        ensure!(
            told.is_some_and(|told| told == value),
            "{location}: the server says {name}: {told:?}"
        );
        if owner == KeyOwner::KeyService {
            let told = answer.headers().get(KMS_KEY_ID);
            let told = told.context("the server names no key")?.to_str()?;
            ensure!(told.ends_with(KMS_KEY), "the server names key {told:?}");
        }

        let claims = store.inspect(location).await?;
        let stored = under.get(location).await?.bytes().await?;
        ensure!(
            stored.starts_with(&[2, 4, 0x78]) && stored.len() > plaintext.len(),
            "{location}: what is stored is no message of suite 0478"
        );
        ensure!(
            !claims.encrypted_data_keys.is_empty(),
            "{location}: the message holds no key"
        );
        let found = stored
            .windows(text.len())
            .any(|bytes| bytes == text.as_bytes());
        ensure!(!found, "{location}: plaintext is stored");
    }
    let (name, value) = owner.told();
    Ok(format!(
        "HEAD tells {name}: {value}, and a message of ours is beneath"
    ))
}

/// Without the key nothing is read, and the encrypted store says what the plain one does.
async fn unreadable(s3: &S3) -> Result<String> {
    let location = Path::from_iter([KeyOwner::Caller.name(), "put"]);
    let plain = s3.builder(BUCKET).build()?;
    let encrypted = EncryptedStore::new(plain.clone(), keyring()?);
    let mut said = Vec::new();
    for store in [&plain as &dyn ObjectStore, &encrypted] {
        match store.get(&location).await {
            Err(object_store::Error::Generic { source, .. }) => said.push(source.to_string()),
            Err(error) => bail!("not Generic but {error:?}"),
            Ok(_) => bail!("it was read"),
        }
    }
    for said in &said {
        let refused = said.contains("400 Bad Request") && said.contains("Server Side Encryption");
        ensure!(refused, "{said}");
    }
    Ok("Generic: 400 Bad Request, plain and encrypted".to_owned())
}

use anyhow::{Result, ensure};
use envelope_store::EncryptedStore;
use http::Method;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt, PutMultipartOptions, PutOptions, TagSet};

use crate::s3::S3;
use crate::suite::{BUCKETS, Suite, View, keyring};

/// Tags reach the server with a put and with a multipart upload. The encrypted store leaves them as
/// they are. `object_store` keeps its own check of them to itself.
pub(crate) async fn check(suite: &Suite, s3: &S3) -> Result<()> {
    let [plain, encrypted, ..] = BUCKETS;
    let store = s3.builder(plain).build()?;
    suite
        .check(View::Plain, "tags", tagged(s3, plain, &store))
        .await?;
    let store = EncryptedStore::new(s3.builder(encrypted).build()?, keyring()?);
    suite
        .check(View::Encrypted, "tags", tagged(s3, encrypted, &store))
        .await
}

async fn tagged(s3: &S3, bucket: &str, store: &dyn ObjectStore) -> Result<String> {
    let (put, uploaded) = (Path::from("tagged/put"), Path::from("tagged/uploaded"));
    let mut tags = TagSet::default();
    tags.push("team", "red + blue = 1/2");

    let options = PutOptions::from(tags.clone());
    store.put_opts(&put, "abc".into(), options).await?;
    let options = PutMultipartOptions::from(tags);
    let mut upload = store.put_multipart_opts(&uploaded, options).await?;
    upload.put_part("abc".into()).await?;
    upload.complete().await?;

    for location in [put, uploaded] {
        let query = [("tagging", "")];
        let answer = s3.send(Method::GET, bucket, &location, &query, &[]).await?;
        let body = answer.into_body().bytes().await?;
        let body = String::from_utf8_lossy(&body);
        let tag = "<Key>team</Key><Value>red + blue = 1/2</Value>";
        ensure!(body.contains(tag), "{location}: its tags are {body}");
        store.delete(&location).await?;
    }
    Ok(String::new())
}

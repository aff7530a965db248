//! The server is killed while objects are uploaded in parts.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, bail, ensure};
use bytes::Bytes;
use envelope_store::EncryptedStore;
use futures::future::{join_all, try_join_all};
use object_store::path::Path;
use object_store::{Error, MultipartUpload, ObjectStore, ObjectStoreExt, RetryConfig};
use tokio::task::JoinHandle;
use tokio::time::sleep;

use crate::seaweedfs::SeaweedFs;
use crate::server::Server;
use crate::suite::{BUCKETS, Suite, View, keyring};

const PART_LENGTH: usize = 8 << 20;
const PARTS: usize = 3;

/// When the server is killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Moment {
    /// While parts are under way.
    Sending,
    /// While uploads are completed.
    Completing,
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Sending => "sending parts",
            Self::Completing => "completing",
        })
    }
}

/// The same store twice.
struct Pair {
    /// Does not try again.
    writer: Box<dyn ObjectStore>,
    /// Tries again while the server comes up.
    reader: Box<dyn ObjectStore>,
}

/// An upload, and where it goes.
struct Interrupted<'a> {
    view: View,
    reader: &'a dyn ObjectStore,
    location: Path,
    /// What is there before.
    old: Option<Bytes>,
    upload: Box<dyn MultipartUpload>,
}

/// Kills the server at some moments and starts it again. Afterwards each object is the old one or
/// the new one, whole. Returns the server that runs then.
pub(crate) async fn check(
    suite: &Suite,
    seaweedfs: &SeaweedFs,
    mut server: Server,
) -> Result<Server> {
    let [plain, encrypted, ..] = BUCKETS;
    let open = |bucket, retry| {
        let builder = seaweedfs.s3().builder(bucket).with_retry(retry);
        // Signing whole parts would take longer than sending them.
        builder.with_unsigned_payload(true).build()
    };
    // The server is back only after the uploads have failed, and then finds its volumes one by one.
    let [once, patient] = [0, 60].map(|max_retries| RetryConfig {
        max_retries,
        retry_timeout: Duration::from_secs(60),
        ..RetryConfig::default()
    });
    let keyring = Arc::new(keyring()?);
    let encrypt = |store| EncryptedStore::new(store, Arc::clone(&keyring));
    let plain = Pair {
        writer: Box::new(open(plain, once.clone())?),
        reader: Box::new(open(plain, patient.clone())?),
    };
    let encrypted = Pair {
        writer: Box::new(encrypt(open(encrypted, once)?)),
        reader: Box::new(encrypt(open(encrypted, patient)?)),
    };
    for moment in [Moment::Sending, Moment::Completing] {
        let mut uploads = start(View::Plain, &plain).await?;
        uploads.extend(start(View::Encrypted, &encrypted).await?);
        let completed: Vec<bool> = match moment {
            Moment::Sending => {
                let killed = kill(server, Duration::from_millis(50));
                let sent = join_all(uploads.iter_mut().map(Interrupted::send)).await;
                killed.await??;
                let cut = sent.iter().any(Result::is_err);
                ensure!(cut, "all parts were sent before the server was killed");
                vec![false; sent.len()]
            }
            Moment::Completing => {
                try_join_all(uploads.iter_mut().map(Interrupted::send)).await?;
                let killed = kill(server, Duration::from_millis(10));
                let completed = join_all(uploads.iter_mut().map(Interrupted::complete)).await;
                killed.await??;
                completed.iter().map(Result::is_ok).collect()
            }
        };
        server = seaweedfs.start().await?;
        for (upload, completed) in uploads.iter().zip(completed) {
            let location = &upload.location;
            let name = format!("killed while {moment}: {location}");
            let found = upload.whole(moment, completed);
            suite.check(upload.view, &name, found).await?;
        }
    }
    Ok(server)
}

/// Kills the server while others are busy.
fn kill(server: Server, after: Duration) -> JoinHandle<Result<()>> {
    tokio::spawn(async move {
        sleep(after).await;
        server.kill().await
    })
}

/// One upload in place of an object, and one where there is none.
async fn start(view: View, store: &Pair) -> Result<Vec<Interrupted<'_>>> {
    let (replaced, made) = (Path::from("replaced"), Path::from("made"));
    let old = Bytes::from(vec![b'o'; 1_000_000]);
    let put = store.reader.put(&replaced, old.clone().into());
    put.await?;
    // An earlier moment may have left one.
    store.reader.delete(&made).await?;
    let mut uploads = Vec::new();
    for (location, old) in [(replaced, Some(old)), (made, None)] {
        uploads.push(Interrupted {
            view,
            reader: &*store.reader,
            old,
            upload: store.writer.put_multipart(&location).await?,
            location,
        });
    }
    Ok(uploads)
}

impl Interrupted<'_> {
    fn new_bytes() -> Bytes {
        Bytes::from(vec![b'n'; PARTS * PART_LENGTH])
    }

    /// All parts side by side.
    async fn send(&mut self) -> object_store::Result<()> {
        let mut rest = Self::new_bytes();
        let mut parts = Vec::new();
        while !rest.is_empty() {
            let part = rest.split_to(PART_LENGTH);
            parts.push(self.upload.put_part(part.into()));
        }
        try_join_all(parts).await.map(drop)
    }

    async fn complete(&mut self) -> object_store::Result<()> {
        self.upload.complete().await.map(drop)
    }

    /// Says which object is there.
    async fn whole(&self, moment: Moment, completed: bool) -> Result<String> {
        let found = match self.reader.get(&self.location).await {
            Ok(found) => Some(found.bytes().await?),
            Err(Error::NotFound { .. }) => None,
            Err(error) => return Err(error.into()),
        };
        if found.as_ref() == Some(&Self::new_bytes()) {
            ensure!(moment != Moment::Sending, "an unfinished upload is there");
            return Ok("is new".to_owned());
        }
        ensure!(!completed, "it was completed, and is lost");
        match found {
            None if self.old.is_none() => Ok("is not there".to_owned()),
            found if found == self.old => Ok("is old".to_owned()),
            None => bail!("neither the old object nor the new one is there"),
            Some(found) => bail!("{} bytes of something else are there", found.len()),
        }
    }
}

//! Connections to a real S3 server that break, stall and flip bits: readers find the old object or
//! the new one whole, or an error that says why.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use envelope::{ErrorKind, RawAes, WrappingKey};
use envelope_store::{EncryptedStore, Error};
use futures::StreamExt;
use object_store::aws::{AmazonS3, AmazonS3Builder, Checksum};
use object_store::path::Path;
use object_store::{
    BackoffConfig, ClientOptions, GetOptions, GetRange, ObjectStore, ObjectStoreExt, PutPayload,
    RetryConfig,
};

use crate::fault_proxy::{Direction, Fault, FaultProxy, Harm, Place, Request};
use crate::s3::{KEY_ID, SECRET};

/// Bytes of plaintext in a frame, of a store that is told nothing else.
const FRAME: usize = 64 << 10;
/// Bytes of an object that is put at once: three frames and a part of one.
const SHORT: usize = 200_000;
/// Bytes of an object that is uploaded: three parts.
const LONG: usize = 12 << 20;
/// Bytes in a part; S3 demands that many.
const PART: usize = 5 << 20;
/// How long a client waits for an answer, or more of it.
const PATIENCE: Duration = Duration::from_secs(20);
/// The same, where it is known to wait in vain.
const IMPATIENCE: Duration = Duration::from_secs(1);

/// Where a put is cut: before it, at its body, in the header, among the frames, near its end, and
/// when the server has done it.
const CUTS: [(Direction, Place); 7] = [
    (Direction::Request, Place::Head),
    (Direction::Request, Place::Body(0)),
    (Direction::Request, Place::Body(1)),
    (Direction::Request, Place::Body(1024)),
    (Direction::Request, Place::Body(100_000)),
    (Direction::Request, Place::Body(SHORT)),
    (Direction::Response, Place::Head),
];
const ENDS: [Harm; 3] = [Harm::Reset, Harm::Finish, Harm::Stall];

/// How the server is to find out that a body is not what was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Payload {
    /// Not at all.
    Unsigned,
    /// The signature covers it.
    Signed,
    /// A checksum goes along.
    Summed,
}

impl Payload {
    /// Whether a body that was not passed on as it was leaves this. Only a checksum protects the old
    /// object from every server: SeaweedFS compares no body with its signature, and takes one that
    /// ends before its first byte for empty. Readers refuse what it stores then.
    fn left(self, found: Found) -> bool {
        found == Found::Old || found == Found::Refused && self != Self::Summed
    }
}

/// How often a client tries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Attempts {
    One,
    Some,
}

/// What readers find.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Found {
    Old,
    New,
    /// An object that does not open.
    Refused,
}

/// A proxy before a bucket.
struct Faults<'a> {
    proxy: FaultProxy,
    upstream: SocketAddr,
    bucket: &'a str,
}

/// Runs every fault over this bucket of the S3 server at `upstream`.
///
/// # Errors
/// At the first object that is torn, and the first error that is another than expected.
pub(crate) async fn check(upstream: SocketAddr, bucket: &str) -> Result<()> {
    let faults = Faults {
        proxy: FaultProxy::start(upstream).await?,
        upstream,
        bucket,
    };
    let broken = faults.broken_puts().await?;
    println!("faults: {broken} puts broken: the old object or the new one");
    let again = faults.puts_sent_again().await?;
    println!("faults: {again} puts sent again: the same bytes, and the new object");
    let flipped = faults.flipped_puts().await?;
    println!("faults: {flipped} puts with a flipped bit: refused");
    let broken = faults.broken_uploads(Attempts::One).await?;
    println!("faults: {broken} uploads broken: the old object or the new one");
    let again = faults.broken_uploads(Attempts::Some).await?;
    println!("faults: {again} uploads sent again: the same bytes, and the new object");
    let flipped = faults.flipped_uploads().await?;
    println!("faults: {flipped} uploads with a flipped bit: refused");
    let broken = faults.broken_reads().await?;
    println!("faults: {broken} reads broken: what was released is authentic");
    Ok(())
}

fn path() -> Path {
    Path::from("faults/object")
}

/// Content that differs from place to place.
fn text(version: Found, length: usize) -> Vec<u8> {
    let period = if version == Found::Old { 251 } else { 241 };
    (0..=255).take(period).cycle().take(length).collect()
}

impl Faults<'_> {
    fn open(
        &self,
        address: SocketAddr,
        payload: Payload,
        attempts: Attempts,
        patience: Duration,
    ) -> Result<EncryptedStore<AmazonS3>> {
        let options = ClientOptions::new()
            .with_allow_http(true)
            // The proxy takes one request from each connection.
            .with_pool_max_idle_per_host(0)
            .with_read_timeout(patience)
            .with_timeout(2 * PATIENCE);
        let retry = RetryConfig {
            backoff: BackoffConfig {
                init_backoff: Duration::from_millis(10),
                max_backoff: Duration::from_millis(50),
                base: 2.0,
            },
            max_retries: if attempts == Attempts::One { 0 } else { 3 },
            retry_timeout: 2 * PATIENCE,
        };
        let mut builder = AmazonS3Builder::new()
            .with_endpoint(format!("http://{address}"))
            .with_region("us-east-1")
            .with_bucket_name(self.bucket)
            .with_access_key_id(KEY_ID)
            .with_secret_access_key(SECRET)
            .with_unsigned_payload(payload != Payload::Signed)
            .with_client_options(options)
            .with_retry(retry);
        if payload == Payload::Summed {
            builder = builder.with_checksum_algorithm(Checksum::SHA256);
        }
        // Every store of a check has the same keys.
        let wrapping_key = WrappingKey::from_bytes(&mut [7; 32])?;
        let keyring = RawAes::new("interop", "faults", wrapping_key)?;
        let builder = EncryptedStore::builder(builder.build()?).part_length(PART);
        Ok(builder.build(keyring))
    }

    /// Through the proxy, which will do this.
    fn faulty(
        &self,
        payload: Payload,
        attempts: Attempts,
        harm: Harm,
    ) -> Result<EncryptedStore<AmazonS3>> {
        let patience = match harm {
            Harm::Stall => IMPATIENCE,
            _ => PATIENCE,
        };
        self.open(self.proxy.address(), payload, attempts, patience)
    }

    /// Past it.
    fn direct(&self) -> Result<EncryptedStore<AmazonS3>> {
        self.open(self.upstream, Payload::Unsigned, Attempts::Some, PATIENCE)
    }

    async fn put_old(&self) -> Result<()> {
        let old = text(Found::Old, SHORT);
        let put = self.direct()?.put(&path(), old.into()).await;
        put.context("the old object")?;
        Ok(())
    }

    /// Reads whole and in parts, and tells what all agree on.
    async fn found(&self, new: &[u8]) -> Result<Found> {
        let store = self.direct()?;
        let old = text(Found::Old, SHORT);
        let whole = Read::of(&store, None).await;
        let (found, expected) = match &whole.error {
            None if whole.released == old => (Found::Old, old.as_slice()),
            None if whole.released == new => (Found::New, new),
            None => bail!("{} bytes of another object", whole.released.len()),
            Some(error) => {
                ensure!(is_refused(error), "the object is not refused: {error:?}");
                return Ok(Found::Refused);
            }
        };
        let range = 60_000..140_000;
        let read = store.get_range(&path(), 60_000..140_000).await?;
        let expected = expected.get(range).unwrap_or_default();
        ensure!(read == expected, "a range of another object");
        Ok(found)
    }

    /// A request or its response ends early; the client tries once.
    async fn broken_puts(&self) -> Result<usize> {
        let new = text(Found::New, SHORT);
        let mut count = 0;
        for payload in [Payload::Unsigned, Payload::Summed] {
            for (direction, place) in CUTS {
                for harm in ENDS {
                    self.put_old().await?;
                    self.proxy.harm(put(direction, place, harm));
                    let store = self.faulty(payload, Attempts::One, harm)?;
                    let put = store.put(&path(), new.clone().into()).await;
                    let doing = format!("{harm:?} at {direction:?} {place:?}, {payload:?}");
                    let error = put.err().context(format!("{doing}: it was put"))?;
                    ensure!(is_transport(&error), "{doing}: {error:?}");
                    self.proxy.requests().context(doing.clone())?;
                    let found = self.found(&new).await.context(doing.clone())?;
                    let expected = match direction {
                        // The server has done it, and only its answer was lost.
                        Direction::Response => found == Found::New,
                        Direction::Request => payload.left(found),
                    };
                    ensure!(expected, "{doing}: {found:?}");
                    count += 1;
                }
            }
        }
        Ok(count)
    }

    /// As before; the client tries again.
    async fn puts_sent_again(&self) -> Result<usize> {
        let new = text(Found::New, SHORT);
        let mut count = 0;
        for payload in [Payload::Unsigned, Payload::Signed] {
            for (direction, place) in CUTS {
                for harm in ENDS {
                    self.put_old().await?;
                    self.proxy.harm(put(direction, place, harm));
                    let doing = format!("{harm:?} at {direction:?} {place:?}, {payload:?}");
                    let store = self.faulty(payload, Attempts::Some, harm)?;
                    let put = store.put(&path(), new.clone().into()).await;
                    put.context(doing.clone())?;
                    let requests = self.proxy.requests().context(doing.clone())?;
                    sent_twice(&requests, direction, place).context(doing.clone())?;
                    let found = self.found(&new).await.context(doing.clone())?;
                    ensure!(found == Found::New, "{doing}: {found:?}");
                    count += 1;
                }
            }
        }
        Ok(count)
    }

    /// A bit of the body is another. Where the server cannot know, readers refuse the object.
    async fn flipped_puts(&self) -> Result<usize> {
        let new = text(Found::New, SHORT);
        let mut count = 0;
        for payload in [Payload::Unsigned, Payload::Signed, Payload::Summed] {
            // In the message id, the padding, the header's tag, a frame's number, text and tag.
            for at in [5, 700, 1020, 1027, 70_000, 66_590, SHORT] {
                self.put_old().await?;
                let place = Place::Body(at);
                self.proxy.harm(put(Direction::Request, place, Harm::Flip));
                let store = self.faulty(payload, Attempts::One, Harm::Flip)?;
                let put = store.put(&path(), new.clone().into()).await;
                self.proxy.requests()?;
                let found = self.found(&new).await?;
                let doing = format!("bit in byte {at}, {payload:?}");
                match put {
                    Ok(_) => {
                        ensure!(payload != Payload::Summed, "{doing}: it was put");
                        ensure!(found == Found::Refused, "{doing}: {found:?}");
                    }
                    Err(error) => {
                        ensure!(is_transport(&error), "{doing}: {error:?}");
                        ensure!(found == Found::Old, "{doing}: {found:?}");
                    }
                }
                count += 1;
            }
        }
        Ok(count)
    }

    /// Each request of an upload, and its response, ends early.
    async fn broken_uploads(&self, attempts: Attempts) -> Result<usize> {
        let new = text(Found::New, LONG);
        let start = ("POST", "?uploads");
        let first = ("PUT", "partNumber=1&");
        let last = ("PUT", "partNumber=3&");
        let complete = ("POST", "?uploadId");
        let mut count = 0;
        for (request, direction, place) in [
            (start, Direction::Request, Place::Head),
            (start, Direction::Response, Place::Head),
            (first, Direction::Request, Place::Head),
            (first, Direction::Request, Place::Body(1)),
            (first, Direction::Request, Place::Body(PART - 1)),
            (first, Direction::Response, Place::Head),
            (last, Direction::Request, Place::Body(100_000)),
            (last, Direction::Response, Place::Head),
            (complete, Direction::Request, Place::Head),
            (complete, Direction::Request, Place::Body(20)),
            (complete, Direction::Response, Place::Head),
        ] {
            for harm in ENDS {
                self.put_old().await?;
                let (method, target) = request;
                self.proxy.harm(Fault {
                    method,
                    target,
                    ..put(direction, place, harm)
                });
                let doing = format!("{harm:?} at {direction:?} {place:?} of {target}");
                let store = self.faulty(Payload::Unsigned, attempts, harm)?;
                let uploaded = upload(&store, &new).await;
                let mut requests = self.proxy.requests().context(doing.clone())?;
                match (attempts, uploaded) {
                    (Attempts::One, Err(error)) => {
                        ensure!(is_transport(&error), "{doing}: {error:?}");
                    }
                    (Attempts::Some, Ok(())) => {
                        requests
                            .retain(|sent| sent.method == method && sent.target.contains(target));
                        sent_twice(&requests, direction, place).context(doing.clone())?;
                    }
                    (_, uploaded) => bail!("{doing}, {attempts:?}: {uploaded:?}"),
                }
                // The server has done it, and only its answer was lost.
                let is_done = request == complete && direction == Direction::Response;
                let after = match is_done || attempts == Attempts::Some {
                    true => Found::New,
                    false => Found::Old,
                };
                let found = self.found(&new).await.context(doing.clone())?;
                ensure!(found == after, "{doing}: {found:?}");
                count += 1;
            }
        }
        Ok(count)
    }

    /// A bit of a part is another.
    async fn flipped_uploads(&self) -> Result<usize> {
        let new = text(Found::New, LONG);
        let mut count = 0;
        for payload in [Payload::Unsigned, Payload::Signed, Payload::Summed] {
            for (target, at) in [
                ("partNumber=1&", 1030),
                ("partNumber=2&", PART - 1),
                ("partNumber=3&", 0),
            ] {
                self.put_old().await?;
                self.proxy.harm(Fault {
                    target,
                    ..put(Direction::Request, Place::Body(at), Harm::Flip)
                });
                let store = self.faulty(payload, Attempts::One, Harm::Flip)?;
                let uploaded = upload(&store, &new).await;
                self.proxy.requests()?;
                let found = self.found(&new).await?;
                let doing = format!("bit in byte {at} of {target}, {payload:?}");
                let after = match uploaded {
                    Ok(()) => Found::Refused,
                    Err(_) => Found::Old,
                };
                ensure!(
                    found == after && payload.left(found),
                    "{doing}: {found:?} after {uploaded:?}"
                );
                count += 1;
            }
        }
        Ok(count)
    }

    /// Whole reads and ranges end early, stall, come late or with a flipped bit.
    async fn broken_reads(&self) -> Result<usize> {
        self.put_old().await?;
        let old = text(Found::Old, SHORT);
        let whole = [0, 500, 1024, 1030, 70_000, 150_000, SHORT].map(|at| (None, 0, at));
        let range = || Some(GetRange::Bounded(60_000..140_000));
        // The first request of a range is for the header, the second for frames.
        let ranges = [(0, 0), (0, 900), (1, 0), (1, 40), (1, 70_000), (1, 190_000)];
        let ranges = ranges.map(|(skip, at)| (range(), skip, at));
        let mut count = 0;
        for (range, skip, at) in whole.into_iter().chain(ranges) {
            let expected = match range {
                None => old.as_slice(),
                Some(_) => old.get(60_000..140_000).unwrap_or_default(),
            };
            let late = Harm::Delay(IMPATIENCE / 4);
            for harm in ENDS.into_iter().chain([Harm::Flip, late]) {
                for attempts in [Attempts::One, Attempts::Some] {
                    self.proxy.harm(Fault {
                        method: "GET",
                        target: "",
                        skip,
                        direction: Direction::Response,
                        place: Place::Body(at),
                        harm,
                    });
                    let store = self.faulty(Payload::Unsigned, attempts, harm)?;
                    let read = Read::of(&store, range.clone()).await;
                    let doing = format!("{harm:?} at {at} of {range:?}, {attempts:?}");
                    self.proxy.requests().context(doing.clone())?;
                    read.check(expected, range.is_none(), harm, attempts)
                        .context(doing.clone())?;
                    // What the store remembers of it is right.
                    let again = Read::of(&store, range.clone()).await;
                    ensure!(again.released == expected, "{doing}: then other bytes");
                    count += 1;
                }
            }
        }
        Ok(count)
    }
}

/// Harm to the first put.
fn put(direction: Direction, place: Place, harm: Harm) -> Fault {
    Fault {
        method: "PUT",
        target: "",
        skip: 0,
        direction,
        place,
        harm,
    }
}

/// Stops at the first error, and leaves the upload as it is.
async fn upload(store: &EncryptedStore<AmazonS3>, new: &[u8]) -> object_store::Result<()> {
    let mut upload = store.put_multipart(&path()).await?;
    for piece in new.chunks(1 << 20) {
        upload.put_part(PutPayload::from(piece.to_vec())).await?;
    }
    upload.complete().await?;
    Ok(())
}

/// The first attempt broke here, and the second sent the same from the beginning.
fn sent_twice(requests: &[Request], direction: Direction, place: Place) -> Result<()> {
    let [first, second] = requests else {
        bail!("{} requests", requests.len());
    };
    let sent = match (direction, place) {
        (Direction::Request, Place::Head) => 0,
        (Direction::Request, Place::Body(at)) => at,
        (Direction::Response, _) => second.body.len(),
    };
    ensure!(
        second.body.get(..sent) == Some(&first.body),
        "the bytes that were sent again differ"
    );
    Ok(())
}

/// What a read released, and the error that ended it.
struct Read {
    released: Vec<u8>,
    error: Option<object_store::Error>,
}

impl Read {
    async fn of(store: &EncryptedStore<AmazonS3>, range: Option<GetRange>) -> Self {
        let mut released = Vec::new();
        let options = GetOptions::new().with_range(range);
        let read = async {
            let mut body = store.get_opts(&path(), options).await?.into_stream();
            while let Some(bytes) = body.next().await {
                released.extend_from_slice(&bytes?);
            }
            object_store::Result::Ok(())
        };
        let error = read.await.err();
        Self { released, error }
    }

    fn check(&self, expected: &[u8], is_whole: bool, harm: Harm, attempts: Attempts) -> Result<()> {
        let released = self.released.len();
        ensure!(
            expected.starts_with(&self.released),
            "{released} bytes, and not those that were written"
        );
        let Some(error) = &self.error else {
            ensure!(released == expected.len(), "{released} bytes as the whole");
            let may_end_well = attempts == Attempts::Some || matches!(harm, Harm::Delay(_));
            ensure!(may_end_well && harm != Harm::Flip, "it ended well");
            return Ok(());
        };
        ensure!(
            !is_whole || released.is_multiple_of(FRAME),
            "{released} bytes, a part of a frame"
        );
        match harm {
            Harm::Flip => ensure!(is_refused(error), "{error:?}"),
            Harm::Delay(_) => bail!("{error:?}"),
            _ => {
                ensure!(attempts == Attempts::One, "{error:?}");
                ensure!(is_transport(error), "{error:?}");
            }
        }
        Ok(())
    }
}

/// Our own error inside one of `object_store`'s.
fn cause(error: &object_store::Error) -> Option<&Error> {
    let mut source: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = source {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        source = error.source();
    }
    None
}

/// The object was read, and is not what was written.
fn is_refused(error: &object_store::Error) -> bool {
    matches!(
        cause(error),
        Some(Error::Envelope { source, .. } | Error::Foreign { source, .. })
            if source.kind() == ErrorKind::NotAuthentic
    )
}

/// The client's own error, as it gave it.
fn is_transport(error: &object_store::Error) -> bool {
    cause(error).is_none() && matches!(error, object_store::Error::Generic { store: "S3", .. })
}

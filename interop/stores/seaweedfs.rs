use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Result;
use tempfile::TempDir;
use tokio::process::Command;
use tokio::time::Instant;

use crate::bad_input::{self, Mistake};
use crate::faults;
use crate::interrupted;
use crate::program;
use crate::s3::{KEY_ID, S3, SECRET};
use crate::s3_encryption_client;
use crate::server::{Server, free_addresses};
use crate::suite::{BUCKETS, Suite};
use crate::tags;

const NAME: &str = "SeaweedFS";
/// The bucket that is reached through a proxy which breaks connections.
const FAULTS: &str = "faults";
/// What is wrong with one of its names.
pub(crate) const BACKSLASH: (&str, &str) = ("bare backslash", "SeaweedFS makes it a slash");
/// What is wrong with its listings.
pub(crate) const OFFSETS: &str = "after `a`, SeaweedFS also leaves out what is below `a/`";

/// SeaweedFS, a distributed store with an S3 gateway. It keeps its data and its ports when it is
/// started again.
pub(crate) struct SeaweedFs {
    program: PathBuf,
    folder: TempDir,
    addresses: [SocketAddr; 4],
    /// Without an identity everybody may do everything.
    has_identity: bool,
}

impl SeaweedFs {
    pub(crate) fn new(tools: &Path, has_identity: bool) -> Result<Self> {
        Ok(Self {
            program: tools.join("python/bin/weed"),
            folder: tempfile::tempdir()?,
            addresses: free_addresses()?,
            has_identity,
        })
    }

    pub(crate) async fn start(&self) -> Result<Server> {
        let [master, volume, filer, s3] = self.addresses.map(|address| address.port());
        let mut command = Command::new(&self.program);
        command
            .arg("server")
            .arg(format!("-dir={}", self.folder.path().display()))
            .args(["-ip=127.0.0.1", "-ip.bind=127.0.0.1"])
            .arg(format!("-master.port={master}"))
            .arg(format!("-volume.port={volume}"))
            .arg(format!("-filer.port={filer}"))
            .args(["-s3", "-s3.port.iceberg=0", "-s3.port.lance=0"])
            .arg(format!("-s3.port={s3}"))
            .args(["-volume.max=100", "-master.volumeSizeLimitMB=256"])
            .args(["-master.telemetry=false", "-volume.preStopSeconds=0"]);
        if self.has_identity {
            command
                .env("AWS_ACCESS_KEY_ID", KEY_ID)
                .env("AWS_SECRET_ACCESS_KEY", SECRET);
        }
        let ready = format!("http://{}/healthz", self.address());
        let client = self.s3().client_options();
        Server::start(NAME, command, self.folder.path(), &ready, &client).await
    }

    /// Where S3 is spoken.
    pub(crate) fn address(&self) -> SocketAddr {
        let [.., s3] = self.addresses;
        s3
    }

    pub(crate) fn s3(&self) -> S3 {
        S3::new(format!("http://{}", self.address()), None)
    }
}

const SUITE: Suite = Suite {
    server: NAME,
    left_out: &[
        BACKSLASH,
        (
            "bucket that does not exist",
            "SeaweedFS makes it when an upload to it begins",
        ),
    ],
    client_offsets: Some(OFFSETS),
    last_writer_wins: true,
};

/// What a killed server leaves behind, again and again for as long as this.
pub(crate) async fn crash_loop(tools: &Path, time: Duration) -> Result<()> {
    let started = Instant::now();
    let seaweedfs = SeaweedFs::new(tools, true)?;
    let mut server = seaweedfs.start().await?;
    seaweedfs.s3().create_buckets(&BUCKETS).await?;
    let mut rounds = 0;
    while started.elapsed() < time {
        server = interrupted::check(&SUITE, &seaweedfs, server).await?;
        rounds += 1;
    }
    println!("{NAME}: killed and started again in {rounds} rounds");
    server.kill().await
}

/// Everything, and at last what a killed server leaves behind.
pub(crate) async fn check(tools: &Path) -> Result<()> {
    let seaweedfs = SeaweedFs::new(tools, true)?;
    let server = seaweedfs.start().await?;
    let s3 = seaweedfs.s3();
    s3.create_buckets(&BUCKETS).await?;
    SUITE
        .run(
            |bucket| Ok(s3.builder(bucket).build()?),
            |bucket| s3.open(bucket),
        )
        .await?;
    s3_encryption_client::check(NAME, &s3).await?;
    tags::check(&SUITE, &s3).await?;
    let [_, bucket, ..] = BUCKETS;
    let settings = [
        ("AWS_ACCESS_KEY_ID", KEY_ID),
        ("AWS_SECRET_ACCESS_KEY", SECRET),
        ("AWS_ENDPOINT_URL", &s3.url("")),
        ("AWS_REGION", "us-east-1"),
        ("AWS_ALLOW_HTTP", "true"),
    ];
    program::check(&SUITE, &format!("s3://{bucket}/program"), &settings).await?;
    s3.create_buckets(&[FAULTS]).await?;
    faults::check(seaweedfs.address(), FAULTS).await?;
    let mistakes = [
        (Mistake::NoBucket, "NotFound"),
        (Mistake::WrongSecret, "PermissionDenied"),
        (Mistake::UnknownKeyId, "PermissionDenied"),
        (Mistake::InvalidToken, "PermissionDenied"),
    ];
    bad_input::check(&SUITE, &s3, &mistakes).await?;
    let server = interrupted::check(&SUITE, &seaweedfs, server).await?;
    server.kill().await
}

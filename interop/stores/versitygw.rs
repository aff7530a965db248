use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use envelope_store::EncryptedStore;
use object_store::ObjectStoreExt;
use tempfile::TempDir;
use tokio::process::Command;

use crate::authority::Authority;
use crate::bad_input::{self, Mistake};
use crate::metadata_limit::metadata_limit;
use crate::s3::{KEY_ID, S3, SECRET};
use crate::server::{Server, free_addresses};
use crate::suite::{BUCKETS, Suite, View, keyring};
use crate::tags;

/// versitygw, a strict S3 gateway to a folder.
pub(crate) struct VersityGateway {
    pub(crate) s3: S3,
    server: Server,
    /// Lives as long as the server.
    _folder: TempDir,
}

impl VersityGateway {
    /// Over TLS when there is an authority, else over plain HTTP.
    pub(crate) async fn start(
        name: &'static str,
        tools: &Path,
        authority: Option<&Authority>,
    ) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let [data, versions] = ["data", "versions"].map(|name| folder.path().join(name));
        fs::create_dir(&data)?;
        fs::create_dir(&versions)?;
        let [address] = free_addresses()?;
        let mut command = Command::new(tools.join("bin/versitygw"));
        command
            .env("ROOT_ACCESS_KEY_ID", KEY_ID)
            .env("ROOT_SECRET_ACCESS_KEY", SECRET)
            .args(["--port", &address.to_string()])
            .args(["--health", "/health", "--quiet"]);
        let s3 = match authority {
            None => S3::new(format!("http://{address}"), None),
            Some(authority) => {
                let [certificate, key] =
                    ["cert.pem", "key.pem"].map(|name| folder.path().join(name));
                authority.issue(&certificate, &key)?;
                command.arg("--cert").arg(certificate).arg("--key").arg(key);
                S3::new(format!("https://{address}"), Some(authority.root()?))
            }
        };
        command
            .arg("posix")
            .arg("--versioning-dir")
            .arg(versions)
            .arg(data);
        let ready = s3.url("/health");
        let client = s3.client_options();
        let server = Server::start(name, command, folder.path(), &ready, &client).await?;
        Ok(Self {
            s3,
            server,
            _folder: folder,
        })
    }
}

/// Everything, over plain HTTP and over TLS.
pub(crate) async fn check(tools: &Path) -> Result<()> {
    check_over(tools, "versitygw", None).await?;
    let authority = Authority::generate()?;
    check_over(tools, "versitygw over TLS", Some(&authority)).await
}

async fn check_over(tools: &Path, name: &'static str, authority: Option<&Authority>) -> Result<()> {
    let gateway = VersityGateway::start(name, tools, authority).await?;
    let s3 = &gateway.s3;
    s3.create_buckets(&BUCKETS).await?;
    let suite = Suite {
        server: name,
        left_out: &[(
            "get_opts",
            "it compares If-Unmodified-Since with fractions of a second, which HTTP dates lack",
        )],
        client_offsets: None,
        last_writer_wins: true,
    };
    suite
        .run(
            |bucket| Ok(s3.builder(bucket).build()?),
            |bucket| s3.open(bucket),
        )
        .await?;
    tags::check(&suite, s3).await?;
    let mistakes = [
        (Mistake::NoBucket, "NotFound"),
        (Mistake::WrongSecret, "PermissionDenied"),
        // S3 itself answers 403 here and below.
        (Mistake::UnknownKeyId, "NotFound"),
        (Mistake::InvalidToken, "Generic"),
    ];
    bad_input::check(&suite, s3, &mistakes).await?;
    check_metadata_limit(&suite, s3).await?;
    if authority.is_some() {
        let untrusted = untrusted(s3.url(""));
        let name = "unknown authority";
        suite.check(View::Encrypted, name, untrusted).await?;
    }
    gateway.server.kill().await
}

/// S3's limit on metadata, which other servers here are lax about: ours is the same, to the byte.
async fn check_metadata_limit(suite: &Suite, s3: &S3) -> Result<()> {
    let [plain, encrypted, ..] = BUCKETS;
    let found = async {
        let limit = metadata_limit(&s3.builder(plain).build()?).await?;
        ensure!(
            limit == envelope_s3::METADATA_LIMIT,
            "it takes {limit} bytes"
        );
        Ok(format!("takes {limit} bytes of names and values"))
    };
    suite.check(View::Plain, "metadata limit", found).await?;
    let store = EncryptedStore::new(s3.open(encrypted)?, keyring()?);
    let found = async {
        let limit = metadata_limit(&store).await?;
        ensure!(
            limit == envelope_s3::METADATA_LIMIT,
            "we take {limit} bytes"
        );
        Ok(format!("we send {limit} bytes of names and values"))
    };
    suite.check(View::Encrypted, "metadata limit", found).await
}

/// Nothing is sent to a server whose certificate comes from nobody known.
async fn untrusted(url: String) -> Result<String> {
    let [bucket, ..] = BUCKETS;
    let store = S3::new(url, None).builder(bucket).build()?;
    let store = EncryptedStore::new(store, keyring()?);
    let location = object_store::path::Path::from("a");
    let put = store.put(&location, "abc".into()).await;
    let error = put.err().context("the server was trusted")?;
    let chain = format!("{:#}", anyhow::Error::from(error));
    ensure!(chain.contains("UnknownIssuer"), "{chain}");
    Ok("UnknownIssuer".to_owned())
}

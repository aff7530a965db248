use std::fs;
use std::path::Path;

use anyhow::Result;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use tokio::process::Command;

use crate::authority::Authority;
use crate::s3::{KEY_ID, S3, SECRET};
use crate::server::{Server, free_addresses};
use crate::server_side_encryption;
use crate::suite::{BUCKETS, Suite};
use crate::tags;

const NAME: &str = "MinIO over TLS";
/// The server's own wrapping key for its side of the encryption, by name.
pub(crate) const KMS_KEY: &str = "local";

/// MinIO, an S3 server that encrypts on its side when it is asked to.
pub(crate) async fn check(tools: &Path) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let [data, certificates] = ["data", "certificates"].map(|name| folder.path().join(name));
    fs::create_dir(&data)?;
    fs::create_dir(&certificates)?;
    let authority = Authority::generate()?;
    authority.issue(
        &certificates.join("public.crt"),
        &certificates.join("private.key"),
    )?;
    let [address] = free_addresses()?;
    let mut command = Command::new(tools.join("bin/minio"));
    command
        .env("MINIO_ROOT_USER", KEY_ID)
        .env("MINIO_ROOT_PASSWORD", SECRET)
        .env("MINIO_BROWSER", "off")
        .env("MINIO_UPDATE", "off")
        .env(
            "MINIO_KMS_SECRET_KEY",
            format!("{KMS_KEY}:{}", BASE64_STANDARD.encode([7; 32])),
        )
        .args(["server", "--address", &address.to_string(), "--certs-dir"])
        .arg(certificates)
        .arg(data);
    let s3 = S3::new(format!("https://{address}"), Some(authority.root()?));
    let ready = s3.url("/minio/health/ready");
    let client = s3.client_options();
    let server = Server::start(NAME, command, folder.path(), &ready, &client).await?;
    let suite = Suite {
        server: NAME,
        left_out: &[],
        client_offsets: None,
        last_writer_wins: true,
    };
    s3.create_buckets(&BUCKETS).await?;
    suite
        .run(
            |bucket| Ok(s3.builder(bucket).build()?),
            |bucket| s3.open(bucket),
        )
        .await?;
    tags::check(&suite, &s3).await?;
    server_side_encryption::check(&suite, &s3).await?;
    server.kill().await
}

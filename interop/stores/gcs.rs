use std::path::Path;

use anyhow::Result;
use envelope_gcs::GcsBuilder;
use object_store::ClientOptions;
use object_store::gcp::GoogleCloudStorageBuilder;
use object_store::integration::MarkerHttpConnector;
use tokio::process::Command;

use crate::program;
use crate::seaweedfs::{BACKSLASH, OFFSETS, SeaweedFs};
use crate::server::{Server, free_addresses};
use crate::suite::{BUCKETS, LeftOut, Suite};

const NAME: &str = "GCS dialect over SeaweedFS";

const LEFT_OUT: LeftOut = &[
    (
        "get_opts",
        "the shim tells a generation of every object, and keeps no old ones to read",
    ),
    BACKSLASH,
];

/// Without it, writes would ask Google's metadata service for a token.
const NO_ACCOUNT: &str =
    r#"{"private_key":"x","private_key_id":"x","client_email":"x","disable_oauth":true}"#;

/// The dialect of Google Cloud Storage, spoken by a shim in front of SeaweedFS. It shows that the
/// client and the encrypted store understand each other, and says nothing of Google's server.
pub(crate) async fn check(tools: &Path) -> Result<()> {
    let seaweedfs = SeaweedFs::new(tools, false)?;
    let behind = seaweedfs.start().await?;
    seaweedfs.s3().create_buckets(&BUCKETS).await?;
    let folder = tempfile::tempdir()?;
    let [address] = free_addresses()?;
    let mut command = Command::new(tools.join("python/bin/python"));
    command
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/stores/gcs_shim.py"))
        .arg(address.port().to_string())
        .arg(seaweedfs.address().port().to_string());
    let url = format!("http://{address}");
    let client = ClientOptions::new().with_allow_http(true);
    let shim = Server::start(NAME, command, folder.path(), &url, &client).await?;
    let builder = |bucket: &str| {
        GoogleCloudStorageBuilder::new()
            .with_base_url(&url)
            .with_service_account_key(NO_ACCOUNT)
            .with_bucket_name(bucket)
            .with_client_options(client.clone())
            .with_http_connector(MarkerHttpConnector::default())
    };
    let suite = Suite {
        server: NAME,
        left_out: LEFT_OUT,
        client_offsets: Some(OFFSETS),
        last_writer_wins: true,
    };
    suite
        .run(
            |bucket| Ok(builder(bucket).build()?),
            |bucket| Ok(GcsBuilder::new(builder(bucket)).allow_http().build()?),
        )
        .await?;
    let [_, bucket, ..] = BUCKETS;
    let settings = [
        ("GOOGLE_BASE_URL", &*url),
        ("GOOGLE_SERVICE_ACCOUNT_KEY", NO_ACCOUNT),
        ("GOOGLE_ALLOW_HTTP", "true"),
    ];
    program::check(&suite, &format!("gs://{bucket}/program"), &settings).await?;
    shim.kill().await?;
    behind.kill().await
}

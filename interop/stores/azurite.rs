use std::path::Path;

use anyhow::{Result, ensure};
use http::{Method, Request};
use object_store::ClientOptions;
use object_store::azure::{
    AzureAccessKey, AzureAuthorizer, AzureCredential, MicrosoftAzure, MicrosoftAzureBuilder,
};
use object_store::client::{HttpConnector, HttpRequestBody, ReqwestConnector};
use object_store::integration::MarkerHttpConnector;
use tokio::process::Command;

use crate::program;
use crate::server::{Server, free_addresses};
use crate::suite::{BUCKETS, LeftOut, Suite};

const NAME: &str = "azurite";

const LEFT_OUT: LeftOut = &[
    (
        "multipart_with_opts",
        "the client takes no attributes for an upload by parts to Azure",
    ),
    ("bare backslash", "azurite makes it a slash"),
];

/// The account that every azurite has, and its published key.
const ACCOUNT: &str = "devstoreaccount1";
const ACCOUNT_KEY: &str =
    "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";

/// azurite, Microsoft's emulator of Azure Blob Storage.
pub(crate) async fn check(tools: &Path) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let [address] = free_addresses()?;
    let mut command = Command::new("node");
    command
        .arg(tools.join("azurite/node_modules/azurite/dist/src/blob/main.js"))
        .args(["--blobHost", "127.0.0.1", "--blobPort"])
        .arg(address.port().to_string())
        .arg("--location")
        .arg(folder.path())
        .args(["--silent", "--skipApiVersionCheck", "--disableTelemetry"]);
    let url = format!("http://{address}/{ACCOUNT}");
    let client = ClientOptions::new().with_allow_http(true);
    let server = Server::start(NAME, command, folder.path(), &url, &client).await?;
    for container in BUCKETS {
        create_container(&url, container, &client).await?;
    }
    let open = |container: &str| -> Result<MicrosoftAzure> {
        Ok(MicrosoftAzureBuilder::new()
            .with_endpoint(url.clone())
            .with_account(ACCOUNT)
            .with_access_key(ACCOUNT_KEY)
            .with_container_name(container)
            .with_client_options(client.clone())
            .with_http_connector(MarkerHttpConnector::default())
            .build()?)
    };
    let suite = Suite {
        server: NAME,
        left_out: LEFT_OUT,
        client_offsets: Some("azurite takes no offset, and lists everything"),
        last_writer_wins: false,
    };
    suite.run(&open, &open).await?;
    let [_, container, ..] = BUCKETS;
    let settings = [
        ("AZURE_STORAGE_ACCOUNT_NAME", ACCOUNT),
        ("AZURE_STORAGE_ACCOUNT_KEY", ACCOUNT_KEY),
        ("AZURE_STORAGE_ENDPOINT", &url),
        ("AZURE_ALLOW_HTTP", "true"),
    ];
    program::check(&suite, &format!("az://{container}/program"), &settings).await?;
    server.kill().await
}

/// `object_store` makes no containers, but it signs requests.
async fn create_container(url: &str, container: &str, client: &ClientOptions) -> Result<()> {
    let mut request = Request::builder()
        .method(Method::PUT)
        .uri(format!("{url}/{container}?restype=container"))
        .body(HttpRequestBody::empty())?;
    let credential = AzureCredential::AccessKey(AzureAccessKey::try_new(ACCOUNT_KEY)?);
    AzureAuthorizer::new(&credential, ACCOUNT).try_authorize(&mut request)?;
    let client = ReqwestConnector::default().connect(client)?;
    let status = client.execute(request).await?.status();
    ensure!(
        status.is_success(),
        "cannot make container {container:?}: {status}"
    );
    Ok(())
}

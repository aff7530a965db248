use std::fs::File;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use object_store::ClientOptions;
use object_store::client::{HttpConnector, HttpRequestBody, ReqwestConnector};
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep};

/// How long a server may take until it answers.
pub(crate) const START_LIMIT: Duration = Duration::from_secs(40);
/// Lines of the log that a failure shows.
const LOG_TAIL: usize = 30;

/// A server's process. It is killed when dropped.
pub(crate) struct Server {
    name: &'static str,
    process: Child,
}

impl Server {
    /// Starts the program and waits until `url` answers. What the program prints goes to a file in
    /// `folder`.
    ///
    /// # Errors
    /// With the end of that file, when the program ends or does not answer in time.
    pub(crate) async fn start(
        name: &'static str,
        mut command: Command,
        folder: &Path,
        url: &str,
        client: &ClientOptions,
    ) -> Result<Self> {
        let log = folder.join("log");
        let output = File::options().create(true).append(true).open(&log)?;
        command
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output)
            .kill_on_drop(true);
        let process = command
            .spawn()
            .with_context(|| format!("{name}: cannot start {command:?}"))?;
        let mut server = Self { name, process };
        match server.ready(url, client).await {
            Ok(()) => Ok(server),
            Err(error) => bail!("{error:#}; the end of its log:\n{}", tail(&log)),
        }
    }

    async fn ready(&mut self, url: &str, client: &ClientOptions) -> Result<()> {
        let client = ReqwestConnector::default().connect(client)?;
        let started = Instant::now();
        while started.elapsed() < START_LIMIT {
            if let Some(status) = self.process.try_wait()? {
                bail!("{} ended with {status}", self.name);
            }
            let request = http::Request::get(url).body(HttpRequestBody::empty())?;
            // A refusal is an answer too: only a server that is up refuses.
            match client.execute(request).await {
                Ok(answer) if !answer.status().is_server_error() => return Ok(()),
                _ => sleep(Duration::from_millis(100)).await,
            }
        }
        bail!("{} does not answer within {START_LIMIT:?}", self.name)
    }

    /// Ends the process at once, as a power cut would, and waits until it is gone.
    pub(crate) async fn kill(mut self) -> Result<()> {
        let killed = self.process.kill().await;
        killed.with_context(|| format!("{}: cannot be stopped", self.name))
    }
}

/// This many addresses that nothing listens on, and whose ports have a free one 10 000 above.
pub(crate) fn free_addresses<const COUNT: usize>() -> Result<[SocketAddr; COUNT]> {
    let mut addresses = [SocketAddr::from((Ipv4Addr::LOCALHOST, 0)); COUNT];
    // Held until all are found, so that none is found twice.
    let mut held = Vec::new();
    for address in &mut addresses {
        *address = loop {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
            let found = listener.local_addr()?;
            held.push(listener);
            let Some(above) = found.port().checked_add(10_000) else {
                continue;
            };
            if let Ok(listener) = TcpListener::bind((Ipv4Addr::LOCALHOST, above)) {
                held.push(listener);
                break found;
            }
        };
    }
    Ok(addresses)
}

fn tail(log: &Path) -> String {
    let log = std::fs::read(log).unwrap_or_default();
    let log = String::from_utf8_lossy(&log);
    let lines: Vec<&str> = log.lines().collect();
    let from = lines.len().saturating_sub(LOG_TAIL);
    lines.get(from..).unwrap_or_default().join("\n")
}

//! A listener that answers as it is told: for answers that no real server gives when asked to.
//! `interop/run-key-services` runs the keyring over a real one.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use envelope_vault::{Token, Transit, Vault, VaultBuilder};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

pub const TOKEN: &str = "hvs.test-token";

pub struct Listener {
    address: SocketAddr,
    shared: Arc<Shared>,
}

type Script = dyn Fn(&Request, usize) -> Option<Reply> + Send + Sync;

struct Shared {
    requests: Mutex<Vec<Request>>,
    script: Box<Script>,
}

#[derive(Debug, Clone)]
pub struct Request {
    /// Method and path.
    pub line: String,
    pub headers: Vec<(String, String)>,
    pub body: String,
}

/// Status, further headers, and the body.
pub struct Reply(pub u16, pub &'static str, pub String);

impl Request {
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(found, _)| found == name);
        found.map(|(_, value)| value.as_str())
    }
}

impl Listener {
    /// Answers with what `script` returns for a request and the number of requests of the same line
    /// before it, and where that is nothing, as a server would that holds a key `objects`.
    pub async fn start(
        script: impl Fn(&Request, usize) -> Option<Reply> + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            requests: Mutex::default(),
            script: Box::new(script),
        });
        let answering = Arc::clone(&shared);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(answer(stream, Arc::clone(&answering)));
            }
        });
        Self { address, shared }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub fn builder(&self) -> VaultBuilder {
        Vault::builder(self.url())
            .allow_http()
            .token(Token::new(TOKEN.to_owned()).unwrap())
    }

    pub fn keyring(&self) -> Transit {
        Transit::new(self.builder().build().unwrap(), "transit", "objects").unwrap()
    }

    pub fn requests(&self) -> Vec<Request> {
        self.shared.requests.lock().unwrap().clone()
    }

    /// How many requests of this line arrived.
    pub fn count(&self, line: &str) -> usize {
        let requests = self.requests();
        requests.iter().filter(|found| found.line == line).count()
    }
}

async fn answer(mut stream: TcpStream, shared: Arc<Shared>) {
    let mut received = Vec::new();
    let head = loop {
        if stream.read_buf(&mut received).await.unwrap_or(0) == 0 {
            return;
        }
        if let Some(end) = received.windows(4).position(|end| end == b"\r\n\r\n") {
            break end;
        }
    };
    let text = String::from_utf8(received[..head].to_vec()).unwrap();
    let (line, headers) = text.split_once("\r\n").unwrap();
    let headers = headers.lines().filter_map(|line| line.split_once(": "));
    let mut request = Request {
        line: line.trim_end_matches(" HTTP/1.1").to_owned(),
        headers: headers
            .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
            .collect(),
        body: String::new(),
    };
    let length = request.header("content-length").unwrap_or("0");
    let end = head + 4 + length.parse::<usize>().unwrap();
    while received.len() < end {
        assert_ne!(stream.read_buf(&mut received).await.unwrap(), 0);
    }
    request.body = String::from_utf8(received[head + 4..].to_vec()).unwrap();
    let nth = {
        let mut requests = shared.requests.lock().unwrap();
        let same = requests.iter().filter(|found| found.line == request.line);
        let nth = same.count();
        requests.push(request.clone());
        nth
    };
    let reply = (shared.script)(&request, nth).unwrap_or_else(|| as_usual(&request));
    let Reply(status, extra, body) = reply;
    let answer = format!(
        "HTTP/1.1 {status} X\r\nconnection: close\r\n{extra}content-length: {}\r\n\r\n{body}",
        body.len()
    );
    // The client may have lost patience.
    stream.write_all(answer.as_bytes()).await.ok();
}

pub fn value<'a>(body: &'a str, name: &str) -> &'a str {
    let (_, rest) = body.split_once(&format!("\"{name}\":\"")).unwrap();
    rest.split_once('"').unwrap().0
}

fn as_usual(request: &Request) -> Reply {
    let operation = request.line.strip_prefix("POST /v1/transit/");
    let body = match (request.line.as_str(), operation) {
        ("GET /v1/auth/token/lookup-self", _) => {
            r#"{"data":{"ttl":0,"renewable":false}}"#.to_owned()
        }
        ("GET /v1/transit/keys/objects", _) => {
            r#"{"data":{"type":"aes256-gcm96","derived":false}}"#.to_owned()
        }
        // Wraps a key by putting a name before it, as nobody reads what is sent here.
        (_, Some("encrypt/objects")) => format!(
            r#"{{"data":{{"ciphertext":"vault:v1:{}"}}}}"#,
            value(&request.body, "plaintext")
        ),
        (_, Some("decrypt/objects")) => {
            let ciphertext = value(&request.body, "ciphertext");
            let plaintext = ciphertext.trim_start_matches("vault:v1:");
            format!(r#"{{"data":{{"plaintext":"{plaintext}"}}}}"#)
        }
        _ => return Reply(404, "", r#"{"errors":[]}"#.to_owned()),
    };
    Reply(200, "", body)
}

//! A listener that keeps what arrives, and answers as little as the client needs to go on.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

pub struct Listener {
    address: SocketAddr,
    requests: Arc<Mutex<Vec<Request>>>,
}

/// The first line and the headers of a request, in lower case but for values.
#[derive(Debug, Clone)]
pub struct Request {
    pub line: String,
    headers: Vec<(String, String)>,
}

impl Request {
    fn parse(head: &str) -> Self {
        let mut lines = head.lines();
        let line = lines.next().unwrap().to_owned();
        let headers = lines.filter_map(|line| line.split_once(": "));
        Self {
            line,
            headers: headers
                .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
                .collect(),
        }
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(found, _)| found == name);
        found.map(|(_, value)| value.as_str())
    }
}

impl Listener {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let requests = Arc::<Mutex<Vec<Request>>>::default();
        let kept = Arc::clone(&requests);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(answer(stream, Arc::clone(&kept)));
            }
        });
        Self { address, requests }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What arrived since the last call.
    pub fn take(&self) -> Vec<Request> {
        std::mem::take(&mut self.requests.lock().unwrap())
    }
}

async fn answer(mut stream: TcpStream, kept: Arc<Mutex<Vec<Request>>>) {
    let mut received = Vec::new();
    let head = loop {
        if stream.read_buf(&mut received).await.unwrap() == 0 {
            return;
        }
        if let Some(end) = received.windows(4).position(|end| end == b"\r\n\r\n") {
            break end;
        }
    };
    let request = Request::parse(std::str::from_utf8(&received[..head]).unwrap());
    let length = request.header("content-length").unwrap_or("0");
    let length: usize = length.parse().unwrap();
    while received.len() < head + 4 + length {
        assert_ne!(stream.read_buf(&mut received).await.unwrap(), 0);
    }
    let (extra, body) = reply(&request.line);
    kept.lock().unwrap().push(request);
    let answer = format!(
        "HTTP/1.1 200 OK\r\nconnection: close\r\n{extra}content-length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(answer.as_bytes()).await.unwrap();
}

const META: &str = "etag: \"1\"\r\nlast-modified: Thu, 26 Nov 2026 08:00:00 GMT\r\n";

fn reply(line: &str) -> (&'static str, &'static str) {
    let (method, rest) = line.split_once(' ').unwrap();
    match method {
        "GET" if rest.starts_with("/computeMetadata") => {
            ("", r#"{"access_token": "token", "expires_in": 3600}"#)
        }
        "GET" if rest.contains("list-type") => ("", "<ListBucketResult></ListBucketResult>"),
        "POST" if rest.contains("uploads") => (
            "",
            "<InitiateMultipartUploadResult><UploadId>1</UploadId></InitiateMultipartUploadResult>",
        ),
        "POST" => (
            "",
            "<CompleteMultipartUploadResult><ETag>1</ETag></CompleteMultipartUploadResult>",
        ),
        _ => (META, ""),
    }
}

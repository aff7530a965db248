use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Result, ensure};
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy, sink};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::sleep;

/// Most bytes that are passed on at once.
const PIECE: usize = 16 << 10;

/// Whose bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Direction {
    Request,
    Response,
}

/// Where in a request or a response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// Before its first byte.
    Head,
    /// Before this byte of its body.
    Body(usize),
}

/// What is done to a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Harm {
    /// Both sides see a reset.
    Reset,
    /// Both sides see an orderly end.
    Finish,
    /// Nothing is passed on any more.
    Stall,
    /// The next byte is passed on later.
    Delay(Duration),
    /// One bit of the next byte is the other one.
    Flip,
}

/// Harm to one request.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Fault {
    pub(crate) method: &'static str,
    /// Stands in its path or query.
    pub(crate) target: &'static str,
    /// Requests like it that pass before.
    pub(crate) skip: usize,
    pub(crate) direction: Direction,
    pub(crate) place: Place,
    pub(crate) harm: Harm,
}

/// What a client sent, as far as it was passed on.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) target: String,
    pub(crate) body: Vec<u8>,
}

/// Passes connections on to a server, and harms one when told to. It takes one request from each
/// connection, so its clients must not keep connections for later.
#[derive(Debug)]
pub(crate) struct FaultProxy {
    address: SocketAddr,
    shared: Arc<Shared>,
    accepting: JoinHandle<()>,
}

#[derive(Debug)]
struct Shared {
    upstream: SocketAddr,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Taken by the connection that it is for.
    fault: Option<Fault>,
    has_struck: bool,
    requests: Vec<Request>,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl FaultProxy {
    /// Listens on a port of its own.
    ///
    /// # Errors
    /// When there is none.
    pub(crate) async fn start(upstream: SocketAddr) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            upstream,
            state: Mutex::default(),
        });
        let accepting = tokio::spawn(accept(listener, Arc::clone(&shared)));
        Ok(Self {
            address,
            shared,
            accepting,
        })
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Harms the request that this is for, and forgets what was asked before.
    pub(crate) fn harm(&self, fault: Fault) {
        *self.shared.state() = State {
            fault: Some(fault),
            ..State::default()
        };
    }

    /// All requests since the harm was ordered.
    ///
    /// # Errors
    /// When it was not done: then nothing has been shown.
    pub(crate) fn requests(&self) -> Result<Vec<Request>> {
        let state = self.shared.state();
        ensure!(state.has_struck, "the fault never came");
        Ok(state.requests.clone())
    }
}

impl Drop for FaultProxy {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    // Dropped with this task, and the connections with it.
    let mut connections = JoinSet::new();
    while let Ok((client, _)) = listener.accept().await {
        while connections.try_join_next().is_some() {}
        let shared = Arc::clone(&shared);
        // Ends in an error whenever a side is gone, which is what is wanted.
        connections.spawn(async move { serve(client, &shared).await });
    }
}

async fn serve(mut client: TcpStream, shared: &Arc<Shared>) -> io::Result<()> {
    let mut server = TcpStream::connect(shared.upstream).await?;
    let cut = pass_both(&mut client, &mut server, shared).await?;
    match cut {
        Some(Harm::Reset) => {
            client.set_zero_linger()?;
            server.set_zero_linger()?;
        }
        Some(harm) => {
            if harm == Harm::Finish {
                client.shutdown().await?;
                server.shutdown().await?;
            }
            // Until the client gives up.
            copy(&mut client, &mut sink()).await?;
        }
        None => {}
    }
    Ok(())
}

/// Passes a request and its response on. Returns what ended that, if not one of the two sides.
async fn pass_both(
    client: &mut TcpStream,
    server: &mut TcpStream,
    shared: &Arc<Shared>,
) -> io::Result<Option<Harm>> {
    let (mut from_client, to_client) = client.split();
    let (from_server, to_server) = server.split();
    let (head, rest) = read_head(&mut from_client).await?;
    let (index, fault) = begin(shared, &head);
    let strike = |direction| {
        let fault = fault.filter(|fault| fault.direction == direction);
        Strike {
            at: fault.map(|fault| (fault.place, fault.harm)),
            shared: Arc::clone(shared),
        }
    };
    let mut request = Passing {
        to: to_server,
        passed: 0,
        strike: strike(Direction::Request),
        recorded: Some(index),
    };
    let mut response = Passing {
        to: to_client,
        passed: 0,
        strike: strike(Direction::Response),
        recorded: None,
    };
    let asking = async {
        let length = content_length(&head);
        let cut = request.pass(&mut from_client, head, rest, length).await?;
        if cut.is_none() {
            // The client closes when it has its answer, or has lost patience.
            from_client.read_u8().await.ok();
        }
        Ok(cut)
    };
    let answering = async {
        let mut from_server = from_server;
        let (head, rest) = read_head(&mut from_server).await?;
        response
            .pass(&mut from_server, head, rest, usize::MAX)
            .await
    };
    tokio::select! {
        ended = asking => ended,
        ended = answering => ended,
    }
}

/// Records a request, and tells which harm it is to suffer.
fn begin(shared: &Shared, head: &[u8]) -> (usize, Option<Fault>) {
    let head = String::from_utf8_lossy(head);
    let mut words = head.split(' ').map(str::to_owned);
    let (method, target) = (
        words.next().unwrap_or_default(),
        words.next().unwrap_or_default(),
    );
    let mut state = shared.state();
    let mut fault = None;
    if let Some(planned) = &mut state.fault {
        let is_meant = planned.method == method && target.contains(planned.target);
        match planned.skip.checked_sub(1) {
            _ if !is_meant => {}
            Some(left) => planned.skip = left,
            None => fault = state.fault.take(),
        }
    }
    state.requests.push(Request {
        method,
        target,
        body: Vec::new(),
    });
    (state.requests.len() - 1, fault)
}

/// Reads up to the empty line; what came behind it is returned too.
async fn read_head(from: &mut ReadHalf<'_>) -> io::Result<(Vec<u8>, Vec<u8>)> {
    const END: &[u8] = b"\r\n\r\n";
    let mut bytes = Vec::new();
    loop {
        if from.read_buf(&mut bytes).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let end = bytes.windows(END.len()).position(|window| window == END);
        if let Some(end) = end {
            let rest = bytes.split_off(end + END.len());
            return Ok((bytes, rest));
        }
    }
}

fn content_length(head: &[u8]) -> usize {
    let head = String::from_utf8_lossy(head).to_lowercase();
    let mut values = head
        .lines()
        .filter_map(|line| line.strip_prefix("content-length:"));
    let length = values.next().and_then(|value| value.trim().parse().ok());
    length.unwrap_or(0)
}

/// A harm that waits for its place.
struct Strike {
    at: Option<(Place, Harm)>,
    shared: Arc<Shared>,
}

impl Strike {
    /// The harm, if its place is here.
    fn take(&mut self, is_here: impl Fn(Place) -> bool) -> Option<Harm> {
        let (_, harm) = self.at.take_if(|(place, _)| is_here(*place))?;
        self.shared.state().has_struck = true;
        Some(harm)
    }
}

/// One direction of a connection.
struct Passing<'a> {
    to: WriteHalf<'a>,
    /// Bytes of the body that went by.
    passed: usize,
    strike: Strike,
    /// The request whose body this is.
    recorded: Option<usize>,
}

impl Passing<'_> {
    /// Passes on until the body has this length or the sender ends. Returns the harm that ended it
    /// before.
    async fn pass(
        &mut self,
        from: &mut ReadHalf<'_>,
        mut head: Vec<u8>,
        mut piece: Vec<u8>,
        length: usize,
    ) -> io::Result<Option<Harm>> {
        let strike = self.strike.take(|place| place == Place::Head);
        if let Some(cut) = harm(strike, &mut head).await {
            return Ok(Some(cut));
        }
        self.to.write_all(&head).await?;
        loop {
            let here = self.passed..self.passed + piece.len();
            if let Some((Place::Body(at), _)) = self.strike.at
                && here.contains(&at)
            {
                let mut harmed = piece.split_off(at - here.start);
                self.write(&piece).await?;
                let strike = self.strike.take(|place| place == Place::Body(at));
                if let Some(cut) = harm(strike, &mut harmed).await {
                    return Ok(Some(cut));
                }
                piece = harmed;
            }
            self.write(&piece).await?;
            if self.passed >= length {
                return Ok(None);
            }
            piece = Vec::with_capacity(PIECE);
            if from.read_buf(&mut piece).await? == 0 {
                return Ok(None);
            }
        }
    }

    async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.passed += bytes.len();
        if let Some(index) = self.recorded {
            let mut state = self.strike.shared.state();
            // Not there when a new fault was ordered meanwhile.
            if let Some(request) = state.requests.get_mut(index) {
                request.body.extend_from_slice(bytes);
            }
        }
        self.to.write_all(bytes).await
    }
}

/// Harms what comes next. Returns what ends the connection.
async fn harm(harm: Option<Harm>, next: &mut [u8]) -> Option<Harm> {
    match harm? {
        Harm::Delay(duration) => sleep(duration).await,
        Harm::Flip => {
            if let Some(byte) = next.first_mut() {
                *byte ^= 1;
            }
        }
        cut => return Some(cut),
    }
    None
}

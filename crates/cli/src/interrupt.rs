//! Ends on a signal without leaving anything half-written.

use std::io::{self, Read, Seek, SeekFrom};
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures::future::{Either, select};

use crate::error::Error;

static INTERRUPTED: AtomicBool = AtomicBool::new(false);
/// How long the work has to notice and tidy up; a file command that waits for input never does.
const GRACE: Duration = Duration::from_secs(2);
/// How often what waits looks for a signal.
const INTERVAL: Duration = Duration::from_millis(50);
const EXIT_CODE: i32 = 130;

/// Lets the next read fail after a signal, so that the work unwinds and tidies up.
pub(crate) fn install() {
    // Without a handler the signal still ends the program, and the next run tidies up.
    let _ = ctrlc::set_handler(|| {
        INTERRUPTED.store(true, Ordering::Relaxed);
        std::thread::sleep(GRACE);
        std::process::exit(EXIT_CODE);
    });
}

/// Fails after a signal.
pub(crate) fn check() -> Result<(), Error> {
    match INTERRUPTED.load(Ordering::Relaxed) {
        true => Err(Error::Interrupted),
        false => Ok(()),
    }
}

/// Waits for this, or fails after a signal.
pub(crate) async fn or<T>(work: impl Future<Output = T>) -> Result<T, Error> {
    let signal = async {
        while check().is_ok() {
            tokio::time::sleep(INTERVAL).await;
        }
    };
    match select(pin!(work), pin!(signal)).await {
        Either::Left((done, _)) => Ok(done),
        Either::Right(_) => Err(Error::Interrupted),
    }
}

/// Whatever failed after a signal failed because of it.
pub(crate) fn explain(error: Error) -> Error {
    if INTERRUPTED.load(Ordering::Relaxed) {
        return Error::Interrupted;
    }
    error
}

/// A reader that fails after a signal.
#[derive(Debug)]
pub(crate) struct Interruptible<R>(pub(crate) R);

impl<R: Read> Read for Interruptible<R> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        if INTERRUPTED.load(Ordering::Relaxed) {
            return Err(io::Error::other("interrupted"));
        }
        self.0.read(bytes)
    }
}

impl<R: Seek> Seek for Interruptible<R> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.0.seek(to)
    }
}

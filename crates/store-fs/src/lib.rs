#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod error;
mod file;
mod pending_file;

pub use error::{Error, Result};
pub use file::{decrypt_file, encrypt_file, open_source};
pub use pending_file::PendingFile;

#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod error;
mod file;
#[cfg(feature = "object_store")]
mod local_store;
#[cfg(feature = "object_store")]
mod local_upload;
mod pending_file;
#[cfg(feature = "object_store")]
mod staged_file;

pub use error::{Error, Result};
pub use file::{decrypt_file, encrypt_file, open_source};
#[cfg(feature = "object_store")]
pub use local_store::LocalStore;
pub use pending_file::PendingFile;

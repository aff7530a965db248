#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod attributes;
mod builder;
mod connector;
mod error;
mod gcs_store;
mod server_encryption;

pub use attributes::METADATA_LIMIT;
pub use builder::GcsStoreBuilder;
pub use error::Error;
pub use gcs_store::GcsStore;

#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod attributes;
mod error;
mod s3_store;

pub use attributes::METADATA_LIMIT;
pub use error::Error;
pub use s3_store::S3Store;

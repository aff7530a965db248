#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

pub mod keyring;

#[cfg(feature = "aws")]
mod bucket;
mod content;
mod error;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
mod metadata;
mod s3ec;

#[cfg(feature = "aws")]
pub use bucket::open;
pub use envelope_store::Rotation;
pub use error::{Error, ErrorClass};
pub use s3ec::{Danger, InstructionSuffix, S3ec};

/// Bytes of user metadata that S3 keeps for an object: names, without `x-amz-meta-`, and values.
pub const METADATA_LIMIT: usize = 2 << 10;

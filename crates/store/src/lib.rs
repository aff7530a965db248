#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

#[cfg(feature = "conformance")]
pub mod conformance;
pub mod format;

mod attributes;
mod beginning;
mod body;
mod builder;
mod encrypted_store;
mod error;
mod files_by_place;
mod foreign;
mod framed;
mod header_cache;
mod inspection;
mod instruction_file;
mod instruction_files;
mod keyed_format;
mod metadata_limit;
mod opened;
mod read;
mod reencrypt;
mod rotation;
mod settings;
mod upload;
mod waiting;
mod write;

pub use builder::EncryptedStoreBuilder;
pub use encrypted_store::EncryptedStore;
pub use error::Error;
pub use foreign::{ForeignObjects, NotEncrypted};
pub use format::{Longer, Waiting};
pub use framed::{DEFAULT_FRAME_LENGTH, DEFAULT_HEADER_LENGTH, Framed};
pub use inspection::Inspection;
pub use instruction_file::{INSTRUCTION_FILE_CONTEXT_KEY, INSTRUCTION_FILE_PROVIDER_ID};
pub use metadata_limit::{MetadataLimit, metadata_length};
pub use opened::Opened;
pub use rotation::Rotation;
pub use settings::{DEFAULT_HEADER_LIFETIME, DEFAULT_PART_LENGTH, ListedSizes};

#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod attributes;
mod body;
mod builder;
mod encrypted_store;
mod error;
mod header_cache;
mod opened;
mod read;
mod reencrypt;
mod settings;
mod upload;
mod write;

pub use builder::EncryptedStoreBuilder;
pub use encrypted_store::EncryptedStore;
pub use error::Error;
pub use opened::Opened;
pub use settings::{
    DEFAULT_FRAME_LENGTH, DEFAULT_HEADER_LENGTH, DEFAULT_HEADER_LIFETIME, DEFAULT_PART_LENGTH,
    ListedSizes,
};

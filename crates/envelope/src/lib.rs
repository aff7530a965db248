#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

/// The example of the repository's README, so that it runs.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct RepositoryReadme;

#[cfg(feature = "stream")]
pub mod stream;

pub mod blocking;
pub mod io;
pub mod keyring;

mod body;
mod cache;
mod caching_manager;
mod context;
mod crypto;
mod decrypt;
mod decryptor;
mod encrypt;
mod encrypted_data_key;
mod error;
mod expiring_cache;
mod format_error;
mod keyring_error;
mod manager;
mod materials;
mod message;
mod not_unwrapped;
mod policy;
mod range;
mod required_context;
mod secret;
mod suite;
mod transform;

pub use cache::MaterialsCache;
pub use caching_manager::{CacheLimits, CachingManager};
pub use context::EncryptionContext;
pub use crypto::ec_key::{EcCurve, EcPrivateKey, EcPublicKey};
pub use crypto::random::{random_bytes, random_id};
pub use crypto::rsa_key::{RsaPadding, RsaPrivateKey, RsaPublicKey};
pub use decrypt::{
    DEFAULT_MAXIMUM_FRAME_LENGTH, DEFAULT_MAXIMUM_HEADER_LENGTH, DecryptOptions, Decrypted,
    HeaderClaims, HeaderReader, UnverifiedHeader, decrypt,
};
pub use decryptor::Decryptor;
pub use encrypt::{DEFAULT_FRAME_LENGTH, EncryptOptions, Encryptor, PADDING_PROVIDER_ID, encrypt};
pub use encrypted_data_key::EncryptedDataKey;
pub use error::{Error, ErrorKind, Result};
pub use expiring_cache::{ExpiringCache, Lifetime};
pub use format_error::FormatError;
pub use keyring::{BranchKey, Keyring, Multi, RawAes, RawEcdh, RawRsa};
pub use manager::MaterialsManager;
pub use materials::{
    DecryptionMaterials, DecryptionRequest, EncryptionMaterials, EncryptionRequest,
};
pub use message::layout::{Layout, RangePlan};
pub use message::scanner::{FrameScan, FrameScanner};
pub use not_unwrapped::NotUnwrapped;
pub use policy::CommitmentPolicy;
pub use range::{RangeDecryptor, RangeTransform};
pub use required_context::RequiredEncryptionContext;
pub use secret::{DataKey, WrappingKey};
pub use suite::AlgorithmSuite;
pub use transform::{OutputBuffer, Transform};

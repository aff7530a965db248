#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod any_key;
mod any_kms_key;
mod arn;
#[cfg(feature = "branch-keys")]
mod branch_key_store;
mod client_supplier;
mod discovery;
mod discovery_filter;
mod ecdh;
mod generated_data_key;
#[cfg(feature = "branch-keys")]
mod hierarchical;
mod kms_call;
mod kms_error;
mod kms_key;
mod multi_region;
mod multi_region_discovery;
mod named_key;
mod one_by_one;
mod reply;
mod rsa;
mod service;
mod strict;

#[cfg(feature = "test-util")]
pub mod test_util;

pub use any_kms_key::AnyKmsKey;
pub use arn::Arn;
#[cfg(feature = "branch-keys")]
pub use branch_key_store::TableCall;
#[cfg(feature = "branch-keys")]
pub use branch_key_store::{BranchKeyError, BranchKeyStore, BranchKeyVersion, KmsConfiguration};
pub use client_supplier::ClientSupplier;
pub use discovery::Discovery;
pub use discovery_filter::DiscoveryFilter;
pub use ecdh::Ecdh;
pub use generated_data_key::GeneratedDataKey;
#[cfg(feature = "branch-keys")]
pub use hierarchical::{BranchKeyCache, BranchKeyIdSupplier, Hierarchical};
pub use kms_call::KmsCall;
pub use kms_error::KmsError;
pub use kms_key::KmsKey;
pub use multi_region::MultiRegion;
pub use multi_region_discovery::MultiRegionDiscovery;
pub use rsa::Rsa;
pub use strict::Strict;

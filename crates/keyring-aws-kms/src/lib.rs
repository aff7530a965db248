#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod any_kms_key;
mod generated_data_key;
mod kms_call;
mod kms_error;
mod kms_key;

pub use any_kms_key::AnyKmsKey;
pub use generated_data_key::GeneratedDataKey;
pub use kms_call::KmsCall;
pub use kms_error::KmsError;
pub use kms_key::KmsKey;

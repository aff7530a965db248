//! A KMS in memory, to test without AWS (feature `test-util`).
//!
//! It is no mock: [`InMemoryKms`] answers the requests that a real `aws_sdk_kms::Client` makes and
//! signs, does the cryptography, and refuses what KMS refuses. It keeps keys in plain memory and
//! checks no signature, so it is for tests alone.

mod fault;
mod in_memory_kms;

pub use fault::Fault;
pub use in_memory_kms::InMemoryKms;

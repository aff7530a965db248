//! A KMS and a DynamoDB in memory, to test without AWS (feature `test-util`; DynamoDB with
//! `branch-keys` as well).
//!
//! They are no mocks: [`InMemoryKms`] and `InMemoryDynamoDb` answer the requests that real clients
//! of the SDK make and sign, do what is asked, and refuse what the services refuse. They keep keys in
//! plain memory and check no signature, so they are for tests alone.

mod behaviour;
mod connection;
mod fault;
#[cfg(feature = "branch-keys")]
mod in_memory_dynamo_db;
mod in_memory_kms;
mod refusal;

pub use behaviour::Behaviour;
pub use fault::Fault;
#[cfg(feature = "branch-keys")]
pub use in_memory_dynamo_db::InMemoryDynamoDb;
pub use in_memory_kms::InMemoryKms;

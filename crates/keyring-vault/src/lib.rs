#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod answer;
mod binding;
mod error;
mod lease;
mod request;
mod session;
mod token;
mod transit;
mod vault;
mod vault_builder;

pub use answer::Answer;
pub use binding::Binding;
pub use error::{Error, Result};
pub use lease::Lease;
pub use token::Token;
pub use transit::{PROVIDER_ID, Transit};
pub use vault::Vault;
pub use vault_builder::VaultBuilder;

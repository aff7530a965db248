//! The only place in this crate that names a cryptography library.
//!
//! AES-GCM, ECDSA, RSA, key agreement and randomness come from AWS-LC or from pure Rust; HKDF and SHA-2 always come
//! from RustCrypto, which measured faster there than AWS-LC's safe interface.

pub(crate) mod aead;
pub(crate) mod digest;
pub(crate) mod ec_key;
pub(crate) mod kdf;
pub(crate) mod random;
pub(crate) mod rsa_key;
pub(crate) mod signature;

mod pem;

#[cfg(feature = "aws-lc-rs")]
mod aws_lc;
#[cfg(feature = "legacy-oaep")]
mod legacy_oaep;
#[cfg(all(feature = "rust-crypto", any(test, not(feature = "aws-lc-rs"))))]
mod rust_crypto;

#[cfg(feature = "aws-lc-rs")]
use aws_lc as backend;
#[cfg(all(feature = "rust-crypto", not(feature = "aws-lc-rs")))]
use rust_crypto as backend;

#[cfg(not(any(feature = "aws-lc-rs", feature = "rust-crypto")))]
compile_error!("choose a cryptography backend: feature `aws-lc-rs` (default) or `rust-crypto`");

/// A cryptography library refused; it tells no reason, and neither do we.
#[derive(Debug)]
pub(crate) struct Refused;

#[cfg(test)]
mod tests;

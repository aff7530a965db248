//! The same operations without an executor, for keyrings that never wait.
//!
//! The calling thread is blocked until the keyring answers. Do not call these from asynchronous
//! code.

use futures::executor::block_on;

use crate::decrypt::{DecryptOptions, Decrypted};
use crate::encrypt::EncryptOptions;
use crate::error::Result;
use crate::manager::MaterialsManager;

/// As [`encrypt`](crate::encrypt).
///
/// ```
/// use envelope::{blocking, DecryptOptions, EncryptOptions, RawAes, WrappingKey};
///
/// let keyring = RawAes::new("acme", "2026-11", WrappingKey::generate()?)?;
/// let message = blocking::encrypt(&keyring, b"hello", &EncryptOptions::default())?;
/// let opened = blocking::decrypt(&keyring, &message, &DecryptOptions::default())?;
/// assert_eq!(opened.plaintext, b"hello");
/// # Ok::<(), envelope::Error>(())
/// ```
///
/// # Errors
/// As [`encrypt`](crate::encrypt).
pub fn encrypt<M: MaterialsManager + ?Sized>(
    manager: &M,
    plaintext: &[u8],
    options: &EncryptOptions,
) -> Result<Vec<u8>> {
    block_on(crate::encrypt(manager, plaintext, options))
}

/// As [`decrypt`](crate::decrypt).
///
/// # Errors
/// As [`decrypt`](crate::decrypt).
pub fn decrypt<M: MaterialsManager + ?Sized>(
    manager: &M,
    message: &[u8],
    options: &DecryptOptions,
) -> Result<Decrypted> {
    block_on(crate::decrypt(manager, message, options))
}

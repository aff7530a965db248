use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use envelope::keyring::{Attempt, KeyRequest, Keyring, KeyringError, Unwrapped};
use envelope::{DataKey, EncryptedDataKey, EncryptionContext, ErrorKind};
use serde::Deserialize;
use zeroize::Zeroizing;

use crate::binding::Binding;
use crate::error::{Error, Result};
use crate::request::{Request, TransitBody};
use crate::vault::Vault;

/// The provider id of data keys that the transit engine wraps.
pub const PROVIDER_ID: &str = "vault-transit";

/// Wrapped data keys of one message that are sent to the server. An honest message holds one of
/// each key; a hostile one holds up to 65 535.
const MOST_TRIED: usize = 10;
/// Attempts that are reported of one message.
const MOST_REPORTED: usize = 1000;

/// Wraps data keys with a key of the transit secrets engine, which never leaves the server.
///
/// Data keys are made in this process and go to the server to be wrapped and unwrapped. In a message
/// they stand under the provider id `vault-transit`; the provider info is the text `mount/key`, and the
/// ciphertext is the server's text, `vault:v3:…`, which names the version of the key.
///
/// ```no_run
/// use envelope_vault::{Token, Transit, Vault};
///
/// let vault = Vault::builder("https://vault.example.com:8200")
///     .token_file("/run/secrets/vault-token")
///     .build()?;
/// let keyring = Transit::new(vault, "transit", "objects")?;
/// # Ok::<(), envelope_vault::Error>(())
/// ```
#[derive(Clone)]
pub struct Transit {
    vault: Vault,
    mount: String,
    key: String,
    binding: Binding,
    /// Whether the key was found fit for the binding.
    is_fit: Arc<AtomicBool>,
    /// As it names itself in errors.
    description: Arc<str>,
}

impl Transit {
    /// A keyring of the key `key` of the engine mounted at `mount`, which is `transit` by default. The
    /// key must be of an AEAD type, and not derived unless the [binding](Self::with_binding) says so.
    ///
    /// # Errors
    /// [`Error::NotAName`] for a mount or key that no server could have.
    pub fn new(vault: Vault, mount: &str, key: &str) -> Result<Self> {
        let mount = mount.trim_matches('/');
        check_name("the mount", mount, mount.split('/').all(is_segment))?;
        check_name("the key", key, is_key_name(key))?;
        Ok(Self {
            vault,
            binding: Binding::default(),
            is_fit: Arc::default(),
            description: format!("Vault transit {mount}/{key}").into(),
            mount: mount.to_owned(),
            key: key.to_owned(),
        })
    }

    /// Binds data keys to their context in another way. What was wrapped under one binding does not
    /// unwrap under another.
    #[must_use]
    pub fn with_binding(self, binding: Binding) -> Self {
        Self {
            binding,
            is_fit: Arc::default(),
            ..self
        }
    }

    /// Asks the server whether the key exists and is fit for the binding. The first use of the keyring
    /// does so too: a server ignores the context of a key that is not derived, and creates a key
    /// that does not exist if the token may do that.
    ///
    /// # Errors
    /// [`Error::NoKey`], [`Error::KeyUnfit`], and those of every request.
    pub async fn check(&self) -> Result<()> {
        let path = self.path("keys");
        let described: Described = self.vault.call(&Request::read(path.as_str())).await?;
        let reason = match (self.binding, described.data) {
            (_, KeyData { key_type, .. }) if !is_aead(&key_type) => format!(
                "the key is of type {key_type:?}, which binds nothing to what it encrypts; use one of type aes256-gcm96 or chacha20-poly1305"
            ),
            (Binding::AssociatedData, KeyData { derived: true, .. }) => {
                "the key is derived; use the binding for derived keys, or another key".to_owned()
            }
            (Binding::DerivedKey, KeyData { derived: false, .. }) => {
                "the key is not derived, so that the context would not be bound; use the binding by associated data, or another key".to_owned()
            }
            _ => return Ok(()),
        };
        Err(Error::KeyUnfit {
            path: self.vault.shown(&path),
            reason,
        })
    }

    /// Has the server wrap a data key anew with the latest version of the key. The data key does not
    /// leave the server. This needs [`Binding::DerivedKey`], and capabilities `update` on
    /// `transit/rewrap/KEY` and `read` on `transit/keys/KEY`.
    ///
    /// This is for wrapped keys that are kept on their own. One in the header of a message must stay
    /// as it is, as the header's tag covers it: encrypt the message anew.
    ///
    /// # Errors
    /// [`Error::CannotRewrap`] when the binding is associated data, [`Error::AnotherKey`],
    /// [`Error::NotAuthentic`] for another context, [`Error::VersionRetired`], and those of every
    /// request.
    pub async fn rewrap(
        &self,
        key: &EncryptedDataKey,
        context: &EncryptionContext,
    ) -> Result<EncryptedDataKey> {
        if self.binding == Binding::AssociatedData {
            return Err(Error::CannotRewrap { key: self.name() });
        }
        let wrapped = self.wrapped(key).map_err(|reason| Error::AnotherKey {
            key: self.name(),
            reason,
        })?;
        self.ensure_fit().await?;
        let answer = self.ask("rewrap", None, Some(wrapped.text), context).await;
        let answer = answer.map_err(|error| retired(error, wrapped.version))?;
        self.encrypted_data_key("rewrap", answer)
    }

    /// Tasks that come at once ask at once: one that waited for another would also wait for each
    /// failure of it.
    async fn ensure_fit(&self) -> Result<()> {
        if !self.is_fit.load(Ordering::Relaxed) {
            self.check().await?;
            self.is_fit.store(true, Ordering::Relaxed);
        }
        Ok(())
    }

    async fn wrap(
        &self,
        data_key: &DataKey,
        context: &EncryptionContext,
    ) -> Result<EncryptedDataKey> {
        self.ensure_fit().await?;
        let plaintext = Zeroizing::new(STANDARD.encode(data_key.expose()));
        let answer = self.ask("encrypt", Some(&plaintext), None, context);
        self.encrypted_data_key("encrypt", answer.await?)
    }

    async fn unwrap(&self, wrapped: Wrapped<'_>, request: KeyRequest<'_>) -> Result<DataKey> {
        self.ensure_fit().await?;
        let answer = self.ask("decrypt", None, Some(wrapped.text), request.context);
        let answer: Answer<Plaintext> = answer
            .await
            .map_err(|error| retired(error, wrapped.version))?;
        let text = answer.data.plaintext;
        let path = || self.vault.shown(&self.path("decrypt"));
        // Room for all of it, so that it never grows and leaves a copy behind.
        let mut bytes = Zeroizing::new(Vec::with_capacity(text.len()));
        STANDARD
            .decode_vec(text.as_bytes(), &mut bytes)
            .map_err(|_| Error::AnswerNotValid {
                path: path(),
                reason: "holds a plaintext that is not base64",
            })?;
        DataKey::from_bytes(std::mem::take(&mut *bytes), request.suite)
            .map_err(|_| Error::KeyLength { path: path() })
    }

    async fn ask<T: serde::de::DeserializeOwned>(
        &self,
        operation: &str,
        plaintext: Option<&str>,
        ciphertext: Option<&str>,
        context: &EncryptionContext,
    ) -> Result<T> {
        let (associated_data, context) = self.binding.fields(context);
        let body = TransitBody {
            plaintext,
            ciphertext,
            associated_data,
            context,
        };
        let request = Request::transit(self.path(operation), &body);
        self.vault.call(&request).await
    }

    fn encrypted_data_key(
        &self,
        operation: &str,
        answer: Answer<Ciphertext>,
    ) -> Result<EncryptedDataKey> {
        let ciphertext = answer.data.ciphertext;
        if Wrapped::parse(&ciphertext).is_none() {
            return Err(Error::AnswerNotValid {
                path: self.vault.shown(&self.path(operation)),
                reason: "holds no ciphertext of the form `vault:v1:…`",
            });
        }
        Ok(EncryptedDataKey::new(PROVIDER_ID, self.name(), ciphertext))
    }

    /// The server's text, or why the key is not one of this keyring's.
    fn wrapped<'a>(&self, key: &'a EncryptedDataKey) -> Result<Wrapped<'a>, &'static str> {
        if key.provider_id() != PROVIDER_ID {
            return Err("another provider");
        }
        if key.provider_info() != self.name().as_bytes() {
            return Err("another mount or key");
        }
        let text = std::str::from_utf8(key.ciphertext()).ok();
        text.and_then(Wrapped::parse)
            .ok_or("the wrapped key has not the form `vault:v1:…`")
    }

    fn name(&self) -> String {
        format!("{}/{}", self.mount, self.key)
    }

    fn path(&self, operation: &str) -> String {
        format!("{}/{operation}/{}", self.mount, self.key)
    }
}

#[async_trait]
impl Keyring for Transit {
    async fn wrap_key(
        &self,
        data_key: &DataKey,
        request: KeyRequest<'_>,
    ) -> Result<Vec<EncryptedDataKey>, KeyringError> {
        match self.wrap(data_key, request.context).await {
            Ok(key) => Ok(vec![key]),
            Err(error) => {
                let (name, reason) = (self.description.to_string(), error.to_string());
                Err(KeyringError::of_kind(error.kind(), name, reason))
            }
        }
    }

    async fn unwrap_key(
        &self,
        keys: &[EncryptedDataKey],
        request: KeyRequest<'_>,
    ) -> Result<Unwrapped, Vec<Attempt>> {
        let mut attempts = Vec::new();
        let mut tried = 0;
        for (index, key) in keys.iter().enumerate() {
            let name = Arc::clone(&self.description);
            let attempt = match self.wrapped(key) {
                Err(reason) => Attempt::skipped(index, name, reason),
                Ok(_) if tried == MOST_TRIED => {
                    Attempt::skipped(index, name, "ten of this name were tried before")
                }
                Ok(wrapped) => match self.unwrap(wrapped, request).await {
                    Ok(data_key) => return Ok(Unwrapped { index, data_key }),
                    Err(error) => {
                        tried += 1;
                        let kind = match error.is_about_one_key() {
                            true => ErrorKind::NoKey,
                            false => error.kind(),
                        };
                        let attempt = Attempt::of_kind(kind, index, name, error.to_string());
                        if !error.is_about_one_key() {
                            // The answer would be the same for all of them.
                            attempts.push(attempt);
                            return Err(attempts);
                        }
                        attempt
                    }
                },
            };
            if attempts.len() < MOST_REPORTED {
                attempts.push(attempt);
            }
        }
        Err(attempts)
    }
}

impl fmt::Debug for Transit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transit")
            .field("vault", &self.vault)
            .field("mount", &self.mount)
            .field("key", &self.key)
            .field("binding", &self.binding)
            .finish_non_exhaustive()
    }
}

/// A wrapped data key as the server writes it: `vault:v` and the version, `:` and base64.
#[derive(Clone, Copy)]
struct Wrapped<'a> {
    text: &'a str,
    version: u32,
}

impl<'a> Wrapped<'a> {
    fn parse(text: &'a str) -> Option<Self> {
        let (version, base64) = text.strip_prefix("vault:v")?.split_once(':')?;
        let is_base64 = |byte: u8| byte.is_ascii_alphanumeric() || b"+/=".contains(&byte);
        // A sign is a number to Rust and not to the server.
        let legal = version.bytes().all(|byte| byte.is_ascii_digit())
            && !base64.is_empty()
            && base64.bytes().all(is_base64);
        let version = version.parse().ok()?;
        legal.then_some(Self { text, version })
    }
}

#[derive(Deserialize)]
struct Answer<T> {
    data: T,
}

#[derive(Deserialize)]
struct Ciphertext {
    ciphertext: String,
}

#[derive(Deserialize)]
struct Plaintext {
    plaintext: Zeroizing<String>,
}

type Described = Answer<KeyData>;

#[derive(Deserialize)]
struct KeyData {
    #[serde(rename = "type")]
    key_type: String,
    derived: bool,
}

/// Types such as `aes256-gcm96` and `xchacha20-poly1305`. What is unknown is refused: a server
/// may ignore associated data that a key has no place for.
fn is_aead(key_type: &str) -> bool {
    key_type.ends_with("-gcm96") || key_type.ends_with("-poly1305")
}

fn retired(error: Error, version: u32) -> Error {
    match error {
        Error::Refused { path, answer } if answer.says("too old") => Error::VersionRetired {
            path,
            version,
            answer,
        },
        other => other,
    }
}

fn check_name(what: &'static str, name: &str, is_legal: bool) -> Result<()> {
    if is_legal && name.len() <= NAME_LENGTH {
        return Ok(());
    }
    Err(Error::NotAName {
        what,
        name: name.to_owned(),
    })
}

/// Longest name of a mount or key in bytes.
const NAME_LENGTH: usize = 1024;

/// Dots alone would be taken out of the path.
fn is_segment(segment: &str) -> bool {
    !matches!(segment, "" | "." | "..") && !segment.chars().any(char::is_control)
}

/// The transit engine's own rule: letters, digits, `_`, and inside also `-` and `.`.
fn is_key_name(name: &str) -> bool {
    let is_word = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
    let bytes = name.as_bytes();
    bytes.first().is_some_and(is_word)
        && bytes.last().is_some_and(is_word)
        && bytes
            .iter()
            .all(|byte| is_word(byte) || b"-.".contains(byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrapped_keys_have_one_form() {
        let version = |text| Wrapped::parse(text).map(|wrapped| wrapped.version);
        assert_eq!(version("vault:v1:AAAA"), Some(1));
        assert_eq!(version("vault:v4294967295:A+/="), Some(u32::MAX));
        for text in [
            "",
            "vault:v1:",
            "vault:v:AAAA",
            "vault:v+1:AAAA",
            "vault:v4294967296:AAAA",
            "vault:1:AAAA",
            "vault:v1:AA\"AA",
            "vault:v1:AA AA",
            "Vault:v1:AAAA",
        ] {
            assert_eq!(version(text), None, "{text:?}");
        }
    }

    #[test]
    fn only_names_that_a_server_could_have_are_taken() {
        for (name, legal) in [
            ("objects", true),
            ("2026-11.a_b", true),
            ("", false),
            ("a/b", false),
            ("..", false),
            ("-a", false),
            ("a.", false),
            ("ä", false),
        ] {
            assert_eq!(is_key_name(name), legal, "{name:?}");
        }
        for (segment, legal) in [("a b", true), ("", false), ("..", false), ("a\n", false)] {
            assert_eq!(is_segment(segment), legal, "{segment:?}");
        }
    }

    #[test]
    fn only_types_with_associated_data_are_taken() {
        for (key_type, legal) in [
            ("aes128-gcm96", true),
            ("aes256-gcm96", true),
            ("chacha20-poly1305", true),
            ("xchacha20-poly1305", true),
            ("rsa-4096", false),
            ("aes256-cmac", false),
            ("hmac", false),
        ] {
            assert_eq!(is_aead(key_type), legal, "{key_type}");
        }
    }
}

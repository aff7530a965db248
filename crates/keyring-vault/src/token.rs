use std::fmt;
use std::path::Path;

use bytes::Bytes;
use reqwest::header::HeaderValue;
use subtle::ConstantTimeEq;
use zeroize::{Zeroize, Zeroizing};

use crate::error::{Error, Result};

/// A token of OpenBao or Vault. Wiped when the last request with it is over, never printed.
///
/// ```
/// use envelope_vault::Token;
///
/// let token = Token::new("hvs.CAES...".to_owned())?;
/// assert_eq!(format!("{token:?}"), "Token(redacted)");
/// # Ok::<(), envelope_vault::Error>(())
/// ```
pub struct Token {
    header: HeaderValue,
}

impl Token {
    /// Takes a token without the white space around it, and wipes the text given.
    ///
    /// # Errors
    /// [`Error::TokenNotValid`] when there is nothing left or what is left is not printable ASCII.
    pub fn new(text: String) -> Result<Self> {
        let text = Zeroizing::new(text);
        Self::from_bytes(text.as_bytes())
    }

    /// Reads the token from an environment variable: `VAULT_TOKEN` or `BAO_TOKEN` by convention.
    ///
    /// # Errors
    /// [`Error::TokenVariable`] when it is not set, [`Error::TokenNotValid`] for its value.
    pub fn from_environment(variable: &str) -> Result<Self> {
        match std::env::var(variable) {
            Ok(text) => Self::new(text),
            Err(error) => {
                if let std::env::VarError::NotUnicode(text) = error {
                    text.into_encoded_bytes().zeroize();
                }
                Err(Error::TokenVariable {
                    variable: variable.to_owned(),
                })
            }
        }
    }

    pub(crate) fn from_file(path: &Path) -> Result<Self> {
        let bytes = std::fs::read(path).map_err(|source| Error::TokenFile {
            path: path.to_owned(),
            source,
        })?;
        Self::from_bytes(&Zeroizing::new(bytes))
    }

    fn from_bytes(bytes: &[u8]) -> Result<Self> {
        let bytes = bytes.trim_ascii();
        if bytes.is_empty() || !bytes.iter().all(u8::is_ascii_graphic) {
            return Err(Error::TokenNotValid);
        }
        let owned = Bytes::from_owner(Zeroizing::new(bytes.to_vec()));
        let mut header = HeaderValue::from_maybe_shared(owned).map_err(|_| Error::TokenNotValid)?;
        header.set_sensitive(true);
        Ok(Self { header })
    }

    /// The secret text. Whoever calls this answers for where it goes.
    #[must_use]
    pub fn expose(&self) -> &str {
        // It was checked to be ASCII.
        self.header.to_str().unwrap_or_default()
    }

    /// The header's value; it shares the memory of this token.
    pub(crate) fn header(&self) -> HeaderValue {
        self.header.clone()
    }

    pub(crate) fn is_same(&self, other: &Self) -> bool {
        self.header.as_bytes().ct_eq(other.header.as_bytes()).into()
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(redacted)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_printable_ascii_without_white_space_around_them() {
        assert_eq!(
            Token::new(" hvs.abc\r\n".to_owned()).unwrap().expose(),
            "hvs.abc"
        );
        for text in ["", " \n", "a b", "a\nb", "ä", "a\u{7f}"] {
            let error = Token::new(text.to_owned()).unwrap_err();
            assert!(matches!(error, Error::TokenNotValid), "{text:?}: {error}");
        }
    }

    #[test]
    fn no_debug_text_holds_a_token() {
        let token = Token::new("hvs.abc".to_owned()).unwrap();
        let text = format!("{token:?} {:?}", token.header());
        assert_eq!(text, "Token(redacted) Sensitive");
    }

    #[test]
    fn a_variable_that_is_not_set_is_named() {
        let error = Token::from_environment("ENVELOPE_VAULT_NOT_SET").unwrap_err();
        assert!(matches!(
            error,
            Error::TokenVariable { variable } if variable == "ENVELOPE_VAULT_NOT_SET"
        ));
    }
}

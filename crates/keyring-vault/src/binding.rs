use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use envelope::EncryptionContext;
use sha2::{Digest, Sha256};

/// How the encryption context is bound to a wrapped data key.
///
/// It has to be the same for wrapping and unwrapping, and follows from how the key was created.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Binding {
    /// For a key that is not derived: `associated_data` is the base64 of the canonical context, of no
    /// bytes for an empty one. The server cannot rewrap such data keys, as its `rewrap` takes no
    /// associated data.
    #[default]
    AssociatedData,
    /// For a key created with `derived=true`: `context` is the base64 of the SHA-256 of the canonical
    /// context, from which the server derives a key for each context. The server can rewrap.
    DerivedKey,
}

impl Binding {
    /// The values of `associated_data` and of `context`.
    pub(crate) fn fields(self, context: &EncryptionContext) -> (Option<String>, Option<String>) {
        let canonical = context.to_bytes();
        match self {
            Self::AssociatedData => (Some(STANDARD.encode(canonical)), None),
            // A hash, as the server refuses a `context` of no bytes.
            Self::DerivedKey => (None, Some(STANDARD.encode(Sha256::digest(canonical)))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bound_bytes_never_change() {
        let context = EncryptionContext::new([("tenant", "acme")]).unwrap();
        assert_eq!(
            context.to_bytes(),
            b"\x00\x01\x00\x06tenant\x00\x04acme",
            "the canonical form"
        );
        let data = |binding: Binding, context: &EncryptionContext| binding.fields(context);
        assert_eq!(
            data(Binding::AssociatedData, &context),
            (Some("AAEABnRlbmFudAAEYWNtZQ==".to_owned()), None)
        );
        assert_eq!(
            data(Binding::DerivedKey, &context),
            (
                None,
                Some("FIPE1tviOpBaHBD3izSfY7Rj/jb0j0QaUbO/MpsusvQ=".to_owned())
            )
        );
        let empty = EncryptionContext::default();
        assert_eq!(
            data(Binding::AssociatedData, &empty),
            (Some(String::new()), None)
        );
        assert_eq!(
            data(Binding::DerivedKey, &empty),
            (
                None,
                Some("47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=".to_owned())
            )
        );
    }
}

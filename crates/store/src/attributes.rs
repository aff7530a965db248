//! The encoding of a plaintext is not that of its ciphertext.

use object_store::{Attribute, AttributeValue, Attributes};

/// Holds the plaintext's `Content-Encoding`. Stores and proxies decode objects that announce one,
/// and ciphertext does not decode. The name suits stores that allow neither hyphens nor underscores.
const CONTENT_ENCODING: &str = "envelopecontentencoding";

/// The attributes as the inner store gets them.
pub(crate) fn hide_encoding(attributes: &Attributes) -> Attributes {
    replace(attributes, &Attribute::ContentEncoding, &hidden())
}

/// The attributes as the caller gave them.
pub(crate) fn show_encoding(attributes: &Attributes) -> Attributes {
    replace(attributes, &hidden(), &Attribute::ContentEncoding)
}

fn hidden() -> Attribute {
    Attribute::Metadata(CONTENT_ENCODING.into())
}

fn replace(attributes: &Attributes, from: &Attribute, to: &Attribute) -> Attributes {
    let pairs = attributes.iter();
    pairs
        .map(|(name, value)| {
            let name = if name == from { to } else { name };
            (name.clone(), AttributeValue::clone(value))
        })
        .collect()
}

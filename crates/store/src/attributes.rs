//! The encoding of a plaintext is not that of its ciphertext.

use object_store::{Attribute, AttributeValue, Attributes};

/// Holds the plaintext's `Content-Encoding`. Stores and proxies decode objects that announce one,
/// and ciphertext does not decode. The name suits stores that allow neither hyphens nor underscores.
const CONTENT_ENCODING: &str = "envelopecontentencoding";

/// The attributes as the inner store gets them: with those that the format adds.
pub(crate) fn stored(attributes: &Attributes, own: Vec<(String, String)>) -> Attributes {
    let mut attributes = replace(attributes, &Attribute::ContentEncoding, &hidden());
    for (name, value) in own {
        attributes.insert(Attribute::Metadata(name.into()), value.into());
    }
    attributes
}

/// The attributes as the caller gave them: without those that are the formats' own.
pub(crate) fn shown(attributes: &Attributes, is_own: impl Fn(&str) -> bool) -> Attributes {
    let attributes = replace(attributes, &hidden(), &Attribute::ContentEncoding);
    let theirs = attributes.into_iter().filter(|(name, _)| match name {
        Attribute::Metadata(name) => !is_own(name),
        _ => true,
    });
    theirs
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect()
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

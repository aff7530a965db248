//! What Cloud Storage takes as an object's attributes.

use object_store::{Attribute, Attributes, Result};

use crate::error::Error;

/// Bytes of custom metadata that Cloud Storage keeps for an object: names, without `x-goog-meta-`, and
/// values.
pub const METADATA_LIMIT: usize = 8 << 10;

/// Refuses what Cloud Storage would refuse with the body already on its way, and what could not be read back.
pub(crate) fn check(attributes: &Attributes) -> Result<()> {
    let mut size = 0;
    for (attribute, value) in attributes {
        let name = match attribute {
            Attribute::Metadata(name) => name,
            _ => "",
        };
        if !name.is_ascii() || !value.is_ascii() {
            return Err(Error::NotAscii {
                attribute: attribute.clone(),
            }
            .into());
        }
        if matches!(attribute, Attribute::Metadata(_)) {
            size += name.len() + value.len();
        }
    }
    if size > METADATA_LIMIT {
        return Err(Error::MetadataTooLarge {
            size,
            limit: METADATA_LIMIT,
        }
        .into());
    }
    Ok(())
}

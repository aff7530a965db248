//! The bytes of a message, without any cryptography.
//!
//! ```text
//! header body | header tag | frame | … | final frame [| footer]
//! ```

pub(crate) mod codec;
pub(crate) mod footer;
pub(crate) mod frame;
pub(crate) mod header;
pub(crate) mod layout;
pub(crate) mod scanner;

//! Soon.
#![forbid(unsafe_code)]

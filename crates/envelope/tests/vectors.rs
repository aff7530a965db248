//! Published vectors.
fn main() {}

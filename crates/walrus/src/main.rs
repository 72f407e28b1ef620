//! The `walrus` binary.
fn main() {}

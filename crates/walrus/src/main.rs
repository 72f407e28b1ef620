//! The `walrus` binary.
mod origin;

fn main() {}

//! DNS bytes: names, queries, EDNS and replies, without allocation on the answer path.
//!
//! What does not need speed (zone files, TSIG, signing) is left to the `domain` crate; what is
//! here is the wire format that every query passes through.

mod name;

pub use name::{DomainName, DomainNameError};

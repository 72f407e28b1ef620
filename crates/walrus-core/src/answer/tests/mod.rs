//! Tests of the fast path and its tables over one small world, with the complete path as oracle.

mod adaptive_ttl;
mod ahead;
mod cases;
mod choosing;
mod explained;
mod fixture;
mod oracle;
mod plans;
mod server_options;
mod services;
mod signed;
mod signed_replies;
mod signer;

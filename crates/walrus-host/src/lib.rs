//! What touches the machine for every role: clock, seeds, shutdown, log, state directory, TLS,
//! the group's connections, HTTP, probes and notices.
//!
//! Decisions live in `walrus-core`; here they only get their inputs and have their effects carried
//! out. Nothing here is an assertion about what comes from outside: a bad frame, file, certificate
//! or answer is an error value that says what to do.

pub mod bus;
pub mod clock;
pub mod descriptors;
pub mod dns_client;
pub mod foreign_clocks;
pub mod frame;
pub mod group;
pub mod http;
pub mod link;
pub mod log;
pub mod notify;
pub mod one_thread;
pub mod parent;
pub mod privileges;
pub mod probe;
pub mod regular_file;
pub mod resolve;
mod resolvers;
pub mod sandbox;
pub mod seed;
pub mod shutdown;
pub mod state;
pub mod tls;
pub mod token;

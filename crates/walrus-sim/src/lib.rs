//! Scenario scripts, simulation and replay over the core, in virtual time.
//!
//! [`simulation`] runs studies: clients, resolvers and servers around the code that decides.
//! A scenario is a text that says what stands where, what happens and what must be seen
//! ([`scenario`] has the language). It runs against anything that is a [`System`]: here the core
//! itself in virtual time ([`VirtualSystem`]), in the tests of the binary the real program over
//! real sockets. Nothing here has a socket or a clock: if this crate compiles, the core is pure.

pub mod faults;
mod name_server;
mod query;
pub mod replay;
pub mod scenario;
mod script;
pub mod simulation;
mod system;
mod virtual_system;

pub use query::query_bytes;
pub use system::{Question, Seen, SeenArea, SeenServer, ServerState, System, SystemError};
pub use virtual_system::{PUBLISHED_MAX, VirtualSystem, body_of};

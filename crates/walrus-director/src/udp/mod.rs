//! UDP: one thread a core, each with a socket of its own for each address.

pub(crate) mod batch;
mod socket;
mod worker;

pub(crate) use batch::prefetch;
pub(crate) use socket::{listen, prepare, probe};
pub(crate) use worker::Worker;

//! UDP: one thread a core, each with a socket of its own for each address.

pub(crate) mod batch;
mod socket;
mod worker;

pub(crate) use batch::{Route, prefetch, send_along};
pub(crate) use socket::{listen, prepare, probe};
pub(crate) use worker::Worker;

/// A socket that answers; shared with whoever replies later than the thread that received.
pub(crate) type UdpListener = std::net::UdpSocket;

//! A Plan compiled into a table; query bytes in, reply bytes out.

mod zone;

pub use zone::{RecordSet, Zone};

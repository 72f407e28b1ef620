//! A Plan compiled into a table; query bytes in, reply bytes out.

pub mod complete;
mod request;
mod zone;
mod zone_file;

pub use request::{Decision, Outcome, Request, ServiceDecision, Transport};
pub use zone::{RecordSet, Zone};
pub use zone_file::{ZoneFile, read_zone, zone_of_nameservers};

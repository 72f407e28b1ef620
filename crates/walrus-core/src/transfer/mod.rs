//! Zones from and to other name servers: AXFR (RFC 5936), IXFR (RFC 1995), and when to ask.
//!
//! [`TransferReader`] takes the messages of a reply in, one by one, and gives a whole zone or a
//! difference; [`Refresh`] says when a secondary asks whom, by the timers of the zone's SOA record
//! and by NOTIFY (RFC 1996); [`catalog_members`] reads the zones that another zone lists (RFC 9432); [`TransferWriter`] makes the messages of a reply. None has a socket or a
//! clock.

mod catalog;
mod reader;
mod refresh;
mod wire;
mod writer;

pub use catalog::{CatalogError, CatalogMember, catalog_members};
pub use reader::{Asked, Step, Transfer, TransferError, TransferLimits, TransferReader};
pub use refresh::{Attempt, Held, Refresh, SoaTimers};
pub use wire::{Notify, read_notify, read_serial};
pub use writer::{TransferHead, TransferWriter, differences, soa_of, whole};

/// Whether a serial is newer than another (RFC 1982): of two that are half the space apart neither
/// is.
#[must_use]
pub const fn is_newer(serial: u32, than: u32) -> bool {
    let ahead = serial.wrapping_sub(than);
    ahead != 0 && ahead < 1 << 31
}

#[cfg(test)]
mod tests;

//! How zones from other primaries stand, for `walrus status` and metrics.

use std::net::SocketAddr;

use walrus_dns::DomainName;

/// One zone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecondaryStatus {
    /// The zone.
    pub apex: DomainName,
    /// Where it comes from, in the order in which they are asked.
    pub primaries: Vec<SocketAddr>,
    /// Of the zone that is served; `None` if none is.
    pub serial: Option<u32>,
    /// Whether one was served and is too old.
    pub is_expired: bool,
    /// Who gave it, or last said that it is the newest.
    pub primary: Option<SocketAddr>,
    /// When that was, in seconds since 1970.
    pub checked: Option<u64>,
    /// When it is asked for again, in seconds since 1970; `None` while it is being asked for.
    pub next: Option<u64>,
    /// When it is no longer served if no primary says so before, in seconds since 1970.
    pub expires: Option<u64>,
    /// Why the last attempt failed, with the primary.
    pub problem: Option<String>,
    /// What happened since the start.
    pub counts: SecondaryCounts,
    /// The catalog that lists it.
    pub catalog: Option<DomainName>,
    /// If it is a catalog: how many zones it lists.
    pub members: Option<usize>,
}

/// What happened to a zone since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SecondaryCounts {
    /// Questions for the serial.
    pub checks: u64,
    /// Zones that came whole.
    pub whole: u64,
    /// Zones that came as differences.
    pub differences: u64,
    /// Attempts that failed.
    pub failures: u64,
    /// NOTIFY messages of primaries.
    pub notifies: u64,
}

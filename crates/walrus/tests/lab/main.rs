//! The lab: the real program among real programs, all started here, on loopback, and ended here.
//!
//! - [`steering`]: nginx, Apache and HAProxy, each with its Reporter, overloaded, killed and
//!   brought back, while clients ask.
//! - [`detection`]: how long a death goes unnoticed, against the bounds that Walrus promises.
//! - [`records`]: records beyond addresses and an alias, as dig and kdig read them.
//! - [`static_zone`]: a zone served by Walrus, Knot and BIND at once, answer by answer.
//! - [`differences`]: queries by seed, whole and broken, to Walrus, Knot, NSD and BIND with the same zones.
//! - [`moves`]: how far clients behind resolvers have followed a change, against what is said of it.
//! - [`resolver_in_front`]: Unbound asks on behalf of clients of two areas, and caches by scope.
//! - [`dnssec_zones`]: signed zones dumped into files, and checked by others' tools.
//! - [`encrypted`]: DNS over TLS and HTTPS, cookies, and what a server says of itself.
//! - [`existing`]: BIND, Knot and PowerDNS as they are, kept up to date by DNS UPDATE (RFC 2136).
//! - [`floods`]: of queries, connections and half-open TLS, and a client beside.
//! - [`group`]: nodes that meet over a nats-server, of which each is killed once.
//! - [`simulated`]: unbound, BIND, nginx and Apache with clients, against what the simulator says of them.
//! - [`proxied`]: dnsdist and HAProxy in front, which tell who asks.
//! - [`secondary`]: zones that come from Knot, NSD and BIND.
//! - [`signed`]: signed answers, judged by `delv` and a validating Unbound while keys and health
//!   change.
//! - [`updates`]: zones that BIND's nsupdate and others' programs change by DNS UPDATE, also while the
//!   name server is killed.
//!
//! What is not installed is skipped, with a line `SKIPPED: ...` that `./test` collects.

#![allow(clippy::unwrap_used, reason = "all of this is a test")]

mod detection;
mod differences;
mod dnssec_zones;
mod encrypted;
mod existing;
mod floods;
mod group;
mod moves;
#[path = "../ports/mod.rs"]
mod ports;
mod programs;
mod proxied;
mod questions;
mod records;
mod resolver_in_front;
mod secondary;
mod signed;
mod simulated;
mod static_zone;
mod steering;
mod transferred;
mod updates;
mod walrus;
mod web_servers;
mod webhook;
mod wrong_signatures;

use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

static ALONE: RwLock<()> = RwLock::new(());

/// One part of the lab at a time: what is measured must not be slowed down by another part.
fn alone() -> RwLockWriteGuard<'static, ()> {
    ALONE.write().unwrap_or_else(PoisonError::into_inner)
}

/// Beside other parts that do not measure either.
fn together() -> RwLockReadGuard<'static, ()> {
    ALONE.read().unwrap_or_else(PoisonError::into_inner)
}

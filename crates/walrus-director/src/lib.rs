//! The Director's shell: the sockets of the authoritative name server.
//!
//! All that is decided is decided in `walrus_core::answer`; here are the threads, the sockets, and
//! the ways for a new Plan to get in and for counts to get out.
//!
//! - [`Director::start`] binds and begins to answer; [`DirectorHandle`] is how it is steered.
//! - One thread a core answers UDP (`udp`), one more all of TCP, TLS and HTTPS (`streams`). Each has its own
//!   [`walrus_core::answer::WorkerState`]; none waits for another.
//! - [`update`] keeps name servers that are already there up to date instead (RFC 2136); it shares nothing
//!   with the rest.
//! - `zones` holds those whose content moves by itself: from another primary, or by UPDATE.
//! - [`tsig`] checks and signs messages with keys that other name servers and clients know as well.
//! - `serving` is how all of them go over to another table while they answer.
//!
//! What must stay absent on the answering threads, and the exceptions: `ARCHITECTURE.md`, absence 5.

mod answerer;
mod answering;
mod collect;
mod counters;
mod decision_log;
mod director;
mod dnstap;
mod domains;
mod given;
mod inherited;
pub mod keys;
mod latency;
mod message_walk;
mod networks;
mod observe;
mod presence;
mod rate_limit;
mod recent;
mod replies;
mod sample;
mod serving;
mod signing;
mod sockets;
mod start;
mod streams;
mod traffic;
pub mod tsig;
mod udp;
pub mod update;
mod zones;

#[cfg(test)]
#[path = "../tests/fixture/mod.rs"]
mod fixture;

pub use counters::CounterSnapshot;
pub use director::{DirectorHandle, PlanRefused, Reload, ReloadError};
pub use latency::Latency;
pub use presence::{CookieSecretError, check_cookie_secrets};
pub use recent::{DecisionSeen, Heavy, Recent};
pub use replies::{Replies, ReplyCount};
pub use signing::{KeyUse, SignError, SigningStart, SigningStatus, ZoneSigningStatus};
pub use start::{Director, DirectorStart, StartError};
pub use streams::{CertificateError, NewCertificate};
pub use traffic::{ServiceTraffic, Traffic};
pub use zones::{
    JournalLook, KeptZone, KeptZoneError, KeptZones, MemberOf, MovingZone, Notice, OutboundCount,
    OutboundSettings, OutboundStatus, Primary, Recipient, ReplaceError, Secondaries,
    SecondaryCounts, SecondaryStatus, SecondaryZone, UpdateCount, UpdateSettings, UpdateStatus,
    UpdatedZone, journal_path, used_serials,
};

//! Zones that go to other name servers: AXFR and IXFR out, serials of our own, NOTIFY.
//!
//! A thread of low priority (`follow`) looks what a zone has become, with its services in it, gives it a new serial at
//! most once a minute (`round`), and keeps it as a whole (`Snapshot`) with the differences of before. Requests leave the
//! answering threads by [`Outbound::begin`]: whoever is admitted has a thread of his own while it lasts (`serve`), which
//! writes no faster than the client reads. Queries see the same serial: it stands in the zone that is answered from.

mod follow;
mod notify;
mod places;
mod recipients;
pub(super) mod request;
mod round;
mod serials;
mod serve;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};

use arc_swap::ArcSwap;
use walrus_core::config::ZoneTransfers;
use walrus_core::zone::{Zone, ZoneDifference};
use walrus_dns::DomainName;
use walrus_host::clock::Clock;

use crate::director::{DirectorHandle, lock};
use crate::serving::Current;
use crate::tsig::{TsigCount, TsigKeys};
pub(crate) use follow::Followers;
use places::Places;
use recipients::Recipients;
pub use recipients::{Notice, Recipient};
pub use serials::used_serials;
pub(crate) use serve::Incoming;

/// Which zones go to others.
#[derive(Clone, Debug, Default)]
pub struct OutboundSettings {
    /// Each with its rules.
    pub zones: BTreeMap<DomainName, ZoneTransfers>,
    /// The names that services' records give servers.
    pub hosts: Vec<DomainName>,
    /// Those of them that no zone file has. Of zones that move, their contents say that.
    pub added: BTreeSet<DomainName>,
    /// Where serials are kept; `None`: nowhere, and they may go back after a restart.
    pub state: Option<PathBuf>,
}

/// A zone as it is transferred now.
#[derive(Clone, Debug)]
struct Snapshot {
    /// With the services in it, under its own serial.
    zone: Arc<Zone>,
    /// What led to it, oldest first.
    history: Vec<Arc<ZoneDifference>>,
}

impl Snapshot {
    /// What leads from a serial to this zone; `None` if it is not known, or would be longer than the zone itself.
    fn since(&self, serial: u32) -> Option<&[Arc<ZoneDifference>]> {
        let first = self.history.iter().position(|it| it.from_serial == serial)?;
        let chain = &self.history[first..];
        let records: usize = chain.iter().map(|it| it.len()).sum();
        (records <= self.zone.name_count().max(100)).then_some(chain)
    }
}

/// What became of transfers, since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct OutboundCount {
    /// Whole zones that were sent to the end.
    pub whole: u64,
    /// Differences that were sent to the end.
    pub differences: u64,
    /// Requests that no rule admits.
    pub refused: u64,
    /// Transfers that ended early: the client went away or was too slow.
    pub broken: u64,
    /// Requests beyond what is served at once.
    pub too_many: u64,
    /// Notifications that were acknowledged.
    pub notified: u64,
    /// Notifications that nobody acknowledged, all tries over.
    pub unheard: u64,
}

#[derive(Debug, Default)]
struct Counts {
    whole: AtomicU64,
    differences: AtomicU64,
    refused: AtomicU64,
    broken: AtomicU64,
    too_many: AtomicU64,
    notified: AtomicU64,
    unheard: AtomicU64,
}

/// What the answering threads, those that serve transfers, and the one that follows share.
pub(crate) struct Outbound {
    is_open: AtomicBool,
    settings: ArcSwap<OutboundSettings>,
    /// As they were when the settings came.
    keys: ArcSwap<TsigKeys>,
    snapshots: ArcSwap<BTreeMap<DomainName, Arc<Snapshot>>>,
    /// The serials under which zones are answered.
    serials: Mutex<BTreeMap<DomainName, u32>>,
    current: Arc<Current>,
    clock: Clock,
    queries: Arc<Places>,
    transfers: Arc<Places>,
    /// For those who ask before there is anything to send.
    waiting: Arc<Places>,
    counts: Counts,
    recipients: Recipients,
}

impl Outbound {
    /// Nothing is transferred until there are settings; zones are answered under these serials.
    pub(crate) fn new(
        current: Arc<Current>,
        clock: Clock,
        serials: BTreeMap<DomainName, u32>,
    ) -> Arc<Self> {
        Arc::new(Self {
            is_open: AtomicBool::new(false),
            settings: ArcSwap::default(),
            keys: ArcSwap::default(),
            snapshots: ArcSwap::default(),
            serials: Mutex::new(serials),
            current,
            clock,
            queries: Places::new(places::QUERIES),
            transfers: Places::new(places::TRANSFERS),
            waiting: Places::new(places::WAITING),
            counts: Counts::default(),
            recipients: Recipients::default(),
        })
    }

    /// The serials under which zones are answered.
    pub(crate) fn serials(&self) -> BTreeMap<DomainName, u32> {
        lock(&self.serials).clone()
    }

    /// Whether this message is to be answered here, and not as a plain query: a transfer, or a query with a signature.
    /// Replies and what is not understood are not.
    #[inline]
    pub(crate) fn wants(&self, message: &[u8]) -> bool {
        self.is_open.load(Relaxed) && request::is_wanted(message)
    }

    fn unix_secs(&self) -> u64 {
        self.clock.unix_ms() / 1000
    }
}

/// How one zone that goes to others stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutboundStatus {
    /// Which.
    pub apex: DomainName,
    /// Its serial; `None` as long as there is nothing to send.
    pub serial: Option<u32>,
    /// From how many serials of before differences are sent.
    pub differences: usize,
    /// Who asked for it and was admitted, or is told of its changes; a bounded number.
    pub recipients: Vec<(IpAddr, Recipient)>,
}

impl DirectorHandle {
    /// Sends these zones to those whom they admit from now on, with the keys that the Director was given last.
    pub fn set_outbound(&self, settings: OutboundSettings) {
        let outbound = &self.inner().outbound;
        let (is_open, settings) = (!settings.zones.is_empty(), Arc::new(settings));
        let zones = &settings.zones;
        // First: a round that began before gives nothing any more to a zone that is taken out below.
        outbound.keys.store(self.inner().keys.load_full());
        outbound.settings.store(Arc::clone(&settings));
        let has_left = {
            let mut serials = lock(&outbound.serials);
            let before = serials.len();
            serials.retain(|apex, _| zones.contains_key(apex));
            serials.len() < before
        };
        outbound.recipients.retain(zones);
        outbound.keep_snapshots(|apex| zones.contains_key(apex));
        if has_left {
            self.answer_under_own();
        }
        outbound.is_open.store(is_open, Relaxed);
        self.inner().keeper.hand_off().set_signed(is_open);
        self.inner().followers.call();
    }

    /// How zones that go to others stand.
    #[must_use]
    pub fn outbound(&self) -> Vec<OutboundStatus> {
        let outbound = &self.inner().outbound;
        let (settings, snapshots) = (outbound.settings.load(), outbound.snapshots.load());
        let one = |apex: &DomainName| {
            let snapshot = snapshots.get(apex);
            OutboundStatus {
                apex: apex.clone(),
                serial: snapshot.map(|it| it.zone.serial()),
                differences: snapshot.map_or(0, |it| it.history.len()),
                recipients: outbound.recipients.of(apex),
            }
        };
        settings.zones.keys().map(one).collect()
    }

    /// What became of transfers to others, and of signed requests.
    #[must_use]
    pub fn outbound_counts(&self) -> (OutboundCount, TsigCount) {
        let outbound = &self.inner().outbound;
        let Counts { whole, differences, refused, broken, too_many, notified, unheard } =
            &outbound.counts;
        let count = OutboundCount {
            whole: whole.load(Relaxed),
            differences: differences.load(Relaxed),
            refused: refused.load(Relaxed),
            broken: broken.load(Relaxed),
            too_many: too_many.load(Relaxed),
            notified: notified.load(Relaxed),
            unheard: unheard.load(Relaxed),
        };
        (count, outbound.keys.load().counts().snapshot())
    }
}

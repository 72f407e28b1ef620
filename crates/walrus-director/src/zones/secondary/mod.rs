//! Zones from other primaries: asked for, transferred, kept, served until they expire.
//!
//! A task for each (`run`). When whom is asked decides `walrus_core::transfer::Refresh`; `places` say who may ask now,
//! `exchange` speaks, `kept` is the disk, and `arrivals` has what came served.

mod arrivals;
mod asking;
mod beginning;
mod catalogs;
mod exchange;
mod expiry;
mod kept;
mod memory;
mod notices;
mod owners;
mod pace;
mod places;
mod run;
mod serving;
mod status;
mod writing;

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::runtime::Handle;
use tokio::task::JoinHandle;
use walrus_core::config::TsigKey;
use walrus_dns::DomainName;
use walrus_host::clock::Clock;
use walrus_host::seed::Seed;
use walrus_host::shutdown::Shutdown;

pub use catalogs::MemberOf;
pub use kept::{KeptZone, KeptZoneError, KeptZones};
pub use status::{SecondaryCounts, SecondaryStatus};

use crate::director::{DirectorHandle, lock};
use arrivals::Arrivals;
use catalogs::Catalogs;
use notices::Notices;
use places::Transfers;
use run::Task;

/// A zone and where it comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecondaryZone {
    /// The zone.
    pub apex: DomainName,
    /// Whom to ask, in this order.
    pub primaries: Vec<Primary>,
    /// Whether what is signed in it is kept: Walrus does not sign it.
    pub keeps_signatures: bool,
    /// The most bytes of memory that it may take.
    pub memory_max: usize,
    /// Whether it is a catalog: it is not answered, and the zones that it lists come from its primaries.
    pub is_catalog: bool,
    /// The catalog that lists it, if one does.
    pub member_of: Option<MemberOf>,
}

/// Another primary of a zone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Primary {
    /// Where it answers.
    pub address: SocketAddr,
    /// The key that signs what is said.
    pub key: Option<TsigKey>,
}

/// All zones of a node that come from elsewhere. Cheap to clone; all clones are the same.
#[derive(Clone, Debug)]
pub struct Secondaries {
    director: DirectorHandle,
    kept: KeptZones,
    clock: Clock,
    seed: Seed,
    transfers: Arc<Transfers>,
    arrivals: Arc<Arrivals>,
    catalogs: Arc<Catalogs>,
    running: Arc<Mutex<BTreeMap<DomainName, Running>>>,
}

#[derive(Debug)]
struct Running {
    zone: SecondaryZone,
    status: Arc<Mutex<SecondaryStatus>>,
    end: Shutdown,
    task: JoinHandle<()>,
}

/// Who may tell of changes of a zone, and to whom.
#[derive(Debug)]
pub(crate) struct NoticeWay {
    /// Address and key of each primary.
    primaries: Vec<(IpAddr, Option<DomainName>)>,
    notices: Arc<Notices>,
}

/// The ways of all zones that come from elsewhere.
pub(crate) type NoticeWays = BTreeMap<DomainName, NoticeWay>;

/// What becomes of a NOTIFY.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Notified {
    /// Its zone is asked for.
    Taken,
    /// It comes from none of the zone's primaries.
    Stranger,
    /// The zone comes from nowhere else.
    NotSecondary,
}

impl Secondaries {
    /// None yet.
    #[must_use]
    pub fn new(director: DirectorHandle, kept: KeptZones, clock: Clock, seed: Seed) -> Self {
        let (transfers, arrivals) = (Arc::new(Transfers::new()), Arc::default());
        let (catalogs, running) = (Arc::default(), Arc::default());
        Self { director, kept, clock, seed, transfers, arrivals, catalogs, running }
    }

    /// These and no others from now on; to be called within a runtime of tokio. A zone whose settings are
    /// the same goes on; what was kept of one that is among them no longer is removed.
    pub fn set(&self, zones: Vec<SecondaryZone>) {
        let (catalogs, zones): (Vec<_>, Vec<_>) = zones.into_iter().partition(|it| it.is_catalog);
        {
            let mut wanted = lock(&self.catalogs.wanted);
            wanted.reconfigure(zones, catalogs);
            // What the reload served no longer has no task at once: should it be served again it begins anew.
            let served = self.director.members();
            wanted.members.retain(|apex, _| served.contains(apex));
        }
        self.run_all();
        let secondaries = self.clone();
        tokio::spawn(async move { secondaries.apply_catalogs().await });
    }

    /// Has a task for each zone that is wanted, and for no others.
    fn run_all(&self) {
        let mut running = self.lock();
        if self.catalogs.stopped.load(Ordering::Relaxed) {
            return;
        }
        let (zones, listed) = {
            let wanted = lock(&self.catalogs.wanted);
            (wanted.all(), wanted.listed())
        };
        let (mut before, mut gone) = (BTreeMap::new(), Vec::new());
        let wanted: BTreeMap<_, _> = zones.iter().map(|zone| (&zone.apex, zone)).collect();
        for (apex, it) in std::mem::take(&mut *running) {
            if wanted.get(&apex) == Some(&&it.zone) {
                running.insert(apex, it);
                continue;
            }
            let checked = lock(&it.status).checked;
            it.end.request();
            lock(&self.director.inner().notice_ways).remove(&apex);
            // What a catalog lists may be served again as soon as it has its turn.
            if !wanted.contains_key(&apex) && !listed.contains_key(&apex) {
                gone.push((apex.clone(), it.task));
            }
            before.insert(apex, (checked, it.zone.keeps_signatures));
        }
        if !gone.is_empty() {
            tokio::spawn(forget(self.clone(), gone));
        }
        if !zones.is_empty() {
            // Their primaries may tell of changes from now on.
            self.director.inner().keeper.hand_off().set_open(true);
        }
        let primaries: BTreeSet<IpAddr> = zones
            .iter()
            .flat_map(|zone| &zone.primaries)
            .map(|primary| primary.address.ip().to_canonical())
            .collect();
        let hand_off = self.director.inner().keeper.hand_off();
        hand_off.set_known(|known| known.primaries.clone_from(&primaries));
        for zone in zones {
            if !running.contains_key(&zone.apex) {
                let before = before.get(&zone.apex).copied();
                running.insert(zone.apex.clone(), self.start(zone, before));
            }
        }
    }

    /// `before` is what an earlier task knew: when the zone was confirmed, and whether what is signed in
    /// it was kept.
    fn start(&self, zone: SecondaryZone, before: Option<(Option<u64>, bool)>) -> Running {
        let notices = Arc::new(Notices::default());
        let of = |primary: &Primary| {
            let key = primary.key.as_ref().map(|key| key.name.clone());
            (primary.address.ip(), key)
        };
        let primaries = zone.primaries.iter().map(of).collect();
        let way = NoticeWay { primaries, notices: Arc::clone(&notices) };
        lock(&self.director.inner().notice_ways).insert(zone.apex.clone(), way);
        let status = Arc::new(Mutex::new(SecondaryStatus {
            apex: zone.apex.clone(),
            primaries: zone.primaries.iter().map(|primary| primary.address).collect(),
            serial: None,
            is_expired: false,
            primary: None,
            checked: None,
            next: None,
            expires: None,
            problem: None,
            counts: SecondaryCounts::default(),
            catalog: zone.member_of.as_ref().map(|of| of.catalog.clone()),
            members: zone.is_catalog.then_some(0),
        }));
        let catalog =
            lock(&self.catalogs.wanted).catalogs.get(&zone.apex).map(|(_, it)| it.clone());
        let catalog = catalog.filter(|_| zone.is_catalog);
        let catalog = catalog.map(|catalog| (catalog, self.clone()));
        let end = Shutdown::new();
        let task = Task {
            director: self.director.clone(),
            kept: self.kept.clone(),
            clock: self.clock.clone(),
            seed: self.seed.for_part(&format!("secondary/{}", zone.apex)),
            transfers: Arc::clone(&self.transfers),
            arrivals: Arc::clone(&self.arrivals),
            zone: zone.clone(),
            status: Arc::clone(&status),
            end: end.clone(),
            waits_since: Mutex::default(),
            before,
            catalog,
        };
        let task = tokio::spawn(task.run(notices));
        Running { zone, status, end, task }
    }

    /// How each stands, by name.
    #[must_use]
    pub fn status(&self) -> Vec<SecondaryStatus> {
        let catalogs = lock(&self.catalogs.wanted).catalogs.clone();
        let problem = lock(&self.catalogs.problem).clone();
        let one = |it: &Running| {
            let mut status = lock(&it.status).clone();
            if let Some((_, catalog)) = catalogs.get(&it.zone.apex) {
                let (members, left_out) = catalog.status();
                status.members = Some(members);
                status.problem = problem.clone().or(status.problem).or(left_out);
            }
            status
        };
        self.lock().values().map(one).collect()
    }

    /// Ends the tasks of these zones of catalogs, and waits until they write no more; on a thread that may wait.
    fn end(&self, apexes: &BTreeSet<DomainName>) {
        let mut running = self.lock();
        let ended: Vec<Running> = running
            .extract_if(.., |apex, it| apexes.contains(apex) && it.zone.member_of.is_some())
            .map(|(_, it)| it)
            .collect();
        drop(running);
        // All at once, since each may have a file to write.
        ended.iter().for_each(|it| it.end.request());
        for it in ended {
            lock(&self.director.inner().notice_ways).remove(&it.zone.apex);
            // A panic has been told by the task itself.
            let _ = Handle::current().block_on(it.task);
        }
    }

    /// Ends all of them, and waits until what came is on the disk, and whose it is; what they serve stays.
    pub async fn stop(&self) {
        let running = {
            let mut running = self.lock();
            self.catalogs.stopped.store(true, Ordering::Relaxed);
            std::mem::take(&mut *running)
        };
        running.values().for_each(|it| it.end.request());
        for it in running.into_values() {
            // A panic has been told by the task itself.
            let _ = it.task.await;
        }
        // What catalogs list begins to be applied no more.
        let secondaries = self.clone();
        let applied = move || drop(lock(&secondaries.catalogs.applying));
        let _ = tokio::task::spawn_blocking(applied).await;
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<DomainName, Running>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Removes what was kept of zones that are no longer wanted, once their tasks write no more.
async fn forget(secondaries: Secondaries, gone: Vec<(DomainName, JoinHandle<()>)>) {
    for (apex, task) in gone {
        let _ = task.await;
        let secondaries = secondaries.clone();
        let remove = move || {
            // One that is wanted again by now has a task that may have written already.
            let running = secondaries.lock();
            let stopped = secondaries.catalogs.stopped.load(Ordering::Relaxed);
            if !stopped && !running.contains_key(&apex) {
                secondaries.kept.forget(&apex);
            }
        };
        let _ = tokio::task::spawn_blocking(remove).await;
    }
}

impl DirectorHandle {
    /// Somebody tells of a change of a zone, with this key or none. It counts if the address or the key
    /// is one of the zone's primaries': all that it leads to is a question to that primary.
    pub(crate) fn notified(
        &self,
        apex: &DomainName,
        (client, key): (IpAddr, Option<&DomainName>),
        serial: Option<u32>,
    ) -> Notified {
        let ways = lock(&self.inner().notice_ways);
        let Some(way) = ways.get(apex) else { return Notified::NotSecondary };
        let is_it = |(address, own): &(IpAddr, Option<DomainName>)| {
            *address == client || (key.is_some() && own.as_ref() == key)
        };
        let Some(primary) = way.primaries.iter().position(is_it) else {
            return Notified::Stranger;
        };
        way.notices.add(primary, serial);
        Notified::Taken
    }
}

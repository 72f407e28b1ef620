//! The Director: starts the answering threads and lets others change what they answer from.
//!
//! Everything slow (compiling a Plan or zones, freeing old tables, putting observations together)
//! happens on the thread that asks for it, never on one that answers.

use std::collections::BTreeSet;
use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::ops::{Deref, DerefMut};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use arc_swap::ArcSwap;
use tokio::sync::Notify;
use walrus_core::answer::{AnswerTable, PlanCompileError, ZoneCompileError};
use walrus_core::dnssec::ZoneSigning;
use walrus_core::map::Map;
use walrus_core::plan::{Digests, Plan, PlanNumber};
use walrus_core::world::{Digest, Time, Topology};
use walrus_core::zone::{ServiceUnfit, Zone};
use walrus_dns::DomainName;
use walrus_host::clock::Clock;
use walrus_host::shutdown::Shutdown;

use crate::counters::{CounterSnapshot, Counters};
use crate::decision_log::DecisionLog;
use crate::dnstap::DnstapWriter;
use crate::given::Given;
use crate::keys::KeyPair;
use crate::latency::{Latency, LatencyCounters};
use crate::observe::Gathering;
use crate::serving::{Current, Serving};
use crate::signing::{
    Background, Figures, Rebuilding, SignError, SignedAnswers, Surroundings, Wanted, ZonesTold,
};
use crate::streams::{Certificates, NewCertificate};
use crate::traffic::TrafficGathering;
use crate::tsig::TsigKeys;
use crate::zones::{
    Contents, Followers, Keeper, MovingZone, NoticeWays, Outbound, UpdateCount, UpdateCounts,
    UpdateSettings, UpdateStatus, Updates, put_updated,
};

/// A running name server. Cheap to clone; all clones are the same. It runs until
/// [`DirectorHandle::shutdown`] or until the last clone is dropped.
#[derive(Clone)]
pub struct DirectorHandle(Arc<Inner>);

/// What the answering threads and the handle share, and how to reach the threads.
pub(crate) struct Inner {
    pub(crate) current: Arc<Current>,
    pub(crate) counters: Vec<Arc<Counters>>,
    pub(crate) addresses: Vec<SocketAddr>,
    pub(crate) encrypted: Vec<SocketAddr>,
    pub(crate) certificates: Arc<Certificates>,
    pub(crate) clock: Clock,
    pub(crate) domains_max: usize,
    pub(crate) wakers: Wakers,
    pub(crate) control: Mutex<Control>,
    /// Held by the one that wants the threads' counts; before `control`, never after it.
    pub(crate) collecting: Mutex<()>,
    /// Never held together with `control`.
    pub(crate) given: Mutex<Given>,
    pub(crate) changes: Mutex<LatencyCounters>,
    /// How signing of answers stands, for those who do not wait for `control`.
    pub(crate) figures: Arc<ArcSwap<Figures>>,
    /// The same of zones; written under `control`'s lock or `rebuilding`'s.
    pub(crate) zones_told: ArcSwap<ZonesTold>,
    pub(crate) running: Mutex<Option<Running>>,
    /// Held while zones are signed and compiled; before `control`, never after it.
    pub(crate) rebuilding: Mutex<Rebuilding>,
    /// Of zones that move by themselves; changed with `rebuilding` held, and locked for a moment.
    pub(crate) contents: Mutex<Contents>,
    /// Those of them that catalogs list; likewise.
    pub(crate) members: Mutex<BTreeSet<DomainName>>,
    /// All that catalogs list, whether it is taken or not.
    pub(crate) listed: Mutex<BTreeSet<DomainName>>,
    /// Nanoseconds that changes of these took which primaries made, without what they waited for.
    pub(crate) moving_nanos: AtomicU64,
    /// Held while updates are carried out, before `rebuilding`.
    pub(crate) updates: Mutex<Updates>,
    pub(crate) update_counts: Arc<UpdateCounts>,
    pub(crate) updates_told: ArcSwap<Vec<UpdateStatus>>,
    /// Keys that other name servers and clients know as well.
    pub(crate) keys: ArcSwap<TsigKeys>,
    /// Whom a NOTIFY is for.
    pub(crate) notice_ways: Mutex<NoticeWays>,
    pub(crate) background: Background,
    pub(crate) keeper: Keeper,
    pub(crate) outbound: Arc<Outbound>,
    pub(crate) followers: Followers,
    #[cfg(test)]
    pub(crate) on_look: std::sync::OnceLock<OnLook>,
}

/// What a test does when a table was looked at.
#[cfg(test)]
pub(crate) type OnLook = Box<dyn Fn(&DirectorHandle) + Send + Sync>;

/// One change at a time.
pub(crate) struct Control {
    pub(crate) digests: Digests,
    /// Tables that threads may still use.
    pub(crate) retired: Vec<Arc<Serving>>,
    pub(crate) gathering: Gathering,
    pub(crate) traffic: TrafficGathering,
    pub(crate) signing: SignedAnswers,
}

/// The lock, and tables that are freed when it has been given back: a large one takes a while.
pub(crate) struct Locked<'a> {
    // Dropped in this order.
    control: MutexGuard<'a, Control>,
    pub(crate) freed: Vec<Arc<Serving>>,
}

impl Deref for Locked<'_> {
    type Target = Control;

    fn deref(&self) -> &Control {
        &self.control
    }
}

impl DerefMut for Locked<'_> {
    fn deref_mut(&mut self) -> &mut Control {
        &mut self.control
    }
}

/// Get threads that wait for queries to look up.
#[derive(Default)]
pub(crate) struct Wakers {
    pub(crate) stop: Arc<AtomicBool>,
    /// Not blocking: a thread that has not looked up for long may leave its stream full.
    pub(crate) udp: Vec<UnixStream>,
    pub(crate) tcp: Arc<Notify>,
    pub(crate) tcp_shutdown: Shutdown,
}

impl Wakers {
    /// One more thread to wake: what it waits on.
    ///
    /// # Errors
    /// If there are no more descriptors.
    pub(crate) fn add(&mut self) -> io::Result<UnixStream> {
        let (reader, writer) = UnixStream::pair()?;
        reader.set_nonblocking(true)?;
        writer.set_nonblocking(true)?;
        self.udp.push(writer);
        Ok(reader)
    }

    pub(crate) fn wake(&self) {
        for mut stream in &self.udp {
            // A full stream wakes as well, and a thread that is gone need not be woken.
            let _ = stream.write(&[1]);
        }
        self.tcp.notify_one();
    }

    /// Ends all threads and waits for them.
    pub(crate) fn stop(&self, threads: Vec<JoinHandle<()>>) {
        self.stop.store(true, Ordering::Relaxed);
        self.tcp_shutdown.request();
        self.wake();
        for thread in threads {
            // A panic has been told by the thread itself.
            let _ = thread.join();
        }
    }
}

/// What must be waited for at the end.
pub(crate) struct Running {
    pub(crate) threads: Vec<JoinHandle<()>>,
    pub(crate) log: Option<DecisionLog>,
    pub(crate) dnstap: Option<DnstapWriter>,
}

impl DirectorHandle {
    pub(crate) fn of(inner: Arc<Inner>) -> Self {
        Self(inner)
    }

    pub(crate) fn inner(&self) -> &Arc<Inner> {
        &self.0
    }

    /// Carries out a Plan from now on. It is compiled on the calling thread, which may take some
    /// milliseconds; services and lists that did not change are kept. In a signed zone it also signs
    /// what takes no longer than that; what takes longer follows in the background, and until then
    /// sets are answered that are signed already.
    ///
    /// # Errors
    /// If it is not newer than the Plan in force, was made for a configuration, map or zones that
    /// are not here, or is damaged. The Plan in force then stays.
    pub fn apply_plan(&self, plan: Arc<Plan>) -> Result<(), PlanRefused> {
        let mut control = self.control();
        let current = self.0.current.load();
        let table = &current.table;
        if let Some(held) = table.plan()
            && plan.number <= held.number
        {
            let held = held.number.clone();
            return Err(PlanRefused::NotNewer { held, offered: plan.number.clone() });
        }
        check_digests(&plan.digests, &control.digests)?;
        let next = table.with_plan(plan)?;
        let next = control.signing.sign(&next, table, &self.0.clock);
        self.publish(&mut control, next);
        if control.signing.pending() > 0 {
            self.0.background.call();
        }
        Ok(())
    }

    /// Tells when what led to the Plan in force was taken in, now that its answers are given.
    pub fn tell_cause(&self, taken_at: Time) {
        lock(&self.0.changes).add(self.0.clock.now().since(taken_at), 1);
    }

    /// How long it took from an event until answers showed it, over all Plans that
    /// [`Self::tell_cause`] was told of.
    #[must_use]
    pub fn change_latency(&self) -> Latency {
        let mut latency = Latency::default();
        latency.add(&lock(&self.0.changes));
        latency
    }

    /// Answers from other zones, areas and services from now on. The map must have been built from
    /// this topology. Returns when zones are signed and served so; what did not change is taken over.
    ///
    /// `plan` is asked for a Plan that was made for all this, when zones are signed and as late as
    /// can be: it is put in force in the same instant, so that nothing new is ever without answers.
    /// The next [`Self::apply_plan`] takes its place. With `None` the Plan in force goes on as far as
    /// it fits, and a service or type that it lacks is answered with SERVFAIL.
    ///
    /// # Errors
    /// If the zones do not fit the services, a zone cannot be signed, or the Plan cannot be carried
    /// out. Everything then stays as it was.
    pub fn reload(
        &self,
        reload: Reload,
        plan: impl Fn() -> Option<Arc<Plan>>,
    ) -> Result<(), ReloadError> {
        let Reload {
            topology,
            zones,
            moving,
            updates,
            keys,
            map,
            digests,
            signing,
            pairs,
            answer_sets_max,
        } = reload;
        let mut taking = self.updates();
        let prepared = taking.prepare(updates, &moving, (&zones, &topology));
        let mut rebuilding = self.rebuilding();
        let mut contents = self.contents_with(&moving, &rebuilding.wanted);
        put_updated(&mut contents, &prepared, &lock(&self.inner().contents).clone());
        let wanted = Wanted::new(topology, zones, signing);
        let members = self.keep_members((&rebuilding.wanted, &wanted), &mut contents);
        let wanted = wanted.with_contents(&contents);
        // What primaries sent may have gone too far before; an operator is told, and can still mend it.
        if let Some(unfit) = wanted.newly_unfit(&rebuilding.wanted) {
            return Err(ReloadError::Unfit(Box::new(unfit.clone())));
        }
        self.add_pairs(pairs);
        let found = self.plan().and_then(|plan| wanted.with_found(&plan));
        let wanted = found.unwrap_or(wanted);
        let before = self.control().signing.set_sets_max(answer_sets_max);
        let change = Some(Surroundings { map, digests, plan: &plan });
        let done = self.rebuild(&mut rebuilding, wanted, change, true);
        match done {
            Ok(()) => {
                *lock(&self.inner().contents) = contents;
                *lock(&self.inner().members) = members;
                taking.adopt(prepared);
                if taking.are_taken() {
                    self.0.keeper.hand_off().set_open(true);
                }
                self.tell_updates(&taking);
                let keys = self.inner().keys.load().replaced_by(keys);
                self.0.keeper.hand_off().set_known(|known| known.keys.clone_from(&keys));
                self.inner().keys.store(Arc::new(keys));
            }
            Err(_) => {
                self.control().signing.set_sets_max(before);
            }
        }
        done
    }

    /// The Plan in force.
    #[must_use]
    pub fn plan(&self) -> Option<Arc<Plan>> {
        self.0.current.load().table.plan().cloned()
    }

    /// The table in force, for `walrus explain`.
    #[must_use]
    pub fn table(&self) -> AnswerTable {
        self.0.current.load().table.clone()
    }

    /// What this Director was given: a Plan for something else is refused.
    #[must_use]
    pub fn digests(&self) -> Digests {
        self.control().digests.clone()
    }

    /// Zones that take updates, and how they stood when that last changed. Waits for nobody.
    #[must_use]
    pub fn updated_zones(&self) -> Vec<UpdateStatus> {
        self.0.updates_told.load().as_ref().clone()
    }

    pub(crate) fn tell_updates(&self, updates: &Updates) {
        self.0.updates_told.store(Arc::new(updates.status()));
    }

    /// What became of updates.
    #[must_use]
    pub fn update_counts(&self) -> UpdateCount {
        self.0.update_counts.snapshot()
    }

    pub(crate) fn updates(&self) -> MutexGuard<'_, Updates> {
        lock(&self.0.updates)
    }

    /// Where it listens, by UDP and TCP; port 0 has become the port that was found.
    #[must_use]
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.0.addresses
    }

    /// Where it listens by TLS, then by HTTPS.
    #[must_use]
    pub fn encrypted_addresses(&self) -> &[SocketAddr] {
        &self.0.encrypted
    }

    /// Whoever connects by TLS or HTTPS from now on is shown this certificate.
    pub fn show_certificate(&self, new: NewCertificate) {
        self.0.certificates.show(new);
    }

    /// Counters of all threads since the start.
    #[must_use]
    pub fn counters(&self) -> CounterSnapshot {
        let mut snapshot = CounterSnapshot::default();
        self.0.counters.iter().for_each(|counters| snapshot.add(counters));
        snapshot
    }

    /// The same thread by thread: the UDP workers in their order, then TCP, then what is answered beside them.
    #[must_use]
    pub fn counters_by_thread(&self) -> Vec<CounterSnapshot> {
        let one = |counters: &Arc<Counters>| {
            let mut snapshot = CounterSnapshot::default();
            snapshot.add(counters);
            snapshot
        };
        self.0.counters.iter().map(one).collect()
    }

    /// Ends all threads and waits for them; queries that they have taken are answered. Calling it
    /// again does nothing.
    pub fn shutdown(&self) {
        self.0.shutdown();
    }

    pub(crate) fn publish(&self, control: &mut Locked<'_>, table: AnswerTable) {
        let serving = self.0.current.load().next(table, self.0.domains_max);
        control.retired.push(self.0.current.publish(Arc::new(serving)));
        // Idle threads would keep the old table in memory.
        self.0.wakers.wake();
        self.sweep(control);
    }

    /// Waits for others who change something. What a Plan could wait for too long is done beside it.
    pub(crate) fn control(&self) -> Locked<'_> {
        Locked { control: lock(&self.0.control), freed: Vec::new() }
    }

    /// For tests: a table was looked at, and no lock is held.
    pub(crate) fn looked(&self) {
        #[cfg(test)]
        if let Some(on_look) = self.0.on_look.get() {
            on_look(self);
        }
    }
}

impl std::fmt::Debug for DirectorHandle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DirectorHandle").field("addresses", &self.0.addresses).finish()
    }
}

impl Inner {
    fn shutdown(&self) {
        let Some(running) = lock(&self.running).take() else { return };
        // Whoever waits for signatures need not wait for the last one.
        self.background.begin_to_stop();
        self.keeper.stop();
        self.followers.stop();
        self.background.stop();
        self.wakers.stop(running.threads);
        if let Some(log) = running.log {
            log.finish();
        }
        if let Some(dnstap) = running.dnstap {
            dnstap.finish();
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.shutdown();
    }
}

/// What a Director answers from when its files have changed.
#[derive(Clone, Debug)]
pub struct Reload {
    /// Areas and services.
    pub topology: Arc<Topology>,
    /// All zones; each service lies in one of them.
    pub zones: Vec<Arc<Zone>>,
    /// Those of them whose content moves by itself: what came stays.
    pub moving: Vec<MovingZone>,
    /// Those of them that take updates.
    pub updates: UpdateSettings,
    /// Keys that other name servers and clients know as well.
    pub keys: TsigKeys,
    /// Built from `topology`.
    pub map: Arc<Map>,
    /// What all this hashes to.
    pub digests: Digests,
    /// How those zones are signed that are.
    pub signing: Vec<ZoneSigning>,
    /// Private halves of keys that may be new.
    pub pairs: Vec<KeyPair>,
    /// The most answer sets that are signed.
    pub answer_sets_max: usize,
}

/// Why a Plan is not carried out. The one in force stays in force.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlanRefused {
    /// A repeat, or one from a Controller that is no longer master.
    #[error("Plan {offered} is refused: {held} is in force, and only a higher number replaces it")]
    NotNewer {
        /// In force.
        held: PlanNumber,
        /// Refused.
        offered: PlanNumber,
    },
    /// It was made for something that is not here.
    #[error(
        "the Plan was made for {what} {wanted}, here is {held}: reload both from the same files"
    )]
    Lacks {
        /// What is missing.
        what: &'static str,
        /// What the Plan names.
        wanted: Digest,
        /// What this Director has.
        held: Digest,
    },
    /// It is of another format or damaged.
    #[error(transparent)]
    Compile(#[from] PlanCompileError),
}

/// Why a reload changed nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReloadError {
    /// Zones and services do not fit together.
    #[error(transparent)]
    Zones(#[from] ZoneCompileError),
    /// A service does not fit a zone that came from elsewhere, or that others change.
    #[error("{0}")]
    Unfit(Box<ServiceUnfit>),
    /// The Plan in force does not fit what was loaded.
    #[error(transparent)]
    Plan(#[from] PlanCompileError),
    /// Keys for a zone that is not signed.
    #[error("zone `{0}` is not signed here: set `dnssec = \"sign\"` in its [[zone]]")]
    NotSigned(DomainName),
    /// A zone cannot be signed.
    #[error("zone `{zone}` cannot be signed")]
    Signing {
        /// Which.
        zone: DomainName,
        /// Why.
        source: SignError,
    },
}

/// Whether all that a Plan was made for is here. Keys may differ: a roll-over changes nothing that a
/// Plan decides, and a dead server must not wait for one.
pub(crate) fn check_digests(wanted: &Digests, held: &Digests) -> Result<(), PlanRefused> {
    for (what, wanted, held) in [
        ("configuration", &wanted.configuration, &held.configuration),
        ("map", &wanted.map, &held.map),
        ("zones", &wanted.zones, &held.zones),
    ] {
        if wanted != held {
            let (wanted, held) = (wanted.clone(), held.clone());
            return Err(PlanRefused::Lacks { what, wanted, held });
        }
    }
    Ok(())
}

/// Locks without fear of a panic elsewhere: what is guarded is whole between any two steps.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
pub(crate) mod tests {
    use walrus_core::answer::ZoneTable;

    use super::*;
    use crate::fixture::zone;

    /// The fixture's zone with these services in it.
    pub(crate) fn zone_table(topology: &Topology) -> ZoneTable {
        let services = topology.services.iter().map(|service| service.name.clone());
        ZoneTable::compile(&[zone()], &services.collect::<Vec<_>>()).unwrap()
    }

    #[test]
    fn waking_never_waits_for_a_thread_that_is_too_busy_to_look_up() {
        let mut wakers = Wakers::default();
        let reader = wakers.add().unwrap();
        for _ in 0..100_000 {
            wakers.wake();
        }
        drop(reader);
        wakers.wake();
    }
}

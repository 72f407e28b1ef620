//! Starting a Director: binds everything, then starts the threads, or says what is in the way.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use arc_swap::ArcSwap;
use walrus_core::answer::{AnswerTable, ZoneCompileError};
use walrus_core::config::DnsSettings;
use walrus_core::map::Map;
use walrus_core::plan::{Digests, Plan};
use walrus_core::world::Topology;
use walrus_core::zone::Zone;
use walrus_dns::DomainName;
use walrus_host::clock::Clock;
use walrus_host::seed::Seed;

use crate::answerer::{Answerer, AnswererStart};
use crate::counters::Counters;
use crate::decision_log::DecisionLog;
use crate::director::{Control, DirectorHandle, Inner, Running, Wakers, check_digests};
use crate::dnstap::{DnstapWriter, Tap};
use crate::given::Given;
use crate::latency::LatencyCounters;
use crate::networks::Networks;
use crate::observe::Gathering;
use crate::presence::{CookieSecretError, server_options};
use crate::rate_limit::RateLimit;
use crate::serving::{Current, Serving};
use crate::signing::{
    AnswersStart, Background, Extent, KeyRing, Pace, Rebuilding, SignedAnswers, SignedZones,
    Signing, SigningStart, Store, Wanted, ZonesTold, compile, keys_digest,
};
use crate::sockets::{Sockets, bind};
use crate::streams::{self, CertificateError, Certificates, Limits, NewCertificate};
use crate::traffic::TrafficGathering;
use crate::tsig::TsigKeys;
use crate::udp::Worker;
use crate::zones::{
    Contents, Followers, HandOff, Keeper, LateReplies, Mailboxes, MovingZone, Outbound,
    UpdateSettings, Updates, first_contents, put_updated,
};

/// The least room for a UDP reply, in bytes.
const REPLY_SIZE_MIN: u16 = 512;

/// What a Director starts from.
#[derive(Clone, Debug)]
pub struct DirectorStart {
    /// Where it listens and how.
    pub dns: DnsSettings,
    /// Areas and services.
    pub topology: Arc<Topology>,
    /// All zones; each service lies in one of them.
    pub zones: Vec<Arc<Zone>>,
    /// Those of them whose content moves by itself.
    pub moving: Vec<MovingZone>,
    /// The serials under which zones that go to others were answered last: they go on under these, whatever their contents
    /// say, unless they are signed.
    pub serials: BTreeMap<DomainName, u32>,
    /// Those of them that take updates; their journals are opened, and begun where there are none.
    pub updates: UpdateSettings,
    /// Keys that other name servers and clients know as well.
    pub keys: TsigKeys,
    /// Built from `topology`.
    pub map: Arc<Map>,
    /// What all this hashes to: a Plan for something else is refused.
    pub digests: Digests,
    /// The last Plan, if one was kept.
    pub plan: Option<Arc<Plan>>,
    /// How zones are signed.
    pub signing: SigningStart,
    /// The start of all random choices.
    pub seed: u64,
    /// The time.
    pub clock: Clock,
}

/// The name server.
#[derive(Debug)]
pub struct Director;

impl Director {
    /// Binds all addresses and begins to answer.
    ///
    /// A kept Plan for another configuration is carried out too, as far as it fits, until the
    /// Controller sends the next: an old answer is better than none. One that cannot be compiled is
    /// left out with a warning.
    ///
    /// # Errors
    /// If an address cannot be listened on, the zones do not fit the services, or a thread or the
    /// decision log cannot be started. Nothing then runs.
    pub fn start(start: DirectorStart) -> Result<DirectorHandle, StartError> {
        let dns = &start.dns;
        let workers = dns.workers.unwrap_or_else(cores).max(1);
        let sockets = bind(dns, workers)?;
        let certificates = Arc::new(Certificates::default());
        NewCertificate::read(dns)?.into_iter().for_each(|new| certificates.show(new));
        let log = open_log(dns, &start.clock)?;
        let threads = workers + 1;
        // One more for replies that go out later than others.
        let mut dnstap = open_dnstap(dns, threads + 1)?;
        let (updates, contents) = first_updates(&start);
        let (table, signed) = first_table(&start, &contents)?;
        let given = Given::new(&table, threads);
        let serving = Serving::new(table, threads, dns.observe_domains);
        let current = Arc::new(Current::new(Arc::new(serving)));
        let counters: Vec<Arc<Counters>> =
            (0..=threads).map(|_| Arc::new(Counters::new())).collect();
        let rate_limit = rate_limit(dns, start.seed);
        let tap = dnstap.as_mut().and_then(|dnstap| dnstap.tap(threads));
        let late = (rate_limit.clone(), Arc::clone(&counters[threads]), tap);
        let (hand_off, mailboxes) = hand_off(&start, &updates, late);
        let looks = (log.as_ref(), dnstap.as_mut());
        let shared = (&current, rate_limit, &counters[..threads]);
        let answerers = answerers(&start, shared, looks)?;
        let (addresses, encrypted) = (sockets.addresses.clone(), sockets.encrypted.clone());
        let outbound = Outbound::new(Arc::clone(&current), start.clock.clone(), start.serials);
        let shared = (&certificates, &hand_off, &outbound);
        let (wakers, threads) =
            start_threads((sockets, shared), answerers, dns).map_err(StartError::Threads)?;
        let FirstSigning { answers, zones_told, rebuilding } = signed;
        let digests = Digests { keys: keys_digest(&rebuilding.wanted.signing), ..start.digests };
        let figures = Arc::clone(answers.figures());
        let control = first_control(&start.clock, dns, digests, answers);
        let inner = Arc::new(Inner {
            current,
            counters,
            addresses,
            encrypted,
            certificates,
            domains_max: dns.observe_domains,
            clock: start.clock,
            wakers,
            control: Mutex::new(control),
            collecting: Mutex::new(()),
            given: Mutex::new(given),
            changes: Mutex::new(LatencyCounters::new()),
            figures,
            zones_told: ArcSwap::from_pointee(zones_told),
            running: Mutex::new(Some(Running { threads, log, dnstap })),
            rebuilding: Mutex::new(rebuilding),
            contents: Mutex::new(contents),
            members: Mutex::default(),
            listed: Mutex::default(),
            moving_nanos: AtomicU64::new(0),
            update_counts: Arc::clone(&updates.counts),
            updates_told: ArcSwap::from_pointee(updates.status()),
            updates: Mutex::new(updates),
            keys: ArcSwap::from_pointee(start.keys),
            notice_ways: Mutex::default(),
            background: Background::default(),
            keeper: Keeper::new(hand_off),
            outbound,
            followers: Followers::default(),
            #[cfg(test)]
            on_look: std::sync::OnceLock::new(),
        });
        start_beside(&inner, mailboxes).map_err(StartError::Threads)?;
        Ok(DirectorHandle::of(inner))
    }
}

fn first_control(
    clock: &Clock,
    dns: &DnsSettings,
    digests: Digests,
    signing: SignedAnswers,
) -> Control {
    Control {
        digests,
        retired: Vec::new(),
        gathering: Gathering::new(clock.unix_ms(), clock.now(), dns.observe_domains),
        traffic: TrafficGathering::new(clock.now()),
        signing,
    }
}

/// The way of what is no plain query, and how replies to it go out.
fn hand_off(
    start: &DirectorStart,
    updates: &Updates,
    (limit, counters, tap): (Option<Arc<RateLimit>>, Arc<Counters>, Option<Tap>),
) -> (HandOff, Mailboxes) {
    let late = LateReplies::new(limit, start.clock.clone(), counters, tap);
    let counts = Arc::clone(&updates.counts);
    let (hand_off, mailboxes) = HandOff::new(Some(late), counts, start.clock.clone());
    hand_off.set_known(|known| known.keys.clone_from(&start.keys));
    hand_off.set_open(updates.are_taken());
    (hand_off, mailboxes)
}

/// Threads beside those that answer.
fn start_beside(inner: &Arc<Inner>, mailboxes: Mailboxes) -> io::Result<()> {
    inner.background.start(inner)?;
    inner.keeper.start(inner, mailboxes)?;
    inner.followers.start(inner)
}

/// Why a Director did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Nothing to do.
    #[error("there is no address to listen on: name one in `[dns] listen`")]
    NoAddress,
    /// Somebody else listens there.
    #[error("{address} is taken by another program: stop it, or listen elsewhere (`[dns] listen`)")]
    Taken {
        /// Where.
        address: SocketAddr,
    },
    /// The operating system forbids it.
    #[error(
        "no right to listen on {address}: ports below 1024 need CAP_NET_BIND_SERVICE or root; or \
         choose a port above (`[dns] listen`)"
    )]
    NotPermitted {
        /// Where.
        address: SocketAddr,
    },
    /// No interface has the address.
    #[error("{address} is no address of this machine: give it one, or change `[dns] listen`")]
    NotHere {
        /// Where.
        address: SocketAddr,
    },
    /// Anything else about an address.
    #[error("cannot listen on {address}")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// What the system says.
        source: io::Error,
    },
    /// Zones and services do not fit together.
    #[error(transparent)]
    Zones(#[from] ZoneCompileError),
    /// The file of dnstap cannot be written.
    #[error("cannot append to {}: check `[dns] dnstap`", path.display())]
    Dnstap {
        /// Where it should be.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The decision log cannot be written.
    #[error("cannot append to the decision log {}: check `[dns] decision_log`", path.display())]
    DecisionLog {
        /// Which file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// No certificate for TLS and HTTPS.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    /// No secret for cookies.
    #[error(transparent)]
    Cookies(#[from] CookieSecretError),
    /// No more threads or descriptors.
    #[error("cannot start the answering threads")]
    Threads(#[source] io::Error),
}

impl StartError {
    pub(crate) fn listening(address: SocketAddr, source: io::Error) -> Self {
        match source.kind() {
            io::ErrorKind::AddrInUse => Self::Taken { address },
            io::ErrorKind::PermissionDenied => Self::NotPermitted { address },
            io::ErrorKind::AddrNotAvailable => Self::NotHere { address },
            _ => Self::Listen { address, source },
        }
    }
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

fn open_log(dns: &DnsSettings, clock: &Clock) -> Result<Option<DecisionLog>, StartError> {
    let Some(path) = &dns.decision_log else { return Ok(None) };
    let log = DecisionLog::start(path, clock)
        .map_err(|source| StartError::DecisionLog { path: path.clone(), source })?;
    Ok(Some(log))
}

/// Named as the server is to others.
fn open_dnstap(dns: &DnsSettings, threads: usize) -> Result<Option<DnstapWriter>, StartError> {
    let Some(output) = &dns.dnstap else { return Ok(None) };
    let identity = dns.id_server.as_deref().or(dns.nsid.as_deref()).unwrap_or_default();
    let writer = DnstapWriter::start(output, identity, threads)
        .map_err(|source| StartError::Dnstap { path: output.path().clone(), source })?;
    Ok(Some(writer))
}

/// One for each thread.
fn answerers(
    start: &DirectorStart,
    (current, rate_limit, counters): (&Arc<Current>, Option<Arc<RateLimit>>, &[Arc<Counters>]),
    (log, mut dnstap): (Option<&DecisionLog>, Option<&mut DnstapWriter>),
) -> Result<Vec<Answerer>, CookieSecretError> {
    let dns = &start.dns;
    let server = Arc::new(server_options(dns)?);
    let seed = Seed::fixed(start.seed);
    let answerer = |(thread, counters): (usize, &Arc<Counters>)| {
        let sampler = log.map(|log| {
            let seed = seed.for_part(&format!("director/sampler/{thread}"));
            log.sampler(thread, dns.decision_log_sample, seed)
        });
        Answerer::new(AnswererStart {
            thread,
            current: Arc::clone(current),
            counters: Arc::clone(counters),
            clock: start.clock.clone(),
            udp_size_max: dns.udp_size_max.max(REPLY_SIZE_MIN),
            server: Arc::clone(&server),
            rate_limit: rate_limit.clone(),
            sampler,
            tap: dnstap.as_mut().and_then(|dnstap| dnstap.tap(thread)),
            seed: seed.for_part(&format!("director/worker/{thread}")),
        })
    };
    Ok(counters.iter().enumerate().map(answerer).collect())
}

/// Shared by all threads; its key is drawn like all else, so that a run can be repeated.
fn rate_limit(dns: &DnsSettings, seed: u64) -> Option<Arc<RateLimit>> {
    let settings = dns.rate_limit.as_ref()?;
    let part = |name: &str| Seed::fixed(seed).for_part(name).to_be_bytes();
    let halves = [part("director/rate-limit"), part("director/rate-limit/2")];
    let key = halves.as_flattened().try_into().unwrap_or_default();
    let mut settings = settings.clone();
    // What they ask for themselves shows whether this server lives: no flood may hide that.
    settings.exempt.extend(&dns.proxy_from);
    Some(Arc::new(RateLimit::new(&settings, key)))
}

/// What was signed for the first table.
struct FirstSigning {
    answers: SignedAnswers,
    zones_told: ZonesTold,
    rebuilding: Rebuilding,
}

/// The journals, opened, and what zones that move begin with.
fn first_updates(start: &DirectorStart) -> (Updates, Contents) {
    let mut updates = Updates::default();
    let prepared =
        updates.prepare(start.updates.clone(), &start.moving, (&start.zones, &start.topology));
    let mut contents = first_contents(&start.moving);
    put_updated(&mut contents, &prepared, &Contents::new());
    updates.adopt(prepared);
    (updates, contents)
}

/// The first table: large zones that are to be signed are not in it yet.
fn first_table(
    start: &DirectorStart,
    contents: &Contents,
) -> Result<(AnswerTable, FirstSigning), StartError> {
    let SigningStart { zones, pairs, answer_sets_max, store } = start.signing.clone();
    let store = Store::open(store);
    let wanted = Wanted::new(Arc::clone(&start.topology), start.zones.clone(), zones)
        .with_contents(contents)
        .with_serials(&start.serials);
    wanted.tell_unfit(None);
    let found = start.plan.as_ref().and_then(|plan| wanted.with_found(plan));
    let wanted = found.unwrap_or(wanted);
    let (key_ring, sets_max) = (KeyRing::new(pairs), answer_sets_max);
    let is_signing = !wanted.signing.is_empty();
    let answers = AnswersStart { sets_max, key_ring, store: store.clone() };
    let mut answers = SignedAnswers::open(answers, &start.clock);
    let mut zones = SignedZones::new(store);
    let signing = Signing {
        now: if is_signing { answers.now(&start.clock) } else { None },
        ring: &Arc::clone(&answers.ground().key_ring),
        pace: Pace::Now,
        stop: &AtomicBool::new(false),
    };
    // Only the end of the process would be an error.
    let served = zones.sign(&wanted, Extent::Small, &signing).unwrap_or_default();
    let compiled = Arc::new(compile(&wanted.topology, &served)?);
    let table = AnswerTable::new(compiled, Arc::clone(&start.map), &start.topology);
    let table = with_kept_plan(table.promising(&served.promised), start);
    let table = answers.sign_first(&table, served.terms.clone(), &start.clock);
    let zones_told = ZonesTold::new(&wanted, &zones);
    let rebuilding = Rebuilding { wanted, zones, served };
    Ok((table, FirstSigning { answers, zones_told, rebuilding }))
}

fn with_kept_plan(table: AnswerTable, start: &DirectorStart) -> AnswerTable {
    let Some(plan) = &start.plan else { return table };
    if let Err(reason) = check_digests(&plan.digests, &start.digests) {
        tracing::warn!(plan = %plan.number, %reason, "the kept Plan is carried out all the same");
    }
    match table.with_plan(Arc::clone(plan)) {
        Ok(table) => table,
        Err(reason) => {
            tracing::warn!(plan = %plan.number, %reason, "the kept Plan is left out");
            table
        }
    }
}

/// What all threads hold.
type Shared<'a> = (&'a Arc<Certificates>, &'a HandOff, &'a Arc<Outbound>);

/// Starts a thread for each worker and one for TCP, which takes the last answerer. If one cannot be
/// started, the others end.
fn start_threads(
    (sockets, shared): (Sockets, Shared<'_>),
    answerers: Vec<Answerer>,
    dns: &DnsSettings,
) -> io::Result<(Wakers, Vec<JoinHandle<()>>)> {
    let mut wakers = Wakers::default();
    let mut threads = Vec::new();
    match spawn((sockets, shared), answerers, dns, (&mut wakers, &mut threads)) {
        Ok(()) => Ok((wakers, threads)),
        Err(error) => {
            wakers.stop(threads);
            Err(error)
        }
    }
}

fn spawn(
    (sockets, (certificates, hand_off, outbound)): (Sockets, Shared<'_>),
    mut answerers: Vec<Answerer>,
    dns: &DnsSettings,
    (wakers, threads): (&mut Wakers, &mut Vec<JoinHandle<()>>),
) -> io::Result<()> {
    let named = |name: String| std::thread::Builder::new().name(name);
    if let Some(answerer) = answerers.pop() {
        let limits = Limits {
            connections_max: dns.tcp_connections_max,
            idle: dns.tcp_idle,
            total: dns.tcp_total,
            proxies: Networks::new(&dns.proxy_from),
        };
        let hand_off = hand_off.clone();
        let shared = (Arc::clone(certificates), Arc::clone(outbound));
        let (shutdown, wake) = (wakers.tcp_shutdown.clone(), Arc::clone(&wakers.tcp));
        let serve = move || {
            let steering = (shutdown, wake);
            let answering = (answerer, hand_off);
            let run = streams::run(sockets.streams, shared, limits, steering, answering);
            if let Err(error) = run {
                tracing::error!(%error, "TCP is not served");
            }
        };
        threads.push(named("dns-tcp".into()).spawn(serve)?);
    }
    let reply_size = usize::from(dns.udp_size_max.max(REPLY_SIZE_MIN));
    for (number, (sockets, answerer)) in sockets.udp.into_iter().zip(answerers).enumerate() {
        let wake = wakers.add()?;
        let stop = Arc::clone(&wakers.stop);
        let worker = Worker::new(sockets, reply_size, wake, stop, (answerer, hand_off.clone()))
            .behind(Networks::new(&dns.proxy_from));
        threads.push(named(format!("dns-{number}")).spawn(|| worker.run())?);
    }
    Ok(())
}

//! Starts a node's roles: the name server first, from the saved Plan, so that it answers at once.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex};

use anyhow::{Context, anyhow};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use walrus_controller::{ControllerHandle, ControllerStart};
use walrus_core::config::{Configuration, ReporterSettings};
use walrus_core::message::Message;
use walrus_core::plan::{Plan, PlanNumber};
use walrus_director::{Director, DirectorHandle, DirectorStart, SigningStart};
use walrus_host::clock::Clock;
use walrus_host::group::{GroupDoor, GroupEvent, GroupListener, GroupSecurity};
use walrus_host::link::Link;
use walrus_host::seed::Seed;
use walrus_host::shutdown::Shutdown;
use walrus_host::state::StateDirectory;

use super::access::Access;
use super::keys::NodeKeys;
use super::updaters::Updaters;
use super::{Node, Start, announce, expire, follow, group, roll, secondaries, transfers, wire};
use crate::api;
use crate::cli::Failure;
use crate::load::{Checked, Loaded};

/// What other nodes say and is not answered yet.
const OTHERS_MAX: usize = 64;

/// A configuration with its state directory, ready to start.
#[derive(Debug)]
pub(crate) struct Opened {
    loaded: Loaded,
    state: Arc<StateDirectory>,
    /// The last Plan, if one was kept: what every role begins with.
    plan: Option<Arc<Plan>>,
}

impl Opened {
    /// Opens the state directory, and takes from it what need not be made again.
    pub(crate) fn new(
        checked: Checked,
        confined: &super::confine::Confined,
    ) -> Result<Self, Failure> {
        let path = checked.configuration.node.state.clone();
        let state = StateDirectory::open(&path).map_err(anyhow::Error::from)?;
        let loaded = checked.load(Some(&state));
        let loaded = loaded.map_err(|error| confined.explain(error).into_failure())?;
        let plan = state.load_plan().logged().map(Arc::new);
        Ok(Self { loaded, state: Arc::new(state), plan })
    }
}

/// What a node still needs once its roles have been started.
struct Parts {
    /// The group, where no Controller is here to hear it.
    joined: Option<group::Joined>,
    session: u64,
    /// To whoever follows the group's Plans.
    given: watch::Sender<Option<Arc<Plan>>>,
    /// What other nodes ask about keys.
    others: Option<mpsc::Receiver<GroupEvent>>,
    api_listener: Option<TcpListener>,
    applied: watch::Sender<Option<PlanNumber>>,
}

impl Node {
    /// Starts everything that the configuration names; nothing runs on if anything cannot start.
    pub(crate) async fn start(
        opened: Opened,
        start: Start,
        shutdown: Shutdown,
    ) -> Result<Arc<Self>, Failure> {
        let Opened { loaded, state, plan } = opened;
        loaded.warnings.iter().for_each(|warning| tracing::warn!("{warning}"));
        let configuration = &loaded.configuration;
        let seed = wanted_seed(start.seed)?;
        let api_listener = bind_api(&loaded).await?;
        let access = Access::load(configuration, &state)?;
        // The group's Plans, where no Controller is here; until one comes, the saved one.
        let (given, plans) = watch::channel(plan.clone());
        let keys = Arc::new(NodeKeys::open(&loaded, state.path(), &start.clock));
        let director = start_director(&loaded, &keys, &state, plan.clone(), (seed, &start))?;
        let mut joined = group::join(configuration, &start.clock, seed);
        let bus = joined.as_ref().map(|joined| joined.bus.clone());
        let session = joined.as_ref().map_or(0, |joined| joined.session);
        let (listener, others) = listen(&loaded, &state).await?.unzip();
        let (group, door) = entrance(listener.as_ref());
        let controller = configuration.node.roles.controller.then(|| {
            walrus_controller::spawn(ControllerStart {
                configuration: configuration.clone(),
                digests: loaded.digests.clone(),
                state: state.clone(),
                clock: start.clock.clone(),
                seed: seed.for_part("controller"),
                shutdown: shutdown.clone(),
                plan,
                group: listener,
                bus: joined.take().map(group::Joined::for_controller),
            })
        });
        let held = director.as_ref().and_then(DirectorHandle::plan);
        let (applied_to, applied) = watch::channel(held.map(|plan| plan.number.clone()));
        let plans = controller.as_ref().map_or(plans, ControllerHandle::plan);
        let secondaries =
            secondaries::start(director.as_ref(), &loaded, &state, &start.clock, seed);
        let updaters = Updaters::start(configuration, plans, start.clock.clone(), seed);
        let node = Arc::new(Self {
            path: start.path,
            confined: start.confined,
            reloading: tokio::sync::Mutex::new(()),
            state,
            clock: start.clock,
            seed,
            shutdown: shutdown.clone(),
            access: Mutex::new(Arc::new(access)),
            expiring: Mutex::new(loaded.expiring.clone()),
            controller,
            director,
            secondaries,
            updaters,
            keys,
            applied,
            refused: Mutex::default(),
            group,
            door,
            bus,
            api_address: api_listener.as_ref().and_then(|listener| listener.local_addr().ok()),
            tasks: Mutex::default(),
            follower: Mutex::default(),
            loaded: Mutex::new(loaded),
        });
        let parts = Parts { joined, session, given, others, api_listener, applied: applied_to };
        node.run(parts, shutdown)?;
        Ok(node)
    }

    /// What runs once all has been started.
    fn run(self: &Arc<Self>, parts: Parts, shutdown: Shutdown) -> Result<(), Failure> {
        let Parts { joined, session, given, others, api_listener, applied } = parts;
        announce::announce(self);
        let configuration = self.loaded().configuration;
        let reporter = configuration.reporter.as_ref();
        let answers = match reporter.filter(|_| configuration.node.roles.reporter) {
            Some(settings) => self.start_reporter(settings.clone(), &shutdown)?,
            None => None,
        };
        wire::connect(self, wire::Group { joined, session, given, answers }, applied);
        self.keep(tokio::spawn(roll::run(self.clone())));
        self.keep(tokio::spawn(follow::run(self.clone())));
        self.keep(tokio::spawn(expire::run(self.clone())));
        if let Some(others) = others {
            self.keep(tokio::spawn(follow::answer(self.clone(), others)));
        }
        if let Some(listener) = api_listener {
            self.keep(tokio::spawn(serve_api(listener, self.clone(), shutdown)));
        }
        Ok(())
    }

    /// Starts a Reporter task of this process. If it speaks over the bus: where Controllers' answers
    /// are to go.
    pub(crate) fn start_reporter(
        &self,
        settings: ReporterSettings,
        shutdown: &Shutdown,
    ) -> Result<Option<mpsc::Sender<Message>>, Failure> {
        let session = self.clock.unix_ms();
        let (clock, shutdown) = (self.clock.clone(), shutdown.clone());
        let mut answers = None;
        let link = match (&self.controller, &self.bus) {
            (Some(controller), bus) if settings.controllers.is_empty() => Link::local(
                settings.server.clone(),
                session,
                controller.events(),
                bus.clone(),
                clock.clone(),
                shutdown.clone(),
            ),
            (None, Some(bus)) if settings.controllers.is_empty() => {
                let (link, queue) = Link::over_bus(bus.clone(), clock.clone(), shutdown.clone());
                answers = Some(queue);
                link
            }
            _ => {
                let seed = self.seed.for_part(&format!("reporter/{}", settings.server));
                Link::new(&settings, session, clock.clone(), seed, shutdown.clone())
                    .map_err(anyhow::Error::from)?
            }
        };
        self.keep(tokio::spawn(walrus_reporter::run(settings, session, link, clock, shutdown)));
        Ok(answers)
    }
}

/// `walrus reporter`: a Reporter and nothing else.
pub(crate) async fn run_reporter(
    configuration: Configuration,
    settings: ReporterSettings,
    clock: Clock,
    shutdown: Shutdown,
) -> Result<(), Failure> {
    let session = clock.unix_ms();
    let seed = Seed::from_system().map_err(anyhow::Error::from)?.for_part("reporter");
    tracing::info!(
        version = env!("CARGO_PKG_VERSION"),
        server = %settings.server,
        to = announce::reports_to(&configuration, &settings),
        "the Reporter starts"
    );
    let joined = match settings.controllers.is_empty() {
        true => {
            group::join_as_reporter(&configuration, &settings, session, &clock, seed, &shutdown)
        }
        false => None,
    };
    let link = match joined {
        Some((bus, heard)) => {
            let (link, answers) = Link::over_bus(bus, clock.clone(), shutdown.clone());
            tokio::spawn(group::answer(heard, answers));
            link
        }
        None => Link::new(&settings, session, clock.clone(), seed, shutdown.clone())
            .map_err(anyhow::Error::from)?,
    };
    walrus_reporter::run(settings, session, link, clock, shutdown).await;
    Ok(())
}

/// The same numbers each time if that is wanted.
fn wanted_seed(fixed: Option<u64>) -> Result<Seed, Failure> {
    let from_system = || Seed::from_system().map_err(anyhow::Error::from);
    Ok(fixed.map_or_else(from_system, |seed| Ok(Seed::fixed(seed)))?)
}

/// Where the group is reached, and who is let in there.
fn entrance(listener: Option<&GroupListener>) -> (Vec<SocketAddr>, Option<GroupDoor>) {
    let addresses = listener.into_iter().flat_map(GroupListener::addresses).collect();
    (addresses, listener.map(GroupListener::door))
}

async fn bind_api(loaded: &Loaded) -> Result<Option<TcpListener>, Failure> {
    let Some(address) = loaded.configuration.api.listen else { return Ok(None) };
    let listener = TcpListener::bind(address).await.with_context(|| {
        format!("the API cannot listen on {address}: is another walrus running? ([api] listen)")
    })?;
    Ok(Some(listener))
}

async fn serve_api(listener: TcpListener, node: Arc<Node>, shutdown: Shutdown) {
    let stop = async move { shutdown.requested().await };
    if let Err(error) = axum::serve(listener, api::router(node)).with_graceful_shutdown(stop).await
    {
        tracing::error!("the API ended: {error}");
    }
}

/// What the name server signs from the start: the keys of zones that have some, and where it keeps
/// signatures.
fn signing(loaded: &Loaded, keys: &NodeKeys, state: &Path) -> SigningStart {
    let (zones, pairs) = keys.signing();
    SigningStart {
        zones,
        pairs,
        answer_sets_max: loaded.configuration.dnssec.answer_sets_max,
        store: Some(state.join("signatures")),
    }
}

/// The name server, if that is one of the node's roles.
fn start_director(
    loaded: &Loaded,
    keys: &NodeKeys,
    state: &StateDirectory,
    plan: Option<Arc<Plan>>,
    (seed, start): (Seed, &Start),
) -> Result<Option<DirectorHandle>, Failure> {
    if !loaded.configuration.node.roles.director {
        return Ok(None);
    }
    let mut dns = loaded.configuration.dns.clone();
    if start.seed.is_some() {
        dns.workers = Some(1);
    }
    let handle = Director::start(DirectorStart {
        dns,
        topology: loaded.topology.clone(),
        zones: loaded.zones.clone(),
        serials: transfers::first_serials(loaded, state.path()),
        moving: loaded.moving.clone(),
        updates: loaded.updates(),
        keys: loaded.keys.clone(),
        map: loaded.map.clone(),
        digests: loaded.digests.clone(),
        plan,
        signing: signing(loaded, keys, state.path()),
        seed: seed.for_part("director"),
        clock: start.clock.clone(),
    });
    let handle = handle.map_err(anyhow::Error::from)?;
    handle.set_outbound(transfers::outbound(loaded, state.path()));
    Ok(Some(handle))
}

/// A Controller's listener for Reporters and other nodes, and what those nodes say; `None` without
/// addresses.
async fn listen(
    loaded: &Loaded,
    state: &StateDirectory,
) -> Result<Option<(GroupListener, mpsc::Receiver<GroupEvent>)>, Failure> {
    let configuration = &loaded.configuration;
    let settings = &configuration.group;
    if settings.listen.is_empty() || !configuration.node.roles.controller {
        return Ok(None);
    }
    let name = &configuration.node.name;
    let security = GroupSecurity::load(name, settings, &configuration.identities, state)
        .map_err(anyhow::Error::from)?;
    let listener = GroupListener::bind(&settings.listen, security).await;
    let listener = listener.map_err(|error| anyhow!(error).context("[group] listen"))?;
    let (sender, receiver) = mpsc::channel(OTHERS_MAX);
    Ok(Some((listener.with_nodes(sender), receiver)))
}

//! What the API and the command line ask of a node.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use axum::http::StatusCode;
use walrus_controller::{ControllerGone, ControllerHandle, OverrideError};
use walrus_core::answer::{WorkerState, explain};
use walrus_core::config::{Configuration, GroupSettings, NatsSettings};
use walrus_core::plan::{Digests, diff};
use walrus_core::world::{Override, OverrideState, Target, Topology};
use walrus_director::{DirectorHandle, NewCertificate, Reload, ReloadError, Secondaries, Traffic};
use walrus_dns::DomainName;
use walrus_host::state::StateDirectory;

use super::confine::Confined;
use super::keys::NodeKeys;
use super::{Caller, Node, staleness};
use crate::api::explain::{ExplainQuery, ExplanationView};
use crate::api::group::BusView;
use crate::api::keys::KeysView;
use crate::api::plan::{DiffView, ProposedConfiguration};
use crate::api::published::{NameServerView, is_unmanaged};
use crate::api::secondary::SecondaryView;
use crate::api::status::{NumberView, ProblemView, ServerView, StatusView, parse_target};
use crate::api::traffic::TrafficView;
use crate::api::transferred::TransferredZoneView;
use crate::api::updated::UpdatedZoneView;
use crate::api::zone::{ZoneQuery, ZoneTextError};
use crate::api::{ApiError, ReloadView};
use crate::cli::Failure;
use crate::load::{self, LoadError, Loaded};

/// Zones, services and keys that are in force from now on, and in the same instant the Plan for
/// them. The Controller is told of them only when that is done, for a name server can still refuse.
///
/// Without a Controller here the Plan in force is made to fit what is new; nobody else would before
/// the next Plan comes.
fn reload_director(
    director: &DirectorHandle,
    controller: Option<&ControllerHandle>,
    keys: &NodeKeys,
    loaded: Loaded,
) -> Result<(), ReloadError> {
    let runtime = tokio::runtime::Handle::current();
    let (signing, pairs) = keys.signing();
    let (configuration, digests) = (loaded.configuration.clone(), loaded.digests.clone());
    let plan = || match controller {
        Some(controller) => {
            let ahead = controller.plan_ahead(configuration.clone(), digests.clone());
            // Without one the node stops.
            runtime.block_on(ahead).ok().map(Arc::new)
        }
        None => director.plan().map(|held| load::stand_in(&configuration, &digests, held)),
    };
    let updates = loaded.updates();
    let reload = Reload {
        topology: loaded.topology,
        zones: loaded.zones,
        moving: loaded.moving,
        updates,
        keys: loaded.keys,
        map: loaded.map,
        digests: digests.clone(),
        signing,
        pairs,
        answer_sets_max: configuration.dnssec.answer_sets_max,
    };
    director.reload(reload, plan)
}

/// What updates made that is not served.
fn left_out(director: &DirectorHandle) -> impl Iterator<Item = String> {
    director.updated_zones().into_iter().flat_map(|zone| zone.left_out)
}

/// For so long `status` tells of connections that were refused.
const REFUSALS_TOLD_FOR: Duration = Duration::from_secs(600);

impl Node {
    /// How the system stands; with `server`, of all servers that one alone, and what each vantage point says of it.
    pub(crate) async fn status(&self, server: Option<&str>) -> Result<StatusView, ApiError> {
        let configuration = self.loaded().configuration;
        let name = configuration.node.name.as_str();
        let mut view = match (self.controller(), self.bus(), self.plan()) {
            (None, Some(_), plan) => {
                let number = plan.as_ref().map(|plan| &plan.number);
                StatusView::without_controller(name, &configuration, number)
            }
            _ => StatusView::of(name, &self.the_controller()?.status().await.map_err(gone)?),
        };
        if let Some(server) = server {
            view.servers = vec![self.server_view(server).await?];
        }
        view.problems.extend(self.refusals());
        view.problems.extend(self.expiry_problems());
        view.problems.extend(self.refused_plan().filter(|_| self.controller().is_none()).map(
            |refused| {
                ProblemView::of_refused_plan(
                    name,
                    self.plan().map(|plan| plan.number.clone()),
                    &refused,
                )
            },
        ));
        view.bus = self.bus_view();
        view.problems.extend(view.bus.iter().flat_map(BusView::problems));
        view.problems.extend(crate::api::clocks::problems(&view));
        if self.controller().is_none() {
            staleness::show(&mut view, configuration.control.detection);
        }
        if let Some(director) = self.director() {
            view.problems.extend(crate::api::signing::problems(&director.signing()));
            view.problems.extend(crate::api::signing::key_problems(self.key_problems().await));
            view.problems
                .extend(director.unfit_services().iter().map(crate::api::secondary::unfit_problem));
            view.keys = self.keys_view().await.zones;
        }
        view.name_servers = self.name_servers();
        view.zones = self.zones_from_primaries();
        view.problems.extend(view.zones.iter().filter_map(SecondaryView::problem_view));
        let updated = self.director().map(DirectorHandle::updated_zones).unwrap_or_default();
        view.updated_zones = updated.into_iter().map(UpdatedZoneView::of).collect();
        view.problems.extend(view.updated_zones.iter().flat_map(UpdatedZoneView::problems));
        view.transferred_zones = self.zones_to_others();
        let behind = view.transferred_zones.iter();
        view.problems.extend(behind.filter_map(TransferredZoneView::problem_view));
        view.confined.clone_from(&self.confined.by);
        for area in &mut view.areas {
            area.unmanaged = is_unmanaged(&view.name_servers, &area.service, &area.area);
        }
        Ok(view)
    }

    async fn server_view(&self, server: &str) -> Result<ServerView, ApiError> {
        let unknown = || {
            let text = format!("no server `{server}` is configured: `walrus status` lists them");
            ApiError::new(StatusCode::NOT_FOUND, text)
        };
        let name = server.parse().map_err(|_| unknown())?;
        let status = self.the_controller()?.server_status(name).await.map_err(gone)?;
        status.as_ref().map(ServerView::of).ok_or_else(unknown)
    }

    /// Who was not let in over TCP of late.
    fn refusals(&self) -> Vec<ProblemView> {
        let Some(counters) = self.controller().and_then(ControllerHandle::group) else {
            return Vec::new();
        };
        let now = self.clock.now();
        let recent = counters.refusals().into_iter();
        let recent = recent.filter(|refusal| now.since(refusal.at) < REFUSALS_TOLD_FOR);
        recent.map(|refusal| ProblemView::of_refusal(&refusal, now)).collect()
    }

    /// How the connection to the group fares.
    pub(crate) fn bus_view(&self) -> Option<BusView> {
        self.bus().map(|bus| BusView::of(bus.status()))
    }

    /// Zones that go to other name servers.
    pub(crate) fn zones_to_others(&self) -> Vec<TransferredZoneView> {
        let status = self.director().map(DirectorHandle::outbound).unwrap_or_default();
        status.into_iter().map(TransferredZoneView::of).collect()
    }

    /// Zones that come from other primaries.
    pub(crate) fn zones_from_primaries(&self) -> Vec<SecondaryView> {
        let status = self.secondaries().map(Secondaries::status).unwrap_or_default();
        status.iter().map(SecondaryView::of).collect()
    }

    /// How name servers that are already there stand.
    pub(crate) fn name_servers(&self) -> Vec<NameServerView> {
        self.updaters().status().into_iter().map(NameServerView::of).collect()
    }

    /// What is wrong with the keys of signed zones: a zone, and a sentence.
    pub(crate) async fn key_problems(&self) -> Vec<(DomainName, String)> {
        let keys = self.keys.clone();
        tokio::task::spawn_blocking(move || keys.problems()).await.unwrap_or_default()
    }

    /// Where all keys stand.
    pub(crate) async fn keys_view(&self) -> KeysView {
        let keys = self.keys.clone();
        let view = tokio::task::spawn_blocking(move || keys.view()).await;
        view.unwrap_or_else(|_| KeysView { zones: Vec::new(), parent: Vec::new() })
    }

    /// What another configuration would change, against the live World.
    pub(crate) async fn diff(&self, proposed: ProposedConfiguration) -> Result<DiffView, ApiError> {
        let controller = self.the_controller()?;
        let (configuration, _) = load::load_proposed(&proposed).map_err(ApiError::problems)?;
        let digests =
            Digests { configuration: configuration.digest.clone(), ..self.loaded().digests };
        let new = controller.dry_run(Arc::new(configuration), digests).await.map_err(gone)?;
        let Some(old) = controller.plan().borrow().clone() else {
            return Err(ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "there is no Plan yet"));
        };
        let diff = diff(&old, &new);
        let lines = diff.lines();
        let value = serde_json::to_value(&diff).and_then(serde_json::from_value::<DiffView>);
        match value {
            Ok(view) => Ok(DiffView { lines, ..view }),
            Err(error) => Err(ApiError::internal(error)),
        }
    }

    /// Why a client gets its answer.
    pub(crate) fn explain(&self, query: &ExplainQuery) -> Result<ExplanationView, ApiError> {
        let Some(director) = self.director() else { return Err(no_name_server()) };
        let bad = |text: String| ApiError::new(StatusCode::BAD_REQUEST, text);
        let listen = self.loaded().configuration.dns.listen.first().copied();
        let mut request = query.request(listen).map_err(bad)?;
        let table = director.table();
        let mut worker = WorkerState::new(self.seed.for_part("explain"), &table);
        // What all threads gave, as far as policies look at it.
        worker.know(&director.overview());
        request.now = self.clock.now();
        let view = ExplanationView::of(&explain(&table, &worker, &request));
        view.map_err(ApiError::internal)
    }

    /// A zone as it is served, as a zone file.
    pub(crate) async fn zone_text(&self, query: ZoneQuery) -> Result<String, ApiError> {
        let Some(director) = self.director() else { return Err(no_name_server()) };
        let table = director.table();
        // With a million names it takes seconds.
        let text = tokio::task::spawn_blocking(move || query.text(&table)).await;
        text.map_err(ApiError::internal)?.map_err(|error| {
            let status = match error {
                ZoneTextError::Name(_) => StatusCode::BAD_REQUEST,
                ZoneTextError::NoZone(_) => StatusCode::NOT_FOUND,
                ZoneTextError::Long => StatusCode::SERVICE_UNAVAILABLE,
            };
            ApiError::new(status, error.to_string())
        })
    }

    /// What went through the name server; `None` if this node is none.
    pub(crate) async fn director_traffic(&self) -> Option<Arc<Traffic>> {
        let director = self.director()?.clone();
        // It may wait a moment for threads that are busy with a batch.
        tokio::task::spawn_blocking(move || director.traffic()).await.ok()
    }

    /// The same as the API shows it.
    pub(crate) async fn traffic(&self) -> Result<TrafficView, ApiError> {
        let Some(traffic) = self.director_traffic().await else { return Err(no_name_server()) };
        let plan = self.director().and_then(DirectorHandle::plan);
        let plan = plan.map(|plan| NumberView::from(&plan.number));
        // Anew each time: the system's clock may have been set meanwhile.
        let now_ms = self.clock.now().as_nanos() / 1_000_000;
        let unix_ms_at_zero = self.clock.unix_ms().saturating_sub(now_ms);
        let node = self.loaded().configuration.node.name.clone();
        Ok(TrafficView::of(node.as_str(), plan, &traffic, unix_ms_at_zero))
    }

    /// Drains or undrains; says what was done.
    pub(crate) async fn set_drain(
        &self,
        target: &str,
        state: OverrideState,
        force: bool,
        by: &Caller,
    ) -> Result<String, ApiError> {
        let controller = self.the_controller()?;
        let topology = &self.loaded().configuration.topology;
        let target = parse_target(target, topology)
            .map_err(|text| ApiError::new(StatusCode::NOT_FOUND, text))?;
        match controller.set_override(target.clone(), state, force, by.name.clone()).await {
            Ok(()) => {
                let wanted = if state == OverrideState::Drained { "drain" } else { "undrain" };
                tracing::info!(operator = by.as_str(), %target, force, "{wanted}");
                self.plan_applied().await;
                let overrides = controller.status().await.map_err(gone)?.overrides;
                let is_drained = |(_, entry): &&(Target, _)| is_drained(entry);
                let drained: Vec<Target> =
                    overrides.iter().filter(is_drained).map(|(target, _)| target.clone()).collect();
                Ok(told(&target, state, &drained, topology))
            }
            Err(OverrideError::Refused(refusal)) => {
                Err(ApiError::new(StatusCode::CONFLICT, refusal.to_string()))
            }
            Err(error) => Err(ApiError::internal(error)),
        }
    }

    /// Reads the configuration again; a bad one changes nothing.
    pub(crate) async fn reload(&self) -> Result<ReloadView, ApiError> {
        let _one_at_a_time = self.reloading.lock().await;
        let Some(path) = self.path.clone() else {
            let text = "the demo's configuration cannot be read again";
            return Err(ApiError::new(StatusCode::CONFLICT, text));
        };
        let state = self.state.clone();
        let confined = self.confined.clone();
        let reading = move || read_again(&path, &state, &confined);
        let loaded = match tokio::task::spawn_blocking(reading).await {
            Ok(Ok(loaded)) => loaded,
            Ok(Err(LoadError::Problems(problems))) => return Err(ApiError::problems(problems)),
            Ok(Err(LoadError::Unreadable(text))) => return Err(ApiError::problems(vec![text])),
            Err(error) => {
                let text = format!("reading the configuration failed: {error}");
                return Err(ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, text));
            }
        };
        let let_in = self.whom_to_let_in(&loaded).await?;
        let mut warnings = loaded.warnings.clone();
        warnings.extend(self.needs_restart(&loaded));
        let configuration = loaded.configuration.clone();
        let seen = move || crate::cli::keys::ds_warnings(&configuration);
        warnings.extend(tokio::task::spawn_blocking(seen).await.map_err(ApiError::internal)?);
        // The name server first, for it can still refuse, and must know the configuration that the
        // next Plan is made for.
        if let Some(director) = &self.director {
            let certificate = self.read_certificate(&loaded).await?;
            let shown_by = director.clone();
            let outbound = super::transfers::outbound(&loaded, self.state.path());
            let (director, keys) = (director.clone(), self.keys.clone());
            let controller = self.controller.clone();
            let (new, old) = (loaded.clone(), self.loaded());
            let reload = move || {
                let _in_order = keys.telling();
                keys.reconfigure(&new);
                let done = reload_director(&director, controller.as_ref(), &keys, new);
                match done {
                    Ok(()) => director.set_outbound(outbound),
                    Err(_) => keys.reconfigure(&old),
                }
                done
            };
            match tokio::task::spawn_blocking(reload).await {
                Ok(Ok(())) => {
                    warnings.extend(left_out(&shown_by));
                    certificate.into_iter().for_each(|new| shown_by.show_certificate(new))
                }
                Ok(Err(error)) => {
                    return Err(ApiError::problems(vec![walrus_host::log::chain(&error)]));
                }
                Err(error) => return Err(ApiError::internal(error)),
            }
        }
        // Before the Controller, whose next Plan may lack what updaters still publish.
        self.reconfigure_tasks(&loaded.configuration);
        if let Some(controller) = &self.controller {
            let configuration = loaded.configuration.clone();
            controller.reconfigure(configuration, loaded.digests.clone()).await.map_err(gone)?;
        }
        self.let_in(let_in);
        if let Some(bus) = self.bus() {
            bus.set_detection(loaded.configuration.control.detection);
        }
        let configuration = loaded.configuration.digest.to_string();
        *self.expiring.lock().unwrap_or_else(PoisonError::into_inner) = loaded.expiring.clone();
        *self.loaded.lock().unwrap_or_else(PoisonError::into_inner) = loaded;
        self.plan_applied().await;
        Ok(ReloadView { configuration, warnings })
    }

    /// What runs beside name server and Controller goes by this configuration from now on.
    fn reconfigure_tasks(&self, configuration: &Configuration) {
        if let Some(secondaries) = &self.secondaries {
            secondaries.set(super::secondaries::zones(configuration));
        }
        if self.loaded().configuration.node.roles.updater {
            self.updaters().reconfigure(&configuration.name_servers);
        }
    }

    /// The certificate that the configured files hold now.
    async fn read_certificate(
        &self,
        loaded: &load::Loaded,
    ) -> Result<Option<NewCertificate>, ApiError> {
        let dns = loaded.configuration.dns.clone();
        let read = move || NewCertificate::read(&dns);
        let read = tokio::task::spawn_blocking(read).await.map_err(ApiError::internal)?;
        read.map_err(|error| ApiError::problems(vec![walrus_host::log::chain(&error)]))
    }

    /// A reload that nobody waits for: SIGHUP.
    pub(crate) async fn reload_and_log(&self) {
        match self.reload().await {
            Ok(done) => {
                tracing::info!("configuration {} is in force", done.configuration);
                done.warnings.iter().for_each(|warning| tracing::warn!("{warning}"));
            }
            Err(refused) => tracing::error!("not reloaded: {refused}"),
        }
    }

    /// Sockets, state and roles stay as they were started.
    fn needs_restart(&self, new: &load::Loaded) -> Vec<String> {
        let (old, new) = (self.loaded().configuration, &new.configuration);
        let mut sections = Vec::new();
        let mut changed = |section: &str, differs: bool| {
            if differs {
                sections.push(format!("[{section}] changed; that takes a restart to be in force"));
            }
        };
        changed("node", old.node != new.node);
        changed("dns", old.dns != new.dns);
        changed("group", group_as_started(&old.group) != group_as_started(&new.group));
        changed("api", old.api.listen != new.api.listen);
        changed("log", old.log != new.log);
        changed("reporter", old.reporter != new.reporter);
        sections
    }

    fn the_controller(&self) -> Result<&ControllerHandle, ApiError> {
        self.controller().ok_or_else(|| {
            let text = "this node is no Controller: ask one that has the role `controller`";
            ApiError::new(StatusCode::SERVICE_UNAVAILABLE, text)
        })
    }
}

/// Everything that a configuration names, if this process may still have it.
fn read_again(
    path: &Path,
    state: &StateDirectory,
    confined: &Confined,
) -> Result<Loaded, LoadError> {
    let explain = |error| confined.explain(error);
    let checked = load::check(path).map_err(explain)?;
    // Said as what it is, and not as a file that cannot be read.
    let refused = confined.refuses(&checked, path);
    if !refused.is_empty() {
        return Err(LoadError::Problems(refused));
    }
    checked.load(Some(state)).map_err(explain)
}

/// The part of a group's settings that holds from start to end; who may connect, and with which
/// certificates, changes with a reload, and whom a node joins as well.
fn group_as_started(group: &GroupSettings) -> (Vec<SocketAddr>, Option<NatsSettings>) {
    (group.listen.clone(), group.nats.clone())
}

fn no_name_server() -> ApiError {
    let text = "this node is no name server: ask one that has the role `director`";
    ApiError::new(StatusCode::SERVICE_UNAVAILABLE, text)
}

fn is_drained(entry: &Override) -> bool {
    entry.state == OverrideState::Drained
}

/// What came of a drain, or of taking one back: a server may be drained twice over.
fn told(target: &Target, state: OverrideState, drained: &[Target], topology: &Topology) -> String {
    if state == OverrideState::Drained {
        return format!("{target} takes no new clients");
    }
    let still = match target {
        Target::Server(name) => topology.server(name.as_str()).and_then(|id| {
            let server = &topology.servers[id.index()];
            let cluster = &topology.clusters[server.cluster.index()];
            let cluster = Target::Cluster(cluster.name.clone());
            drained.contains(&cluster).then(|| cluster.to_string())
        }),
        Target::Cluster(name) => topology.cluster(name.as_str()).and_then(|id| {
            let servers = topology.clusters[id.index()].servers.iter();
            let names = servers.map(|id| Target::Server(topology.servers[id.index()].name.clone()));
            let still = names.filter(|server| drained.contains(server)).map(|it| it.to_string());
            Some(still.collect::<Vec<_>>().join(", ")).filter(|names| !names.is_empty())
        }),
    };
    match still {
        Some(still) => format!("{target} is not drained itself any more, but {still} still is"),
        None => format!("{target} takes clients again"),
    }
}

fn gone(error: ControllerGone) -> ApiError {
    ApiError::new(StatusCode::SERVICE_UNAVAILABLE, error.to_string())
}

/// `walrus explain --config CONFIG [--state DIR]`: from files alone, with the Plan saved there.
pub(crate) fn explain_without_one(
    path: &Path,
    state: &Path,
    query: &ExplainQuery,
) -> Result<ExplanationView, Failure> {
    let loaded = load::check(path)
        .and_then(|checked| checked.load(None))
        .map_err(LoadError::into_failure)?;
    let listen = loaded.configuration.dns.listen.first().copied();
    let request = query.request(listen).map_err(Failure::WrongUse)?;
    let plan = load::saved_plan(state)?.unwrap_or_else(|| load::first_plan(&loaded));
    let table = load::answer_table(&loaded, plan)?;
    let worker = WorkerState::new(0, &table);
    let view = ExplanationView::of(&explain(&table, &worker, &request));
    Ok(view.map_err(anyhow::Error::from)?)
}

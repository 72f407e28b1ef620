//! What must hold once nothing has changed for long enough: one master a side, its Plan at all its Directors,
//! answers that work, and overrides that agree.
//!
//! How long is long enough follows from the settings ([`Settled::within`]): the longest way from a change to the
//! last Director that hears of it, with every message that was lost before asked for again.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use walrus_core::control::Status;
use walrus_core::plan::{Plan, PlanNumber};
use walrus_core::world::{Life, Name, OverrideState, Server, Target, Time};

use super::run::Run;
use super::watch::{Rule, Side, sides};
use super::world::{NodeId, World};

/// A question about a Plan that was asked again and again is asked at least so often.
const ASKED_AGAIN: Duration = Duration::from_secs(10);
/// From a Controller to a Director that holds the Plan before, with all parts under way.
const ON_THE_WAY: Duration = Duration::from_secs(2);
/// Looks at what has settled are so far apart.
const LOOKS_APART: Duration = Duration::from_secs(4);
/// Epochs that may be taken though nothing has changed: two masters that do not hear each other may try, ever more
/// rarely, whether the other is still there.
const EPOCHS_MAX: u32 = 4;
/// ... more where both keep a name server up to date: each new master of either side tries there twice.
const EPOCHS_OF_MARKS_MAX: u32 = 6;

/// Since when nothing has changed, and what was published.
#[derive(Debug, Default)]
pub(super) struct Settled {
    changed_at: Time,
    looked_at: Time,
    /// Controllers whose disks refused something.
    refused: BTreeSet<NodeId>,
    published: BTreeMap<NodeId, VecDeque<(Time, Arc<Plan>)>>,
    /// Taken since all has settled.
    epochs: u32,
}

impl Settled {
    /// After so long without a change there is one master a side: the one before has fallen silent, also for those
    /// who know of it by others only; who is new has listened, and heard the servers.
    fn masters_within(world: &World) -> Duration {
        2 * world.detection + world.silence() + ON_THE_WAY
    }

    /// After so long without a change all know how servers fare: until then one may be master before another that
    /// comes first, and was cut off, hears again.
    fn all_hear_within(world: &World) -> Duration {
        let control = &world.configurations[0].control;
        // A server that a new Controller never heard is given rounds instead of units.
        let never_heard = control.round * control.missed_units + Duration::from_millis(500);
        2 * world.detection + world.silence().max(never_heard) + ON_THE_WAY
    }

    /// After so long without a change everything has settled.
    pub(super) fn within(world: &World) -> Duration {
        Self::all_hear_within(world) + ASKED_AGAIN
    }

    /// Something begins or ends.
    pub(super) const fn changed(&mut self, now: Time) {
        self.changed_at = now;
        self.epochs = 0;
    }

    /// A Controller takes an epoch; whether its disk refuses it.
    pub(super) fn epoch(&mut self, node: NodeId, refused: bool) {
        self.epochs += 1;
        if refused {
            self.refused.insert(node);
        }
    }

    /// Whether the disk of this Controller refused something.
    pub(super) fn refused(&self, node: NodeId) -> bool {
        self.refused.contains(&node)
    }

    pub(super) fn published(&mut self, node: NodeId, now: Time, plan: &Arc<Plan>) {
        let list = self.published.entry(node).or_default();
        list.push_back((now, Arc::clone(plan)));
        // The last one that must have arrived, and all after it.
        while list.get(1).is_some_and(|(at, _)| now.since(*at) >= ON_THE_WAY) {
            list.pop_front();
        }
    }

    /// The newest number of this Controller that must have arrived everywhere by now.
    fn arrived(&self, node: NodeId, now: Time) -> Option<&PlanNumber> {
        let list = self.published.get(&node)?;
        let old = |(at, _): &&(Time, Arc<Plan>)| now.since(*at) >= ON_THE_WAY;
        list.iter().rev().find(old).map(|(_, plan)| &plan.number)
    }

    /// The newest Plan of this Controller that must have arrived everywhere by now, and all after it.
    pub(super) fn newest(&self, node: NodeId) -> impl Iterator<Item = &Arc<Plan>> {
        self.published.get(&node).into_iter().flatten().map(|(_, plan)| plan)
    }
}

/// A side and what its members say.
struct Seen {
    side: Side,
    statuses: Vec<(NodeId, Status)>,
}

impl Run<'_> {
    /// Looks, if all has settled and it is time.
    pub(super) fn look_settled(&mut self) {
        let quiet = self.now.since(self.settled.changed_at);
        let within = Settled::within(self.world);
        if quiet < Settled::masters_within(self.world)
            || !self.network.is_fair()
            || !self.network.runs()
        {
            self.settled.epochs = 0;
            return;
        }
        if self.now.since(self.settled.looked_at) < LOOKS_APART && self.now < self.end() {
            return;
        }
        self.settled.looked_at = self.now;
        if quiet < Settled::all_hear_within(self.world) {
            self.settled.epochs = 0;
        }
        let up: Vec<NodeId> =
            (0..self.world.controllers).filter(|it| self.controllers[*it].is_up()).collect();
        self.counts.settled_looks += u64::from(quiet >= within);
        let sides = sides(&up, |one, other| self.network.passes(other, one));
        self.counts.settled_cuts += u64::from(sides.len() > 1 && quiet >= within);
        let mut masters = Vec::new();
        for side in sides {
            let of = |node: &NodeId| Some((*node, self.controllers[*node].status(self.now)?));
            let statuses = side.members.iter().filter_map(of).collect();
            let seen = Seen { side, statuses };
            let master = self.look_at_masters(&seen);
            if quiet < within {
                continue;
            }
            if let Some(master) = master {
                self.look_at_good_ones(&seen, master);
                self.look_at_overrides(&seen);
                for director in 0..self.directors.len() {
                    self.look_at_director(director, &seen, master);
                }
                masters.push((seen.side.members, master));
            }
        }
        if quiet >= within {
            self.look_at_zones(&masters);
        }
        let of_marks = if self.world.zones.is_empty() { 0 } else { EPOCHS_OF_MARKS_MAX };
        if self.settled.epochs > EPOCHS_MAX + of_marks {
            let epochs = self.settled.epochs;
            self.breaches.tell(self.now, Rule::Rest, || {
                format!("{epochs} epochs were taken in {quiet:?} in which nothing changed")
            });
        }
        if self.now >= self.end() {
            self.look_at_bounds();
        }
    }

    /// Its master, if the side must have one and has.
    fn look_at_masters(&mut self, seen: &Seen) -> Option<NodeId> {
        let name = |node: NodeId| &self.world.nodes[node].name;
        let master = |(node, status): &(NodeId, Status)| match &status.group {
            Some(group) => group.master.clone(),
            None => Some(name(*node).clone()),
        };
        let claims = |(node, status): &(NodeId, Status)| {
            status.group.as_ref().is_none_or(|group| group.is_master).then_some(*node)
        };
        let masters: Vec<NodeId> = seen.statuses.iter().filter_map(claims).collect();
        let views: Vec<(&Name, Option<Name>)> =
            seen.statuses.iter().map(|it| (name(it.0), master(it))).collect();
        let all_agree = views.iter().all(|(_, view)| {
            masters.first().is_some_and(|first| view.as_ref() == Some(name(*first)))
        });
        let is_one = masters.len() == 1 && all_agree;
        if masters.is_empty() || seen.side.is_whole && !is_one {
            let members: Vec<&Name> = seen.side.members.iter().map(|it| name(*it)).collect();
            let text = views.iter().map(|(who, view)| {
                let view = view.as_ref().map_or("nobody", Name::as_str);
                format!("{who} takes {view} for the master")
            });
            let text = text.collect::<Vec<_>>().join(", ");
            self.breaches.tell(self.now, Rule::OneMaster, || {
                format!("on the side of {members:?} {} say they are: {text}", masters.len())
            });
            return None;
        }
        masters.first().copied().filter(|_| seen.side.is_whole)
    }

    fn look_at_overrides(&mut self, seen: &Seen) {
        let name = |node: NodeId| &self.world.nodes[node].name;
        let first = seen.statuses.first().map(|(_, status)| &status.overrides);
        if let Some((node, _)) =
            seen.statuses.iter().find(|(_, status)| Some(&status.overrides) != first)
        {
            let others = name(seen.statuses[0].0);
            self.breaches.tell(self.now, Rule::OverridesAgree, || {
                format!("{} and {others} hold different overrides", name(*node))
            });
        }
    }

    /// Whoever works and is seen by the master lives in its eyes.
    fn look_at_good_ones(&mut self, seen: &Seen, master: NodeId) {
        let Some((_, status)) = seen.statuses.iter().find(|it| it.0 == master) else { return };
        let configuration = Arc::clone(&self.controllers[master].configuration.1);
        let topology = &configuration.topology;
        let overrides = self.controllers[master].overrides(self.now);
        let is_good = |server: &&Server| {
            let cluster = &topology.clusters[server.cluster.index()].name;
            self.is_seen(server, master) && !is_drained(&overrides, &server.name, cluster)
        };
        let lives = |name: &Name| {
            let found = status.servers.iter().find(|it| it.name == *name);
            found.is_some_and(|it| it.condition.life == Life::Living)
        };
        let mut good = topology.servers.iter().filter(is_good);
        let Some(server) = good.find(|it| !lives(&it.name)) else { return };
        let found = status.servers.iter().find(|it| it.name == server.name);
        let (master, condition) = (&self.world.nodes[master].name, found.map(|it| &it.condition));
        self.breaches.tell(self.now, Rule::GoodIsLiving, || {
            format!("{} works, and is seen by {master}, who has: {condition:?}", server.name)
        });
    }

    /// A Director that hears this side alone, and is heard by somebody there whom it hears.
    fn look_at_director(&mut self, director: usize, seen: &Seen, master: NodeId) {
        let node = self.world.controllers + director;
        let same =
            self.directors[director].configuration.0 == self.controllers[master].configuration.0;
        let is_up = self.directors[director].is_up();
        if !is_up || !same || !self.follows(director, (&seen.side.members, master)) {
            return;
        }
        self.counts.settled_directors += 1;
        let held = self.directors[director].plan().cloned();
        let number = held.as_ref().map(|plan| plan.number.clone());
        let newest = self.controllers[master].plan();
        let due = self.settled.arrived(master, self.now);
        let is_current = number.as_ref() >= due
            && number.as_ref() <= newest.map(|plan| &plan.number)
            && is_same(newest, held.as_ref());
        if !is_current {
            let (director, master) = (&self.world.nodes[node].name, &self.world.nodes[master].name);
            let text = |number: Option<&PlanNumber>| {
                number.map_or_else(|| "no Plan".to_owned(), |it| format!("Plan {it}"))
            };
            let (holds, newest) = (text(number.as_ref()), text(newest.map(|plan| &plan.number)));
            return self.breaches.tell(self.now, Rule::NewestPlan, || {
                format!("Director {director} holds {holds}; the newest of its master {master} is {newest}")
            });
        }
        self.look_at_working_answers(director, master);
    }

    /// Whether a Director hears these Controllers alone, and is heard by one of them that it hears; one that is in a
    /// Controller's process hears what that hears.
    pub(super) fn follows(&self, director: usize, (members, master): (&[NodeId], NodeId)) -> bool {
        if self.world.beside[director] == Some(master) {
            return true;
        }
        let node = self.world.controllers + director;
        let up = |it: &NodeId| self.controllers[*it].is_up();
        let mut heard =
            (0..self.world.controllers).filter(up).filter(|it| self.network.passes(*it, node));
        let is_linked = |it: &NodeId| {
            let is_other = self.world.machine(node) != *it;
            is_other && self.network.passes(*it, node) && self.network.passes(node, *it)
        };
        heard.all(|it| members.contains(&it)) && members.iter().any(is_linked)
    }

    /// While a server of the service serves and is seen by the master, answers name such servers alone.
    fn look_at_working_answers(&mut self, director: usize, master: NodeId) {
        let configuration = Arc::clone(&self.directors[director].configuration.1);
        let topology = &configuration.topology;
        let overrides = self.controllers[master].overrides(self.now);
        let works = |server: &Server| {
            let cluster = &topology.clusters[server.cluster.index()].name;
            self.is_seen(server, master) && !is_drained(&overrides, &server.name, cluster)
        };
        let working: Vec<bool> = topology.servers.iter().map(works).collect();
        for answered in self.ask_everywhere(director) {
            let service = &topology.services[answered.service];
            let clusters = service.clusters.iter();
            let mut servers = clusters.flat_map(|it| &topology.clusters[it.index()].servers);
            if !servers.any(|id| working[id.index()]) {
                continue;
            }
            let is_bad = |address: &&std::net::IpAddr| {
                let server = topology.servers.iter().position(|it| it.addresses.contains(address));
                !server.is_some_and(|place| working[place])
            };
            if let Some(address) = answered.addresses.iter().find(is_bad) {
                let (world, near) = (self.world, self.world.sites[answered.area]);
                let (director, master) =
                    (&world.nodes[world.controllers + director].name, &world.nodes[master].name);
                let service = &answered.name;
                self.breaches.tell(self.now, Rule::WorkingAnswer, || {
                    format!(
                        "{director} answers {service} near {near} with {address}, which is down, out or not \
                         seen by {master}, while others work"
                    )
                });
            }
        }
    }

    /// Whether a server serves, and everything that tells of it reaches this Controller.
    fn is_seen(&self, server: &Server, controller: NodeId) -> bool {
        let servers = self.world.server_nodes();
        let mut nodes = servers.clone();
        let Some(node) = nodes.find(|it| self.world.nodes[*it].name == server.name) else {
            return false;
        };
        let state = &self.servers[node - servers.start];
        let reports = !server.reporter || self.network.passes(node, controller) && state.is_well();
        let is_probed = server.probe.is_none() || self.network.connects(node, controller);
        state.serves() && reports && is_probed
    }

    /// What a Controller can tell of itself stays small.
    fn look_at_bounds(&mut self) {
        const STATUS_BYTES_MAX: usize = 100_000;
        for node in 0..self.world.controllers {
            let Some(status) = self.controllers[node].status(self.now) else { continue };
            let bytes = serde_json::to_string(&status).map_or(0, |text| text.len());
            if bytes > STATUS_BYTES_MAX {
                let name = &self.world.nodes[node].name;
                self.breaches.tell(self.now, Rule::Bounded, || {
                    format!("the status of {name} has {bytes} bytes")
                });
            }
        }
    }
}

fn is_drained(overrides: &[(Target, OverrideState)], server: &Name, cluster: &Name) -> bool {
    overrides.iter().any(|(target, state)| {
        let is_meant = match target {
            Target::Server(name) => name == server,
            Target::Cluster(name) => name == cluster,
        };
        is_meant && *state == OverrideState::Drained
    })
}

/// Under one number the same Plan.
fn is_same(newest: Option<&Arc<Plan>>, held: Option<&Arc<Plan>>) -> bool {
    match (newest, held) {
        (Some(newest), Some(held)) => newest.number != held.number || newest == held,
        _ => true,
    }
}

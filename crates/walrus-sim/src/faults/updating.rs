//! Updates of name servers that were there before, on their way, and what must hold of these name servers.

use std::time::Duration;

use walrus_core::update::{Desired, Exchange, Failure, Reply, desired};
use walrus_core::world::Name;

use super::Sabotage;
use super::agenda::{Due, Updating};
use super::run::Run;
use super::watch::Rule;
use super::world::NodeId;

/// So long a reply is waited for.
const WAIT: Duration = Duration::from_secs(5);

impl Run<'_> {
    /// The updater at this place of a Director has something to say.
    pub(super) fn begin_exchange(&mut self, director: usize, place: usize, exchange: Exchange) {
        let own = |it: &(usize, &super::zones::Zone)| it.1.updaters.contains(&director);
        let mut zones = self.world.zones.iter().enumerate().filter(own);
        let Some((zone, _)) = zones.nth(place) else { return };
        let process = self.directors[director].starts();
        let updating = Updating { director, process, place, zone };
        let delay = self.network.delay(self.world.controllers + director, self.zone_node(zone));
        self.agenda.put(self.now + delay, Due::Asks(updating, exchange));
    }

    /// What an updater says comes to its name server, or is lost.
    pub(super) fn asks(&mut self, updating: Updating, exchange: &Exchange) {
        let (node, to) =
            (self.world.controllers + updating.director, self.zone_node(updating.zone));
        if self.zones[updating.zone].down > 0 || !self.network.connects(node, to) {
            return self.agenda.put(self.now + WAIT, Due::Answers(updating, None));
        }
        let zone = &mut self.zones[updating.zone];
        let mut unchanged = (self.sabotage == Sabotage::Stubborn).then(|| zone.clone());
        let carried_out = unchanged.as_mut().unwrap_or(&mut *zone);
        let requests = exchange.requests.iter();
        let replies = requests.map(|request| Ok(carried_out.answer(request))).collect();
        self.counts.updates += exchange.requests.iter().filter(|it| it.is_update()).count() as u64;
        let settings = &self.world.zones[updating.zone].settings;
        for published in &settings.services {
            let Some((content, plan)) = zone.at(&published.target) else { continue };
            let who = (updating.zone, &published.target);
            self.marks.stands(&mut self.breaches, self.now, who, content, plan);
        }
        let delay = self.network.delay(to, node);
        self.agenda.put(self.now + delay, Due::Answers(updating, Some(replies)));
    }

    /// The replies come back, or are lost though what was asked is done.
    pub(super) fn answers(
        &mut self,
        updating: Updating,
        replies: Option<Vec<Result<Reply, Failure>>>,
    ) {
        let node = self.world.controllers + updating.director;
        if self.directors[updating.director].starts() != updating.process {
            return;
        }
        let replies =
            replies.filter(|_| self.network.connects(node, self.zone_node(updating.zone)));
        self.directors[updating.director].replied(self.now, updating.place, replies);
        self.poll(node);
    }

    /// When all has settled: a name server whose updaters all follow one master has what its newest Plan wants; of
    /// several masters, what one of these wants. `masters` are whole sides with the master of each.
    pub(super) fn look_at_zones(&mut self, masters: &[(Vec<NodeId>, NodeId)]) {
        for zone in 0..self.zones.len() {
            let node = self.zone_node(zone);
            let connects = |it: &&usize| {
                self.directors[**it].is_up()
                    && self.network.connects(self.world.controllers + **it, node)
            };
            let of = &self.world.zones[zone];
            let updaters: Vec<usize> = of.updaters.iter().filter(connects).copied().collect();
            let master = |it: &usize| {
                let side = masters.iter().find(|side| self.follows(*it, (&side.0, side.1)));
                side.map(|side| side.1).filter(|_| !self.directors[*it].waits_for(&of.settings))
            };
            let followed: Option<Vec<NodeId>> = updaters.iter().map(master).collect();
            let Some(followed) = followed.filter(|it| !it.is_empty()) else { continue };
            if self.zones[zone].down == 0 {
                self.counts.settled_zones += 1;
                self.look_at_zone(zone, &followed);
            }
        }
    }

    fn look_at_zone(&mut self, zone: usize, masters: &[NodeId]) {
        let settings = &self.world.zones[zone].settings;
        let plans: Vec<_> = masters
            .iter()
            .flat_map(|master| self.settled.newest(*master).map(|plan| (*master, plan)))
            .map(|(master, plan)| (&self.world.nodes[master].name, desired(plan, settings)))
            .collect();
        for published in &settings.services {
            let found = self.zones[zone].at(&published.target);
            let is_wanted = plans.iter().any(|(_, desired)| {
                let wanted = desired.names.iter().find(|it| it.target == published.target);
                let is_missing = desired.missing.contains(&published.service);
                is_missing || wanted.map(|it| &it.content) == found.as_ref().map(|it| it.0)
            });
            // Of two masters that do not hear each other the one with the later name gives way for long.
            let gives_way = found.as_ref().is_some_and(|(_, mark)| {
                let is_below = |(name, desired): &(&Name, Desired)| {
                    desired.plan < *mark && **name > mark.controller
                };
                plans.iter().all(is_below)
            });
            if !is_wanted && !gives_way {
                let wants =
                    plans.last().map(|(name, desired)| (name, &desired.plan, &desired.names));
                self.breaches.tell(self.now, Rule::NameServers, || {
                    format!("{} has {found:?}; the newest wanted is {wants:?}", published.target)
                });
            }
        }
    }

    fn zone_node(&self, zone: usize) -> NodeId {
        self.world.zone_nodes().start + zone
    }
}

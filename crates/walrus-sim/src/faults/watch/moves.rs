//! Moves by phases two and four: none twice within the TTL.
//!
//! Looked at along what one Controller holds: Plans that it made and those that it took over from a master.

use std::collections::BTreeMap;
use std::sync::Arc;

use walrus_core::config::Configuration;
use walrus_core::plan::{AreaPlan, Plan};
use walrus_core::policy::assign::Reason;
use walrus_core::world::{AssignPolicy, Name, Time};

use super::{Breaches, Rule};

/// How the reasons of moves begin that nothing forced, if they say more than a phase.
const UNFORCED: [&str; 4] =
    ["nearest: nearer ones are above", "nearest: goes nearer", "stable: ", "on trial: "];

/// What one Controller held and when it moved what.
#[derive(Debug, Default)]
pub(in crate::faults) struct Moves {
    held: Option<Arc<Plan>>,
    /// When each (service, area) was last moved by choice.
    moved: BTreeMap<(String, Name), Time>,
}

impl Moves {
    /// Its process begins: what it holds it has from its disk, or it holds nothing. One that lost what it wrote last
    /// knows of no move that this tells of.
    pub(in crate::faults) fn begins(&mut self, found: Option<&Arc<Plan>>, forgot: bool) {
        self.held = found.cloned();
        if forgot {
            self.moved.clear();
        }
    }

    /// It took a Plan over from the master.
    pub(in crate::faults) fn adopted(&mut self, now: Time, plan: &Arc<Plan>) {
        for (key, _) in self.moves(plan) {
            self.moved.insert(key, now);
        }
        self.held = Some(Arc::clone(plan));
    }

    /// It made a Plan by this configuration.
    pub(in crate::faults) fn published(
        &mut self,
        breaches: &mut Breaches,
        now: Time,
        plan: &Arc<Plan>,
        configuration: &Configuration,
    ) {
        for (key, area) in self.moves(plan) {
            let services = &configuration.topology.services;
            let Some(service) = services.iter().find(|it| it.name.to_string() == key.0) else {
                continue;
            };
            let ttl = u64::from(service.ttl.seconds_max());
            let dwelt = self.moved.insert(key.clone(), now).map(|moved| now.since(moved).as_secs());
            // To all clusters or from them is no phase's move.
            if service.assign != AssignPolicy::All && dwelt.is_some_and(|dwelt| dwelt < ttl) {
                breaches.tell(now, Rule::Dwell, || {
                    let (number, (service, near)) = (&plan.number, &key);
                    let dwelt = dwelt.unwrap_or(0);
                    let reason = &area.reason;
                    format!(
                        "Plan {number} moves {near} of {service} ({reason}) {dwelt} s after it was moved \
                         last; its TTL is {ttl} s"
                    )
                });
            }
        }
        self.held = Some(Arc::clone(plan));
    }

    /// What a Plan moves by choice.
    fn moves<'a>(&self, plan: &'a Plan) -> Vec<((String, Name), &'a AreaPlan)> {
        let Some(held) = &self.held else { return Vec::new() };
        let mut moves = Vec::new();
        for service in &plan.services {
            let before = held.services.iter().find(|it| it.name == service.name);
            for area in &service.areas {
                let was = before.and_then(|it| it.areas.iter().find(|it| it.area == area.area));
                let points = |area: &AreaPlan| area.clusters.first().map(|(name, _)| name.clone());
                let moved = was.is_some_and(|was| points(was) != points(area));
                if moved && is_by_choice(&area.reason) {
                    moves.push(((service.name.clone(), area.area.clone()), area));
                }
            }
        }
        moves
    }
}

fn is_by_choice(reason: &str) -> bool {
    UNFORCED.iter().any(|begin| reason.starts_with(begin))
        || [Reason::Balanced, Reason::GoesHome].iter().any(|it| reason == it.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::faults::world::World;
    use walrus_core::plan::{Digests, FORMAT, PlanNumber, ServicePlan};
    use walrus_core::world::{ChoosePolicy, Digest};

    fn plan(world: &World, cluster: &str, reason: Reason) -> Arc<Plan> {
        let service = &world.configurations[0].topology.services[0];
        let area = AreaPlan {
            area: "near".parse().unwrap(),
            clusters: vec![(cluster.parse().unwrap(), 1.0)],
            ipv4: None,
            ipv6: None,
            hosts: None,
            degraded: false,
            reason: reason.to_string(),
        };
        let service = ServicePlan {
            name: service.name.to_string(),
            digest: Digest::default(),
            locate: Vec::new(),
            choose: ChoosePolicy::Weighted,
            choose_parameters: service.choose_parameters,
            ttl: service.ttl,
            answers: None,
            areas: vec![area],
            demand: None,
        };
        Arc::new(Plan {
            format: FORMAT,
            number: PlanNumber { epoch: 1, controller: "c1".parse().unwrap(), sequence: 1 },
            digests: Digests::default(),
            servers: Vec::new(),
            lists: Vec::new(),
            services: vec![service],
        })
    }

    fn dwells(first: Reason, second: Reason, seconds: u64, is_adopted: bool) -> bool {
        // A world whose first service has a TTL of 5 s and is not answered from everywhere at once.
        let fits = |world: &World| {
            let service = &world.configurations[0].topology.services[0];
            service.ttl.seconds_max() == 5 && service.assign != AssignPolicy::All
        };
        let world = (0..100).map(|seed| World::new(seed).unwrap()).find(fits).unwrap();
        let configuration = &world.configurations[0];
        let (mut moves, mut breaches) = (Moves::default(), Breaches::default());
        let now = Time::from_secs(100);
        moves.adopted(now, &plan(&world, "oslo", Reason::Home));
        if is_adopted {
            moves.adopted(now, &plan(&world, "lima", first));
        } else {
            moves.published(&mut breaches, now, &plan(&world, "lima", first), configuration);
        }
        let later = now + std::time::Duration::from_secs(seconds);
        moves.published(&mut breaches, later, &plan(&world, "oslo", second), configuration);
        breaches.is_empty()
    }

    #[test]
    fn two_moves_by_choice_within_the_ttl_are_seen() {
        for (first, second, seconds, is_adopted, expected) in [
            (Reason::Balanced, Reason::GoesHome, 4, false, false),
            (Reason::Balanced, Reason::GoesHome, 5, false, true),
            (Reason::Balanced, Reason::GoesHome, 4, true, false),
            (Reason::Balanced, Reason::Forced, 0, false, true),
            (Reason::Forced, Reason::GoesHome, 0, false, true),
        ] {
            let held = dwells(first, second, seconds, is_adopted);
            assert_eq!(held, expected, "{first:?}, then {second:?} after {seconds} s");
        }
    }
}

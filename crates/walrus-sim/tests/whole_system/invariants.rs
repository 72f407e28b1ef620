//! What must hold of all that the system publishes and answers.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use domain::base::Message;
use domain::rdata::A;
use walrus_core::plan::{AreaPlan, Plan};
use walrus_core::policy::assign::Reason;
use walrus_core::world::{AssignPolicy, Life, Name, Service, Time};
use walrus_sim::{Question, System, VirtualSystem};

use crate::random_world::RandomWorld;

/// What was seen so far.
#[derive(Default)]
pub(crate) struct Watch {
    last: Option<Arc<Plan>>,
    /// When each (service, area) was moved last, for whatever reason.
    moved: BTreeMap<(String, Name), Time>,
}

impl Watch {
    /// Looks at every Plan since the last look, and asks on behalf of every area.
    pub(crate) fn look(&mut self, world: &mut RandomWorld) -> Result<(), String> {
        for (at, plan) in world.system.take_published() {
            plan.validate().map_err(|problem| format!("Plan {}: {problem}", plan.number))?;
            if let Some(last) = self.last.clone() {
                if plan.number <= last.number {
                    return Err(format!("Plan {} came after {}", plan.number, last.number));
                }
                self.judge_moves(&world.system, &last, &plan, at)?;
            }
            self.last = Some(plan);
        }
        self.ask_everywhere(&mut world.system)
    }

    /// Phase four adds at most one (service, area) to a cluster in a round (thesis 6.2), and what
    /// is not forced waits for the TTL of the last move (A23).
    fn judge_moves(
        &mut self,
        system: &VirtualSystem,
        last: &Plan,
        plan: &Plan,
        at: Time,
    ) -> Result<(), String> {
        let mut received: BTreeMap<&Name, u32> = BTreeMap::new();
        for (service, before) in plan.services.iter().zip(&last.services) {
            let settings = settings(system, &service.name);
            if settings.assign == AssignPolicy::All {
                continue;
            }
            for (area, before) in service.areas.iter().zip(&before.areas) {
                if area.clusters.first().map(|it| &it.0) == before.clusters.first().map(|it| &it.0)
                {
                    continue;
                }
                let what = || {
                    format!(
                        "at {at} Plan {} moves {} of {} from {:?} to {:?} ({})",
                        plan.number,
                        area.area,
                        service.name,
                        before.clusters,
                        area.clusters,
                        area.reason
                    )
                };
                if is(area, Reason::Balanced)
                    && let Some((cluster, _)) = area.clusters.first()
                {
                    *received.entry(cluster).or_default() += 1;
                    if received[cluster] > 1 {
                        return Err(format!("{}: one too many in this round", what()));
                    }
                }
                let key = (service.name.clone(), area.area.clone());
                let unforced = UNFORCED.iter().any(|reason| area.reason.starts_with(reason))
                    || is(area, Reason::Balanced)
                    || is(area, Reason::GoesHome);
                let ttl = u128::from(settings.ttl.seconds_max());
                let dwelt = self.moved.get(&key).map(|moved| at.since(*moved).as_secs());
                if unforced && dwelt.is_some_and(|dwelt| u128::from(dwelt) < ttl) {
                    return Err(format!("{}: {dwelt:?} s after its last move", what()));
                }
                self.moved.insert(key, at);
            }
        }
        Ok(())
    }

    /// No empty answer, and nobody in it who is known to be out while another lives.
    fn ask_everywhere(&self, system: &mut VirtualSystem) -> Result<(), String> {
        let plan = self.last.clone().ok_or("there is no Plan")?;
        let configuration = system.configuration().clone();
        let topology = &configuration.topology;
        for service in &topology.services {
            let servers = service.clusters.iter();
            let servers = servers.flat_map(|it| &topology.clusters[it.index()].servers);
            let servers: Vec<_> = servers.map(|id| &plan.servers[id.index()]).collect();
            let somebody_lives = servers.iter().any(|server| server.life == Life::Living);
            for area in 0..=topology.areas.len() {
                let octet = u8::try_from(area).unwrap();
                let question = Question {
                    name: service.name.to_string(),
                    record_type: "A".to_owned(),
                    client: IpAddr::V4(Ipv4Addr::new(10, octet, 0, 1)),
                    subnet: None,
                    server: None,
                };
                let reply = system.ask(&question).map_err(|error| error.to_string())?;
                let answered = addresses(&reply);
                let what = || format!("{} from area {area} is answered {answered:?}", service.name);
                if answered.is_empty() {
                    return Err(what());
                }
                for address in &answered {
                    let server = servers.iter().find(|it| it.addresses.contains(address));
                    let server = server.ok_or_else(|| format!("{}: not of the service", what()))?;
                    if somebody_lives && server.life != Life::Living {
                        return Err(format!("{}: {} is {:?}", what(), server.name, server.life));
                    }
                }
            }
        }
        Ok(())
    }

    /// After everything was well for long, each area that has a home is there with all of its
    /// clients, nobody is left out, and every weight is whole.
    pub(crate) fn everybody_is_home(&self, world: &mut RandomWorld) -> Result<(), String> {
        let plan = self.last.clone().ok_or("there is no Plan")?;
        let topology = &world.system.configuration().topology;
        if let Some(server) = plan.servers.iter().find(|server| server.life != Life::Living) {
            return Err(format!("{} is still {:?}: {}", server.name, server.life, server.reason));
        }
        for service in &plan.services {
            let settings = settings(&world.system, &service.name);
            // Whether a stable allocation has room at home is for its own tests.
            if matches!(settings.assign, AssignPolicy::All | AssignPolicy::Stable) {
                continue;
            }
            for (area, home) in service.areas.iter().zip(&settings.homes) {
                let Some(home) = home else { continue };
                let home = &topology.clusters[home.index()].name;
                if area.clusters != [(home.clone(), 1.0)] {
                    let place = &area.clusters;
                    return Err(format!("{} is at {place:?}, its home is {home}", area.area));
                }
            }
        }
        let candidates = plan.lists.iter().flat_map(|list| &list.groups);
        let mut candidates = candidates.flat_map(|group| &group.candidates);
        match candidates.find(|candidate| candidate.ramp < 1.0) {
            Some(candidate) => Err(format!("{candidate:?} still ramps")),
            None => Ok(()),
        }
    }
}

/// How the reasons of moves begin that nothing forced, if they say more.
const UNFORCED: [&str; 4] =
    ["nearest: nearer ones are above", "nearest: goes nearer", "stable: ", "on trial: "];

fn is(area: &AreaPlan, reason: Reason) -> bool {
    area.reason == reason.to_string()
}

fn settings<'a>(system: &'a VirtualSystem, service: &str) -> &'a Service {
    let services = &system.configuration().topology.services;
    services.iter().find(|it| it.name.to_string() == service).expect("it is configured")
}

fn addresses(reply: &[u8]) -> Vec<IpAddr> {
    let message = Message::from_octets(reply).unwrap();
    let answer = message.answer().unwrap();
    answer.limit_to::<A>().map(|record| IpAddr::V4(record.unwrap().data().addr())).collect()
}

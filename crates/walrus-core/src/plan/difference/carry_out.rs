//! A difference and the old Plan to the new one. It may come from anybody: everything is checked.

use super::{
    ApplyError, AreaEdit, DemandEdit, ListEdit, PlanDifference, ServerEdit, ServiceEdit, carry,
};
use crate::plan::{AreaPlan, CandidateList, Plan, PlannedServer, ServicePlan};
use crate::world::Digest;

/// The Plan that a difference leads to from `old`: the very one that it was made for. It is as valid as that.
///
/// # Errors
/// If it was made from another Plan, or is damaged.
pub fn apply(difference: &PlanDifference, old: &Plan) -> Result<Plan, ApplyError> {
    if difference.base != old.number {
        let (base, held) = (difference.base.clone(), old.number.clone());
        return Err(ApplyError::Base { base, held });
    }
    let (lists, places) = lists(&difference.lists, &old.lists)?;
    let plan = Plan {
        format: difference.format,
        number: difference.number.clone(),
        digests: difference.digests.clone(),
        servers: servers(&difference.servers, &old.servers)?,
        lists,
        services: services(&difference.services, &old.services, &places)?,
    };
    if outcome(&plan) == difference.outcome { Ok(plan) } else { Err(ApplyError::Outcome) }
}

/// What names a Plan by its content.
pub(super) fn outcome(plan: &Plan) -> Digest {
    let text =
        serde_json::to_vec(plan).unwrap_or_else(|_| unreachable!("Plans have string keys only"));
    Digest::of([&text[..]])
}

/// Takes runs of the old entries, upwards only.
struct Upwards<'a, T> {
    old: &'a [T],
    what: &'static str,
    next: usize,
}

impl<'a, T> Upwards<'a, T> {
    const fn new(old: &'a [T], what: &'static str) -> Self {
        Self { old, what, next: 0 }
    }

    fn run(&mut self, from: u32, count: usize) -> Result<&'a [T], ApplyError> {
        let from = from as usize;
        let end = from.checked_add(count).filter(|_| from >= self.next);
        let run = end.and_then(|end| self.old.get(from..end));
        let run = run.ok_or(ApplyError::Kept(self.what))?;
        self.next = from + count;
        Ok(run)
    }
}

fn servers(edits: &[ServerEdit], old: &[PlannedServer]) -> Result<Vec<PlannedServer>, ApplyError> {
    let mut old = Upwards::new(old, "servers");
    let mut servers = Vec::new();
    for edit in edits {
        match edit {
            ServerEdit::Keep((from, count)) => {
                servers.extend_from_slice(old.run(*from, *count as usize)?);
            }
            ServerEdit::Loads(from, loads) => {
                let kept = old.run(*from, loads.len())?.iter().zip(loads);
                servers.extend(kept.map(|(server, (load, backlog))| PlannedServer {
                    load: *load,
                    backlog: *backlog,
                    ..server.clone()
                }));
            }
            ServerEdit::New(server) => servers.push(server.clone()),
        }
    }
    Ok(servers)
}

/// The lists, and where each old one is now.
fn lists(
    edits: &[ListEdit],
    old: &[CandidateList],
) -> Result<(Vec<CandidateList>, Vec<Option<u32>>), ApplyError> {
    let mut lists = Vec::new();
    let mut places = vec![None; old.len()];
    let mut put = |from: u32, place: usize| {
        let free = places.get_mut(from as usize).filter(|place| place.is_none());
        *free.ok_or(ApplyError::Kept("lists"))? = u32::try_from(place).ok();
        Ok(from as usize)
    };
    for edit in edits {
        match edit {
            ListEdit::Keep((from, count)) => {
                for index in *from..from.saturating_add(*count) {
                    let index = put(index, lists.len())?;
                    lists.push(old[index].clone());
                }
            }
            ListEdit::Instead(from, list) => {
                put(*from, lists.len())?;
                lists.push(list.clone());
            }
            ListEdit::New(list) => lists.push(list.clone()),
        }
    }
    Ok((lists, places))
}

fn services(
    edits: &[ServiceEdit],
    old: &[ServicePlan],
    places: &[Option<u32>],
) -> Result<Vec<ServicePlan>, ApplyError> {
    let mut old = Upwards::new(old, "services");
    let mut services = Vec::new();
    for edit in edits {
        match edit {
            ServiceEdit::Keep((from, count)) => {
                for service in old.run(*from, *count as usize)? {
                    let areas = carry_all(&service.areas, places)?;
                    services.push(ServicePlan { areas, ..service.clone() });
                }
            }
            ServiceEdit::Areas(from, edits, demand) => {
                for service in old.run(*from, 1)? {
                    let areas = areas(edits, &service.areas, places)?;
                    let mut service = ServicePlan { areas, ..service.clone() };
                    if let DemandEdit::New(demand) = demand {
                        service.demand.clone_from(demand);
                    }
                    services.push(service);
                }
            }
            ServiceEdit::New(service) => services.push((**service).clone()),
        }
    }
    Ok(services)
}

fn areas(
    edits: &[AreaEdit],
    old: &[AreaPlan],
    places: &[Option<u32>],
) -> Result<Vec<AreaPlan>, ApplyError> {
    let mut old = Upwards::new(old, "areas");
    let mut areas = Vec::new();
    for edit in edits {
        match edit {
            AreaEdit::Keep((from, count)) => {
                areas.extend(carry_all(old.run(*from, *count as usize)?, places)?);
            }
            AreaEdit::New(area) => areas.push(area.clone()),
        }
    }
    Ok(areas)
}

fn carry_all(areas: &[AreaPlan], places: &[Option<u32>]) -> Result<Vec<AreaPlan>, ApplyError> {
    let carried = areas.iter().map(|area| carry(area, places).ok_or(ApplyError::Kept("lists")));
    carried.collect()
}

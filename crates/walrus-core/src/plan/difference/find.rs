//! Two Plans to the difference between them.

use std::collections::{BTreeMap, VecDeque};

use super::carry_out::outcome;
use super::{AreaEdit, DemandEdit, ListEdit, PlanDifference, Run, ServerEdit, ServiceEdit, carry};
use crate::plan::{AreaPlan, CandidateList, Plan, PlannedServer, ServicePlan};

/// The changes from `old` to `new`.
#[must_use]
pub fn difference(old: &Plan, new: &Plan) -> PlanDifference {
    let (lists, places) = lists(old, new);
    PlanDifference {
        base: old.number.clone(),
        outcome: outcome(new),
        format: new.format,
        number: new.number.clone(),
        digests: new.digests.clone(),
        servers: servers(&old.servers, &new.servers),
        lists,
        services: services(&old.services, &new.services, &places),
    }
}

/// Places in Plans are as small as this: [`crate::plan::ListIndex`].
fn place(index: usize) -> u32 {
    u32::try_from(index).unwrap_or(u32::MAX)
}

/// Whether an entry comes right after a run.
const fn follows((from, count): Run, index: u32) -> bool {
    from + count == index
}

/// For each of the new, which goes upwards by its key as the old does, the old one of the same key. What is not in
/// order finds nothing, and travels whole.
fn matched<'a, T, K: Ord>(
    old: &'a [T],
    new: &'a [T],
    key: impl Fn(&'a T) -> K,
) -> Vec<(Option<usize>, &'a T)> {
    let mut next = 0;
    let matched = new.iter().map(|entry| {
        while old.get(next).is_some_and(|it| key(it) < key(entry)) {
            next += 1;
        }
        let found = old.get(next).is_some_and(|it| key(it) == key(entry)).then_some(next);
        next += usize::from(found.is_some());
        (found, entry)
    });
    matched.collect()
}

fn servers(old: &[PlannedServer], new: &[PlannedServer]) -> Vec<ServerEdit> {
    let mut edits = Vec::new();
    for (found, server) in matched(old, new, |server| &server.name) {
        let known = found.and_then(|index| Some((place(index), old.get(index)?)));
        match known {
            Some((index, before)) if before == server => match edits.last_mut() {
                Some(ServerEdit::Keep(run)) if follows(*run, index) => run.1 += 1,
                _ => edits.push(ServerEdit::Keep((index, 1))),
            },
            Some((index, before)) if is_same_but_load(before, server) => {
                let load = (server.load, server.backlog);
                match edits.last_mut() {
                    Some(ServerEdit::Loads(from, loads))
                        if *from as usize + loads.len() == index as usize =>
                    {
                        loads.push(load);
                    }
                    _ => edits.push(ServerEdit::Loads(index, vec![load])),
                }
            }
            _ => edits.push(ServerEdit::New(server.clone())),
        }
    }
    edits
}

fn is_same_but_load(old: &PlannedServer, new: &PlannedServer) -> bool {
    let PlannedServer { name, cluster, addresses, life, load: _, backlog: _, capacity, reason } =
        new;
    (name, cluster, addresses, life, capacity, reason)
        == (&old.name, &old.cluster, &old.addresses, &old.life, &old.capacity, &old.reason)
}

/// The lists, and where each old one is in the new Plan.
fn lists(old: &Plan, new: &Plan) -> (Vec<ListEdit>, Vec<Option<u32>>) {
    let mut pairs = Pairs::new(old.lists.len(), new.lists.len());
    for (index, (one, other)) in old.lists.iter().zip(&new.lists).enumerate() {
        if one == other {
            pairs.pair(index, index);
        }
    }
    let mut moved: BTreeMap<String, VecDeque<usize>> = BTreeMap::new();
    for index in 0..old.lists.len() {
        if pairs.places[index].is_none() {
            moved.entry(text(&old.lists[index])).or_default().push_back(index);
        }
    }
    for index in 0..new.lists.len() {
        if pairs.from[index].is_none()
            && let Some(known) = moved.get_mut(&text(&new.lists[index]))
            && let Some(known) = known.pop_front()
        {
            pairs.pair(known, index);
        }
    }
    let kept = pairs.from.clone();
    for (one, other) in named_instead(old, new) {
        pairs.pair(one as usize, other as usize);
    }
    let mut edits = Vec::new();
    for (index, list) in new.lists.iter().enumerate() {
        match (kept[index], pairs.from[index]) {
            (Some(one), _) => match edits.last_mut() {
                Some(ListEdit::Keep(run)) if follows(*run, one) => run.1 += 1,
                _ => edits.push(ListEdit::Keep((one, 1))),
            },
            (None, Some(one)) => edits.push(ListEdit::Instead(one, list.clone())),
            (None, None) => edits.push(ListEdit::New(list.clone())),
        }
    }
    (edits, pairs.places)
}

/// Which old list is which new one.
struct Pairs {
    /// By old list.
    places: Vec<Option<u32>>,
    /// By new list.
    from: Vec<Option<u32>>,
}

impl Pairs {
    fn new(old: usize, new: usize) -> Self {
        Self { places: vec![None; old], from: vec![None; new] }
    }

    /// Pairs these if neither has been.
    fn pair(&mut self, old: usize, new: usize) {
        let both = (self.places.get_mut(old), self.from.get_mut(new));
        if let (Some(there @ None), Some(back @ None)) = both {
            (*there, *back) = (Some(place(new)), Some(place(old)));
        }
    }
}

fn text(list: &CandidateList) -> String {
    serde_json::to_string(list).unwrap_or_else(|_| unreachable!("lists have string keys only"))
}

/// Lists of the old Plan, and of the new one, that the same area names.
fn named_instead(old: &Plan, new: &Plan) -> Vec<(u32, u32)> {
    let mut pairs = Vec::new();
    for (found, service) in matched(&old.services, &new.services, |service| &service.name) {
        let Some(before) = found.and_then(|index| old.services.get(index)) else { continue };
        for (found, area) in matched(&before.areas, &service.areas, |area| &area.area) {
            let Some(before) = found.and_then(|index| before.areas.get(index)) else { continue };
            let named =
                [(before.ipv4, area.ipv4), (before.ipv6, area.ipv6), (before.hosts, area.hosts)];
            pairs.extend(named.into_iter().filter_map(|(one, other)| one.zip(other)));
        }
    }
    pairs
}

fn services(old: &[ServicePlan], new: &[ServicePlan], places: &[Option<u32>]) -> Vec<ServiceEdit> {
    let mut edits = Vec::new();
    for (found, service) in matched(old, new, |service| &service.name) {
        let known = found.and_then(|index| Some((place(index), old.get(index)?)));
        let Some((index, before)) = known.filter(|(_, it)| is_same_but_areas(it, service)) else {
            edits.push(ServiceEdit::New(Box::new(service.clone())));
            continue;
        };
        let areas = areas(&before.areas, &service.areas, places);
        let keeps_all = match &areas[..] {
            [] => before.areas.is_empty(),
            [AreaEdit::Keep((0, count))] => *count as usize == before.areas.len(),
            _ => false,
        };
        let demand = match service.demand == before.demand {
            true => DemandEdit::Keep,
            false => DemandEdit::New(service.demand.clone()),
        };
        match edits.last_mut() {
            _ if !keeps_all || demand != DemandEdit::Keep => {
                edits.push(ServiceEdit::Areas(index, areas, demand));
            }
            Some(ServiceEdit::Keep(run)) if follows(*run, index) => run.1 += 1,
            _ => edits.push(ServiceEdit::Keep((index, 1))),
        }
    }
    edits
}

fn is_same_but_areas(old: &ServicePlan, new: &ServicePlan) -> bool {
    let ServicePlan {
        name,
        digest,
        locate,
        choose,
        choose_parameters,
        ttl,
        answers,
        areas: _,
        demand: _,
    } = new;
    (name, digest, locate, choose, choose_parameters, ttl, answers)
        == (
            &old.name,
            &old.digest,
            &old.locate,
            &old.choose,
            &old.choose_parameters,
            &old.ttl,
            &old.answers,
        )
}

fn areas(old: &[AreaPlan], new: &[AreaPlan], places: &[Option<u32>]) -> Vec<AreaEdit> {
    let mut edits = Vec::new();
    for (found, area) in matched(old, new, |area| &area.area) {
        let carried = |index: usize| carry(old.get(index)?, places);
        match found.filter(|index| carried(*index).as_ref() == Some(area)).map(place) {
            Some(index) => match edits.last_mut() {
                Some(AreaEdit::Keep(run)) if follows(*run, index) => run.1 += 1,
                _ => edits.push(AreaEdit::Keep((index, 1))),
            },
            None => edits.push(AreaEdit::New(area.clone())),
        }
    }
    edits
}

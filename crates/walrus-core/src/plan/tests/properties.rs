//! What holds for every world and every history.

use proptest::prelude::*;

use super::*;

/// One change of the world between two decisions.
#[derive(Clone, Debug)]
pub(super) enum Change {
    Load(usize, Option<f64>),
    Life(usize, Life),
    Hits(usize, u32),
}

#[derive(Clone, Debug)]
pub(super) struct Step {
    pub(super) changes: Vec<Change>,
    pub(super) cause: Cause,
    pub(super) seconds: u64,
}

fn life() -> impl Strategy<Value = Life> {
    prop_oneof![
        Just(Life::Unknown),
        Just(Life::Drained),
        Just(Life::Bypass),
        Just(Life::Panic),
        Just(Life::Dead),
    ]
}

pub(super) fn step() -> impl Strategy<Value = Step> {
    let load = prop_oneof![4 => (0.0..1.2_f64).prop_map(Some), 1 => Just(None)];
    let change = prop_oneof![
        3 => (0..64_usize, load).prop_map(|(server, load)| Change::Load(server, load)),
        1 => (0..18_usize, 0..90_u32).prop_map(|(pair, hits)| Change::Hits(pair, hits)),
        2 => (0..64_usize, life()).prop_map(|(server, life)| Change::Life(server, life)),
    ];
    let cause = prop_oneof![Just(Cause::Round), Just(Cause::Event)];
    (prop::collection::vec(change, 0..6), cause, 0..90_u64)
        .prop_map(|(changes, cause, seconds)| Step { changes, cause, seconds })
}

prop_compose! {
    pub(super) fn scene()(
        sizes in prop::collection::vec(1..4_u32, 1..5),
        homes in prop::collection::vec(0..6_usize, 1..6),
        policies in prop::collection::vec((0..5_usize, any::<bool>(), 0..200_u64), 1..4),
        ipv6 in prop::collection::vec(any::<bool>(), 16),
        weights in prop::collection::vec(0..3_u32, 16),
        hits in prop::collection::vec(0..90_u32, 18),
    ) -> Scene {
        let letters = ["a", "b", "c", "d", "e"];
        let clusters: Vec<(&str, u32)> = letters.into_iter().zip(sizes).collect();
        let names = ["q", "r", "s", "t", "u", "v"];
        let home = |home: usize| clusters.get(home).map_or("", |(name, _)| *name);
        let mut areas: Vec<(&str, &str)> =
            names.into_iter().zip(homes.iter().map(|index| home(*index))).collect();
        areas.push((Area::WORLD, ""));
        let mut scene = Scene::new(&clusters, &areas);
        scene.topology.services.clear();
        for (index, (policy, spare, ramp)) in policies.into_iter().enumerate() {
            scene.add_service(&format!("w{index}.example.com"));
            let service = scene.topology.services.last_mut().unwrap();
            service.assign = [
                AssignPolicy::Walrus,
                AssignPolicy::Nearest,
                AssignPolicy::Failover,
                AssignPolicy::Stable,
                AssignPolicy::All,
            ][policy];
            service.spill = if spare { Spill::Spare } else { Spill::Unassigned };
            service.ramp = Duration::from_secs(ramp);
        }
        for (index, server) in scene.topology.servers.iter_mut().enumerate() {
            server.capacity = Some(f64::from(weights[index % weights.len()]) * 40.0);
            server.weight = weights[index % weights.len()];
            if ipv6[index % ipv6.len()] {
                server.addresses.push(format!("2001:db8::{index:x}").parse().unwrap());
            }
        }
        scene.hits = hits.into_iter().map(f64::from).collect();
        scene
    }
}

impl Scene {
    pub(super) fn apply(&mut self, step: &Step) {
        let count = self.conditions.len();
        for change in &step.changes {
            match change {
                Change::Load(server, load) => {
                    self.conditions[server % count] = Condition::living(*load);
                }
                Change::Life(server, life) => {
                    self.conditions[server % count] = Condition::out(*life, "as told");
                }
                Change::Hits(pair, hits) => self.hits[*pair] = f64::from(*hits),
            }
        }
        self.now += Duration::from_secs(step.seconds);
    }
}

/// What holds after every decision, given the memory before it.
fn check(scene: &Scene, before: &Memory, cause: Cause) {
    let areas = scene.topology.areas.len();
    let plan = scene.plan();
    // No empty list, every area has an entry, everything can be named (`validate` has been run).
    assert_eq!(plan.services.len(), scene.topology.services.len());
    assert!(plan.services.iter().all(|service| service.areas.len() == areas));
    assert_eq!(from_bytes(&to_bytes(&plan)).unwrap().services, plan.services);
    let mut received = vec![0; scene.topology.clusters.len()];
    for (pair, decided) in scene.decision.areas.iter().enumerate() {
        let service = &scene.topology.services[pair / areas];
        let past = before.assign.pointing.get(pair).cloned().unwrap_or_default();
        let now = &scene.memory.assign.pointing[pair];
        assert!(decided.ipv4.is_some(), "all servers have IPv4");
        if past.present.is_some() && past.present != now.present && !now.forced {
            assert_eq!(cause, Cause::Round, "balancing happens in rounds only");
            let ttl = Duration::from_secs(u64::from(service.ttl.seconds_max()));
            assert!(past.moved.is_none_or(|moved| scene.now.since(moved) >= ttl), "A23");
        }
        if decided.reason == Reason::Balanced && past.moved != now.moved {
            received[decided.clusters[0].0.index()] += 1;
        }
        // Whoever may be handed out is: nobody dead while anybody lives.
        let lives = |id: &ServerId| {
            scene.conditions[id.index()].life == Life::Living
                && scene.topology.servers[id.index()].weight > 0
        };
        let servers =
            || service.clusters.iter().flat_map(|c| &scene.topology.clusters[c.index()].servers);
        if servers().any(lives) {
            for group in &scene.decision.lists[decided.ipv4.unwrap() as usize].groups {
                assert!(group.candidates.iter().all(|c| lives(&ServerId(c.server))));
            }
        }
    }
    assert!(received.iter().all(|count| *count <= 1), "at most one area a cluster and round");
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(128) })]

    #[test]
    fn every_decision_holds(scene in scene(), steps in prop::collection::vec(step(), 1..12)) {
        let mut scene = scene;
        for step in steps {
            scene.apply(&step);
            let before = scene.memory.clone();
            let mut again = scene.clone();
            scene.decide(step.cause);
            again.decide(step.cause);
            prop_assert_eq!(&scene.decision, &again.decision, "decisions are deterministic");
            check(&scene, &before, step.cause);
        }
    }

    #[test]
    fn events_move_only_whom_they_strike(
        scene in scene(),
        steps in prop::collection::vec(step(), 1..6),
        last in step(),
    ) {
        let mut scene = scene;
        for step in steps {
            scene.apply(&step);
            scene.decide(step.cause);
        }
        let before = scene.memory.clone();
        scene.apply(&last);
        scene.decide(Cause::Event);
        let areas = scene.topology.areas.len();
        for (pair, past) in before.assign.pointing.iter().enumerate() {
            let Some(present) = past.present else { continue };
            let service = &scene.topology.services[pair / areas];
            let lives = |id: &ServerId| scene.conditions[id.index()].life == Life::Living
                && scene.topology.servers[id.index()].weight > 0;
            if service.assign != AssignPolicy::All
                && scene.topology.clusters[present.index()].servers.iter().any(lives)
            {
                prop_assert_eq!(scene.memory.assign.pointing[pair].present, Some(present));
            }
        }
    }

    #[test]
    fn memory_survives_the_journal_and_a_restart(
        scene in scene(),
        steps in prop::collection::vec(step(), 1..6),
    ) {
        let mut scene = scene;
        for step in steps {
            scene.apply(&step);
            scene.decide(step.cause);
        }
        let json = serde_json::to_string(&scene.memory).unwrap();
        let replayed: Memory = serde_json::from_str(&json).unwrap();
        prop_assert_eq!(replayed.assign.over, scene.memory.assign.over.clone());
        let carried = scene.memory.carry(&scene.topology, &scene.topology);
        prop_assert_eq!(&carried, &scene.memory);
        let restored = Memory::from_plan(&scene.topology, &scene.plan(), scene.now);
        for (a, b) in restored.assign.pointing.iter().zip(&scene.memory.assign.pointing) {
            prop_assert_eq!(a.present, b.present);
        }
    }

    #[test]
    fn a_hostile_plan_is_an_error_and_no_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(from_bytes(&bytes).is_err());
    }
}

//! Whole rounds come to rest: a closed model in which loads follow what was decided.
//!
//! Each area's clients ask so often and make so much load; it goes where the lists of the last decision send it, by
//! shares and weights, and shows in the next round's loads. Nothing else changes.

use proptest::prelude::*;

use super::*;

/// After so many rounds nothing moves any more.
const ROUNDS_MAX: u32 = 80;

/// A world whose loads follow the assignments.
#[derive(Clone)]
struct Closed {
    scene: Scene,
    /// By area: what its clients make, where 1 is a server of weight 1, full.
    work: Vec<f64>,
    /// Servers tell how many requests they serve.
    counted: bool,
}

/// What is needed to understand a failure; the whole world would fill pages.
impl std::fmt::Debug for Closed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let topology = &self.scene.topology;
        let cluster = |id: Option<ClusterId>| {
            id.map_or("-", |id| topology.clusters[id.index()].name.as_str())
        };
        for it in &topology.clusters {
            let weight = topology.servers[it.servers[0].index()].weight;
            write!(f, "{}: {} x {weight}; ", it.name, it.servers.len())?;
        }
        let service = &topology.services[0];
        write!(f, "{:?}, {} rounds", service.spill, service.home_rounds)?;
        let loads: Vec<String> = self
            .scene
            .conditions
            .iter()
            .map(|it| format!("{:.2}", it.load.unwrap_or(0.0)))
            .collect();
        write!(f, "; loads {}", loads.join(" "))?;
        for (index, area) in topology.areas.iter().enumerate() {
            let pointing = self.scene.memory.assign.pointing.get(index);
            let at = cluster(pointing.and_then(|it| it.present));
            let near = area.nearness.nearest_first().iter().map(|(id, _)| cluster(Some(*id)));
            let near: String = near.collect();
            write!(
                f,
                "\n  {} of {} makes {:.3}: at {at}, {near}",
                area.name,
                cluster(area.home),
                self.work[index]
            )?;
        }
        Ok(())
    }
}

impl Closed {
    /// What the last decision makes of the loads.
    fn measure(&mut self) {
        let mut work = vec![0.0; self.scene.conditions.len()];
        for (decided, asked) in self.scene.decision.areas.iter().zip(&self.work) {
            let Some(list) = decided.ipv4 else { continue };
            for group in &self.scene.decision.lists[list as usize].groups {
                let weight: f64 = group.candidates.iter().map(|it| f64::from(it.weight)).sum();
                for candidate in &group.candidates {
                    let share = group.share * f64::from(candidate.weight) / weight;
                    work[candidate.server as usize] += asked * share;
                }
            }
        }
        for (server, work) in work.into_iter().enumerate() {
            let load = work / f64::from(self.scene.topology.servers[server].weight);
            let condition = &mut self.scene.conditions[server];
            condition.load = Some(load.min(1.0));
            condition.hits_per_second = if self.counted { work * 100.0 } else { 0.0 };
        }
    }

    /// Where all point, and who is given out there.
    fn state(&self) -> Vec<(Option<ClusterId>, String)> {
        let pointing = self.scene.memory.assign.pointing.iter().zip(&self.scene.decision.areas);
        pointing.map(|(it, area)| (it.present, self.scene.listed(area.ipv4))).collect()
    }

    /// In which of so many rounds something changed, the first of them being 1.
    fn changes(&mut self, rounds: u32) -> Vec<u32> {
        let mut changes = Vec::new();
        for round in 1..=rounds {
            let before = self.state();
            self.measure();
            self.scene.round();
            if self.state() != before {
                changes.push(round);
            }
        }
        changes
    }
}

prop_compose! {
    fn closed(policy: AssignPolicy, counted: bool)(
        sizes in prop::collection::vec((1..4_u32, 1..5_u32), 2..6),
        areas in prop::collection::vec((0..8_usize, 1..100_u32), 1..9),
        times in prop::collection::vec(1..200_u32, 45),
        fill in 0.1..1.1_f64,
        spare in any::<bool>(),
        home_rounds in 1..4_u32,
    ) -> Closed {
        let letters = ["a", "b", "c", "d", "e"];
        let clusters: Vec<(&str, u32)> =
            letters.into_iter().zip(&sizes).map(|(letter, (servers, _))| (letter, *servers)).collect();
        let names = ["p", "q", "r", "s", "t", "u", "v", "y", "z"];
        let home = |home: usize| clusters.get(home).map_or("", |(name, _)| *name);
        let homes: Vec<(&str, &str)> =
            names.into_iter().zip(&areas).map(|(name, (at, _))| (name, home(*at))).collect();
        let mut scene = Scene::new(&clusters, &homes);
        let service = scene.service();
        (service.assign, service.home_rounds) = (policy, home_rounds);
        service.spill = if spare { Spill::Spare } else { Spill::Unassigned };
        for server in &mut scene.topology.servers {
            server.weight = sizes[server.cluster.index()].1;
            server.capacity = Some(f64::from(server.weight) * 100.0);
        }
        for (area, times) in homes.iter().zip(times.chunks(5)) {
            let times: Vec<(&str, f64)> =
                clusters.iter().zip(times).map(|((name, _), time)| (*name, f64::from(*time))).collect();
            scene.milliseconds(area.0, &times);
        }
        let capacity: u32 = scene.topology.servers.iter().map(|it| it.weight).sum();
        let asked: u32 = areas.iter().map(|(_, asked)| asked).sum();
        let factor = fill * f64::from(capacity) / f64::from(asked);
        scene.hits = areas.iter().map(|(_, asked)| f64::from(*asked)).collect();
        let work = scene.hits.iter().map(|asked| asked * factor).collect();
        Closed { scene, work, counted }
    }
}

fn comes_to_rest(mut closed: Closed) -> Result<(), TestCaseError> {
    let changes = closed.changes(ROUNDS_MAX + 40);
    let last = changes.last().copied().unwrap_or(0);
    let mut history = Vec::new();
    for _ in 0..4 {
        closed.changes(1);
        history.push(format!("{closed:?}"));
    }
    prop_assert!(last <= ROUNDS_MAX, "{changes:?}\n{}", history.join("\n"));
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(48) })]

    #[test]
    fn walrus_comes_to_rest(closed in closed(AssignPolicy::Walrus, true)) {
        comes_to_rest(closed)?;
    }

    #[test]
    fn nearest_comes_to_rest(closed in closed(AssignPolicy::Nearest, true)) {
        comes_to_rest(closed)?;
    }

    #[test]
    fn stable_comes_to_rest(closed in closed(AssignPolicy::Stable, true)) {
        comes_to_rest(closed)?;
    }

    /// Where nobody counts requests, areas go on trial. Between trials all is at rest.
    #[test]
    fn walrus_moves_only_for_trials_where_nobody_counts(closed in closed(AssignPolicy::Walrus, false)) {
        let mut closed = closed;
        closed.changes(ROUNDS_MAX);
        // Ten hours: four trials of each area, of at most two moves; what one begins may take the others some rounds.
        let changes = closed.changes(600);
        let areas = closed.work.len();
        prop_assert!(changes.len() <= 4 * 4 * areas, "{changes:?} {:?}", closed.state());
    }
}

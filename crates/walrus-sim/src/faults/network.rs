//! The ways between nodes: each with its delay, and what is wrong with it.
//!
//! As on a group carrier nothing is repeated: what meets a cut is gone. A message that is under way when its way is
//! cut is gone, too.

use std::time::Duration;

use super::chance::Chance;
use super::world::{NodeId, World};

/// By so much of itself a delay strays where the weather is good.
const JITTER: f64 = 0.2;

/// All ways.
#[derive(Debug)]
pub(super) struct Network {
    nodes: usize,
    /// By node: the process that it is, which may be two nodes.
    machines: Vec<NodeId>,
    /// At `from * nodes + to`, all by process.
    delays: Vec<Duration>,
    /// How many cuts lie on each way.
    cuts: Vec<u16>,
    /// The same for what the carrier brings alone.
    splits: Vec<u16>,
    /// How often the carrier was stopped and not yet let go on.
    stopped: u16,
    weather: Weather,
    chance: Chance,
}

/// What befalls messages on all ways.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Weather {
    pub(super) loss: f64,
    pub(super) duplicates: f64,
    pub(super) late: Duration,
}

impl Network {
    pub(super) fn new(world: &World) -> Self {
        let nodes = world.nodes.len();
        let pairs = || (0..nodes).flat_map(|from| (0..nodes).map(move |to| (from, to)));
        let site = |node: NodeId| world.nodes[node].site;
        Self {
            nodes,
            machines: (0..nodes).map(|node| world.machine(node)).collect(),
            delays: pairs().map(|(from, to)| world.delays[site(from)][site(to)]).collect(),
            cuts: vec![0; nodes * nodes],
            splits: vec![0; nodes * nodes],
            stopped: 0,
            weather: Weather::default(),
            chance: Chance::new(world.seed, 3),
        }
    }

    /// Whether what one says comes to the other.
    pub(super) fn passes(&self, from: NodeId, to: NodeId) -> bool {
        let way = self.way(from, to);
        self.stopped == 0 && self.cuts[way] == 0 && self.splits[way] == 0
    }

    fn way(&self, from: NodeId, to: NodeId) -> usize {
        self.machines[from] * self.nodes + self.machines[to]
    }

    /// Whether a connection between both, carrier or not, gets through.
    pub(super) fn connects(&self, one: NodeId, other: NodeId) -> bool {
        self.cuts[self.way(one, other)] == 0 && self.cuts[self.way(other, one)] == 0
    }

    /// How long a message takes: one entry a copy that arrives, none if it is lost.
    pub(super) fn send(&mut self, from: NodeId, to: NodeId) -> Copies {
        let mut copies = Copies::default();
        if !self.passes(from, to) || self.chance.happens(self.weather.loss) {
            return copies;
        }
        let delay = self.delay(from, to);
        let count = 1 + usize::from(self.chance.happens(self.weather.duplicates));
        for place in copies.0.iter_mut().take(count) {
            let late = match self.weather.late {
                Duration::ZERO => Duration::ZERO,
                // Most are in time, so that those that are not are overtaken.
                late if self.chance.one_in(4) => self.chance.up_to(late),
                _ => Duration::ZERO,
            };
            *place = Some(delay + self.chance.up_to(delay.mul_f64(JITTER)) + late);
        }
        copies
    }

    /// How long a message takes at best.
    pub(super) fn delay(&self, from: NodeId, to: NodeId) -> Duration {
        self.delays[self.way(from, to)]
    }

    pub(super) fn cut(&mut self, from: &[NodeId], to: &[NodeId], is_cut: bool) {
        for (from, to) in from.iter().flat_map(|from| to.iter().map(move |to| (*from, *to))) {
            let way = self.way(from, to);
            count(&mut self.cuts[way], is_cut);
        }
    }

    /// The carrier brings nothing from one to the other or back; connections get through.
    pub(super) fn split(&mut self, ones: &[NodeId], others: &[NodeId], is_split: bool) {
        for (one, other) in ones.iter().flat_map(|one| others.iter().map(move |it| (*one, *it))) {
            for way in [self.way(one, other), self.way(other, one)] {
                count(&mut self.splits[way], is_split);
            }
        }
    }

    pub(super) const fn stop_carrier(&mut self, stops: bool) {
        self.stopped =
            if stops { self.stopped.saturating_add(1) } else { self.stopped.saturating_sub(1) };
    }

    pub(super) const fn set_weather(&mut self, weather: Weather) {
        self.weather = weather;
    }

    /// Whether the carrier runs.
    pub(super) const fn runs(&self) -> bool {
        self.stopped == 0
    }

    /// Whether the weather is such that what is not cut arrives.
    pub(super) fn is_fair(&self) -> bool {
        self.weather == Weather::default()
    }
}

const fn count(times: &mut u16, more: bool) {
    *times = if more { times.saturating_add(1) } else { times.saturating_sub(1) };
}

/// At most two copies of one message.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Copies([Option<Duration>; 2]);

impl Copies {
    pub(super) fn iter(&self) -> impl Iterator<Item = Duration> {
        self.0.into_iter().flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cuts_add_up_and_go_one_way() {
        let world = World::new(1).unwrap();
        let mut network = Network::new(&world);
        let arrives = |network: &mut Network, from, to| network.send(from, to).iter().count();
        network.cut(&[0], &[1], true);
        network.cut(&[0], &[1, 2], true);
        assert_eq!((arrives(&mut network, 0, 1), arrives(&mut network, 1, 0)), (0, 1));
        network.cut(&[0], &[1], false);
        assert_eq!(arrives(&mut network, 0, 1), 0, "one of two cuts is left");
        network.cut(&[0], &[1, 2], false);
        assert_eq!((arrives(&mut network, 0, 1), arrives(&mut network, 0, 2)), (1, 1));
        network.stop_carrier(true);
        assert_eq!(arrives(&mut network, 0, 1), 0);
        assert!(network.connects(0, 1), "probes need no carrier");
    }

    #[test]
    fn bad_weather_loses_doubles_and_delays() {
        let world = World::new(1).unwrap();
        let mut network = Network::new(&world);
        let late = Duration::from_secs(3);
        network.set_weather(Weather { loss: 0.5, duplicates: 0.5, late });
        let sent = 4000_u32;
        let copies: Vec<Copies> = (0..sent).map(|_| network.send(0, 1)).collect();
        let with = |count| copies.iter().filter(|it| it.iter().count() == count).count() as f64;
        // Five deviations of 4000 draws.
        let near = |found: f64, share: f64| {
            let mean = f64::from(sent) * share;
            (found - mean).abs() < 5.0 * (mean * (1.0 - share)).sqrt()
        };
        assert!(near(with(0), 0.5) && near(with(1), 0.25) && near(with(2), 0.25));
        let slow = copies.iter().flat_map(Copies::iter).filter(|it| it.as_millis() > 500);
        assert!(slow.count() > 100);
    }
}

//! What goes wrong when: drawn from the seed before anything runs.
//!
//! All that befalls nodes and messages has ended when the calm begins, but for some servers that stay away and, in some
//! runs, a cut that stays: what must hold when things have settled is then looked at on each side of it.

use std::time::Duration;

use walrus_core::world::{Name, Target, Time};

use super::WIDER_FROM;
use super::chance::Chance;
use super::world::{NodeId, World};

/// The most things that go wrong in one run.
const HAPPENINGS_MAX: usize = 10;

/// ... beside these, of the kinds of [`more`].
const MORE_MAX: usize = 3;

/// The end of what stays to the end.
const NEVER: Time = Time::from_nanos(u64::MAX);

/// Of so many runs one ends with a cut.
const CUT_STAYS: usize = 3;

/// From when until when something is wrong.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Happening {
    pub(super) begins: Time,
    /// The same as `begins` for what happens at once.
    pub(super) ends: Time,
    pub(super) what: Disturbance,
}

/// One thing that goes wrong.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Disturbance {
    /// A Controller or Director is killed, and started again at the end.
    Down(NodeId, Keeps),
    /// A Controller is ended in good order, and started again at the end.
    Ended(NodeId),
    /// A name server that was there before is down, and comes back with what it had, or nothing of ours.
    NameServerDown(NodeId, Keeps),
    /// The carrier is in two: what these say does not come to those or back, but connections get through.
    Split(Vec<NodeId>, Vec<NodeId>),
    /// A server with its Reporter loses its power.
    ServerDown(NodeId),
    /// A server's Reporter asks to be left out.
    ServerBypass(NodeId),
    /// A server serves so many requests of ten.
    ServerBusy(NodeId, u64),
    /// Nothing that the first say comes to the second; the other way likewise if both.
    Cut { from: Vec<NodeId>, to: Vec<NodeId>, both: bool },
    /// Of these nothing that the first says comes to the second.
    OneWay(Vec<(NodeId, NodeId)>),
    /// Losses, duplicates and late ones among all messages.
    Weather { loss_percent: u32, duplicates_percent: u32, late_ms: u64 },
    /// The carrier stands still: no message passes.
    Carrier,
    /// A disk takes nothing.
    Disk(NodeId),
    /// A clock is set by so many hours.
    Clock(NodeId, i64),
    /// An operator drains or undrains at one Controller.
    Drain { at: NodeId, target: Target, drained: bool },
    /// These take over the other configuration at the beginning, all others at the end.
    Reload(Vec<NodeId>),
}

/// What a process finds on its disk when it starts again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Keeps {
    All,
    Nothing,
    /// What was there some seconds before.
    Older,
}

/// What goes wrong before `calm`, in the order of time.
pub(super) fn schedule(world: &World, calm: Time) -> Vec<Happening> {
    let mut chance = Chance::new(world.seed, 2);
    let count = chance.between(2, HAPPENINGS_MAX);
    let length = calm.since(Time::ZERO);
    let mut happenings: Vec<Happening> = Vec::new();
    let mut reloaded = false;
    for _ in 0..count {
        let what = disturbance(&mut chance, world);
        if matches!(what, Disturbance::Reload(_)) && std::mem::replace(&mut reloaded, true) {
            continue;
        }
        let begins = Time::from_secs(2) + chance.up_to(length.mul_f64(0.9));
        let lasts = if chance.one_in(3) { length } else { length / 5 };
        let ends = begins + Duration::from_millis(100) + chance.up_to(lasts);
        let ends = match what {
            _ if what.is_at_once() => begins,
            Disturbance::ServerDown(_) | Disturbance::ServerBypass(_) if chance.one_in(3) => NEVER,
            _ => ends.min(calm),
        };
        let begins = begins.min(calm);
        if let Disturbance::Clock(node, _) = what {
            // Its clock names its session when it starts.
            let what = match node < world.controllers + world.directors {
                true => Disturbance::Down(node, Keeps::All),
                false => Disturbance::ServerDown(node),
            };
            let ends = begins + chance.up_to(Duration::from_secs(4));
            happenings.push(Happening { begins, ends: ends.min(calm), what });
        }
        happenings.push(Happening { begins, ends, what });
    }
    if chance.one_in(CUT_STAYS) {
        let begins = Time::ZERO + (length - chance.up_to(length / 2));
        let what = cut_between(&mut chance, world, CONTROLLERS_CUT);
        happenings.push(Happening { begins, ends: NEVER, what });
    }
    if world.seed >= WIDER_FROM {
        happenings.extend(more(world, length));
    }
    happenings.sort_by_key(|it| it.begins);
    happenings
}

/// What wider worlds have beside all else.
fn more(world: &World, length: Duration) -> Vec<Happening> {
    let mut chance = Chance::new(world.seed, 6);
    let (calm, mut is_split) = (Time::ZERO + length, false);
    let mut happenings = Vec::new();
    for _ in 0..chance.between(0, MORE_MAX) {
        let begins = (Time::from_secs(2) + chance.up_to(length.mul_f64(0.9))).min(calm);
        let lasts = if chance.one_in(3) { length } else { length / 5 };
        let ends = begins + Duration::from_millis(100) + chance.up_to(lasts);
        let stays = chance.one_in(2);
        let what = one_more(&mut chance, world);
        let ends = match what {
            Disturbance::Split(..) if std::mem::replace(&mut is_split, true) => continue,
            Disturbance::Split(..) if stays => NEVER,
            _ => ends.min(calm),
        };
        happenings.push(Happening { begins, ends, what });
    }
    happenings
}

fn one_more(chance: &mut Chance, world: &World) -> Disturbance {
    let ended = |chance: &mut Chance| Disturbance::Ended(chance.below(world.controllers));
    match chance.below(6) {
        0..=2 => ended(chance),
        3 | 4 => {
            // By sites, as a cluster of carriers falls apart; name servers are no part of it.
            let sites: Vec<usize> = (0..world.sites.len()).collect();
            let one = chance.some_of(&sites);
            let all = 0..world.server_nodes().end;
            let (ones, others) = all.partition(|it| one.contains(&world.nodes[*it].site));
            Disturbance::Split(ones, others)
        }
        _ if !world.zones.is_empty() => {
            let zone = world.zone_nodes().start + chance.below(world.zones.len());
            Disturbance::NameServerDown(zone, chance.of(&[Keeps::All, Keeps::All, Keeps::Nothing]))
        }
        _ => ended(chance),
    }
}

fn disturbance(chance: &mut Chance, world: &World) -> Disturbance {
    let process = |chance: &mut Chance| chance.below(world.controllers + world.directors);
    let controller = |chance: &mut Chance| chance.below(world.controllers);
    let server = |chance: &mut Chance| {
        let servers = world.server_nodes();
        servers.start + chance.below(servers.len())
    };
    match chance.below(26) {
        0..=3 => {
            let keeps = chance.of(&[Keeps::All, Keeps::All, Keeps::Nothing, Keeps::Older]);
            Disturbance::Down(controller(chance), keeps)
        }
        4 | 5 => {
            let keeps = chance.of(&[Keeps::All, Keeps::Nothing, Keeps::Older]);
            Disturbance::Down(process(chance), keeps)
        }
        6..=8 => Disturbance::ServerDown(server(chance)),
        9 => Disturbance::ServerBypass(server(chance)),
        10..=12 => Disturbance::ServerBusy(server(chance), chance.between(0, 10) as u64),
        13..=18 => cut_between(chance, world, CUTS),
        19 => Disturbance::Weather {
            loss_percent: chance.of(&[0, 5, 20, 50]),
            duplicates_percent: chance.of(&[0, 10, 50]),
            late_ms: chance.of(&[0, 200, 3_000]),
        },
        20 => Disturbance::Carrier,
        21 => Disturbance::Disk(process(chance)),
        22 => {
            let node = chance.below(world.server_nodes().end);
            Disturbance::Clock(node, chance.between(0, 20) as i64 - 10)
        }
        23 | 24 => drain(chance, world),
        _ => Disturbance::Reload(some_processes(chance, world)),
    }
}

fn some_processes(chance: &mut Chance, world: &World) -> Vec<NodeId> {
    let all: Vec<NodeId> = (0..world.controllers + world.directors).collect();
    chance.some_of(&all)
}

/// As many kinds of cuts there are, and those that come between Controllers, which are the first.
const CUTS: usize = 9;
const CONTROLLERS_CUT: usize = 6;

fn cut_between(chance: &mut Chance, world: &World, kinds: usize) -> Disturbance {
    let all = || 0..world.nodes.len();
    let site = chance.below(world.sites.len());
    let inside = world.at_site(site);
    let outside = |inside: &[NodeId]| all().filter(|it| !inside.contains(it)).collect::<Vec<_>>();
    let both = |from: Vec<NodeId>| Disturbance::Cut { to: outside(&from), from, both: true };
    match chance.below(kinds) {
        0 | 1 => both(inside),
        2 => {
            let sites: Vec<usize> = (0..world.sites.len()).collect();
            let one = chance.some_of(&sites);
            both(all().filter(|it| one.contains(&world.nodes[*it].site)).collect())
        }
        3 | 4 if world.controllers > 1 => {
            // Two Controllers alone: each still hears whom the other hears.
            let one = chance.below(world.controllers);
            let other = (one + chance.between(1, world.controllers - 1)) % world.controllers;
            Disturbance::Cut { from: vec![one], to: vec![other], both: !chance.one_in(3) }
        }
        5 if world.controllers > 2 => {
            // Who hears whom among Controllers is anything.
            let all = 0..world.controllers;
            let pairs = all.clone().flat_map(|from| all.clone().map(move |to| (from, to)));
            let pairs: Vec<_> = pairs.filter(|(from, to)| from != to).collect();
            Disturbance::OneWay(chance.some_of(&pairs))
        }
        6 => {
            let node = chance.below(world.controllers + world.directors);
            both(vec![node])
        }
        7 => {
            // The servers of a site are not heard, or not by some Controllers.
            let servers: Vec<NodeId> = world.server_nodes().collect();
            let controllers: Vec<NodeId> = (0..world.controllers).collect();
            let from = chance.some_of(&servers);
            Disturbance::Cut { from, to: chance.some_of(&controllers), both: chance.one_in(2) }
        }
        // One direction of the ways to a site or from it.
        _ => {
            let others = outside(&inside);
            let (from, to) = if chance.one_in(2) { (inside, others) } else { (others, inside) };
            Disturbance::Cut { from, to, both: false }
        }
    }
}

fn drain(chance: &mut Chance, world: &World) -> Disturbance {
    let servers = world.server_nodes();
    let server = &world.nodes[servers.start + chance.below(servers.len())];
    let cluster = world.sites[server.site].parse::<Name>();
    let target = match cluster {
        Ok(cluster) if chance.one_in(3) => Target::Cluster(cluster),
        _ => Target::Server(server.name.clone()),
    };
    let at = chance.below(world.controllers);
    Disturbance::Drain { at, target, drained: !chance.one_in(3) }
}

impl Disturbance {
    /// Whether it has no end of its own.
    const fn is_at_once(&self) -> bool {
        matches!(self, Self::Clock(..) | Self::Drain { .. } | Self::ServerBusy(..))
    }

    /// For people.
    pub(super) fn describe(&self, world: &World) -> String {
        let name = |node: &NodeId| world.nodes[*node].name.to_string();
        let names = |nodes: &[NodeId]| nodes.iter().map(name).collect::<Vec<_>>().join(" ");
        match self {
            Self::Down(node, keeps) => {
                let keeps = match keeps {
                    Keeps::All => "its state",
                    Keeps::Nothing => "no state",
                    Keeps::Older => "an older copy of its state",
                };
                format!("{} is down, and comes back with {keeps}", name(node))
            }
            Self::Ended(node) => format!("{} is ended, and comes back with its state", name(node)),
            Self::NameServerDown(node, Keeps::Nothing) => {
                format!("name server {} is down, and comes back with nothing of ours", name(node))
            }
            Self::NameServerDown(node, _) => format!("name server {} is down", name(node)),
            Self::Split(ones, others) => {
                format!("the carrier is in two: {} | {}", names(ones), names(others))
            }
            Self::ServerDown(node) => format!("server {} is down", name(node)),
            Self::ServerBypass(node) => format!("server {} asks to be left out", name(node)),
            Self::ServerBusy(node, busy) => format!("server {} is busy {busy}/10", name(node)),
            Self::Cut { from, to, both } => {
                let arrow = if *both { "<-/->" } else { "-/->" };
                format!("cut: {} {arrow} {}", names(from), names(to))
            }
            Self::OneWay(pairs) => {
                let pair =
                    |(from, to): &(NodeId, NodeId)| format!("{} -/-> {}", name(from), name(to));
                format!("cut: {}", pairs.iter().map(pair).collect::<Vec<_>>().join(", "))
            }
            Self::Weather { loss_percent, duplicates_percent, late_ms } => format!(
                "of all messages {loss_percent} % are lost, {duplicates_percent} % come twice, some up to \
                 {late_ms} ms late"
            ),
            Self::Carrier => "the carrier stands still".to_owned(),
            Self::Disk(node) => format!("the disk of {} takes nothing", name(node)),
            Self::Clock(node, hours) => {
                format!("the clock of {} is set by {hours:+} h", name(node))
            }
            Self::Drain { at, target, drained } => {
                let verb = if *drained { "drains" } else { "undrains" };
                format!("an operator {verb} {target} at {}", name(at))
            }
            Self::Reload(nodes) => {
                format!("{} reload, all others at the end of this", names(nodes))
            }
        }
    }
}

impl Happening {
    /// One line for people.
    pub(super) fn describe(&self, world: &World) -> String {
        let second = |time: Time| format!("{:.3}s", time.as_secs_f64());
        let until = match self.ends {
            NEVER => " ..      end".to_owned(),
            ends if ends > self.begins => format!(" .. {:>8}", second(ends)),
            _ => " ".repeat(12),
        };
        format!("  {:>8}{until}  {}", second(self.begins), self.what.describe(world))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_ends_has_ended_when_the_calm_begins_and_every_kind_comes() {
        let calm = Time::from_secs(40);
        let mut kinds = std::collections::BTreeSet::new();
        for seed in (0..300).chain(WIDER_FROM..WIDER_FROM + 300) {
            let world = World::new(seed).unwrap();
            let happenings = schedule(&world, calm);
            assert_eq!(happenings, schedule(&world, calm), "seed {seed}");
            for happening in &happenings {
                let stays = matches!(
                    happening.what,
                    Disturbance::ServerDown(_)
                        | Disturbance::ServerBypass(_)
                        | Disturbance::Cut { .. }
                        | Disturbance::OneWay(_)
                        | Disturbance::Split(..)
                );
                assert!(happening.begins <= happening.ends && happening.begins <= calm);
                assert!(happening.ends <= calm || stays && happening.ends == NEVER);
                let kind = format!("{:?}", happening.what);
                let end = kind.find(|it: char| !it.is_alphanumeric()).unwrap_or(kind.len());
                kinds.insert(kind[..end].to_owned());
                if let Disturbance::Cut { from, to, .. } = &happening.what {
                    assert!(from.iter().all(|it| !to.contains(it)), "{happening:?}");
                }
            }
        }
        assert_eq!(kinds.len(), 15, "{kinds:?}");
    }
}

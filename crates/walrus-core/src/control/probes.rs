//! When which target is probed, and what its results add up to.
//!
//! A target is an address with what is done to it; servers that share one share its probes, however
//! many services use them. Where they ask for different settings the strictest of each holds:
//! looked at as often as anyone asks, down as soon, up as late.
//!
//! First probes are spread over the interval. After that a probe starts one interval (longer or
//! shorter by the jitter) after the start of the last, and never while that is under way. An
//! outcome that has not come one timeout and one interval after the start is lost. Where this node looks alone that counts
//! as a failure: the server may be up, but nobody can show it. Among several vantage points it counts as not
//! looked at, as does whatever this machine could not probe; and what was seen too long ago is no
//! longer known.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;

use super::detect::Health;
use super::heard::shorten;
use super::vantage::{Seen, Word};
use super::{ProbeOutcome, ProbeRequest};
use crate::world::{Generator, Probe, ProbeKind, ServerId, Time, Topology};

/// The shortest interval, whatever is configured: no loop without a bound.
const INTERVAL_MIN: Duration = Duration::from_millis(10);

/// All targets.
#[derive(Clone, Debug)]
pub(super) struct Probes {
    targets: BTreeMap<u32, Target>,
    /// The targets that decide a server's state, by [`ServerId`].
    by_server: Vec<Vec<u32>>,
    /// Wakes, by time; one a target.
    agenda: BTreeSet<(Time, u32)>,
    /// Numbers are never used twice, so that late outcomes meet no stranger.
    next: u32,
    generator: Generator,
}

/// One target.
#[derive(Clone, Debug)]
pub(super) struct Target {
    /// What it is, for people; unique.
    pub(super) name: String,
    /// Whose state it decides.
    pub(super) servers: Vec<ServerId>,
    address: IpAddr,
    /// The strictest of what is asked for.
    pub(super) probe: Probe,
    health: Health,
    /// Successes in a row.
    successes: u32,
    /// Failures in a row.
    failures: u32,
    /// The last success; the beginning, if there was none.
    up_at: Time,
    /// The last result that counted; the beginning, if there was none.
    counted_at: Time,
    /// The probe under way.
    started: Option<Time>,
    next_start: Time,
    wake: Time,
}

/// What a result changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Change {
    None,
    /// It is down as before, for another reason.
    Reason,
    State,
}

/// What waking a target asks for.
pub(super) enum Wake {
    Start(ProbeRequest),
    /// The outcome of a probe never came.
    Lost(u32),
}

impl Probes {
    pub(super) const fn new(seed: u64) -> Self {
        Self {
            targets: BTreeMap::new(),
            by_server: Vec::new(),
            agenda: BTreeSet::new(),
            next: 0,
            generator: Generator::new(seed),
        }
    }

    /// Takes over the targets of a topology. Those that stay keep their state.
    pub(super) fn retarget(&mut self, topology: &Topology, now: Time) {
        let mut old: BTreeMap<String, (u32, Target)> = std::mem::take(&mut self.targets)
            .into_iter()
            .map(|(id, target)| (target.name.clone(), (id, target)))
            .collect();
        self.agenda.clear();
        self.by_server = vec![Vec::new(); topology.servers.len()];
        for (name, wanted) in wanted(topology) {
            let (id, target) = match old.remove(&name) {
                Some((id, target)) => (id, target.with(wanted)),
                None => self.create(name, wanted, now),
            };
            self.agenda.insert((target.wake, id));
            for server in &target.servers {
                self.by_server[server.index()].push(id);
            }
            self.targets.insert(id, target);
        }
    }

    /// Stops probing.
    pub(super) fn stop(&mut self) {
        self.targets.clear();
        self.by_server.clear();
        self.agenda.clear();
    }

    /// How a server looks from here: down if any of its targets is; `None` before there are enough results.
    pub(super) fn sight(&self, server: ServerId, now: Time) -> Option<Word> {
        let targets = self.by_server.get(server.index())?.iter();
        let mut down: Option<(String, Time)> = None;
        let (mut up, mut unseen) = (false, false);
        for target in targets.filter_map(|id| self.targets.get(id)) {
            match &target.health {
                Health::Unseen => unseen = true,
                Health::Up => up = true,
                Health::Down(reason) => {
                    let (reason, last) = down.take().map_or_else(
                        || (format!("probe {}: {reason}", target.name), target.up_at),
                        |(first, last)| (first, last.min(target.up_at)),
                    );
                    down = Some((reason, last));
                }
            }
        }
        match (down, up) {
            (Some((reason, up_at)), _) => {
                Some(Word { seen: Seen::Down { reason, up_at }, at: now })
            }
            (None, true) if !unseen => Some(Word { seen: Seen::Up, at: now }),
            _ => None,
        }
    }

    fn create(&mut self, name: String, wanted: Wanted, now: Time) -> (u32, Target) {
        let id = self.next;
        self.next = self.next.wrapping_add(1);
        let Wanted { address, probe, servers } = wanted;
        let first = now + probe.interval.mul_f64(self.generator.share());
        let target = Target {
            name,
            servers,
            address,
            probe,
            health: Health::Unseen,
            successes: 0,
            failures: 0,
            up_at: now,
            counted_at: now,
            started: None,
            next_start: first,
            wake: first,
        };
        (id, target)
    }

    /// The target of this number.
    pub(super) fn target(&self, id: u32) -> Option<&Target> {
        self.targets.get(&id)
    }

    /// All targets with their numbers.
    pub(super) fn iter(&self) -> impl Iterator<Item = (u32, &Target)> {
        self.targets.iter().map(|(id, target)| (*id, target))
    }

    /// When a target must be woken next.
    pub(super) fn next_wake(&self) -> Option<Time> {
        self.agenda.first().map(|(at, _)| *at)
    }

    /// The next thing due: call until `None`.
    pub(super) fn wake(&mut self, now: Time) -> Option<Wake> {
        let (_, id) = *self.agenda.first().filter(|(at, _)| *at <= now)?;
        self.agenda.pop_first();
        let target = self.targets.get_mut(&id)?;
        if target.started.take().is_some() {
            // Start the next at once: the lost one's time has long passed.
            target.wake = now.max(target.next_start);
            self.agenda.insert((target.wake, id));
            return Some(Wake::Lost(id));
        }
        target.started = Some(now);
        target.wake = now + target.probe.timeout + target.probe.interval;
        target.next_start =
            now + self.generator.jittered(target.probe.interval, target.probe.jitter);
        self.agenda.insert((target.wake, id));
        Some(Wake::Start(ProbeRequest {
            target: id,
            address: target.address,
            kind: target.probe.kind.clone(),
            timeout: target.probe.timeout,
        }))
    }

    /// Whether a probe of this target is under way; if so, it has ended.
    pub(super) fn ended(&mut self, id: u32, now: Time) -> bool {
        let Some(target) = self.targets.get_mut(&id) else { return false };
        if target.started.take().is_none() {
            return false;
        }
        self.agenda.remove(&(target.wake, id));
        target.wake = now.max(target.next_start);
        self.agenda.insert((target.wake, id));
        true
    }

    /// Adds a result up; tells what it changed of the target's health.
    pub(super) fn count(&mut self, id: u32, outcome: ProbeOutcome, now: Time) -> Change {
        let Some(target) = self.targets.get_mut(&id) else { return Change::None };
        let forgotten = if target.forget(now) { Change::State } else { Change::None };
        match outcome {
            ProbeOutcome::Unknown(_) => return forgotten,
            ProbeOutcome::Up => target.up_at = now,
            ProbeOutcome::Down(_) => {}
        }
        target.counted_at = now;
        target.count(outcome).max(forgotten)
    }
}

impl Target {
    fn with(mut self, wanted: Wanted) -> Self {
        self.servers = wanted.servers;
        self.probe = wanted.probe;
        self
    }

    /// How it stands.
    pub(super) const fn health(&self) -> &Health {
        &self.health
    }

    /// Forgets how it stands if the last result is too old; tells whether that was known. A result more than
    /// make it down may be lost: one that fails now and then is not forgotten.
    fn forget(&mut self, now: Time) -> bool {
        let Probe { interval, jitter, timeout, fall, .. } = self.probe;
        let apart = interval.mul_f64(1.0 + jitter) + timeout;
        if now.since(self.counted_at) <= apart.saturating_mul(fall.max(1).saturating_add(1)) {
            return false;
        }
        (self.successes, self.failures) = (0, 0);
        std::mem::replace(&mut self.health, Health::Unseen) != Health::Unseen
    }

    /// Adds a result up; tells what changed of the health.
    fn count(&mut self, outcome: ProbeOutcome) -> Change {
        let changed = |it| if it { Change::State } else { Change::None };
        match outcome {
            ProbeOutcome::Up => {
                self.failures = 0;
                self.successes = self.successes.saturating_add(1);
                let rises = self.health != Health::Up && self.successes >= self.probe.rise;
                if rises {
                    self.health = Health::Up;
                }
                changed(rises)
            }
            ProbeOutcome::Down(reason) => {
                self.successes = 0;
                self.failures = self.failures.saturating_add(1);
                if let Health::Down(before) = &mut self.health {
                    let now = shorten(reason);
                    return if std::mem::replace(before, now.clone()) == now {
                        Change::None
                    } else {
                        Change::Reason
                    };
                }
                let falls = self.failures >= self.probe.fall;
                if falls {
                    self.health = Health::Down(shorten(reason));
                }
                changed(falls)
            }
            ProbeOutcome::Unknown(_) => Change::None,
        }
    }
}

/// What a topology asks of one target.
struct Wanted {
    address: IpAddr,
    probe: Probe,
    servers: Vec<ServerId>,
}

/// All targets that a topology asks for, by name.
fn wanted(topology: &Topology) -> BTreeMap<String, Wanted> {
    let mut all: BTreeMap<String, Wanted> = BTreeMap::new();
    for (server, index) in topology.servers.iter().zip(0..) {
        let Some(probe) = &server.probe else { continue };
        let many = if probe.all_addresses { server.addresses.len() } else { 1 };
        for address in server.addresses.iter().take(many) {
            let wanted = all.entry(describe(*address, &probe.kind)).or_insert_with(|| Wanted {
                address: *address,
                probe: probe.clone(),
                servers: Vec::new(),
            });
            wanted.probe = strictest(&wanted.probe, probe);
            if wanted.servers.last() != Some(&ServerId(index)) {
                wanted.servers.push(ServerId(index));
            }
        }
    }
    all
}

fn strictest(one: &Probe, two: &Probe) -> Probe {
    Probe {
        kind: one.kind.clone(),
        interval: one.interval.min(two.interval).max(INTERVAL_MIN),
        timeout: one.timeout.min(two.timeout),
        rise: one.rise.max(two.rise),
        fall: one.fall.min(two.fall),
        jitter: one.jitter.min(two.jitter),
        all_addresses: one.all_addresses,
        // Of each server its own holds: this says what is made of what is seen.
        down_when: one.down_when,
    }
}

/// A target in words that name it alone.
fn describe(address: IpAddr, kind: &ProbeKind) -> String {
    let (url, host, status, body, verify) = match kind {
        ProbeKind::Tcp { port } => return format!("tcp {address} port {port}"),
        ProbeKind::Http { url, host, status, body, verify } => (url, host, status, body, verify),
    };
    let bracketed = match address {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => format!("[{address}]"),
    };
    let mut name = url.replace("{address}", &bracketed);
    if name == *url {
        // The address is not in the URL, yet it is where the connection goes.
        name.push_str(&format!(" at {bracketed}"));
    }
    if let Some(host) = host {
        name.push_str(&format!(" for {host}"));
    }
    if *status != [(200, 299)] {
        name.push_str(&format!(" expecting {status:?}"));
    }
    if let Some(body) = body {
        name.push_str(&format!(" with {body:?}"));
    }
    if url.starts_with("https") && !verify {
        name.push_str(" unverified");
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(rise: u32, fall: u32) -> Target {
        let wanted = Wanted {
            address: IpAddr::from([192, 0, 2, 1]),
            probe: Probe {
                kind: ProbeKind::Tcp { port: 80 },
                interval: Duration::from_secs(5),
                timeout: Duration::from_secs(1),
                rise,
                fall,
                jitter: 0.1,
                all_addresses: false,
                down_when: crate::world::DownWhen::Majority,
            },
            servers: vec![ServerId(0)],
        };
        Probes::new(1).create("it".to_owned(), wanted, Time::ZERO).1
    }

    /// One letter a result: `u` up, `d` down, `-` unknown; and the health after each: `?`, `U` or `D`.
    fn run(rise: u32, fall: u32, results: &str) -> String {
        let mut target = target(rise, fall);
        let step = |letter| {
            target.count(match letter {
                'u' => ProbeOutcome::Up,
                '-' => ProbeOutcome::Unknown("too many open files".to_owned()),
                _ => ProbeOutcome::Down("refused".to_owned()),
            });
            match target.health {
                Health::Unseen => '?',
                Health::Up => 'U',
                Health::Down(_) => 'D',
            }
        };
        results.chars().map(step).collect()
    }

    #[test]
    fn rise_and_fall_count_results_in_a_row() {
        assert_eq!(run(2, 3, "uudduddduduu"), "?UUUUUUDDDDU");
        assert_eq!(run(2, 3, "dduddd"), "?????D");
        assert_eq!(run(1, 1, "udu"), "UDU");
        assert_eq!(
            run(2, 2, "u-ud-----d-u-u"),
            "??UUUUUUUDDDDU",
            "this machine's fault is nobody's"
        );
        assert_eq!(run(0, 0, "du"), "DU", "nonsense counts as 1");
    }

    #[test]
    fn a_probe_is_alone_and_a_lost_one_ends() {
        let mut probes = Probes::new(1);
        let target = target(1, 1);
        probes.agenda.insert((target.wake, 7));
        let first = target.wake;
        probes.targets.insert(7, target);
        assert!(first <= Time::from_secs(5), "spread over the interval");
        assert!(probes.wake(first).is_some_and(|wake| matches!(wake, Wake::Start(_))));
        let lost = first + Duration::from_secs(6);
        assert!(probes.wake(Time::from_nanos(lost.as_nanos() - 1)).is_none(), "one at a time");
        assert!(matches!(probes.wake(lost), Some(Wake::Lost(7))));
        assert!(matches!(probes.wake(lost), Some(Wake::Start(_))), "and the next at once");
        assert!(probes.ended(7, lost + Duration::from_secs(1)));
        assert!(!probes.ended(7, lost + Duration::from_secs(1)), "an outcome counts once");
        let next = probes.next_wake().unwrap();
        let interval = next - lost;
        assert!((4.5..=5.5).contains(&interval.as_secs_f64()), "{interval:?} after the start");
    }
}

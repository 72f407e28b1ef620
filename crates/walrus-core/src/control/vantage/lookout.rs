//! A vantage point on a node without a Controller: it probes, and tells the Controllers what it sees.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use super::point::{Point, Word};
use super::target::Targets;
use super::{Teller, ids, timing, unseen};
use crate::config::Configuration;
use crate::control::probes::{Change, Probes, Wake};
use crate::control::{ProbeOutcome, ProbeRequest};
use crate::message::Sights;
use crate::world::{ServerId, Time};

/// What such a node probes and has seen. To be used as [`super::super::Controller`] is: after each word to it, and at each
/// deadline, [`Lookout::poll`] until it gives `None`.
#[derive(Clone, Debug)]
pub struct Lookout {
    configuration: Arc<Configuration>,
    probes: Probes,
    own: Point,
    targets: Targets,
    teller: Teller,
    looks: VecDeque<Look>,
    now: Time,
}

/// One thing to do.
#[derive(Clone, Debug, PartialEq)]
pub enum Look {
    /// Probe a target now and tell the outcome ([`Lookout::probed`]).
    Probe(ProbeRequest),
    /// Say this to the group.
    Say(Sights),
}

impl Lookout {
    /// One that begins now; `seed` spreads probes in time.
    #[must_use]
    pub fn new(configuration: Arc<Configuration>, seed: u64, now: Time) -> Self {
        let mut lookout = Self {
            probes: Probes::new(seed),
            own: Point::default(),
            targets: Targets::default(),
            teller: Teller::new(now),
            looks: VecDeque::new(),
            configuration,
            now,
        };
        lookout.retarget();
        lookout
    }

    /// Puts another checked configuration in force; targets that stay keep their state.
    pub fn reconfigure(&mut self, now: Time, configuration: Arc<Configuration>) {
        self.now = self.now.max(now);
        self.configuration = configuration;
        self.retarget();
        for id in unseen(&self.own, &self.configuration.topology) {
            self.teller.changed(id);
        }
    }

    fn retarget(&mut self) {
        let topology = &self.configuration.topology;
        self.probes.retarget(topology, self.now);
        self.own = Point::default();
        self.targets = Targets::of(topology);
        for id in ids(topology) {
            self.own.set(id, self.probes.sight(id, self.now), topology);
        }
        self.teller.forget();
    }

    /// A probe came to an end. What nobody waits for any more is not counted.
    pub fn probed(&mut self, now: Time, target: u32, outcome: ProbeOutcome) {
        self.now = self.now.max(now);
        if self.probes.ended(target, self.now) {
            self.count(target, outcome);
        }
    }

    fn count(&mut self, target: u32, outcome: ProbeOutcome) {
        let change = self.probes.count(target, outcome, self.now);
        if change == Change::None {
            return;
        }
        let topology = &self.configuration.topology;
        let servers = self.probes.target(target).map(|target| target.servers.clone());
        for id in servers.unwrap_or_default() {
            let is_otherwise = self.own.set(id, self.probes.sight(id, self.now), topology);
            // Another reason for the same is told in its turn.
            if is_otherwise && change == Change::State {
                self.teller.changed(id);
            }
        }
    }

    /// There is a connection again: what was said without one is said now, to whoever may have heard nothing else.
    pub fn connected(&mut self, now: Time) {
        self.now = self.now.max(now);
        let seen = ids(&self.configuration.topology).filter(|id| self.own.word(*id).is_some());
        self.teller.again(seen);
    }

    /// The next thing to do, if any is due.
    pub fn poll(&mut self, now: Time) -> Option<Look> {
        self.now = self.now.max(now);
        if self.looks.is_empty() {
            while let Some(wake) = self.probes.wake(self.now) {
                match wake {
                    Wake::Start(request) => self.looks.push_back(Look::Probe(request)),
                    Wake::Lost(target) => {
                        self.count(target, ProbeOutcome::Unknown("no result came".to_owned()));
                    }
                }
            }
            let servers = &self.configuration.topology.servers;
            let word = |id: ServerId| -> Option<&Word> { self.own.word(id) };
            let said = self.teller.say(self.silence(), (servers, &self.targets), word, self.now);
            self.looks.extend(said.into_iter().map(Look::Say));
        }
        self.looks.pop_front()
    }

    /// When to call [`Self::poll`] next if nothing happens before.
    #[must_use]
    pub fn next_deadline(&self) -> Time {
        if !self.looks.is_empty() {
            return self.now;
        }
        let probe = self.probes.next_wake();
        probe.map_or(self.teller.next(), |at| at.min(self.teller.next()))
    }

    fn silence(&self) -> Duration {
        timing::silence(self.configuration.control.sights_last)
    }
}

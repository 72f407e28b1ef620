//! The Controller: inputs and time in, effects out.

use std::sync::Arc;

use super::{Effect, Input, Refusal, Status};
use crate::config::Configuration;
use crate::plan::{Digests, Plan};
use crate::world::{Name, Overrides, Time};

/// What a Controller starts from.
#[derive(Clone, Debug)]
pub struct Start {
    /// The checked configuration.
    pub configuration: Arc<Configuration>,
    /// What Plans are made for.
    pub digests: Digests,
    /// This Controller; unique among Controllers.
    pub name: Name,
    /// Spreads probes in time; any number.
    pub seed: u64,
    /// What the state directory holds.
    pub stored: Stored,
}

/// What survives a restart.
#[derive(Clone, Debug, Default)]
pub struct Stored {
    /// The highest epoch ever used here; 0 if none.
    pub epoch: u64,
    /// What operators said.
    pub overrides: Overrides,
    /// The Plan in force when the Controller ended.
    pub plan: Option<Arc<Plan>>,
}

/// The Controller. See the [module](super) for the rule of its use.
#[derive(Clone, Debug)]
pub struct Controller {
    start: Start,
    now: Time,
}

impl Controller {
    /// A Controller that begins now. Its first poll stores the new epoch and publishes a Plan.
    #[must_use]
    pub fn new(start: Start, now: Time) -> Self {
        Self { start, now }
    }

    /// Takes in one thing that happened.
    ///
    /// # Errors
    /// If it is refused, for the reason given; nothing changed then.
    pub fn handle(&mut self, now: Time, input: Input) -> Result<(), Refusal> {
        self.now = self.now.max(now);
        let _ = input;
        Ok(())
    }

    /// Puts another checked configuration in force, keeping what is known of servers that stay.
    pub fn reconfigure(&mut self, now: Time, configuration: Arc<Configuration>, digests: Digests) {
        self.now = self.now.max(now);
        self.start.configuration = configuration;
        self.start.digests = digests;
    }

    /// The next thing to do, if any is due. Call until `None`.
    pub fn poll(&mut self, now: Time) -> Option<Effect> {
        self.now = self.now.max(now);
        None
    }

    /// When to call [`Self::poll`] next if nothing happens before, and why.
    #[must_use]
    pub fn next_deadline(&self) -> (Time, &'static str) {
        (self.now + self.start.configuration.control.round, "round")
    }

    /// All that is known, for people and metrics. `unix_ms` is the caller's clock, by which the
    /// Reporters' skew is told.
    #[must_use]
    pub fn status(&self, now: Time, unix_ms: u64) -> Status {
        let _ = (now, unix_ms);
        Status {
            name: self.start.name.clone(),
            plan: self.number(),
            configuration: self.start.configuration.digest.clone(),
            next_round_ms: 0,
            servers: Vec::new(),
            clusters: Vec::new(),
            services: Vec::new(),
            directors: Vec::new(),
            overrides: Vec::new(),
            problems: Vec::new(),
            counters: super::Counters::default(),
        }
    }

    /// The Plan that another configuration would give now, against all that is known; nothing
    /// changes by asking.
    #[must_use]
    pub fn dry_run(&self, now: Time, configuration: Arc<Configuration>, digests: Digests) -> Plan {
        let _ = (now, configuration);
        Plan {
            format: crate::plan::FORMAT,
            number: self.number(),
            digests,
            servers: Vec::new(),
            lists: Vec::new(),
            services: Vec::new(),
            demand: Vec::new(),
        }
    }

    fn number(&self) -> crate::plan::PlanNumber {
        crate::plan::PlanNumber { epoch: 0, controller: self.start.name.clone(), sequence: 0 }
    }
}

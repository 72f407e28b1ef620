//! What must hold whatever goes wrong, looked at from outside: nothing here asks a node what it believes where the
//! truth can be seen.

mod marks;
mod moves;
mod numbers;
mod sides;

use std::fmt;

use serde::Serialize;
use walrus_core::world::Time;

pub(super) use marks::Marks;
pub(super) use moves::Moves;
pub(super) use numbers::Numbers;
pub(super) use sides::{Side, sides};

/// The most breaches that one run tells of: one is enough to fail.
const BREACHES_MAX: usize = 5;

/// Something that must hold did not.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Breach {
    /// When, in milliseconds since the beginning.
    pub at_ms: u64,
    /// Which rule.
    pub rule: Rule,
    /// Who broke it how.
    pub what: String,
}

/// What must hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Rule {
    /// A Director's Plan numbers only rise, across restarts with its state too.
    NumbersRise,
    /// An epoch is stored before a Plan uses it.
    EpochStored,
    /// One number names one Plan.
    OneNumberOnePlan,
    /// A Plan is whole and valid.
    ValidPlan,
    /// When things have settled, a side has one master.
    OneMaster,
    /// No answer is empty while a server of the service could be named.
    NoEmptyAnswer,
    /// No answer names whom the Plan does not take for living while another lives.
    SeenBeforeUnknown,
    /// When things have settled, answers name servers that live on that side.
    WorkingAnswer,
    /// When things have settled, a master takes each server that works and that it sees for living.
    GoodIsLiving,
    /// No (service, area) moves twice within its TTL by phases two or four.
    Dwell,
    /// When things have settled, all Controllers of a side hold the same overrides.
    OverridesAgree,
    /// When things have settled, Directors hold the newest Plan of their side's master.
    NewestPlan,
    /// When things have settled, name servers that were there before have what the newest Plan wants.
    NameServers,
    /// When things have settled, nobody takes epoch after epoch.
    Rest,
    /// Tables have bounds.
    Bounded,
    /// Time passes: nobody asks to be called again and again without an end.
    TimePasses,
}

impl Rule {
    /// For people.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NumbersRise => "a Director's Plan numbers only rise",
            Self::EpochStored => "an epoch is stored before it is used",
            Self::OneNumberOnePlan => "one number names one Plan",
            Self::ValidPlan => "a Plan is whole and valid",
            Self::OneMaster => "a side has one master",
            Self::NoEmptyAnswer => "no answer is empty",
            Self::SeenBeforeUnknown => "no answer names an unknown server while a seen one lives",
            Self::WorkingAnswer => "answers name servers that live on that side",
            Self::GoodIsLiving => "who works and is seen counts as living",
            Self::Dwell => "nothing moves twice within its TTL by phases two or four",
            Self::OverridesAgree => "the overrides of a side agree",
            Self::NewestPlan => "Directors hold the newest Plan of their master",
            Self::NameServers => "name servers that are updated have what the newest Plan wants",
            Self::Rest => "epochs come to rest",
            Self::Bounded => "tables have bounds",
            Self::TimePasses => "time passes",
        }
    }
}

impl fmt::Display for Breach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (seconds, rest) = (self.at_ms / 1000, self.at_ms % 1000);
        write!(f, "{seconds}.{rest:03}s  \"{}\" does not hold: {}", self.rule.as_str(), self.what)
    }
}

/// The breaches of a run.
#[derive(Debug, Default)]
pub(super) struct Breaches(Vec<Breach>);

impl Breaches {
    /// Takes one down, each rule once.
    pub(super) fn tell(&mut self, now: Time, rule: Rule, what: impl FnOnce() -> String) {
        let is_known = self.0.iter().any(|it| it.rule == rule);
        if !is_known && self.0.len() < BREACHES_MAX {
            let at_ms = now.as_nanos() / 1_000_000;
            self.0.push(Breach { at_ms, rule, what: what() });
        }
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn into_inner(self) -> Vec<Breach> {
        self.0
    }
}

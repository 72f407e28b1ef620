//! Why an input is not taken in, in words for its sender.

use std::time::Duration;

use crate::world::{Name, Target};

/// Why an input is refused. Nothing changed by it; the text says what to do.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Refusal {
    /// A report about a server that the configuration does not have.
    #[error(
        "server `{0}` is not in the Controller's configuration: add it there, or correct \
         `server` in the Reporter's"
    )]
    UnknownServer(Name),
    /// A report about a server that none is expected for.
    #[error("no Reporter is expected for server `{0}`: give it `reporter = true`")]
    NoReporterExpected(Name),
    /// A report of a session that a newer one replaced.
    #[error(
        "session {session} of server `{server}` is older than {last}, which reported last: end \
         the other Reporter of that name, or set this machine's clock right"
    )]
    OldSession {
        /// The server reported about.
        server: Name,
        /// The report's session.
        session: u64,
        /// The one that reported last.
        last: u64,
    },
    /// A repeat, or a step back.
    #[error(
        "sequence {sequence} of session {session} is not above the last, {last}: a report is \
         taken once and in order"
    )]
    OldSequence {
        /// The session.
        session: u64,
        /// The sequence of what is refused.
        sequence: u64,
        /// The highest taken so far.
        last: u64,
    },
    /// A unit outside of what detection can work with.
    #[error("the reporting unit {unit:?} is outside 1 s to 5 min: change the Reporter's `unit`")]
    Unit {
        /// As reported.
        unit: Duration,
    },
    /// A number that no machine can have.
    #[error("statistic `{statistic}` is {value}: it must be {expected}")]
    Statistic {
        /// Which one.
        statistic: &'static str,
        /// As reported.
        value: f64,
        /// What would be taken.
        expected: &'static str,
    },
    /// The outcome of a probe that is not under way.
    #[error("nobody waits for the outcome of probe target {0}")]
    NoSuchProbe(u32),
    /// An observation that covers no time, or more than a day.
    #[error("an observation must cover 1 ms to 1 day, not {0} ms")]
    ObservationDuration(u64),
    /// Requests out of an access log that cover no time, or more than a day.
    #[error("`requests` must cover 1 ms to 1 day, not {0} ms")]
    RequestsDuration(u64),
    /// More client prefixes than a report may have.
    #[error(
        "`requests` names {0} client prefixes: name the heaviest 512 and add the others to `rest`"
    )]
    TooManyPrefixes(usize),
    /// Text that is no client prefix.
    #[error("`requests` names `{0}`, which is no client prefix: write 198.51.100.0/24")]
    NoPrefix(String),
    /// One Director more than the tables are made for.
    #[error("{0} Directors are heard already, and no more are")]
    TooManyDirectors(usize),
    /// An epoch that cannot come from counting Controllers' starts.
    #[error("epoch {0} is beyond all reason: remove the Director's saved Plan and start it again")]
    Epoch(u64),
    /// An override about what the configuration does not have.
    #[error("there is no {0} in the configuration")]
    UnknownTarget(Target),
    /// A drain that would leave a service without a usable server.
    #[error(
        "draining {target} would leave {service} without a usable server: use --force if it must be"
    )]
    LastUsable {
        /// What was to be drained.
        target: Target,
        /// The first service that would have none.
        service: String,
    },
    /// Overrides that no Controller of this program would have made.
    #[error("an override with revision {0} is not merged: revisions count changes")]
    Revision(u64),
    /// A message for a group, and there is none.
    #[error("this Controller is in no group")]
    NoGroup,
    /// A join number that cannot come from counting Controllers' starts.
    #[error("join number {0} is beyond all reason")]
    JoinNumber(u64),
    /// A Controller says that it hears more than a group may have, or one more than the table is made for.
    #[error("a group has at most {} Controllers", crate::message::HEARD_MAX)]
    TooManyControllers,
    /// A presence of a session that a newer one replaced.
    #[error("session {session} of Controller {name} is older than {last}, which is heard")]
    OldPresence {
        /// Which Controller.
        name: Name,
        /// The session that spoke.
        session: u64,
        /// The one that is heard.
        last: u64,
    },
    /// More overrides in a message than one may have.
    #[error("a message has at most {max} overrides, not {0}", max = crate::message::OVERRIDES_BATCH_MAX)]
    TooManyInOne(usize),
    /// More servers in a message than one may tell of.
    #[error("a message tells of at most {max} servers, not {0}", max = crate::message::SIGHTS_MAX)]
    TooManySights(usize),
    /// Sights of a node that is no vantage point, or of this Controller's own name.
    #[error("what {0} sees is not counted: vantage points are other Controllers, and Directors")]
    NoVantagePoint(Name),
    /// One vantage point more than the table is made for.
    #[error("{0} vantage points are heard already, and no more are")]
    TooManyVantagePoints(usize),
    /// A Plan that contradicts itself.
    #[error("the Plan that was heard is not valid: {0}")]
    Plan(#[from] crate::plan::PlanInvalid),
    /// One override more than the table is made for.
    #[error("{0} overrides are held already, and no more are")]
    TooManyOverrides(usize),
}

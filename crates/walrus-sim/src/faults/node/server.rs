//! A web server with its Reporter.

use std::time::Duration;

use walrus_core::message::Message;
use walrus_core::world::{Report, ReportBody, Statistics, Time};

use super::{Said, Speaker};
use crate::faults::clock::unix_ms;
use crate::faults::world::Node;

/// How a server fares.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::faults) struct Condition {
    /// How often it was taken down and not yet put up again.
    pub(in crate::faults) down: u16,
    /// The same of asking to be left out.
    pub(in crate::faults) bypass: u16,
    pub(in crate::faults) busy: u64,
}

/// One server.
#[derive(Debug)]
pub(in crate::faults) struct ServerNode {
    node: Node,
    unit: Duration,
    has_reporter: bool,
    pub(in crate::faults) condition: Condition,
    pub(in crate::faults) clock_off_ms: i64,
    speaker: Speaker,
}

impl ServerNode {
    pub(in crate::faults) fn new(node: &Node, unit: Duration, has_reporter: bool) -> Self {
        Self {
            node: node.clone(),
            unit,
            has_reporter,
            condition: Condition::default(),
            clock_off_ms: node.clock_off_ms,
            speaker: Speaker::new(node.starts, node.clock_off_ms, Time::ZERO),
        }
    }

    /// Serves clients.
    pub(in crate::faults) const fn serves(&self) -> bool {
        self.condition.down == 0
    }

    /// Serves, and does not ask to be left out.
    pub(in crate::faults) const fn is_well(&self) -> bool {
        self.condition.down == 0 && self.condition.bypass == 0
    }

    /// Its power comes back.
    pub(in crate::faults) fn begin(&mut self, now: Time) {
        self.speaker = Speaker::new(now, self.clock_off_ms, Time::ZERO);
    }

    /// Its report of this unit, if it is there to make one.
    pub(in crate::faults) fn report(&mut self, now: Time) -> Option<Said> {
        if !self.has_reporter || !self.serves() {
            return None;
        }
        let body = match self.condition.bypass {
            0 => ReportBody::Statistics(Statistics {
                duration_ms: 1000,
                hits: Some(10 * self.condition.busy),
                busy: Some(self.condition.busy),
                busy_max: Some(10),
                ..Statistics::default()
            }),
            _ => ReportBody::Bypass { reason: "asked to".to_owned() },
        };
        let (session, sequence) = self.speaker.next();
        let message = Message::Report(Report {
            server: self.node.name.clone(),
            session,
            sequence,
            unit_ms: u64::try_from(self.unit.as_millis()).unwrap_or(u64::MAX),
            sent_unix_ms: unix_ms(now, self.clock_off_ms),
            version: None,
            body,
            requests: None,
        });
        Some(Said { session, sequence, message })
    }
}

//! Which problems hold now, for [`super::notices`] to tell.
//!
//! PANIC is told at once; a dead server after `dead_after`, and not at all while it is drained
//! (somebody works on it); "nobody functions" at once. Silence after PANIC leaves the PANIC open:
//! nobody has said that it is over. While a server of the service only begins (TEMPFAIL before any
//! statistics counts as BYPASS without notification, A14), "nobody functions" waits: else each
//! first start would wake somebody for the length of a unit.

use super::notices::Problem;
use super::servers::Record;
use super::{Controller, NoticeKind};
use crate::world::{ClusterId, Life, Time};

/// Until something else is decided.
const NEVER: Time = Time::from_nanos(u64::MAX);

impl Controller {
    /// All problems that hold now, those included that are not to be told yet.
    pub(super) fn problems(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        let judge = self.judge_at(Time::ZERO);
        let dead_after = self.configuration.notify.dead_after;
        for (server, record) in self.configuration.topology.servers.iter().zip(self.servers.iter())
        {
            let name = &record.name;
            if let Some(reason) = record.panic() {
                problems.push(Problem {
                    kind: NoticeKind::Panic,
                    subject: name.to_string(),
                    text: format!("server {name} asks for a person: PANIC: {reason}"),
                    due: record.life_since,
                });
            }
            if record.life == Life::Dead && !judge.is_drained(server) {
                problems.push(Problem {
                    kind: NoticeKind::Dead,
                    subject: name.to_string(),
                    text: format!(
                        "server {name} has been dead for {dead_after:?} or more: {}",
                        record.reason()
                    ),
                    due: record.life_since + dead_after,
                });
            }
        }
        let begins = |cluster: &ClusterId| {
            let servers = &self.configuration.topology.clusters[cluster.index()].servers;
            servers.iter().any(|id| {
                self.servers.get(*id).is_some_and(Record::begins)
                    || self.aliases.unresolved(*id) == Some(false)
            })
        };
        let services = self.configuration.topology.services.iter().zip(self.nobody());
        for (index, (service, nobody)) in services.enumerate() {
            if *nobody {
                let waits = service.clusters.iter().any(begins);
                let name = &service.name;
                let answered = match &service.records.alias {
                    _ if self.was_usable(index) => "its last usable answers go on".to_owned(),
                    Some(target) => {
                        format!("{target} was never resolved, so questions for it fail")
                    }
                    None => "none ever did, so the configured ones are answered".to_owned(),
                };
                problems.push(Problem {
                    kind: NoticeKind::NobodyFunctions,
                    subject: name.to_string(),
                    text: format!("no server of {name} functions; {answered}"),
                    due: if waits { NEVER } else { Time::ZERO },
                });
            }
        }
        problems
    }
}

//! Probes and resolutions of aliases: what is due is asked for, and what came of it is counted.

use super::aliases;
use super::probes::Wake;
use super::{Controller, Effect, ProbeOutcome, ResolveRequest};

impl Controller {
    pub(super) fn wake_probes(&mut self) {
        while let Some(wake) = self.probes.wake(self.now) {
            match wake {
                Wake::Start(request) => {
                    self.counters.probes += 1;
                    self.effects.push_back(Effect::Probe(request));
                }
                Wake::Lost(target) => {
                    let reason = "no result came".to_owned();
                    if self.group.is_some() {
                        self.count_result(target, ProbeOutcome::Unknown(reason));
                    } else {
                        self.counters.probes_lost += 1;
                        self.count_result(target, ProbeOutcome::Down(reason));
                    }
                }
            }
        }
    }

    pub(super) fn wake_aliases(&mut self) {
        while let Some(wake) = self.aliases.wake(self.now) {
            match wake {
                aliases::Wake::Ask(target) => {
                    self.counters.resolutions += 1;
                    let resolvers = self.configuration.control.resolvers.clone();
                    self.effects.push_back(Effect::Resolve(ResolveRequest { target, resolvers }));
                }
                aliases::Wake::Lost(target) => {
                    self.resolution_ended(&target, Err("no result came".to_owned()));
                }
            }
        }
    }

    pub(super) fn resolution_ended(
        &mut self,
        target: &walrus_dns::DomainName,
        outcome: Result<aliases::Resolved, String>,
    ) {
        match self.aliases.ended(target, outcome, self.now) {
            aliases::Ended::Unasked => {}
            aliases::Ended::Resolved { changed, recovered } => {
                if recovered {
                    self.warnings.push(format!("the alias {target} is resolved again"));
                }
                if changed {
                    self.resolved = self.aliases.resolve(&self.configuration.topology);
                    self.event = true;
                }
            }
            aliases::Ended::Failed { first, problem, goes_on } => {
                self.counters.resolutions_failed += 1;
                // Once: it is asked for again and again.
                if first {
                    let what = if goes_on { "its last addresses go on" } else { "it has none yet" };
                    self.warnings.push(format!("the alias {target}: {problem}; {what}"));
                }
                self.event |= !goes_on && first;
            }
        }
    }
}

//! What a Controller is told, checked and taken in.

use super::demand::CheckedRequests;
use super::drain;
use super::heard::shorten;
use super::probes::Change;
use super::{Controller, ProbeOutcome, Refusal};
use crate::message::{KeptNameServers, RefusedPlan};
use crate::plan::PlanNumber;
use crate::world::{Name, Observation, Override, OverrideState, Report, ServerId, Target};

/// Lines for the log that may wait; more than that say nothing new.
const WARNINGS_MAX: usize = 16;

impl Controller {
    pub(super) fn report(&mut self, mut report: Report) -> Result<(), Refusal> {
        let observer = self.name.clone();
        let (requests, unit) = (report.requests.take(), report.unit());
        let taken = self.reporter_server(&report.server).and_then(|id| {
            let requests = requests.as_ref().map(CheckedRequests::new).transpose()?;
            let Some(record) = self.servers.get_mut(id) else {
                return Err(Refusal::UnknownServer(report.server));
            };
            let panicked = record.panic().is_some();
            record.heard.entry(observer).or_default().take(report, self.now)?;
            self.problems_stale |= panicked || record.panic().is_some();
            if let Some((hits, unit)) = record.counted(self.now) {
                self.moves.reported(&record.name, hits, unit, self.now);
            }
            if let Some(requests) = requests {
                self.demand.take_requests(id, &requests, self.now);
            }
            Ok(id)
        });
        match taken {
            Ok(id) => {
                self.counters.reports += 1;
                self.heard_from(Some(unit));
                self.judge(id);
                Ok(())
            }
            Err(refusal) => {
                self.counters.reports_refused += 1;
                if matches!(refusal, Refusal::OldSession { .. } | Refusal::OldSequence { .. }) {
                    self.counters.reports_stale += 1;
                }
                Err(refusal)
            }
        }
    }

    /// The server of this name, if a Reporter is expected for it.
    pub(super) fn reporter_server(&self, name: &Name) -> Result<ServerId, Refusal> {
        let topology = &self.configuration.topology;
        let id = topology.server(name.as_str());
        let id = id.ok_or_else(|| Refusal::UnknownServer(name.clone()))?;
        if topology.servers[id.index()].reporter {
            Ok(id)
        } else {
            Err(Refusal::NoReporterExpected(name.clone()))
        }
    }

    pub(super) fn reporter_hello(&mut self, id: ServerId, session: u64) {
        let observer = self.name.clone();
        if let Some(record) = self.servers.get_mut(id) {
            record.heard.entry(observer).or_default().connected(session);
            self.judge(id);
        }
    }

    pub(super) fn reporter_gone(&mut self, id: ServerId, session: u64) {
        let observer = self.name.clone();
        if let Some(record) = self.servers.get_mut(id) {
            record.heard.entry(observer).or_default().disconnected(session, self.now);
            self.judge(id);
        }
    }

    pub(super) fn probed(&mut self, target: u32, outcome: ProbeOutcome) -> Result<(), Refusal> {
        if !self.probes.ended(target, self.now) {
            return Err(Refusal::NoSuchProbe(target));
        }
        self.count_result(target, outcome);
        Ok(())
    }

    /// Adds a result up and, if the target's health changed by it, judges its servers.
    pub(super) fn count_result(&mut self, id: u32, outcome: ProbeOutcome) {
        match outcome {
            ProbeOutcome::Up => {}
            ProbeOutcome::Down(_) => self.counters.probes_failed += 1,
            ProbeOutcome::Unknown(_) => self.counters.probes_lost += 1,
        }
        let is_result = !matches!(outcome, ProbeOutcome::Unknown(_));
        let is_up = outcome == ProbeOutcome::Up;
        if is_up {
            self.heard_from(None);
        }
        let changed = self.probes.count(id, outcome, self.now);
        let Some(target) = self.probes.target(id) else { return };
        let key = (id, self.name.clone());
        for server in &target.servers {
            let Some(record) = self.servers.get_mut(*server) else { continue };
            if let Some(probed) = record.probed.get_mut(&key) {
                if is_result {
                    probed.at = Some(self.now);
                }
                if is_up {
                    probed.up_at = Some(self.now);
                }
                probed.health = target.health().clone();
            }
        }
        if changed != Change::None {
            let servers = target.servers.clone();
            self.looked(&servers, changed == Change::State);
        }
    }

    pub(super) fn observed(
        &mut self,
        director: Name,
        observation: &Observation,
    ) -> Result<(), Refusal> {
        let topology = &self.configuration.topology;
        let taken = self.demand.take(director.clone(), observation, topology, self.now);
        match taken {
            Ok(()) => {
                self.counters.observations += 1;
                let is_known = |service: &str| {
                    let name = service.parse::<walrus_dns::DomainName>();
                    name.is_ok_and(|name| topology.service(&name).is_some())
                };
                self.moves.observed(&director, observation, is_known, self.now);
            }
            Err(_) => self.counters.observations_refused += 1,
        }
        taken
    }

    pub(super) fn director_hello(
        &mut self,
        director: Name,
        plan: Option<PlanNumber>,
        refused: Option<RefusedPlan>,
        marks: Option<PlanNumber>,
    ) -> Result<(), Refusal> {
        let known = plan.clone().max(refused.as_ref().map(|refused| refused.number.clone()));
        let refused = refused.map(|it| RefusedPlan { reason: shorten(it.reason), ..it });
        let problem = refused.as_ref().map(|refused| refused.reason.clone());
        self.demand.hello(director.clone(), plan.clone(), refused, self.now)?;
        let noted = known.map_or(Ok(()), |known| self.note_held(&director, &known));
        if noted.is_ok() {
            self.moves.director(&director, plan, problem, self.now);
        }
        noted.and(marks.map_or(Ok(()), |marks| self.marks_seen(marks)))
    }

    /// A Director knows this Plan: it holds it, or had it and refused it.
    fn note_held(&mut self, director: &Name, held: &PlanNumber) -> Result<(), Refusal> {
        if self.group.is_some() {
            self.numbering.note_claim(held)?;
            self.attend_soon();
            return Ok(());
        }
        if self.numbering.seen(held)? {
            self.event = true;
            self.event_not_before = self.event_not_before.min(self.now);
            let epoch = self.numbering.current().epoch;
            self.warn(format!(
                "Director {director} knows Plan {held}, which is above ours: going on in epoch \
                 {epoch}"
            ));
        }
        Ok(())
    }

    pub(super) fn name_servers(
        &mut self,
        node: &Name,
        mut kept: KeptNameServers,
    ) -> Result<(), Refusal> {
        for told in &mut kept.name_servers {
            if let Some(number) = &told.plan {
                self.numbering.check_claim(number)?;
            }
        }
        self.moves.kept(node, kept, self.now);
        Ok(())
    }

    pub(super) fn set_override(
        &mut self,
        target: Target,
        state: OverrideState,
        force: bool,
        (unix_ms, by): (u64, Option<Name>),
    ) -> Result<(), Refusal> {
        let configuration = self.configuration.clone();
        let topology = &configuration.topology;
        let meant = match drain::servers_of(topology, &target) {
            // What is no longer configured may still be freed of its drain.
            Err(_) if self.overrides.is_drained(&target) => Vec::new(),
            found => found?,
        };
        if drain::is_already(&self.overrides, &target, state) {
            return Ok(());
        }
        if state == OverrideState::Drained && !force {
            drain::check_drain(topology, &self.servers, &target, &meant)?;
        }
        let entry = self.overrides.set(target.clone(), state, (self.name.clone(), by), unix_ms);
        self.say_override(target, entry);
        self.overrides_unstored = true;
        self.problems_stale = true;
        // Who holds the token is no flood, and is told "done" when the answers have changed.
        self.event = true;
        self.event_not_before = self.event_not_before.min(self.now);
        let undrained = state == OverrideState::None;
        for id in meant {
            self.judge(id);
            let server = &topology.servers[id.index()];
            if undrained && self.judge_at(self.now).is_drained(server) {
                let name = &server.name;
                self.warn(format!("server {name} stays drained: so is its cluster, or itself"));
            }
        }
        Ok(())
    }

    pub(super) fn warn(&mut self, text: String) {
        if self.warnings.len() < WARNINGS_MAX {
            self.warnings.push(text);
        }
    }

    pub(super) fn merge_override(
        &mut self,
        target: Target,
        entry: Override,
    ) -> Result<(), Refusal> {
        drain::check_merge(&self.overrides, &target, &entry)?;
        let meant = drain::servers_of(&self.configuration.topology, &target).unwrap_or_default();
        if self.overrides.merge(target, entry) {
            self.override_merged();
            self.overrides_unstored = true;
            self.problems_stale = true;
            for id in meant {
                self.judge(id);
            }
        }
        Ok(())
    }
}

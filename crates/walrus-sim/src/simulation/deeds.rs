//! The time line: what happens to servers, name servers, Controllers, links and populations.

use std::collections::BTreeMap;
use std::time::Duration;

use walrus_core::control::Input;
use walrus_core::world::{OverrideState, Target, Time};

use super::agenda::Due;
use super::crowd::{Swell, nanos};
use super::result::SimulationError;
use super::roles::says_the_truth;
use super::run::Run;
use super::server::Presence;
use super::study::{Deed, Messages, Reach};
use crate::system::ServerState;

/// How often a population that grows or shrinks is looked at.
const SWELL_STEP: u64 = 1_000_000_000;
/// A server that is slow does so much of what it can.
const SLOW: f64 = 0.1;

impl Run<'_> {
    pub(super) fn happen(&mut self, place: usize) -> Result<(), SimulationError> {
        let setup = self.setup;
        match &setup.timeline[place].deed {
            Deed::Servers(servers, state) => {
                servers.iter().for_each(|server| self.set_server(*server, state));
                if *state == ServerState::Slow {
                    self.set_speed(servers, SLOW)?;
                }
            }
            Deed::Speed(servers, factor) => self.set_speed(servers, *factor)?,
            Deed::Heal(servers) => {
                servers.iter().for_each(|server| self.heal_server(*server));
                self.set_speed(servers, 1.0)?;
            }
            Deed::Drain { target, force } => {
                self.set_override(target, OverrideState::Drained, *force);
            }
            Deed::Undrain(target) => self.set_override(target, OverrideState::None, false),
            Deed::NameServers(list, reach) => {
                list.iter().for_each(|place| self.set_name_server(*place, *reach));
            }
            Deed::Controller(number, reach) => self.set_controller(*number, *reach),
            Deed::Cut(messages, is_cut) => {
                self.is_cut[*messages as usize] = *is_cut;
                if !is_cut {
                    self.cut.retain(|(kind, ..)| kind != messages);
                    self.send_plans_again(*messages);
                }
            }
            Deed::CutSome { messages, parts, controller, is_cut } => {
                let all = 0..self.controllers.list.len();
                let to = controller.map_or(all, |one| one..one + 1);
                for way in parts.iter().flat_map(|it| to.clone().map(|to| (*messages, *it, to))) {
                    if *is_cut {
                        self.cut.insert(way)
                    } else {
                        self.cut.remove(&way)
                    };
                }
                if !is_cut {
                    self.send_plans_again(*messages);
                }
            }
            // Made a reload when the study was read.
            Deed::Set(..) => {}
            Deed::Reload(place) => self.reload(&setup.reloads[*place]),
            Deed::Population { populations, factor, within, last } => {
                populations.iter().for_each(|it| self.begin_swell(*it, *factor, *within, *last));
            }
        }
        Ok(())
    }

    /// Name servers that heard of no Plan for a while hear of it at once.
    fn send_plans_again(&mut self, healed: Messages) {
        if healed == Messages::Plans {
            (0..self.directors.list.len()).for_each(|director| self.send_plan(director));
        }
    }

    fn set_server(&mut self, number: usize, state: &ServerState) {
        let now = self.now;
        let server = &mut self.servers[number];
        if !says_the_truth(state) {
            server.says = Some(state.clone());
            return;
        }
        match state {
            ServerState::Killed if server.presence != Presence::Killed => {
                let measures = &mut self.measures;
                server.kill(now, &mut |page| {
                    measures.of(usize::from(page.population)).failed_pages += 1;
                });
                self.disconnect(number);
            }
            ServerState::Cut if server.presence == Presence::Up => server.presence = Presence::Cut,
            ServerState::Slow => server.probes_fail = true,
            _ => {}
        }
    }

    /// Servers work so many times as fast as they can; what waits there leaves earlier or later, and its
    /// clients go on earlier or later.
    fn set_speed(&mut self, servers: &[usize], speed: f64) -> Result<(), SimulationError> {
        let mut shifts = BTreeMap::new();
        let populations = &mut self.measures.populations;
        for number in servers {
            self.servers[*number].set_speed(self.now, speed, &mut shifts, &mut |page, shift| {
                if page.is_measured {
                    let responses = &mut populations[usize::from(page.population)].response_seconds;
                    responses.replace(page.response(shift.from), page.response(shift.to));
                }
            });
        }
        if shifts.is_empty() { Ok(()) } else { self.queue.shift(&shifts) }
    }

    fn heal_server(&mut self, number: usize) {
        let server = &mut self.servers[number];
        server.presence = Presence::Up;
        server.probes_fail = false;
        server.says = None;
        self.connect(number);
    }

    fn set_override(&mut self, target: &Target, state: OverrideState, force: bool) {
        let verb = if state == OverrideState::None { "undrain" } else { "drain" };
        let Some(master) = self.controllers.master else {
            let text = format!("{verb} {target}: there is no master to do so");
            return self.measures.warn(self.now, &text);
        };
        let input =
            Input::SetOverride { target: target.clone(), state, force, unix_ms: 0, by: None };
        if let Err(refusal) = self.tell_controller(master, input) {
            self.measures.warn(self.now, &format!("{verb} {target}: {refusal}"));
        }
        self.poll(master);
    }

    fn set_name_server(&mut self, number: usize, reach: Reach) {
        let old = std::mem::replace(&mut self.directors.list[number].reach, reach);
        if old == Reach::Killed && reach != Reach::Killed {
            self.directors.restart(number, Time::from_nanos(self.now));
        }
        if old != Reach::Well && reach == Reach::Well {
            self.hello(number);
            self.send_plan(number);
        }
    }

    fn set_controller(&mut self, number: usize, reach: Reach) {
        let old = std::mem::replace(&mut self.controllers.list[number].reach, reach);
        if old == Reach::Killed && reach != Reach::Killed {
            self.controllers.restart(number, Time::from_nanos(self.now));
            for server in 0..self.servers.len() {
                self.greet(server, number);
            }
            self.poll(number);
        }
        if reach != Reach::Well && self.controllers.master == Some(number) {
            self.controllers.master = None;
        }
        self.agenda.put(self.now + nanos(self.setup.takeover), Due::Elect);
    }

    fn begin_swell(&mut self, number: usize, to: f64, within: Duration, last: Option<Duration>) {
        let begins = self.now;
        let from = self.crowds[number].factor(begins);
        let within = nanos(within);
        let grown = begins.saturating_add(within);
        let until = last.map_or(u64::MAX, |last| grown.saturating_add(nanos(last)));
        self.crowds[number].swell = Some(Swell { from, to, begins, within, until });
        self.agenda.put(begins, Due::Swell(number));
    }

    /// A population grows or shrinks: who is missing comes, who is too many leaves with its next click.
    pub(super) fn swell(&mut self, number: usize) -> Result<(), SimulationError> {
        let Some(swell) = self.crowds[number].swell else { return Ok(()) };
        self.fill_up(number)?;
        let population = &self.setup.populations[number];
        let crowd = &mut self.crowds[number];
        if swell.is_over(self.now) && crowd.active <= crowd.wanted(population, self.now) {
            crowd.swell = None;
            return Ok(());
        }
        // While it stays, nothing changes.
        let grown = swell.begins.saturating_add(swell.within);
        let still = self.now >= grown && self.now < swell.until;
        let next = if still { swell.until } else { self.now + SWELL_STEP };
        self.agenda.put(next, Due::Swell(number));
        Ok(())
    }
}

//! The Controller as a vantage point among others: what it hears of them, and what it says.

use std::time::Duration;

use super::Word;
use super::timing::differ_within;
use crate::control::{Controller, Effect, Refusal};
use crate::message::{Message, Role, Sights};
use crate::world::{Name, ServerId, Time, Topology};

impl Controller {
    /// Another vantage point speaks.
    pub(in crate::control) fn sights(
        &mut self,
        from: (Role, Name, u64),
        sights: Sights,
    ) -> Result<(), Refusal> {
        if self.group.is_none() {
            return Err(Refusal::NoGroup);
        }
        let configuration = self.configuration.clone();
        let topology = &configuration.topology;
        let said = self.vantage.hear(from, sights, topology, self.now)?;
        if !said.up.is_empty() {
            // Who hears how servers fare knows it, whether it looks itself or not.
            self.heard_from(None);
        }
        for id in said.up {
            if let Some(record) = self.servers.get_mut(id) {
                record.sighted_at = Some(self.now);
            }
        }
        said.changed.into_iter().for_each(|id| self.judge(id));
        Ok(())
    }

    /// Own probes found out something else of a target: what its servers are taken for, here and, if it is no longer
    /// up or down (`is_news`), by others. Another reason for the same they hear in its turn.
    pub(in crate::control) fn looked(&mut self, servers: &[ServerId], is_news: bool) {
        let configuration = self.configuration.clone();
        for id in servers {
            let topology = &configuration.topology;
            let changed = self.vantage.look(*id, &self.probes, topology, self.now);
            if is_news {
                self.teller.changed(*id);
            }
            changed.into_iter().for_each(|id| self.judge(id));
        }
    }

    /// There is a connection to the group again: what this Controller sees is said now, all of it.
    pub fn connected(&mut self, now: Time) {
        self.now = self.now.max(now);
        let (vantage, topology) = (&self.vantage, &self.configuration.topology);
        let seen = super::ids(topology).filter(|id| vantage.own(*id).is_some());
        self.teller.again(seen);
    }

    /// What others heard of servers that are probed elsewhere from now on is no longer so.
    pub(in crate::control) fn take_back_sights(&mut self) {
        if self.speaks_of_sights() {
            for id in super::unseen(&self.vantage.own, &self.configuration.topology) {
                self.teller.changed(id);
            }
        }
    }

    /// All that time brings: votes that end, what is said, and what is told in the log.
    pub(in crate::control) fn attend_vantage(&mut self) {
        let configuration = self.configuration.clone();
        let topology = &configuration.topology;
        self.vantage.sweep(topology, self.now);
        if self.vantage.takes_all(topology, self.now) {
            super::ids(topology).for_each(|id| self.judge(id));
        }
        if self.now >= self.vantage.may_tell_at() {
            let held_back = self.servers.take_held_back();
            for line in self.vantage.tell_waits(&held_back, topology, self.now) {
                self.warn(line);
            }
        }
        let silence = self.vantage.silence;
        for line in self.vantage.tell(|id| patience(topology, silence, id), topology, self.now) {
            self.warn(line);
        }
    }

    /// What it says of what it sees. In a group, if it looks.
    pub(in crate::control) fn say_sights(&mut self) {
        if !self.speaks_of_sights() {
            return;
        }
        let vantage = &self.vantage;
        let word = |id: ServerId| -> Option<&Word> { vantage.own(id) };
        let servers = &self.configuration.topology.servers;
        let said = self.teller.say(vantage.silence, (servers, &vantage.targets), word, self.now);
        let said = said.into_iter().map(|sights| Effect::Say(Message::Sights(sights)));
        self.effects.extend(said);
    }

    /// When one of these is due.
    pub(in crate::control) fn next_of_vantage(&self) -> Option<Time> {
        let topology = &self.configuration.topology;
        let silence = self.vantage.silence;
        let says = self.speaks_of_sights().then(|| self.teller.next());
        let told = self.vantage.next_told(|id| patience(topology, silence, id));
        let waits = self.servers.holds_back_untold().then(|| self.vantage.may_tell_at());
        [says, told, waits, self.vantage.next_silence(), self.vantage.all_due()]
            .into_iter()
            .flatten()
            .min()
    }

    fn speaks_of_sights(&self) -> bool {
        self.group.is_some() && self.probes.next_wake().is_some()
    }
}

/// For so long vantage points may see a server differently before it is told.
fn patience(topology: &Topology, silence: Duration, id: ServerId) -> Duration {
    let probe = topology.servers.get(id.index()).and_then(|server| server.probe.as_ref());
    probe.map_or(silence, |probe| differ_within(probe, silence))
}

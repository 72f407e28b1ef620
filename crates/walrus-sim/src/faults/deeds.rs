//! What goes wrong, done to nodes and network, and taken back.

use std::time::Duration;

use super::agenda::Due;
use super::disk::Disk;
use super::network::Weather;
use super::node::ServerNode;
use super::run::Run;
use super::schedule::{Disturbance, Happening, Keeps};
use super::watch::Rule;
use super::world::NodeId;

impl Run<'_> {
    /// What was wrong has ended: all nodes run, and have one configuration.
    pub(super) fn calm(&mut self) {
        let reloaded = self.schedule.iter().any(|it| matches!(it.what, Disturbance::Reload(_)));
        self.note(|_| "calm".to_owned());
        for node in 0..self.world.controllers + self.world.directors {
            if reloaded {
                self.reload(node);
            }
            self.poll(node);
        }
        self.settled.changed(self.now);
    }

    /// What goes wrong begins or ends.
    pub(super) fn set(&mut self, place: usize, begins: bool) {
        let Happening { what, .. } = self.schedule[place].clone();
        self.note(|world| {
            let over = if begins { "" } else { "over: " };
            format!("{over}{}", what.describe(world))
        });
        self.settled.changed(self.now);
        match what {
            Disturbance::Down(node, keeps) => self.set_down(node, keeps, begins),
            Disturbance::Ended(node) => {
                if begins {
                    self.end_in_good_order(node);
                }
                self.set_down(node, Keeps::All, begins);
            }
            Disturbance::NameServerDown(node, keeps) => self.set_zone_down(node, keeps, begins),
            Disturbance::Split(ones, others) => self.network.split(&ones, &others, begins),
            Disturbance::ServerDown(node) => {
                let now = self.now;
                let server = self.server(node);
                count(&mut server.condition.down, begins);
                if !begins && server.serves() {
                    server.begin(now);
                }
            }
            Disturbance::ServerBypass(node) => {
                count(&mut self.server(node).condition.bypass, begins);
                self.report(node);
            }
            Disturbance::ServerBusy(node, busy) => self.server(node).condition.busy = busy,
            Disturbance::Cut { from, to, both } => {
                self.network.cut(&from, &to, begins);
                if both {
                    self.network.cut(&to, &from, begins);
                }
            }
            Disturbance::OneWay(pairs) => {
                for (from, to) in pairs {
                    self.network.cut(&[from], &[to], begins);
                }
            }
            Disturbance::Weather { loss_percent, duplicates_percent, late_ms } if begins => {
                self.network.set_weather(Weather {
                    loss: f64::from(loss_percent) / 100.0,
                    duplicates: f64::from(duplicates_percent) / 100.0,
                    late: Duration::from_millis(late_ms),
                });
            }
            Disturbance::Weather { .. } => self.network.set_weather(Weather::default()),
            Disturbance::Carrier => self.network.stop_carrier(begins),
            Disturbance::Disk(node) => self.disk(node, |disk| disk.set_refuses(begins)),
            Disturbance::Clock(node, hours) => self.step_clock(node, hours),
            Disturbance::Drain { at, target, drained } => {
                let done = self.controllers[at].drain(self.now, target, drained);
                if let Err(refusal) = done {
                    self.note(|_| format!("refused: {refusal}"));
                }
                self.poll(at);
            }
            Disturbance::Reload(nodes) => {
                let all = 0..self.world.controllers + self.world.directors;
                let others = || all.clone().filter(|it| !nodes.contains(it)).collect();
                let whom: Vec<NodeId> = if begins { nodes.clone() } else { others() };
                whom.into_iter().for_each(|node| self.reload(node));
            }
        }
    }

    pub(super) fn server(&mut self, node: NodeId) -> &mut ServerNode {
        &mut self.servers[node - self.world.server_nodes().start]
    }

    pub(super) fn disk(&mut self, node: NodeId, act: impl FnOnce(&mut Disk)) {
        let node = self.world.machine(node);
        match node.checked_sub(self.world.controllers) {
            None => act(&mut self.controllers[node].disk),
            Some(director) => act(&mut self.directors[director].disk),
        }
    }

    fn step_clock(&mut self, node: NodeId, hours: i64) {
        let step = hours * 3_600_000;
        let node = self.world.machine(node);
        match node.checked_sub(self.world.controllers) {
            None => self.controllers[node].clock_off_ms += step,
            Some(director) if director < self.world.directors => {
                self.directors[director].clock_off_ms += step;
            }
            Some(_) => self.server(node).clock_off_ms += step,
        }
    }

    fn set_zone_down(&mut self, node: NodeId, keeps: Keeps, begins: bool) {
        let place = node - self.world.zone_nodes().start;
        count(&mut self.zones[place].down, begins);
        if begins && keeps == Keeps::Nothing {
            self.zones[place].forget();
            self.marks.forget(place);
        }
    }

    /// What it says at its end goes out before it is gone.
    fn end_in_good_order(&mut self, node: NodeId) {
        if self.controllers[node].is_up() {
            self.counts.goodbyes += 1;
            self.controllers[node].leave(self.now);
            self.poll(node);
        }
    }

    fn set_down(&mut self, node: NodeId, keeps: Keeps, begins: bool) {
        let node = self.world.machine(node);
        let down = match node.checked_sub(self.world.controllers) {
            None => &mut self.controllers[node].down,
            Some(director) => &mut self.directors[director].down,
        };
        count(down, begins);
        let down = *down;
        if begins {
            match node.checked_sub(self.world.controllers) {
                None => {
                    self.controllers[node].kill();
                    if let Some(director) = self.world.director_beside(node) {
                        self.directors[director].kill();
                    }
                }
                Some(director) => self.directors[director].kill(),
            }
        } else if down == 0 {
            self.start(node, keeps);
        }
    }

    /// Starts a process, or a server's Reporter for the first time.
    pub(super) fn start(&mut self, node: NodeId, keeps: Keeps) {
        let node = self.world.machine(node);
        if node >= self.world.server_nodes().start {
            self.agenda.put(self.now, Due::Report(node));
            return;
        }
        self.settled.changed(self.now);
        self.counts.starts += 1;
        let Some(director) = node.checked_sub(self.world.controllers) else {
            let controller = &mut self.controllers[node];
            if controller.is_up() || controller.down > 0 {
                return;
            }
            // What the disk refused once is not known to a process that comes after.
            let forgot = keeps != Keeps::All || self.settled.refused(node);
            controller.begin(self.now, keeps);
            self.numbers.controller_begins(node, forgot);
            let found = self.controllers[node].disk.contents().plan.as_ref();
            self.moves[node].begins(found, forgot);
            self.note(|world| format!("{} starts", world.nodes[node].name));
            self.start_director_beside(node);
            return self.poll(node);
        };
        if self.directors[director].is_up() || self.directors[director].down > 0 {
            return;
        }
        self.start_director(director, keeps);
    }

    /// The Director of a Controller's process: it has the same disk, and the clock.
    fn start_director_beside(&mut self, controller: NodeId) {
        let Some(director) = self.world.director_beside(controller) else { return };
        let (node, of) = (&mut self.directors[director], &self.controllers[controller]);
        (node.disk, node.clock_off_ms) = (of.disk.clone(), of.clock_off_ms);
        self.start_director(director, Keeps::All);
    }

    fn start_director(&mut self, director: usize, keeps: Keeps) {
        let node = self.world.controllers + director;
        if let Err(why) = self.directors[director].begin(self.now, keeps) {
            self.breaches.tell(self.now, Rule::ValidPlan, || why.to_string());
        }
        let found = self.directors[director].plan().cloned();
        self.asked[director] = None;
        self.look_at_answers(director);
        self.numbers.director_begins(director, found.as_deref());
        self.note(|world| {
            let with =
                found.map_or_else(|| "no Plan".to_owned(), |it| format!("Plan {}", it.number));
            format!("Director {} starts with {with}", world.nodes[node].name)
        });
        self.poll(node);
    }

    /// The Director of a process has what it answers by before its Controller has.
    fn reload(&mut self, node: NodeId) {
        let node = self.world.machine(node);
        if let Some(director) = self.world.director_beside(node) {
            self.reload_one(self.world.controllers + director);
        }
        self.reload_one(node);
    }

    fn reload_one(&mut self, node: NodeId) {
        let next = (1, &self.world.configurations[1]);
        match node.checked_sub(self.world.controllers) {
            None => {
                if self.controllers[node].configuration.0 != 1 {
                    self.controllers[node].reload(self.now, next);
                    self.poll(node);
                }
            }
            Some(director) => {
                if self.directors[director].configuration.0 == 1 {
                    return;
                }
                self.asked[director] = None;
                match self.directors[director].reload(next) {
                    Ok(took) => self.took(director, took),
                    Err(why) => {
                        self.breaches.tell(self.now, Rule::ValidPlan, || why.to_string());
                    }
                }
            }
        }
    }
}

/// One more or one less.
const fn count(times: &mut u16, begins: bool) {
    *times = if begins { times.saturating_add(1) } else { times.saturating_sub(1) };
}

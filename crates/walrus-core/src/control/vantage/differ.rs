//! Since when vantage points see a server differently, and whether that was told.

use std::collections::BTreeMap;
use std::time::Duration;

use super::target::Same;
use crate::world::{ServerId, Time};

/// Servers that are seen differently.
#[derive(Clone, Debug, Default)]
pub(super) struct Differences {
    open: BTreeMap<ServerId, Difference>,
    /// Of which it was told, and that are seen alike again.
    ended: Vec<ServerId>,
}

#[derive(Clone, Copy, Debug)]
struct Difference {
    since: Time,
    told: bool,
}

impl Differences {
    /// The same for another topology: what was told has an end still.
    pub(super) fn carry(&mut self, same: &Same<'_>) {
        let open = std::mem::take(&mut self.open).into_iter();
        self.open = open.filter_map(|(id, it)| Some((same.place(id)?, it))).collect();
        self.ended = self.ended.iter().filter_map(|id| same.place(*id)).collect();
    }

    pub(super) fn note(&mut self, id: ServerId, differs: bool, now: Time) {
        if differs {
            self.open.entry(id).or_insert(Difference { since: now, told: false });
        } else if self.open.remove(&id).is_some_and(|it| it.told) {
            self.ended.push(id);
        }
    }

    pub(super) fn since(&self, id: ServerId) -> Option<Time> {
        self.open.get(&id).map(|it| it.since)
    }

    /// Those that are to be told as ended, once.
    pub(super) fn ended(&mut self) -> Vec<ServerId> {
        std::mem::take(&mut self.ended)
    }

    /// Those that have lasted for longer than that, once each.
    pub(super) fn due(
        &mut self,
        patience: impl Fn(ServerId) -> Duration,
        now: Time,
    ) -> Vec<(ServerId, Time)> {
        let mut due = Vec::new();
        for (id, it) in &mut self.open {
            if !it.told && now >= it.since + patience(*id) {
                it.told = true;
                due.push((*id, it.since));
            }
        }
        due
    }

    /// When one of them has lasted for that long.
    pub(super) fn next(&self, patience: impl Fn(ServerId) -> Duration) -> Option<Time> {
        if !self.ended.is_empty() {
            return Some(Time::ZERO);
        }
        let untold = self.open.iter().filter(|(_, it)| !it.told);
        untold.map(|(id, it)| it.since + patience(*id)).min()
    }
}

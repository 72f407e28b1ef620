//! What a vantage point says, and when: what changed at once, all the rest bit by bit.
//!
//! Three times in ten seconds (or in the silence that takes its vote, if that is shorter) it says something, if only that it is
//! there. With each of these it tells of a third of its servers, so that all are told in that time: whoever begins to
//! listen knows all by then, and what was lost is repaired. What changes is told at once (a tenth of a second after the last message at the
//! earliest), and again with the next three heartbeats. A thousand servers take some 2.5 kB a second from each of twenty
//! vantage points, a death one message of 300 bytes.

use std::collections::BTreeMap;
use std::time::Duration;

use super::point::{Seen, Word};
use super::target::Targets;
use super::timing::all_said_within;
use crate::message::{SIGHT_REASON_MAX, SIGHTS_MAX, SeenDown, Sights};
use crate::world::{Server, ServerId, Time};

/// Between two messages, whatever changes.
const SAID_APART: Duration = Duration::from_millis(100);

/// A change is told again so often.
const TOLD_AGAIN: u8 = 3;

/// Heartbeats in the time in which all is said.
const HEARTBEATS: u32 = 3;

/// What is still to be said.
#[derive(Clone, Debug)]
pub(in crate::control) struct Teller {
    /// Servers that changed, and how often that is still to be told.
    changed: BTreeMap<ServerId, u8>,
    /// A change that was not told yet.
    has_news: bool,
    /// The first server of the next third.
    cursor: usize,
    next_heartbeat: Time,
    said_at: Time,
}

impl Teller {
    pub(in crate::control) const fn new(now: Time) -> Self {
        Self {
            changed: BTreeMap::new(),
            has_news: false,
            cursor: 0,
            next_heartbeat: now,
            said_at: Time::ZERO,
        }
    }

    /// A server is seen otherwise.
    pub(in crate::control) fn changed(&mut self, id: ServerId) {
        self.changed.insert(id, TOLD_AGAIN + 1);
        self.has_news = true;
    }

    /// What was said of these may not have been heard: it is to be told again at once.
    pub(in crate::control) fn again(&mut self, ids: impl Iterator<Item = ServerId>) {
        for id in ids {
            self.changed.entry(id).or_insert(1);
        }
        self.has_news = true;
    }

    /// Ids are no longer what they were.
    pub(in crate::control) fn forget(&mut self) {
        self.changed.clear();
        self.has_news = false;
        self.cursor = 0;
    }

    /// When something is to be said next.
    pub(in crate::control) fn next(&self) -> Time {
        if self.has_news {
            self.next_heartbeat.min(self.said_at + SAID_APART)
        } else {
            self.next_heartbeat
        }
    }

    /// What is to be said now.
    pub(in crate::control) fn say<'w>(
        &mut self,
        silence: Duration,
        (servers, targets): (&[Server], &Targets),
        word: impl Fn(ServerId) -> Option<&'w Word>,
        now: Time,
    ) -> Vec<Sights> {
        if now < self.next() {
            return Vec::new();
        }
        let mut told: Vec<ServerId> = self.changed.keys().copied().collect();
        self.changed.retain(|_, times| {
            *times -= 1;
            *times > 0
        });
        self.has_news = false;
        self.said_at = now;
        if now >= self.next_heartbeat {
            self.next_heartbeat = now + all_said_within(silence) / HEARTBEATS;
            // Whoever has nothing to say of a server does not say so each time.
            told.extend(self.third(servers.len()).into_iter().filter(|id| word(*id).is_some()));
        }
        told.sort_unstable();
        told.dedup();
        let said = |id: ServerId| Some((servers.get(id.index())?, targets.get(id)?, word(id)));
        messages(told.into_iter().filter_map(said), now)
    }

    /// The servers whose turn it is.
    fn third(&mut self, servers: usize) -> Vec<ServerId> {
        let count = servers.div_ceil(HEARTBEATS as usize);
        let first = if self.cursor >= servers { 0 } else { self.cursor };
        self.cursor = first + count;
        let ids = first..self.cursor.min(servers);
        ids.filter_map(|index| u32::try_from(index).ok()).map(ServerId).collect()
    }
}

/// At least one message.
fn messages<'a>(
    told: impl Iterator<Item = (&'a Server, u16, Option<&'a Word>)>,
    now: Time,
) -> Vec<Sights> {
    let mut messages = vec![Sights::default()];
    for (server, target, word) in told {
        if messages.last().is_some_and(|last| last.len() >= SIGHTS_MAX) {
            messages.push(Sights::default());
        }
        let Some(last) = messages.last_mut() else { break };
        let Some(word) = word else {
            last.unseen.push(server.name.clone());
            continue;
        };
        match &word.seen {
            Seen::Up => {
                last.up.push(server.name.clone());
                last.up_targets.push(target);
            }
            Seen::Down { reason, up_at } => last.down.push(SeenDown {
                server: server.name.clone(),
                reason: reason.chars().take(SIGHT_REASON_MAX).collect(),
                unseen_ms: u64::try_from(now.since(*up_at).as_millis()).unwrap_or(u64::MAX),
                target: Some(target),
            }),
        }
    }
    messages
}

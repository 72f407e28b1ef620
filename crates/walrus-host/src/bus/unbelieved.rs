//! What was not believed of late, by reason and sender: for the log and for people.

use std::collections::BTreeMap;
use std::time::Duration;

use walrus_core::world::Time;

/// What others cause at will is told of in the log no more often than this, for each reason and sender.
const TOLD_EVERY: Duration = Duration::from_secs(10);
/// What was not believed is shown for so long after the last of it.
const SHOWN_FOR: Duration = Duration::from_secs(60);
/// Reasons and senders that are told apart: whoever may publish anything may use any name.
const SENDERS_MAX: usize = 32;
/// A message or two may come again where a connection broke; what comes again more often is repeated by somebody.
const REPLAYED_SHOWN: u64 = 3;

/// Why a message is not believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Reason {
    /// Sender and subject differ, or it may not say this.
    Forged,
    /// It was heard before, or something newer was.
    Replayed,
    /// It is none of Walrus.
    Garbage,
    /// It is of a version that is not understood here.
    Version,
}

/// What was not believed of late.
#[derive(Debug, Default)]
pub(super) struct Unbelieved {
    table: BTreeMap<(Reason, String), Entry>,
    /// Messages of more senders than are told apart, and when the last came.
    others: Option<(u64, Time)>,
}

#[derive(Debug)]
struct Entry {
    count: u64,
    /// What was wrong with the last of them.
    text: String,
    last: Time,
    logged: Time,
    /// Since the last line in the log.
    left_out: u64,
}

impl Unbelieved {
    /// Notes one; `sender` is whom the subject names. If a line is to be written, tells how many were left out since the
    /// last one like it.
    pub(super) fn note(
        &mut self,
        (reason, sender): (Reason, &str),
        text: &str,
        now: Time,
    ) -> Option<u64> {
        let key = (reason, sender.to_owned());
        if let Some(entry) = self.table.get_mut(&key) {
            if now.since(entry.last) >= SHOWN_FOR {
                entry.count = 0;
            }
            entry.count += 1;
            entry.last = now;
            text.clone_into(&mut entry.text);
            if now.since(entry.logged) < TOLD_EVERY {
                entry.left_out += 1;
                return None;
            }
            entry.logged = now;
            return Some(std::mem::take(&mut entry.left_out));
        }
        if self.table.len() >= SENDERS_MAX {
            self.table.retain(|_, entry| now.since(entry.last) < SHOWN_FOR);
        }
        if self.table.len() >= SENDERS_MAX {
            let recent = self.others.filter(|others| now.since(others.1) < SHOWN_FOR);
            self.others = Some((recent.map_or(0, |others| others.0) + 1, now));
            return None;
        }
        let text = text.to_owned();
        self.table.insert(key, Entry { count: 1, text, last: now, logged: now, left_out: 0 });
        Some(0)
    }

    /// What is to be shown, one line for each reason and sender.
    pub(super) fn told(&self, now: Time) -> Vec<String> {
        let is_shown = |(reason, _): &(Reason, String), entry: &Entry| {
            let is_enough = *reason != Reason::Replayed || entry.count >= REPLAYED_SHOWN;
            is_enough && now.since(entry.last) < SHOWN_FOR
        };
        let shown = self.table.iter().filter(|(key, entry)| is_shown(key, entry));
        let mut lines: Vec<String> = shown.map(|(key, entry)| line(key, entry, now)).collect();
        if let Some((count, _)) = self.others.filter(|others| now.since(others.1) < SHOWN_FOR) {
            lines.push(format!("{count} more messages in other names were not believed"));
        }
        lines
    }
}

fn line((reason, sender): &(Reason, String), entry: &Entry, now: Time) -> String {
    let Entry { count, text, last, .. } = entry;
    let ago = now.since(*last).as_secs();
    let messages = if *count == 1 { "1 message" } else { &format!("{count} messages") };
    match reason {
        Reason::Version => format!("{sender}: {text} ({messages} not read, the last {ago} s ago)"),
        Reason::Replayed => format!(
            "replayed: {messages} in the name of {sender} came again or too late, the last {ago} s ago, and counted \
             for nothing; if that goes on, somebody who may publish as {sender} repeats what it listened to"
        ),
        Reason::Forged => {
            format!("forged: {messages} on the subject of {sender}, the last {ago} s ago: {text}")
        }
        Reason::Garbage => format!(
            "not understood: {messages} on the subject of {sender}, the last {ago} s ago: {text}"
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_sender_and_reason_has_a_line_of_its_own() {
        let mut unbelieved = Unbelieved::default();
        let at = Time::from_secs;
        let mut note = |reason, sender: &str, second| {
            unbelieved.note((reason, sender), &format!("text {second}"), at(second))
        };
        assert_eq!(note(Reason::Version, "controller a", 1), Some(0));
        assert_eq!(note(Reason::Version, "controller b", 2), Some(0));
        assert_eq!(note(Reason::Garbage, "controller a", 3), Some(0));
        assert_eq!(note(Reason::Version, "controller a", 4), None);
        assert_eq!(note(Reason::Version, "controller a", 10), None);
        assert_eq!(note(Reason::Version, "controller a", 11), Some(2));
        for second in [20, 21, 22] {
            note(Reason::Replayed, "controller a", second);
        }
        note(Reason::Replayed, "controller b", 22);
        let told = unbelieved.told(at(30));
        assert_eq!(told.len(), 4, "{told:?}");
        assert!(
            told[0].starts_with("replayed: 3 messages in the name of controller a"),
            "{told:?}"
        );
        assert!(told[1].contains("1 message on the subject of controller a"), "{told:?}");
        assert!(told[2].starts_with("controller a: text 11 (4 messages not read"), "{told:?}");
        assert_eq!(unbelieved.told(at(75)).len(), 1, "the replays alone");
        assert!(unbelieved.told(at(82)).is_empty());
    }

    #[test]
    fn messages_that_come_late_now_and_then_are_nobody_who_repeats() {
        let mut unbelieved = Unbelieved::default();
        for day in 1..10 {
            let at = Time::from_secs(day * 86_400);
            unbelieved.note((Reason::Replayed, "controller a"), "x", at);
            assert!(unbelieved.told(at).is_empty(), "day {day}");
        }
    }

    #[test]
    fn strangers_with_many_names_fill_neither_the_table_nor_the_log() {
        let mut unbelieved = Unbelieved::default();
        let lines = (0..1000).filter(|index| {
            let key = (Reason::Garbage, &*format!("reporter r{index}"));
            unbelieved.note(key, "x", Time::from_secs(1)).is_some()
        });
        assert_eq!(lines.count(), SENDERS_MAX);
        let told = unbelieved.told(Time::from_secs(2));
        assert_eq!(told.len(), SENDERS_MAX + 1);
        assert_eq!(told[SENDERS_MAX], "968 more messages in other names were not believed");
        assert_eq!(
            unbelieved.note((Reason::Garbage, "a"), "x", Time::from_secs(100)),
            Some(0),
            "room again"
        );
    }
}

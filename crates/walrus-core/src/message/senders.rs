//! Who speaks on a bus, and which of its messages are news.
//!
//! **Problem.** A bus may deliver a message twice, late or out of order; somebody who once listened may say
//! it again; two nodes may have been given one name. No clock may decide: one that ran ahead would lock its
//! owner out for good once it is set right.
//!
//! **Rule.** Of each (role, name) the highest session that speaks is heard. Of it each sequence is taken
//! once, within a window of 128 as in RFC 4303 section 3.4.3, so that the parts of a Plan may overtake each
//! other; but of kinds in which the newer replaces the older (`hello` and `presence`; `sights`; `name_servers`), an older one is not
//! taken after a newer. A lower session is taken once the higher one was silent for a detection time (a Reporter's,
//! for two of its units if that is longer). Of sessions that were heard before, what comes must be newer than all that was
//! taken of them: the 32 of the highest numbers are known by heart, and what is below those is not heard again. One that says
//! something *new* when the higher one has been heard for longer than that is another node of that name: a
//! twin. It is not heard; the one with the higher session, which is the one that started last unless clocks
//! are wrong, goes on.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{Envelope, Message, Role};
use crate::world::{Name, Time};

/// Sequences below the highest that may still come.
const WINDOW: u32 = 128;

/// A Reporter is silent between two reports: of two of one name both are heard within so many units.
const UNITS: u32 = 2;

/// No Reporter's unit is longer.
const UNIT_MAX: Duration = Duration::from_secs(300);

/// As many senders are known: ten thousand Reporters and as many again.
const SENDERS_MAX: usize = 20_000;

/// Whoever was silent for so long makes way when the table is full.
const FORGOTTEN: Duration = Duration::from_secs(3600);

/// So many sessions of one sender that were heard before are known.
const ENDED_MAX: usize = 32;

/// How often a full table is looked through for those.
const SWEEPS_APART: Duration = Duration::from_secs(10);

/// Who was heard, and what of it.
#[derive(Clone, Debug)]
pub struct Senders {
    detection: Duration,
    table: BTreeMap<(Role, Name), Sender>,
    next_sweep: Time,
}

/// Why a message is not taken in.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotAdmitted {
    /// It was taken before, or is too old to know.
    #[error("message {sequence} of session {session} came again, or far too late")]
    Replayed {
        /// The sender's session.
        session: u64,
        /// The message's sequence.
        sequence: u64,
    },
    /// A newer one of its kind was taken, or a newer session of its sender speaks.
    #[error("message {sequence} of session {session} is older than what was heard since")]
    Older {
        /// The sender's session.
        session: u64,
        /// The message's sequence.
        sequence: u64,
    },
    /// Another node of the same role and name speaks as well.
    #[error(
        "two nodes are {} {name}: session {session} is not heard while session {goes_on} goes on; give one \
         of them another name",
        .role.as_str()
    )]
    Twin {
        /// The role of both.
        role: Role,
        /// The name of both.
        name: Name,
        /// Which is not heard.
        session: u64,
        /// Which is.
        goes_on: u64,
    },
    /// One sender more than the table is made for.
    #[error("{0} senders are heard already, and no more are")]
    TooMany(usize),
}

#[derive(Clone, Debug)]
struct Sender {
    current: Session,
    /// Since when the current session is heard.
    since: Time,
    heard_at: Time,
    /// Who says nothing for so long is silent.
    silence: Duration,
    /// Another session that spoke last, so that what it says again is told from what it says anew.
    beside: Option<Session>,
    ended: Ended,
}

/// Sessions that were heard before, so that nobody brings them back by saying again what they said.
#[derive(Clone, Debug, Default)]
struct Ended {
    /// The highest sequence of each.
    highest: BTreeMap<u64, u64>,
    /// No session up to this is heard again: whatever it says, it may have said before.
    forgotten: Option<u64>,
}

/// The messages of a session that were taken.
#[derive(Clone, Debug)]
struct Session {
    number: u64,
    highest: u64,
    /// Bit n: `highest - n` was taken.
    taken: u128,
    /// The highest of the kinds in which the newer replaces the older.
    state: Option<u64>,
    sights: Option<u64>,
    name_servers: Option<u64>,
}

impl Senders {
    /// A table that has heard nobody; `detection` as in `[control]`.
    #[must_use]
    pub const fn new(detection: Duration) -> Self {
        Self { detection, table: BTreeMap::new(), next_sweep: Time::ZERO }
    }

    /// Changes the detection time.
    pub const fn set_detection(&mut self, detection: Duration) {
        self.detection = detection;
    }

    /// Takes note of a message that came in now, and tells whether it is to be heard.
    ///
    /// # Errors
    /// Why not. Nothing is to be done with it then.
    pub fn admit(&mut self, envelope: &Envelope, now: Time) -> Result<(), NotAdmitted> {
        let Envelope { role, name, session, .. } = envelope;
        let key = (*role, name.clone());
        let silence = self.silence(envelope);
        let Some(sender) = self.table.get_mut(&key) else {
            self.make_room(now)?;
            let mut current = Session::new(envelope);
            current.take(envelope)?;
            let sender = Sender {
                current,
                since: now,
                heard_at: now,
                silence,
                beside: None,
                ended: Ended::default(),
            };
            self.table.insert(key, sender);
            return Ok(());
        };
        let is_silent = now.since(sender.heard_at) >= sender.silence;
        if *session > sender.current.number || (*session < sender.current.number && is_silent) {
            let mut next = sender
                .known(envelope)
                .ok_or(NotAdmitted::Older { session: *session, sequence: envelope.sequence })?;
            // What it said before and says again does not bring it back.
            next.take(envelope)?;
            let last = std::mem::replace(&mut sender.current, next);
            sender.ended.add(&last);
            sender.beside = Some(last);
            sender.since = now;
        } else if *session == sender.current.number {
            sender.current.take(envelope)?;
        } else {
            let is_settled = now.since(sender.since) >= sender.silence;
            return Err(sender.below(envelope, is_settled));
        }
        (sender.heard_at, sender.silence) = (now, silence);
        Ok(())
    }

    /// After how long without a further word its sender is silent.
    fn silence(&self, envelope: &Envelope) -> Duration {
        match &envelope.message {
            Message::Report(report) => self.detection.max(report.unit().min(UNIT_MAX) * UNITS),
            _ => self.detection,
        }
    }

    fn make_room(&mut self, now: Time) -> Result<(), NotAdmitted> {
        if self.table.len() >= SENDERS_MAX && now >= self.next_sweep {
            self.next_sweep = now + SWEEPS_APART;
            self.table.retain(|_, sender| now.since(sender.heard_at) < FORGOTTEN);
        }
        if self.table.len() >= SENDERS_MAX {
            return Err(NotAdmitted::TooMany(SENDERS_MAX));
        }
        Ok(())
    }
}

impl Sender {
    /// What is known of the session of a message; `None` if it ended too long ago to know.
    fn known(&self, envelope: &Envelope) -> Option<Session> {
        let session = envelope.session;
        let beside = self.beside.as_ref().filter(|beside| beside.number == session);
        match (beside, self.ended.highest.get(&session)) {
            (Some(beside), _) => Some(beside.clone()),
            (None, Some(highest)) => Some(Session::up_to(session, *highest)),
            (None, None) if self.ended.forgotten >= Some(session) => None,
            (None, None) => Some(Session::new(envelope)),
        }
    }

    /// Why a lower session is not heard.
    fn below(&mut self, envelope: &Envelope, is_settled: bool) -> NotAdmitted {
        let Envelope { session, sequence, .. } = envelope;
        let older = NotAdmitted::Older { session: *session, sequence: *sequence };
        let Some(mut beside) = self.known(envelope) else { return older };
        let is_new = beside.take(envelope);
        self.beside = Some(beside);
        match is_new {
            Err(reason) => reason,
            Ok(()) if is_settled => NotAdmitted::Twin {
                role: envelope.role,
                name: envelope.name.clone(),
                session: *session,
                goes_on: self.current.number,
            },
            Ok(()) => older,
        }
    }
}

impl Ended {
    fn add(&mut self, session: &Session) {
        self.highest.insert(session.number, session.highest);
        if self.highest.len() > ENDED_MAX {
            let lowest = self.highest.pop_first().map(|(number, _)| number);
            self.forgotten = self.forgotten.max(lowest);
        }
    }
}

impl Session {
    const fn new(envelope: &Envelope) -> Self {
        Self {
            number: envelope.session,
            highest: envelope.sequence,
            taken: 0,
            state: None,
            sights: None,
            name_servers: None,
        }
    }

    /// One of which all up to this sequence may have been taken.
    const fn up_to(number: u64, highest: u64) -> Self {
        let all = Some(highest);
        Self { number, highest, taken: u128::MAX, state: all, sights: all, name_servers: all }
    }

    fn take(&mut self, envelope: &Envelope) -> Result<(), NotAdmitted> {
        let Envelope { session, sequence, .. } = *envelope;
        let ahead = sequence.saturating_sub(self.highest);
        let behind = self.highest.saturating_sub(sequence);
        let bit = u32::try_from(behind).ok().filter(|behind| *behind < WINDOW);
        let is_taken = bit.is_none_or(|bit| self.taken & (1 << bit) != 0);
        if ahead == 0 && is_taken {
            return Err(NotAdmitted::Replayed { session, sequence });
        }
        let mut replaced = match envelope.message {
            Message::Hello(_) | Message::Presence(_) => Some(&mut self.state),
            Message::Sights(_) => Some(&mut self.sights),
            Message::NameServers(_) => Some(&mut self.name_servers),
            _ => None,
        };
        if replaced.as_ref().is_some_and(|last| last.is_some_and(|last| sequence <= last)) {
            return Err(NotAdmitted::Older { session, sequence });
        }
        if ahead > 0 {
            let shift = u32::try_from(ahead).unwrap_or(u32::MAX);
            self.taken = self.taken.checked_shl(shift).unwrap_or(0);
            self.highest = sequence;
        }
        self.taken |= 1 << bit.unwrap_or(0);
        if let Some(last) = &mut replaced {
            **last = Some(sequence);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::plan::PlanWanted;

    const DETECTION: Duration = Duration::from_secs(3);

    fn wanted(session: u64, sequence: u64) -> Envelope {
        let message = Message::PlanWanted(PlanWanted { held: None });
        let name = "berlin".parse().unwrap();
        Envelope { role: Role::Director, name, session, sequence, sent_unix_ms: 0, message }
    }

    fn hello(session: u64, sequence: u64) -> Envelope {
        let envelope = wanted(session, sequence);
        let message = Message::Hello(super::super::Hello {
            role: Role::Director,
            name: envelope.name.clone(),
            session,
            versions: vec![1],
            token: None,
            plan: None,
            refused: None,
            marks: None,
            program: String::new(),
        });
        Envelope { message, ..envelope }
    }

    /// What becomes of messages that come at these milliseconds.
    fn told(messages: &[(u64, Envelope)]) -> Vec<&'static str> {
        let mut senders = Senders::new(DETECTION);
        let admit = |(millis, envelope): &(u64, Envelope)| match senders
            .admit(envelope, Time::from_millis(*millis))
        {
            Ok(()) => "taken",
            Err(NotAdmitted::Replayed { .. }) => "replayed",
            Err(NotAdmitted::Older { .. }) => "older",
            Err(NotAdmitted::Twin { .. }) => "twin",
            Err(NotAdmitted::TooMany(_)) => "too many",
        };
        messages.iter().map(admit).collect()
    }

    #[test]
    fn each_message_is_taken_once() {
        for (messages, expected) in [
            (vec![(0, wanted(1, 1)), (1, wanted(1, 1))], vec!["taken", "replayed"]),
            (
                vec![(0, wanted(1, 3)), (1, wanted(1, 1)), (2, wanted(1, 2)), (3, wanted(1, 2))],
                vec!["taken", "taken", "taken", "replayed"],
            ),
            (
                vec![(0, wanted(1, 200)), (1, wanted(1, 73)), (2, wanted(1, 72))],
                vec!["taken", "taken", "replayed"],
            ),
            (
                vec![(0, hello(1, 3)), (1, hello(1, 1)), (2, wanted(1, 2)), (3, hello(1, 4))],
                vec!["taken", "older", "taken", "taken"],
            ),
            (
                vec![(0, wanted(1, u64::MAX)), (1, wanted(1, u64::MAX)), (2, wanted(1, 0))],
                vec!["taken", "replayed", "replayed"],
            ),
        ] {
            assert_eq!(told(&messages), expected, "{messages:?}");
        }
    }

    #[test]
    fn the_highest_session_that_speaks_is_heard() {
        for (messages, expected, why) in [
            (
                vec![
                    (0, wanted(1, 9)),
                    (10, wanted(2, 1)),
                    (20, wanted(1, 10)),
                    (30, wanted(2, 2)),
                ],
                vec!["taken", "taken", "older", "taken"],
                "a late message of the session before",
            ),
            (
                vec![(0, wanted(5, 9)), (2999, wanted(4, 1)), (3000, wanted(4, 2))],
                vec!["taken", "older", "taken"],
                "its clock was set back",
            ),
            (
                vec![
                    (0, wanted(5, 1)),
                    (4000, wanted(4, 1)),
                    (8000, wanted(5, 1)),
                    (9000, wanted(4, 2)),
                ],
                vec!["taken", "taken", "replayed", "taken"],
                "what the higher one said is said again",
            ),
            (
                vec![
                    (0, wanted(4, 1)),
                    (10, wanted(5, 1)),
                    (3000, wanted(4, 1)),
                    (3005, wanted(5, 2)),
                ],
                vec!["taken", "taken", "replayed", "taken"],
                "what the lower one said is said again",
            ),
        ] {
            assert_eq!(told(&messages), expected, "{why}");
        }
    }

    #[test]
    fn sessions_that_ended_are_not_brought_back_by_what_they_said() {
        // One more than are known by heart.
        let all: Vec<u64> = (1..=ENDED_MAX as u64 + 2).collect();
        let mut senders = Senders::new(DETECTION);
        let mut now = Time::ZERO;
        let mut say = |envelope: &Envelope| {
            now += DETECTION;
            senders.admit(envelope, now).is_ok()
        };
        assert!(all.iter().all(|session| say(&hello(*session, 5))));
        for _ in 0..3 {
            assert_eq!(all.iter().filter(|session| say(&hello(**session, 5))).count(), 0);
        }
        assert!(say(&hello(3, 6)), "it goes on, as one does that was cut off");
        assert!(!say(&hello(1, 6)), "too long ago to know what it said");
        assert!(say(&hello(u64::MAX, 1)));
        assert!(say(&hello(40, 1)), "never heard: a clock was set back");
    }

    #[test]
    fn two_nodes_of_one_name_are_told_apart_and_the_later_goes_on() {
        let mut messages = Vec::new();
        let mut expected = Vec::new();
        for second in 0..10 {
            messages.push((second * 1000, hello(7, second + 1)));
            expected.push(if second < 2 {
                "taken"
            } else if second < 5 {
                "older"
            } else {
                "twin"
            });
            if second >= 1 {
                messages.push((second * 1000 + 500, hello(8, second)));
                expected.push("taken");
            }
        }
        assert_eq!(told(&messages), expected);
        let mut senders = Senders::new(DETECTION);
        for (millis, envelope) in &messages[..messages.len() - 2] {
            let _ = senders.admit(envelope, Time::from_millis(*millis));
        }
        let (millis, last) = &messages[messages.len() - 2];
        assert_eq!(
            senders.admit(last, Time::from_millis(*millis)).unwrap_err().to_string(),
            "two nodes are director berlin: session 7 is not heard while session 8 goes on; give one of \
             them another name"
        );
    }

    #[test]
    fn two_reporters_of_one_name_are_told_apart_by_their_unit() {
        let report = |session, sequence, unit_ms| {
            let text = format!(
                r#"{{"walrus":1,"kind":"report","server":"fra1","session":{session},"sequence":{sequence},
                    "unit_ms":{unit_ms},"sent_unix_ms":0,"body":{{"say":"bypass","reason":"x"}}}}"#
            );
            let message = super::super::decode(text.as_bytes()).unwrap();
            let name = "fra1".parse().unwrap();
            Envelope { role: Role::Reporter, name, session, sequence, sent_unix_ms: 0, message }
        };
        // Each 8 s one of each, half a unit apart; with a unit of 1 s the higher one counts as gone.
        for (unit_ms, expected) in [(8000, "twin"), (1000, "taken")] {
            let both = |n: u64| {
                [(n * 8000, report(2, n, unit_ms)), (n * 8000 + 4000, report(1, n, unit_ms))]
            };
            let messages: Vec<_> = (1..6).flat_map(both).collect();
            assert_eq!(told(&messages).last(), Some(&expected), "{unit_ms}");
        }
    }

    #[test]
    fn the_table_is_bounded_and_forgets_the_silent() {
        let mut senders = Senders::new(DETECTION);
        let nth =
            |index: usize| Envelope { name: format!("n{index}").parse().unwrap(), ..wanted(1, 1) };
        for index in 0..SENDERS_MAX {
            assert_eq!(senders.admit(&nth(index), Time::ZERO), Ok(()));
        }
        let one_more = nth(SENDERS_MAX);
        let full = Err(NotAdmitted::TooMany(SENDERS_MAX));
        assert_eq!(senders.admit(&one_more, Time::from_secs(11)), full);
        assert_eq!(senders.admit(&one_more, Time::from_secs(3700)), Ok(()));
        assert_eq!(senders.table.len(), 1);
    }

    proptest! {
        /// In whatever order and however often they come: each is taken at most once.
        #[test]
        fn nothing_is_taken_twice(
            messages in prop::collection::vec((0..5_u64, 0..300_u64, any::<bool>(), 0..2000_u64), 0..200),
        ) {
            let mut senders = Senders::new(DETECTION);
            let mut now = Time::ZERO;
            let mut taken = std::collections::BTreeSet::new();
            for (session, sequence, is_hello, millis) in messages {
                now += Duration::from_millis(millis);
                let envelope = if is_hello { hello(session, sequence) } else { wanted(session, sequence) };
                if senders.admit(&envelope, now).is_ok() {
                    prop_assert!(taken.insert((session, sequence)), "{session} {sequence}");
                }
            }
        }
    }
}

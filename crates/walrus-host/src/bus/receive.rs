//! What comes in: who says it is checked before what is said.

use std::time::Duration;

use walrus_core::message::{
    DecodeError, Envelope, Message, NotAdmitted, Senders, VERSION, decode_envelope,
};
use walrus_core::world::Time;

use super::Shared;
use super::subject::Subject;
use super::unbelieved::Reason;
use crate::frame::PLAN_FRAME_MAX;
use crate::log::{Limited, chain, shortened};

/// Of a second node of one name the log tells no more often than this.
const TOLD_EVERY: Duration = Duration::from_secs(10);
/// What a process said may come in for so long after its end.
const LAST_WORDS: Duration = Duration::from_secs(3);

/// Checks messages and remembers who was heard.
pub(super) struct Receiver {
    senders: Senders,
    /// A session of somebody who goes by a name of this process, and since when it speaks.
    namesake: Option<(u64, Time)>,
    twins: Limited,
}

/// Why a message is not taken in.
enum Refusal {
    Unbelieved(Reason, String),
    UnknownKind(String),
    Twin(String),
    /// What the process before this one of the same name said last.
    LastWords,
    /// What this process said itself, come back on another way.
    Own,
}

impl Receiver {
    /// `detection` as in `[control]`.
    pub(super) fn new(detection: Duration) -> Self {
        let twins = Limited::new(TOLD_EVERY);
        Self { senders: Senders::new(detection), namesake: None, twins }
    }

    /// The message, if it can be believed; what cannot is counted, and told now and then.
    pub(super) fn take(
        &mut self,
        shared: &Shared,
        subject: &str,
        payload: &[u8],
    ) -> Option<Envelope> {
        let refusal = match self.check(shared, subject, payload) {
            Ok(envelope) => return Some(envelope),
            Err(refusal) => refusal,
        };
        let now = shared.clock.now();
        let mut state = shared.state();
        let counters = &mut state.counters;
        let text = match refusal {
            Refusal::Own => return None,
            Refusal::UnknownKind(kind) => {
                counters.unknown_kinds += 1;
                let kind = shortened(&kind);
                tracing::debug!(subject, kind, "a kind of message that is not known here");
                return None;
            }
            Refusal::LastWords => {
                counters.replayed += 1;
                return None;
            }
            Refusal::Unbelieved(reason, text) => {
                *match reason {
                    Reason::Forged => &mut counters.forged,
                    Reason::Replayed => &mut counters.replayed,
                    Reason::Garbage | Reason::Version => &mut counters.garbage,
                } += 1;
                // A reader's errors hold what it read, up to the whole message.
                let text = shortened(&text);
                // Whom the subject names has leave to publish on it, or nobody is asked for leave.
                let said = Subject::parse(subject, &shared.settings.prefix);
                let sender = said.map_or_else(
                    || "nobody known".to_owned(),
                    |said| format!("{} {}", said.role.as_str(), said.name),
                );
                if let Some(left_out) = state.unbelieved.note((reason, &sender), &text, now) {
                    drop(state);
                    tell(&sender, subject, left_out, &text);
                }
                return None;
            }
            Refusal::Twin(text) => {
                state.twin(now, text.clone());
                text
            }
        };
        drop(state);
        if let Some(left_out) = self.twins.pass() {
            tell("two of one name", subject, left_out, &text);
        }
        None
    }

    fn check(
        &mut self,
        shared: &Shared,
        subject: &str,
        payload: &[u8],
    ) -> Result<Envelope, Refusal> {
        let said = Subject::parse(subject, &shared.settings.prefix).ok_or_else(|| {
            Refusal::Unbelieved(Reason::Garbage, "its subject is none of Walrus".to_owned())
        })?;
        if payload.len() > PLAN_FRAME_MAX {
            let text = "it is longer than any message".to_owned();
            return Err(Refusal::Unbelieved(Reason::Garbage, text));
        }
        let envelope = decode_envelope(payload).map_err(|error| match error {
            DecodeError::UnknownKind(kind) => Refusal::UnknownKind(kind),
            DecodeError::Version(Some(version)) => {
                Refusal::Unbelieved(Reason::Version, other_version(version))
            }
            error => Refusal::Unbelieved(Reason::Garbage, chain(&error)),
        })?;
        check_sender(&said, &envelope).map_err(|text| Refusal::Unbelieved(Reason::Forged, text))?;
        let is_own =
            |voice: &&super::Voice| voice.role == envelope.role && voice.name == envelope.name;
        let own = shared.voices.iter().find(is_own);
        if own.is_some_and(|voice| voice.session == envelope.session) {
            return Err(Refusal::Own);
        }
        let now = shared.clock.now();
        self.senders.set_detection(*shared.detection.borrow());
        self.senders.admit(&envelope, now).map_err(|reason| match reason {
            NotAdmitted::Twin { .. } => Refusal::Twin(reason.to_string()),
            NotAdmitted::TooMany(_) => Refusal::Unbelieved(Reason::Garbage, reason.to_string()),
            NotAdmitted::Replayed { .. } | NotAdmitted::Older { .. } => {
                Refusal::Unbelieved(Reason::Replayed, reason.to_string())
            }
        })?;
        if own.is_none() {
            return Ok(envelope);
        }
        let refusal = self.namesake(&envelope, now);
        // Which of two Controllers of one name goes on is for these to decide.
        match (&refusal, &envelope.message) {
            (Refusal::Twin(text), Message::Presence(_)) => {
                shared.state().twin(now, text.clone());
                Ok(envelope)
            }
            _ => Err(refusal),
        }
    }

    /// Somebody new goes by a name of this process. The last words of the process before this one are no
    /// reason to warn anybody; who speaks on is another node.
    fn namesake(&mut self, envelope: &Envelope, now: Time) -> Refusal {
        let Envelope { role, name, session, .. } = envelope;
        let known = self.namesake.filter(|known| known.0 == *session);
        let (_, since) = *self.namesake.insert(known.unwrap_or((*session, now)));
        if now.since(since) < LAST_WORDS {
            return Refusal::LastWords;
        }
        Refusal::Twin(format!(
            "another node says that it is {} {name}: give each its own name (`name` of [node], \
             `server` of [reporter]) and its own user",
            role.as_str()
        ))
    }
}

fn tell(sender: &str, subject: &str, left_out: u64, text: &str) {
    // Whoever may publish chooses the subject.
    let subject = subject.escape_debug().to_string();
    tracing::warn!(sender, subject, left_out, "a message was not believed: {text}");
}

/// What to say of a message whose version is not read here.
fn other_version(version: u64) -> String {
    let read = match VERSION {
        1 => "1 and 2".to_owned(),
        own => format!("{} to {}", own - 1, own + 1),
    };
    let outdated = if version > u64::from(VERSION) { "this node" } else { "the other" };
    format!(
        "it speaks version {version} of the messages, and this node reads {read}: update {outdated}"
    )
}

/// The subject, which the NATS server checked against the user's permissions, must say the same as the
/// envelope, and its sender may say this kind of thing.
fn check_sender(said: &Subject, envelope: &Envelope) -> Result<(), String> {
    let Envelope { role, name, message, .. } = envelope;
    if (said.role, &said.name) != (*role, name) {
        return Err(format!(
            "it says to be from {} {name}, and came on the subject of another",
            role.as_str()
        ));
    }
    if said.kind != message.kind() {
        return Err(format!("it is a `{}` on the subject of a `{}`", message.kind(), said.kind));
    }
    envelope.check()
}

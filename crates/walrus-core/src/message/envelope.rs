//! A message on a bus where many speak: who speaks, and where the message stands among all of its.
//!
//! `{"walrus":1,"from":{"role":"controller","name":"berlin","session":7,"sequence":9},"kind":...}`. Order and
//! replay are told by (session, sequence): a sender takes a higher session each time it starts (its clock
//! names it, but no clock is compared: [`super::Senders`]), and a higher sequence for each message.

use serde::{Deserialize, Serialize};

use super::{DecodeError, Message, Role, VERSION, message_of};
use crate::world::Name;

/// A message with its sender.
#[derive(Clone, Debug, PartialEq)]
pub struct Envelope {
    /// What the sender does.
    pub role: Role,
    /// The server's name for a Reporter, the node's for others.
    pub name: Name,
    /// Rises with each start of the sender.
    pub session: u64,
    /// Rises with each message of the session.
    pub sequence: u64,
    /// The sender's clock when it spoke, in milliseconds since 1970; 0 if it does not say. Decides nothing: it is for
    /// people whose clocks differ.
    pub sent_unix_ms: u64,
    /// What it says.
    pub message: Message,
}

#[derive(Serialize, Deserialize)]
struct From {
    role: Role,
    name: Name,
    session: u64,
    sequence: u64,
    #[serde(default, rename = "sent", skip_serializing_if = "is_unsaid")]
    sent_unix_ms: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
const fn is_unsaid(sent_unix_ms: &u64) -> bool {
    *sent_unix_ms == 0
}

#[derive(Serialize)]
struct Sealed<'a> {
    walrus: u32,
    from: From,
    #[serde(flatten)]
    message: &'a Message,
}

/// A message with its sender as one JSON object.
#[must_use]
pub fn encode_envelope(envelope: &Envelope) -> Vec<u8> {
    let Envelope { role, name, session, sequence, sent_unix_ms, message } = envelope;
    let from = From {
        role: *role,
        name: name.clone(),
        session: *session,
        sequence: *sequence,
        sent_unix_ms: *sent_unix_ms,
    };
    serde_json::to_vec(&Sealed { walrus: VERSION, from, message })
        .unwrap_or_else(|_| unreachable!("messages have string keys and finite numbers"))
}

/// The message and its sender in these bytes.
///
/// # Errors
/// If they are no JSON object, of a version or kind that is not known, or lack a field.
pub fn decode_envelope(bytes: &[u8]) -> Result<Envelope, DecodeError> {
    let mut value: serde_json::Value = serde_json::from_slice(bytes)?;
    let from = value.get_mut("from").map(serde_json::Value::take).unwrap_or_default();
    let message = message_of(value)?;
    let From { role, name, session, sequence, sent_unix_ms } = serde_json::from_value(from)?;
    Ok(Envelope { role, name, session, sequence, sent_unix_ms, message })
}

#[cfg(test)]
mod tests {
    use super::super::{Heard, KeptNameServer, KeptNameServers, Presence, SeenDown, Sights};
    use super::*;
    use crate::plan::{PlanNumber, PlanPart, PlanWanted};
    use crate::world::{Digest, Override, OverrideState, Target};

    fn all() -> Vec<Message> {
        let name: Name = "zurich".parse().unwrap();
        let number = PlanNumber { epoch: 3, controller: name.clone(), sequence: 4 };
        let number_held = number.clone();
        let heard =
            Heard { name: name.clone(), session: Some(4), joined: 2, hears: true, mute: true };
        let heard = vec![heard];
        let digest = Digest::of([&b"x"[..]]);
        let (state, id) = (OverrideState::Drained, name.clone());
        let drained =
            Override { state, revision: 5, id, set_unix_ms: 6, by: None, after: Vec::new() };
        vec![
            Message::Presence(Presence {
                joined: 1,
                hears: false,
                plan: Some(number.clone()),
                marks: Some(number.clone()),
                mute: true,
                leaving: true,
                heard,
                overrides: digest.clone(),
                program: "1.0".to_owned(),
            }),
            Message::PlanWanted(PlanWanted { held: Some(number.clone()) }),
            Message::PlanPart(PlanPart {
                number: number.clone(),
                base: Some(number),
                part: 0,
                parts: 1,
                digest,
                text: "{\"a\": \"ä\\n\"}".to_owned(),
            }),
            Message::Overrides { entries: vec![(Target::Server(name.clone()), drained)] },
            Message::Sights(Sights::default()),
            Message::Sights(Sights {
                up: vec![name.clone()],
                up_targets: vec![7],
                unseen: vec![name.clone()],
                down: vec![SeenDown {
                    server: name.clone(),
                    reason: "refused".to_owned(),
                    unseen_ms: 9,
                    target: Some(u16::MAX),
                }],
            }),
            Message::NameServers(KeptNameServers {
                answers_nothing: true,
                name_servers: vec![KeptNameServer {
                    name: name.clone(),
                    area: name,
                    address: "192.0.2.53:53".to_owned(),
                    zone: "europe.lb.example.com".to_owned(),
                    services: vec!["www.example.com".to_owned()],
                    ttl_seconds: Some(20),
                    plan: Some(number_held),
                    problem: Some("refused: BADSIG".to_owned()),
                }],
            }),
        ]
    }

    #[test]
    fn there_and_back() {
        for (sequence, message) in (1..).zip(all()) {
            let name = "berlin".parse().unwrap();
            let role = Role::Controller;
            let envelope =
                Envelope { role, name, session: u64::MAX, sequence, sent_unix_ms: 9, message };
            let bytes = encode_envelope(&envelope);
            let text = String::from_utf8(bytes.clone()).unwrap();
            let start = format!(
                "{{\"walrus\":1,\"from\":{{\"role\":\"controller\",\"name\":\"berlin\",\"session\":\
                 18446744073709551615,\"sequence\":{sequence},\"sent\":9}},\"kind\":\"{}\"",
                envelope.message.kind()
            );
            assert!(text.starts_with(&start), "{text}");
            assert_eq!(decode_envelope(&bytes).unwrap(), envelope);
            // Over TCP, where the connection says who speaks, it is understood as well.
            assert_eq!(super::super::decode(&bytes).unwrap(), envelope.message);
        }
    }

    #[test]
    fn a_part_of_a_plan_stays_below_the_limit() {
        let name: Name = "c".repeat(63).parse().unwrap();
        let number = |sequence| PlanNumber { epoch: u64::MAX, controller: name.clone(), sequence };
        // What takes most room as JSON: text in quotes, and bytes that have no sign of their own.
        let digests = crate::plan::Digests::default();
        let (servers, lists, services) = (Vec::new(), Vec::new(), Vec::new());
        let plan =
            crate::plan::Plan { format: 1, number: number(1), digests, servers, lists, services };
        let server = crate::plan::PlannedServer {
            name: name.clone(),
            cluster: name.clone(),
            addresses: Vec::new(),
            life: crate::world::Life::Dead,
            load: None,
            backlog: None,
            capacity: None,
            reason: "\u{1}\"\\ä€😀".repeat(200),
        };
        let later = crate::plan::Plan { number: number(2), servers: vec![server], ..plan.clone() };
        let (plan, later) = (std::sync::Arc::new(plan), std::sync::Arc::new(later));
        let mut sender = crate::plan::PlanSender::default();
        for bytes_max in [0, 1200, 1500, 4096, 1 << 20] {
            let whole = sender.whole(&later, bytes_max);
            let parts = sender.parts(&later, Some(&plan), bytes_max).into_iter().chain(whole);
            for part in parts {
                let (role, session, sequence) = (Role::Controller, u64::MAX, u64::MAX);
                let (name, message) = (name.clone(), Message::PlanPart(part));
                let envelope = Envelope { role, name, session, sequence, sent_unix_ms: 0, message };
                let len = encode_envelope(&envelope).len();
                assert!(len <= bytes_max.max(1200), "{len} of {bytes_max}");
            }
        }
    }

    #[test]
    fn what_neighbouring_versions_do_not_say_is_not_missed() {
        let from =
            r#""from":{"role":"controller","name":"a","session":1,"sequence":1,"mood":"good"}"#;
        let decode = |rest: &str| decode_envelope(format!("{{{rest}}}").as_bytes());
        let next =
            format!(r#""walrus":2,{from},"kind":"presence","joined":3,"hears":true,"new":1"#);
        let Message::Presence(presence) = decode(&next).unwrap().message else { panic!("kind") };
        assert_eq!((presence.joined, presence.heard.len(), presence.plan), (3, 0, None));
        let kind = format!(r#""walrus":2,{from},"kind":"sing""#);
        assert!(matches!(decode(&kind), Err(DecodeError::UnknownKind(_))));
        let far = format!(r#""walrus":3,{from},"kind":"taken","session":1,"sequence":1"#);
        assert!(matches!(decode(&far), Err(DecodeError::Version(Some(3)))));
        let nobody = r#""walrus":1,"kind":"taken","session":1,"sequence":1"#;
        assert!(matches!(decode(nobody), Err(DecodeError::Malformed(_))));
        let shouted = format!("{nobody},{}", from.replace("\"a\"", "\"A\""));
        assert!(matches!(decode(&shouted), Err(DecodeError::Malformed(_))), "no name");
        for text in ["", "[]", "7", "null", "\"walrus\"", "{\"walrus\":1,\"from\":[]}"] {
            assert!(decode_envelope(text.as_bytes()).is_err(), "{text}");
        }
    }
}

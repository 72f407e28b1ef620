//! What the roles say to each other, with a version and a kind from the first day.
//!
//! On the wire a message is one JSON object `{"walrus": 1, "kind": "...", ...}`; over a bus, where many
//! speak, with who speaks beside it ([`Envelope`]). Framing is the carrier's business.
//!
//! **Versions.** A version only adds: kinds, and fields that may be left out. So a program reads its own
//! version and both neighbours ([`is_read`]), as far as it knows them: fields that it does not know are
//! skipped, kinds that it does not know are counted ([`DecodeError::UnknownKind`]) and otherwise ignored.
//! Nodes can then be upgraded one after the other, as long as no two of them are two versions apart.

mod admission;
mod envelope;
mod may_say;
mod name_servers;
mod presence;
mod senders;
mod sights;

use serde::{Deserialize, Serialize};

use crate::dnssec::rollover::{KeysHeld, ZoneKeyState};
use crate::plan::{Plan, PlanNumber, PlanPart, PlanWanted};
use crate::world::{Name, Observation, Override, Report, Target};

pub use admission::{
    Admission, CERTIFICATE_URI, CertificateNames, Claim, Identity, NotAllowed, Proof, Proved,
    SameToken,
};
pub use envelope::{Envelope, decode_envelope, encode_envelope};
pub use name_servers::{
    KeptNameServer, KeptNameServers, NAME_SERVER_SERVICES_MAX, NAME_SERVERS_MAX,
};
pub use presence::{HEARD_MAX, Heard, Presence};
pub use senders::{NotAdmitted, Senders};
pub use sights::{SIGHT_REASON_MAX, SIGHTS_MAX, SeenDown, Sights};

/// The message version that this program speaks.
pub const VERSION: u32 = 1;

/// Overrides in one message: some 100 bytes each, and some 500 if all names are as long as names may be.
pub const OVERRIDES_BATCH_MAX: usize = 500;

/// Zones in one message about keys: each may take some 10 kB.
pub const KEY_ZONES_MAX: usize = 4;

/// One message.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Message {
    /// The first message of a connection, both ways.
    Hello(Hello),
    /// The answer to a hello or a report that is refused; the connection ends.
    Refused {
        /// What is wrong and what to do, for people.
        reason: String,
    },
    /// A Reporter's report.
    Report(Report),
    /// The highest report sequence taken in; lets a Reporter know that it is heard.
    Taken {
        /// The report's session.
        session: u64,
        /// Its sequence.
        sequence: u64,
    },
    /// A Director's observation.
    Observation(Observation),
    /// A Controller's Plan.
    Plan(Box<Plan>),
    /// An operator's override.
    Override {
        /// What it is about.
        target: Target,
        /// What is wanted.
        entry: Override,
    },
    /// What the signer says of zones' keys: public parts and times.
    Keys {
        /// At most [`KEY_ZONES_MAX`].
        zones: Vec<ZoneKeyState>,
    },
    /// What another node holds and serves of zones' keys; answered by [`Message::Keys`] of the same
    /// zones.
    KeysHeld {
        /// At most [`KEY_ZONES_MAX`].
        zones: Vec<KeysHeld>,
    },
    /// A Controller is there, and this is whom it hears.
    Presence(Presence),
    /// Somebody lacks the newest Plan.
    PlanWanted(PlanWanted),
    /// A part of a Plan, or of a difference between two.
    PlanPart(PlanPart),
    /// Overrides of a Controller: one that changed, or all that it has, in several messages.
    Overrides {
        /// At most [`OVERRIDES_BATCH_MAX`].
        entries: Vec<(Target, Override)>,
    },
    /// A node tells how it sees servers.
    Sights(Sights),
    /// A node tells of the name servers that it keeps up to date.
    NameServers(KeptNameServers),
}

/// All kinds, as they are serialised.
const KINDS: [&str; 15] = [
    "hello",
    "refused",
    "report",
    "taken",
    "observation",
    "plan",
    "override",
    "keys",
    "keys_held",
    "presence",
    "plan_wanted",
    "plan_part",
    "overrides",
    "sights",
    "name_servers",
];

impl Message {
    /// Its kind as it is serialised, for subjects and counters.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Hello(_) => "hello",
            Self::Refused { .. } => "refused",
            Self::Report(_) => "report",
            Self::Taken { .. } => "taken",
            Self::Observation(_) => "observation",
            Self::Plan(_) => "plan",
            Self::Override { .. } => "override",
            Self::Keys { .. } => "keys",
            Self::KeysHeld { .. } => "keys_held",
            Self::Presence(_) => "presence",
            Self::PlanWanted(_) => "plan_wanted",
            Self::PlanPart(_) => "plan_part",
            Self::Overrides { .. } => "overrides",
            Self::Sights(_) => "sights",
            Self::NameServers(_) => "name_servers",
        }
    }
}

/// Who is there.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Hello {
    /// What it does.
    pub role: Role,
    /// The server's name for a Reporter, the node's for others.
    pub name: Name,
    /// As in the messages that follow.
    pub session: u64,
    /// Message versions that it understands.
    pub versions: Vec<u32>,
    /// Proof of who it is, to be checked by the carrier; never logged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
    /// The number of the Plan that it answers from (Directors).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<PlanNumber>,
    /// The Plan that came and that it does not carry out, if there is one (Directors). Older programs name its number in
    /// `plan`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused: Option<RefusedPlan>,
    /// The highest number that it saw in the marks of name servers that it keeps up to date.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub marks: Option<PlanNumber>,
    /// The program's version, for people.
    #[serde(default)]
    pub program: String,
}

/// A Plan that a Director does not carry out: it answers from the one before.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefusedPlan {
    /// Which.
    pub number: PlanNumber,
    /// Why, for people.
    pub reason: String,
}

/// What a node does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Tells how a web server fares.
    Reporter,
    /// Decides.
    Controller,
    /// Carries decisions out.
    Director,
}

impl Role {
    /// In a word, as it is serialised.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Reporter => "reporter",
            Self::Controller => "controller",
            Self::Director => "director",
        }
    }
}

#[derive(Serialize)]
struct Framed<'a> {
    walrus: u32,
    #[serde(flatten)]
    message: &'a Message,
}

/// A message as one JSON object.
#[must_use]
pub fn encode(message: &Message) -> Vec<u8> {
    serde_json::to_vec(&Framed { walrus: VERSION, message })
        .unwrap_or_else(|_| unreachable!("messages have string keys and finite numbers"))
}

/// The message in these bytes.
///
/// # Errors
/// If they are no JSON object, of a version or kind that is not known, or lack a field.
pub fn decode(bytes: &[u8]) -> Result<Message, DecodeError> {
    message_of(serde_json::from_slice(bytes)?)
}

/// Whether messages of this version are read here.
#[must_use]
pub const fn is_read(version: u64) -> bool {
    version != 0 && version.abs_diff(VERSION as u64) <= 1
}

fn message_of(value: serde_json::Value) -> Result<Message, DecodeError> {
    let version = value.get("walrus").and_then(serde_json::Value::as_u64);
    if !version.is_some_and(is_read) {
        return Err(DecodeError::Version(version));
    }
    let kind = value.get("kind").and_then(|kind| kind.as_str()).unwrap_or_default();
    if !KINDS.contains(&kind) {
        return Err(DecodeError::UnknownKind(kind.chars().take(40).collect()));
    }
    Ok(serde_json::from_value(value)?)
}

/// Why bytes are no message.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// Another version, or none.
    #[error("{} (this program speaks version {VERSION})", version_problem(*.0))]
    Version(Option<u64>),
    /// A kind from the future: to be counted and skipped.
    #[error("message kind `{0}` is not known here")]
    UnknownKind(String),
    /// No JSON, or a field is missing or of another type.
    #[error("not a message")]
    Malformed(#[from] serde_json::Error),
}

fn version_problem(version: Option<u64>) -> String {
    match version {
        Some(version) => format!("message version {version} is not understood here"),
        None => "this is no message of Walrus: it has no version".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dnssec::{DnsKey, FLAG_SEP, FLAG_ZONE};
    use crate::world::Algorithm;

    #[test]
    fn there_and_back() {
        let message = Message::Taken { session: 7, sequence: 9 };
        assert_eq!(decode(&encode(&message)).unwrap(), message);
    }

    #[test]
    fn keys_travel_without_their_private_halves() {
        let zone: walrus_dns::DomainName = "example.com".parse().unwrap();
        let public = [7; 64];
        let key = DnsKey::new(FLAG_ZONE | FLAG_SEP, Algorithm::EcdsaP256Sha256, &public).unwrap();
        let held = KeysHeld { zone: zone.clone(), held: [key].into(), generation: 3 };
        let message = Message::KeysHeld { zones: vec![held] };
        let bytes = encode(&message);
        let text = String::from_utf8(bytes.clone()).unwrap();
        let start = "{\"walrus\":1,\"kind\":\"keys_held\",\"zones\":[{\"zone\":\"example.com\",\"held\":[\"\
                     0101030d0707";
        assert!(text.starts_with(start), "{text}");
        assert_eq!(decode(&bytes).unwrap(), message);
        let message = Message::Keys { zones: vec![ZoneKeyState::empty(zone)] };
        assert_eq!(decode(&encode(&message)).unwrap(), message);
        // Of keys from the future nothing is known; that is no reason to hear nothing.
        let newer = text.replace("0101030d", "01010363").into_bytes();
        let Message::KeysHeld { zones } = decode(&newer).unwrap() else { panic!("another kind") };
        assert!(zones[0].held.is_empty());
        let many = text.replace("\"held\":[", &format!("\"held\":[{}", "\"00\",".repeat(40)));
        assert!(matches!(decode(many.as_bytes()), Err(DecodeError::Malformed(_))));
    }

    #[test]
    fn unknown_fields_are_skipped_and_unknown_kinds_named() {
        let taken = br#"{"walrus":1,"kind":"taken","session":7,"sequence":9,"mood":"good"}"#;
        assert!(decode(taken).is_ok());
        let sing = br#"{"walrus":1,"kind":"sing"}"#;
        assert!(matches!(decode(sing), Err(DecodeError::UnknownKind(kind)) if kind == "sing"));
        let two = br#"{"walrus":2,"kind":"taken","session":7,"sequence":9}"#;
        assert!(decode(two).is_ok(), "the neighbouring version");
        let three = br#"{"walrus":3,"kind":"taken","session":7,"sequence":9}"#;
        let three = decode(three).unwrap_err();
        assert!(matches!(three, DecodeError::Version(Some(3))));
        assert_eq!(
            three.to_string(),
            "message version 3 is not understood here (this program speaks version 1)"
        );
        let zero = br#"{"walrus":0,"kind":"taken","session":7,"sequence":9}"#;
        assert!(matches!(decode(zero), Err(DecodeError::Version(Some(0)))));
        let none = decode(b"{}").unwrap_err().to_string();
        assert!(none.starts_with("this is no message of Walrus"), "{none}");
        assert!(matches!(decode(b"{\"walrus\":1,"), Err(DecodeError::Malformed(_))));
    }
}

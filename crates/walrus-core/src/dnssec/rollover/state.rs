//! What is known of a zone's keys, in the form that is stored and told to other nodes. No secrets.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use walrus_dns::DomainName;

use super::super::{DnsKey, ZoneKeys};
use super::KEYS_MAX;

/// What a key is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KeyRole {
    /// Signs everything; the parent's DS names it.
    Csk,
    /// Signs the DNSKEY set; the parent's DS names it.
    Ksk,
    /// Signs everything but the DNSKEY set.
    Zsk,
}

impl KeyRole {
    /// Whether the parent's DS names it.
    #[must_use]
    pub const fn is_entry_point(self) -> bool {
        matches!(self, Self::Csk | Self::Ksk)
    }

    /// Whether it signs the zone's records.
    #[must_use]
    pub const fn signs_zone(self) -> bool {
        matches!(self, Self::Csk | Self::Zsk)
    }
}

impl fmt::Display for KeyRole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Csk => "csk",
            Self::Ksk => "ksk",
            Self::Zsk => "zsk",
        })
    }
}

/// Whether something of a key is served. Times are seconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "snake_case")]
pub enum Presence {
    /// By no node, since then; 0 if never by any.
    Absent {
        /// Since when.
        since: u64,
    },
    /// By those nodes that serve this generation.
    Coming {
        /// The first generation with it.
        generation: u64,
    },
    /// By all nodes, since then.
    Present {
        /// Since when.
        since: u64,
    },
    /// By those nodes that do not serve this generation yet.
    Going {
        /// The first generation without it.
        generation: u64,
    },
}

impl Presence {
    /// Whether it is to be served.
    #[must_use]
    pub const fn is_served(self) -> bool {
        matches!(self, Self::Coming { .. } | Self::Present { .. })
    }

    /// Since when it is so, if it is settled.
    #[must_use]
    pub const fn since(self) -> Option<u64> {
        match self {
            Self::Absent { since } | Self::Present { since } => Some(since),
            Self::Coming { .. } | Self::Going { .. } => None,
        }
    }
}

/// Whether the parent shows a key's DS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "snake_case")]
pub enum AtParent {
    /// The parent was not asked yet.
    Unknown,
    /// No server of the parent does, as seen first then.
    Absent {
        /// Since when.
        since: u64,
    },
    /// Some of its servers do.
    Some,
    /// All do, as seen first then.
    Present {
        /// Since when.
        since: u64,
    },
}

impl AtParent {
    pub(super) fn see(&mut self, now: u64, all: bool, any: bool) {
        *self = match (*self, all, any) {
            (Self::Present { .. }, true, _) | (Self::Absent { .. }, _, false) => return,
            (_, true, _) => Self::Present { since: now },
            (_, _, true) => Self::Some,
            (_, _, false) => Self::Absent { since: now },
        };
    }
}

/// One key and where each thing of it stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyEntry {
    /// The public key: the data of its DNSKEY record in hexadecimal digits.
    #[serde(with = "key_text")]
    pub key: DnsKey,
    /// What it is for.
    pub role: KeyRole,
    /// When it was made or taken in.
    pub made: u64,
    /// Since when it is on its way out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retired: Option<u64>,
    /// Its DNSKEY record, and its signature over the DNSKEY set.
    pub dnskey: Presence,
    /// Its signatures over the zone.
    pub signatures: Presence,
    /// Its DS.
    pub ds: AtParent,
    /// CDS and CDNSKEY records that name it.
    pub cds: Presence,
}

impl KeyEntry {
    pub(super) const fn new(key: DnsKey, role: KeyRole, now: u64) -> Self {
        Self {
            key,
            role,
            made: now,
            retired: None,
            dnskey: Presence::Absent { since: 0 },
            signatures: Presence::Absent { since: 0 },
            ds: AtParent::Unknown,
            cds: Presence::Absent { since: 0 },
        }
    }
}

/// The longest TTL that caches may still count on, in seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LongestTtl {
    /// In seconds.
    pub ttl: u32,
    /// Until when it counts although shorter ones are served now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<u64>,
    /// The longest of those, which counts next.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub then: Option<u32>,
}

impl LongestTtl {
    /// What is served from now on.
    pub(super) fn note(&mut self, now: u64, ttl: u32) {
        if self.until.is_some_and(|until| now >= until) {
            // What was served a moment ago may have had the next one.
            *self = Self { ttl: self.then.unwrap_or(ttl), ..Self::default() };
        }
        if ttl >= self.ttl {
            *self = Self { ttl, ..Self::default() };
        } else {
            self.until.get_or_insert(now + u64::from(self.ttl));
            self.then = Some(self.then.map_or(ttl, |then| then.max(ttl)));
        }
    }
}

/// Everything about a zone's keys that must survive a restart.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ZoneKeyState {
    /// The zone.
    #[serde(with = "name_text")]
    pub zone: DomainName,
    /// Rises whenever keys begin or cease to do something: what nodes acknowledge.
    pub generation: u64,
    /// Rises with every change of what keys do.
    #[serde(default)]
    pub revision: u64,
    /// When what CDS and CDNSKEY name changed last; 0 if that is not known.
    #[serde(default)]
    pub wanted_since: u64,
    /// All keys, in the order in which they were taken in.
    pub keys: Vec<KeyEntry>,
    /// Of the zone's records.
    pub zone_ttl: LongestTtl,
    /// Of its DNSKEY set.
    pub dnskey_ttl: LongestTtl,
    /// Of its DS set at the parent.
    pub ds_ttl: LongestTtl,
    /// When the parent was asked last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent_seen: Option<u64>,
    /// DS records there, seen then.
    #[serde(default)]
    pub ds_at_parent: usize,
    /// Those among them that name none of the keys.
    #[serde(default)]
    pub ds_foreign: usize,
    /// The latest time that this state knows of.
    #[serde(default)]
    pub last: u64,
}

/// Why a stored state is not used.
#[derive(Debug, thiserror::Error)]
pub enum StateFileError {
    /// Of a later version.
    #[error("it is of version {0}, which this program does not know: use the newer one again")]
    Version(u64),
    /// Damaged.
    #[error("it is damaged")]
    Damaged(#[from] serde_json::Error),
    /// Too many keys.
    #[error("it names {0} keys; {KEYS_MAX} are the most")]
    Many(usize),
}

#[derive(Serialize)]
struct FileOut<'a> {
    walrus: u64,
    kind: &'static str,
    #[serde(flatten)]
    state: &'a ZoneKeyState,
}

const FILE_VERSION: u64 = 1;

impl ZoneKeyState {
    /// A zone without keys.
    #[must_use]
    pub fn empty(zone: DomainName) -> Self {
        Self {
            zone,
            generation: 0,
            revision: 0,
            wanted_since: 0,
            keys: Vec::new(),
            zone_ttl: LongestTtl::default(),
            dnskey_ttl: LongestTtl::default(),
            ds_ttl: LongestTtl::default(),
            parent_seen: None,
            ds_at_parent: 0,
            ds_foreign: 0,
            last: 0,
        }
    }

    /// What is written to its file.
    #[must_use]
    pub fn to_json(&self) -> Vec<u8> {
        let file = FileOut { walrus: FILE_VERSION, kind: "zone_keys", state: self };
        let mut json = serde_json::to_vec_pretty(&file)
            .unwrap_or_else(|_| unreachable!("the state has string keys and whole numbers"));
        json.push(b'\n');
        json
    }

    /// What a file holds.
    ///
    /// # Errors
    /// If it is damaged or from the future.
    pub fn from_json(bytes: &[u8]) -> Result<Self, StateFileError> {
        let value: serde_json::Value = serde_json::from_slice(bytes)?;
        let version = value.get("walrus").and_then(serde_json::Value::as_u64).unwrap_or(0);
        if version > FILE_VERSION {
            return Err(StateFileError::Version(version));
        }
        let state: Self = serde_json::from_value(value)?;
        if state.keys.len() > KEYS_MAX {
            return Err(StateFileError::Many(state.keys.len()));
        }
        Ok(state)
    }

    /// What each key does at the moment.
    #[must_use]
    pub fn keys_now(&self) -> ZoneKeys {
        let of = |is: &dyn Fn(&KeyEntry) -> bool| -> Vec<DnsKey> {
            self.keys.iter().filter(|entry| is(entry)).map(|entry| entry.key.clone()).collect()
        };
        ZoneKeys {
            published: of(&|entry| entry.dnskey.is_served()),
            sign_keys: of(&|entry| entry.dnskey.is_served() && entry.role.is_entry_point()),
            sign_zone: of(&|entry| entry.signatures.is_served()),
            wanted_at_parent: of(&|entry| entry.cds.is_served()),
            wanted_since: self.wanted_since,
            // It is added to a serial, which goes round.
            changes: self.revision as u32,
        }
    }

    /// What is wrong with the DS that the parent showed last: it names none of the keys that sign
    /// the DNSKEY set, and so makes the zone bogus.
    #[must_use]
    pub fn ds_mismatch(&self) -> Option<String> {
        let matches = |entry: &KeyEntry| {
            matches!(entry.ds, AtParent::Present { .. } | AtParent::Some)
                && entry.dnskey.is_served()
        };
        let zone = &self.zone;
        (self.ds_at_parent > 0 && !self.keys.iter().any(matches)).then(|| {
            format!(
                "{zone}: the parent's DS names none of the zone's keys: resolvers that validate \
                 refuse the whole zone; give the parent what `walrus keys ds {zone}` prints"
            )
        })
    }

    /// Keys that sign something at the moment: whoever serves this state must hold them.
    #[must_use]
    pub fn signing(&self) -> Vec<&DnsKey> {
        let signs = |entry: &&KeyEntry| {
            entry.signatures.is_served()
                || (entry.dnskey.is_served() && entry.role.is_entry_point())
        };
        self.keys.iter().filter(signs).map(|entry| &entry.key).collect()
    }

    pub(super) fn shift(&mut self, seconds: i64) {
        let shift = |at: &mut u64| {
            // Zero is "never".
            if *at > 0 {
                *at = at.saturating_add_signed(seconds).max(1);
            }
        };
        for entry in &mut self.keys {
            shift(&mut entry.made);
            entry.retired.as_mut().map(shift);
            for presence in [&mut entry.dnskey, &mut entry.signatures, &mut entry.cds] {
                if let Presence::Absent { since } | Presence::Present { since } = presence {
                    shift(since);
                }
            }
            if let AtParent::Absent { since } | AtParent::Present { since } = &mut entry.ds {
                shift(since);
            }
        }
        for ttl in [&mut self.zone_ttl, &mut self.dnskey_ttl, &mut self.ds_ttl] {
            ttl.until.as_mut().map(shift);
        }
        self.parent_seen.as_mut().map(shift);
        shift(&mut self.wanted_since);
        shift(&mut self.last);
    }
}

pub(super) mod name_text {
    use super::*;

    pub(in super::super) fn serialize<S: Serializer>(
        name: &DomainName,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        to.collect_str(name)
    }

    pub(in super::super) fn deserialize<'a, D: Deserializer<'a>>(
        from: D,
    ) -> Result<DomainName, D::Error> {
        String::deserialize(from)?.parse().map_err(serde::de::Error::custom)
    }
}

mod key_text {
    use super::*;

    pub(super) fn serialize<S: Serializer>(key: &DnsKey, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&key.to_hex())
    }

    pub(super) fn deserialize<'a, D: Deserializer<'a>>(from: D) -> Result<DnsKey, D::Error> {
        DnsKey::from_hex(&String::deserialize(from)?).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ttl_counts_until_no_cache_can_hold_it() {
        let mut longest = LongestTtl::default();
        for (now, served, counts) in [
            (0, 1000, 1000),
            (1, 1000, 1000),
            // Down in two steps: the second comes when the first is hardly older.
            (100, 500, 1000),
            (1000, 10, 1000),
            (1099, 10, 1000),
            (1100, 10, 500),
            (1599, 10, 500),
            (1600, 10, 10),
            // And up again at once.
            (1601, 20, 20),
            (1602, 5, 20),
            (1603, 30, 30),
            (1604, 30, 30),
        ] {
            longest.note(now, served);
            assert_eq!(longest.ttl, counts, "at {now}: {longest:?}");
        }
        assert_eq!(longest.until, None);
    }

    #[test]
    fn a_state_without_what_counts_next_is_read() {
        let longest: LongestTtl = serde_json::from_str(r#"{"ttl":60,"until":1}"#).unwrap();
        assert_eq!(longest, LongestTtl { ttl: 60, until: Some(1), then: None });
    }
}

//! Keys over several nodes: what the signer tells the others, what they say to it, and what they
//! do with what they hear.
//!
//! One node, the signer, decides. The others ask it every few seconds for the state of each zone's
//! keys, public parts and times only, and say which private halves they hold and which generation
//! they serve; the signer waits for that ([`Rollover::acknowledge`]). Private keys are brought by
//! other means.
//!
//! A node goes over to what the signer says only if it can: while it lacks a key that signs by
//! then, it serves what it served before. That stays valid, for no step of a roll-over takes place
//! anywhere else before this node has followed the one before it.

use std::collections::BTreeSet;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use walrus_dns::DomainName;

use super::rules::is_new;
use super::state::name_text;
use super::{Acknowledged, DnsKey, KEYS_MAX, Rollover, ZoneKeyState};

/// What a node says to the signer of one zone's keys.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeysHeld {
    /// The zone.
    #[serde(with = "name_text")]
    pub zone: DomainName,
    /// Public halves of the keys whose private halves it holds; at most [`KeysHeld::MAX`].
    #[serde(serialize_with = "write_keys", deserialize_with = "read_keys")]
    pub held: BTreeSet<DnsKey>,
    /// All that it answers is signed by the keys of this generation; 0 before it follows any.
    pub generation: u64,
}

impl KeysHeld {
    /// Keys told of one zone: the zone's own, and some that may become so.
    pub const MAX: usize = 2 * KEYS_MAX;
}

impl From<KeysHeld> for Acknowledged {
    fn from(said: KeysHeld) -> Self {
        Self { held: said.held, generation: said.generation }
    }
}

/// What a node makes of what the signer says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotFollowed {
    /// About another zone.
    #[error("the signer answers about another zone")]
    OtherZone,
    /// More keys than a zone may have.
    #[error("the signer names {0} keys; {KEYS_MAX} are the most")]
    Many(usize),
    /// What it says is behind what this node serves, or has another past.
    #[error(
        "the signer's keys (generation {told}) do not go on from those that are served here \
         (generation {here}): was its state lost? If it is right, remove state.json and \
         state.copy.json of the zone here and reload"
    )]
    OtherPast {
        /// The signer's generation.
        told: u64,
        /// That of this node.
        here: u64,
    },
    /// A key that signs by now is not here.
    #[error(
        "the private key {0} is not here, and the signer's zone is signed by it: answers are signed \
         as before; bring the key (`walrus keys export` there, `walrus keys import` here)"
    )]
    Lacks(u16),
}

impl Rollover {
    /// What the signer says of the zone's keys, on a node that follows it: taken over whole, if
    /// this node holds every key that signs. [`Self::keys`] is then what it shall serve.
    ///
    /// # Errors
    /// If it cannot be followed; then all stays as it is.
    pub fn follow(
        &mut self,
        told: ZoneKeyState,
        held: impl Fn(&DnsKey) -> bool,
    ) -> Result<(), NotFollowed> {
        let here = &self.state;
        if told.zone != here.zone {
            return Err(NotFollowed::OtherZone);
        }
        if told.keys.len() > KEYS_MAX {
            return Err(NotFollowed::Many(told.keys.len()));
        }
        let goes_on = is_new(here)
            || told.generation > here.generation
            || (told.generation == here.generation
                && told.keys_now().does_the_same(&here.keys_now()));
        if !goes_on {
            let (told, here) = (told.generation, here.generation);
            return Err(NotFollowed::OtherPast { told, here });
        }
        if let Some(key) = told.signing().into_iter().find(|key| !held(key)) {
            return Err(NotFollowed::Lacks(key.tag()));
        }
        self.state = told;
        Ok(())
    }

    /// Whether the node has acknowledged all that keys do now.
    #[must_use]
    pub fn is_followed_by(&self, node: &crate::world::Name) -> bool {
        let generation = self.state.generation;
        self.acknowledged.get(node).is_some_and(|said| said.generation == generation)
    }
}

fn write_keys<S: Serializer>(keys: &BTreeSet<DnsKey>, to: S) -> Result<S::Ok, S::Error> {
    to.collect_seq(keys.iter().take(KeysHeld::MAX).map(DnsKey::to_hex))
}

fn read_keys<'a, D: Deserializer<'a>>(from: D) -> Result<BTreeSet<DnsKey>, D::Error> {
    let texts = Vec::<String>::deserialize(from)?;
    if texts.len() > KeysHeld::MAX {
        return Err(serde::de::Error::invalid_length(texts.len(), &"at most 32 keys"));
    }
    // A key of a kind that this program does not know cannot be waited for either.
    Ok(texts.iter().filter_map(|text| DnsKey::from_hex(text).ok()).collect())
}

//! What operators see of keys, and what they have done to them: the API's part.

use walrus_core::dnssec::DnsKey;
use walrus_core::dnssec::rollover::{KeyReport, KeyRole};
use walrus_director::keys::{KeeperError, ZoneKeeper};
use walrus_dns::DomainName;

use super::{Inner, NodeKeys, SignedZone};
use crate::api::keys::{AddKeyRequest, KeyView, KeysView, ZoneKeysView};

impl NodeKeys {
    /// Where all keys stand.
    pub(crate) fn view(&self) -> KeysView {
        let mut inner = self.inner();
        let now = inner.unix().unwrap_or(0);
        let signer = inner.is_signer;
        let zones = inner.zones.iter().map(|(apex, zone)| {
            let keeper = &zone.keeper;
            let state = keeper.rollover().state();
            let held = |key: &DnsKey| keeper.pairs().any(|pair| pair.public() == key);
            let one = |report: &KeyReport| KeyView::of(apex, report, &held);
            ZoneKeysView {
                zone: apex.to_string(),
                signer,
                generation: state.generation,
                keys: keeper.report(now).iter().map(one).collect(),
                parent_seen: state.parent_seen,
                ds_at_parent: state.ds_at_parent,
                problems: zone
                    .wrong()
                    .chain(zone.unasked.clone())
                    .chain(inner.unheard.clone())
                    .collect(),
            }
        });
        let zones = zones.collect();
        let parent = inner.dnssec.parent.iter().map(ToString::to_string).collect();
        KeysView { zones, parent }
    }

    /// Makes a key of a role, by default the first of the layout, and rolls over to it; or puts new
    /// keys in the place of those that are lost.
    pub(crate) fn add(&self, request: &AddKeyRequest) -> Result<String, KeysRefused> {
        let AddKeyRequest { zone, role, lost } = request;
        if *lost && role.is_some() {
            let text = "`lost` replaces whatever keys are missing: leave `role` out";
            return Err(KeysRefused::Wrong(text.to_owned()));
        }
        if *lost {
            return self.change(zone, |keeper, now| {
                keeper.replace_lost(now).map_err(KeysRefused::from)?;
                Ok(format!(
                    "lost keys are forgotten, and new ones sign from now on (`walrus keys list \
                     {zone}`): give the parent their DS at once (`walrus keys ds {zone} --all`); \
                     until its old one has left all caches, resolvers that validate refuse the zone"
                ))
            });
        }
        self.change(zone, |keeper, now| {
            let roles = keeper.rollover().settings().roles.clone();
            let role = match role.as_deref() {
                None => roles.first().copied().unwrap_or(KeyRole::Csk),
                Some(wanted) => {
                    roles.into_iter().find(|role| role.to_string() == wanted).ok_or_else(|| {
                        KeysRefused::Wrong(format!(
                            "the zone has no key of role {wanted} ([dnssec] keys)"
                        ))
                    })?
                }
            };
            let key = keeper.add(now, role).map_err(KeysRefused::from)?;
            Ok(format!("key {} ({role}) is made; the roll-over to it begins", key.tag()))
        })
    }

    /// A key shall go.
    pub(crate) fn retire(&self, zone: &str, tag: u16) -> Result<String, KeysRefused> {
        self.change(zone, |keeper, now| {
            keeper.retire(now, tag).map_err(KeysRefused::from)?;
            Ok(format!("key {tag} goes when nothing needs it any more"))
        })
    }

    /// Takes in a key whose files are in the store.
    pub(crate) fn import(&self, zone: &str, tag: u16) -> Result<String, KeysRefused> {
        if self.inner().is_signer {
            return self.change(zone, |keeper, now| {
                keeper.import(now, tag).map_err(KeysRefused::from)?;
                Ok(format!("key {tag} is taken in"))
            });
        }
        // Which keys are used, and when, is for the signer to say.
        let mut inner = self.inner();
        let now = inner.unix().unwrap_or(0);
        let zone = inner.zone_mut(zone)?;
        zone.keeper.look_again(now);
        Ok(format!("key {tag} is held here; the signer decides when it is used"))
    }

    fn change(
        &self,
        zone: &str,
        change: impl FnOnce(&mut ZoneKeeper, u64) -> Result<String, KeysRefused>,
    ) -> Result<String, KeysRefused> {
        let mut inner = self.inner();
        if !inner.is_signer {
            let text = "this node is not the signer ([dnssec] signer, and the role director): ask the \
                        one that is";
            return Err(KeysRefused::No(text.to_owned()));
        }
        let now = inner.unix().ok_or_else(|| {
            KeysRefused::No("the clock is not set: keys need the date; set it (NTP)".to_owned())
        })?;
        let zone = inner.zone_mut(zone)?;
        let (done, notices) = zone.keeper.change(now, change)?;
        notices.iter().for_each(|notice| tracing::info!("{notice}"));
        drop(inner);
        self.changed.notify_one();
        Ok(done)
    }
}

impl Inner {
    fn zone_mut(&mut self, zone: &str) -> Result<&mut SignedZone, KeysRefused> {
        let apex: DomainName = zone
            .parse()
            .map_err(|error| KeysRefused::Wrong(format!("`{zone}` is no name: {error}")))?;
        self.zones.get_mut(&apex).ok_or_else(|| {
            KeysRefused::Wrong(format!("{apex} is no zone that is signed here ([dnssec] sign)"))
        })
    }
}

/// Why a change of keys is not made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum KeysRefused {
    /// The call's words are off.
    #[error("{0}")]
    Wrong(String),
    /// The answer is no.
    #[error("{0}")]
    No(String),
    /// The disk refuses.
    #[error("{0}")]
    Broken(String),
}

impl From<KeeperError> for KeysRefused {
    fn from(error: KeeperError) -> Self {
        let text = walrus_host::log::chain(&error);
        match error {
            KeeperError::Take(_)
            | KeeperError::Follow(_)
            | KeeperError::NoFiles { .. }
            | KeeperError::Unreadable { .. }
            | KeeperError::Lost { .. }
            | KeeperError::NothingLost(_) => Self::No(text),
            KeeperError::Store(_) | KeeperError::Pair(_) => Self::Broken(text),
        }
    }
}

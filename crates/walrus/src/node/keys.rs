//! The keys of the zones that this node signs: told to the name server whenever they change, and
//! moved on as time passes and the parent follows.

mod operators;
mod several_nodes;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use walrus_core::config::{Configuration, DnssecSettings, ZoneDnssec};
use walrus_core::dnssec::rollover::{KeyRole, ParentView, RolloverSettings};
use walrus_core::dnssec::{
    ClockNews, DnsKey, PlausibleTime, ValidityPolicy, ZoneKeys, ZoneSigning,
};
use walrus_core::world::{KeyLayout, Name, Time};
use walrus_core::zone::Zone;
use walrus_director::DirectorHandle;
use walrus_director::keys::{KeyPair, KeyStore, ZoneKeeper};
use walrus_dns::DomainName;
use walrus_host::clock::Clock;

use crate::load::Loaded;

pub(crate) use operators::KeysRefused;

/// Keys are looked at at least so often, whatever their times say.
const LOOK_EVERY: Duration = Duration::from_secs(600);
/// So often while files are missing that may be brought back.
const LOOK_FOR_FILES_EVERY: Duration = Duration::from_secs(30);
/// And not more often than this.
const PAUSE_MIN: Duration = Duration::from_secs(1);
/// The parent is asked after 0.75 to 1.25 of the interval.
const ASK_FACTOR_MAX: f64 = 1.25;

/// The keys of all signed zones of this node. Every function but [`Self::changed`] may block on
/// the disk.
pub(crate) struct NodeKeys {
    inner: Mutex<Inner>,
    /// Held while the name server is told, so that it is not told of older keys after newer ones.
    telling: Mutex<()>,
    changed: Notify,
}

struct Inner {
    store: KeyStore,
    node: Name,
    dnssec: DnssecSettings,
    /// Whether this node decides about keys: one that is no name server signs nothing.
    is_signer: bool,
    zones: BTreeMap<DomainName, SignedZone>,
    clock: Clock,
    time: PlausibleTime,
    /// The time believed last, and when by the monotonic clock.
    last: Option<(u64, Time)>,
    /// Why the signer, which this node follows, is not heard.
    unheard: Option<String>,
}

struct SignedZone {
    keeper: ZoneKeeper,
    /// What the name server signs with, if it was told, and the private keys that it has.
    told: Option<(ZoneKeys, Vec<DnsKey>)>,
    /// When to ask the parent next.
    ask_at: Time,
    /// Why the parent could not be asked.
    unasked: Option<String>,
    /// Why this node does not serve what the signer says.
    unfollowed: Option<String>,
    /// Why keys did not move on.
    stuck: Option<String>,
    /// Why the name server did not take the keys.
    refused: Option<String>,
}

/// A zone whose keys do something else than the name server knows of.
struct Change {
    signing: ZoneSigning,
    pairs: Vec<KeyPair>,
    generation: u64,
}

impl NodeKeys {
    /// The keys of the zones that are signed, as the state directory has them; a signer makes those
    /// that are missing.
    pub(crate) fn open(loaded: &Loaded, state: &Path, clock: &Clock) -> Self {
        let keys = Self::closed(loaded, state, clock);
        keys.reconfigure(loaded);
        keys
    }

    fn closed(loaded: &Loaded, state: &Path, clock: &Clock) -> Self {
        let configuration = &loaded.configuration;
        let inner = Inner {
            store: KeyStore::new(state),
            node: configuration.node.name.clone(),
            dnssec: configuration.dnssec.clone(),
            is_signer: is_signer(configuration),
            zones: BTreeMap::new(),
            clock: clock.clone(),
            time: PlausibleTime::default(),
            last: None,
            unheard: None,
        };
        Self { inner: Mutex::new(inner), telling: Mutex::new(()), changed: Notify::new() }
    }

    /// The same while no node runs: nothing is made, stored or moved on by looking.
    pub(crate) fn at_rest(loaded: &Loaded, state: &Path, clock: &Clock) -> Self {
        let keys = Self::closed(loaded, state, clock);
        keys.inner().configure(loaded);
        keys
    }

    /// To be held from [`Self::reconfigure`] until the name server knows of it.
    pub(crate) fn telling(&self) -> MutexGuard<'_, ()> {
        self.telling.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Zones and settings that are in force from now on; the name server is to be told of all keys.
    pub(crate) fn reconfigure(&self, loaded: &Loaded) {
        let mut inner = self.inner();
        inner.configure(loaded);
        inner.zones.values_mut().for_each(|zone| zone.told = None);
        inner.advance();
        drop(inner);
        self.changed.notify_one();
    }

    /// How zones are signed at the moment, and with which private keys; also those that no key signs
    /// yet, or any more.
    pub(crate) fn signing(&self) -> (Vec<ZoneSigning>, Vec<KeyPair>) {
        let inner = self.inner();
        let mut pairs = Vec::new();
        let mut zones = Vec::new();
        for (apex, zone) in &inner.zones {
            let keys = zone.keeper.keys();
            pairs.extend(zone.keeper.pairs().cloned());
            zones.push(inner.zone_signing(apex.clone(), keys));
        }
        (zones, pairs)
    }

    /// Takes the steps that are due and tells the name server what changed by them. Returns when it
    /// answers so, which with a million names takes half a minute.
    pub(crate) fn tell(&self, director: &DirectorHandle) {
        let _in_order = self.telling();
        for change in self.advance() {
            let apex = change.signing.apex.clone();
            match director.set_signing(change.signing.clone(), change.pairs.clone()) {
                Ok(()) => self.served(&change),
                Err(error) => self.refused(&apex, &walrus_host::log::chain(&error)),
            }
        }
    }

    fn advance(&self) -> Vec<Change> {
        let mut inner = self.inner();
        inner.advance();
        for zone in inner.zones.values_mut() {
            // Generations that end where they began, while this node was away, are served too.
            if zone.told.as_ref().is_some_and(|(keys, _)| *keys == zone.keeper.keys()) {
                zone.keeper.served(zone.keeper.rollover().state().generation);
            }
            // A change that was taken back is no problem any more.
            if zone.is_told() {
                zone.refused = None;
            }
        }
        inner.ask_in_time();
        let changes = inner.zones.iter().filter_map(|(apex, zone)| {
            let keys = zone.keeper.keys();
            (!zone.is_told() && keys.can_sign()).then(|| Change {
                signing: inner.zone_signing(apex.clone(), keys),
                pairs: zone.keeper.pairs().cloned().collect(),
                generation: zone.keeper.rollover().state().generation,
            })
        });
        changes.collect()
    }

    /// The name server goes on as before. It is asked again each time that keys are looked at, and a
    /// cause is told once.
    fn refused(&self, apex: &DomainName, why: &str) {
        let mut inner = self.inner();
        let Some(zone) = inner.zones.get_mut(apex) else { return };
        let text = format!(
            "the name server does not sign {apex} with its keys as they are now, and goes on as it \
             was: {why}"
        );
        if zone.refused.as_ref() != Some(&text) {
            tracing::error!("{text}");
        }
        zone.refused = Some(text);
    }

    /// The name server serves a change from now on.
    fn served(&self, change: &Change) {
        let mut inner = self.inner();
        if let Some(zone) = inner.zones.get_mut(&change.signing.apex) {
            zone.keeper.served(change.generation);
            let held = change.pairs.iter().map(|pair| pair.public().clone()).collect();
            zone.told = Some((change.signing.keys.clone(), held));
            zone.refused = None;
        }
        drop(inner);
        self.changed.notify_one();
    }

    /// What is wrong with keys, for the status: a zone, and a sentence.
    pub(crate) fn problems(&self) -> Vec<(DomainName, String)> {
        let inner = self.inner();
        let zones = inner.zones.iter();
        let wrong = |zone: &SignedZone| zone.wrong().chain(inner.unheard.clone()).collect();
        zones
            .flat_map(|(apex, zone)| {
                let wrong: Vec<String> = wrong(zone);
                wrong.into_iter().map(|it| (apex.clone(), it))
            })
            .collect()
    }

    /// Zones whose parent is to be asked now, and whom to ask.
    pub(crate) fn parents_due(&self) -> (Vec<DomainName>, Vec<SocketAddr>) {
        let inner = self.inner();
        let now = inner.clock.now();
        let due = inner.zones.iter().filter(|(_, zone)| inner.asks(zone) && zone.ask_at <= now);
        (due.map(|(apex, _)| apex.clone()).collect(), inner.dnssec.parent.clone())
    }

    /// What the parent shows, or why that is not known; `chance` (0 to 1) spreads the next question.
    pub(crate) fn parent_shows(
        &self,
        apex: &DomainName,
        view: Result<ParentView, String>,
        chance: f64,
    ) {
        let mut inner = self.inner();
        let (unix, now) = (inner.unix(), inner.clock.now());
        let Some(zone) = inner.zones.get_mut(apex) else { return };
        let interval = zone.keeper.rollover().parent_interval();
        let factor = ASK_FACTOR_MAX - (1.0 - chance.clamp(0.0, 1.0)) / 2.0;
        zone.ask_at = now + interval.mul_f64(factor);
        match (view, unix) {
            (Ok(view), Some(unix)) => {
                zone.keeper.parent_shows(unix, &view);
                zone.unasked = None;
            }
            (Ok(_), None) => {}
            (Err(why), _) => {
                if zone.unasked.as_ref() != Some(&why) {
                    tracing::warn!(zone = %apex, "{why}");
                }
                zone.unasked = Some(why);
            }
        }
        drop(inner);
        self.changed.notify_one();
    }

    /// Waits until something changed, or it is time to look again.
    pub(crate) async fn changed(&self) {
        let (clock, until) = {
            let mut inner = self.inner();
            let now = inner.clock.now();
            (inner.clock.clone(), now + inner.pause(now))
        };
        tokio::select! {
            () = self.changed.notified() => {}
            _awake = clock.sleep_until(until) => {}
        }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for NodeKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NodeKeys").finish_non_exhaustive()
    }
}

impl Inner {
    fn configure(&mut self, loaded: &Loaded) {
        self.dnssec = loaded.configuration.dnssec.clone();
        self.is_signer = is_signer(&loaded.configuration);
        self.node = loaded.configuration.node.name.clone();
        let signed = signed_zones(&loaded.configuration);
        // Others than the signer go by the files that were brought to them.
        let signer = self.is_signer;
        self.zones.retain(|zone, _| signer && signed.contains(zone));
        for apex in signed {
            let Some(zone) = loaded.zones.iter().find(|zone| *zone.apex() == apex) else {
                continue;
            };
            let mut ttl = longest_ttl(zone, &loaded.configuration);
            if loaded.moving.iter().any(|moving| moving.apex == apex) {
                ttl = ttl.max(MOVING_TTL_SECS);
            }
            self.open_zone(&apex, ttl);
        }
    }

    fn open_zone(&mut self, apex: &DomainName, zone_ttl: u32) {
        let settings = self.settings();
        let unix = self.unix();
        let now = unix.unwrap_or(0);
        let (store, node) = (self.store.clone(), self.node.clone());
        let begun = self.clock.now();
        let is_new = !self.zones.contains_key(apex);
        let zone = self.zones.entry(apex.clone()).or_insert_with(|| SignedZone {
            keeper: ZoneKeeper::open(store, apex, node, settings.clone(), now),
            told: None,
            ask_at: begun,
            unasked: None,
            unfollowed: None,
            stuck: None,
            refused: None,
        });
        if is_new {
            zone.keeper.problems().iter().for_each(|problem| tracing::error!("{problem}"));
            let last = zone.keeper.rollover().state().last;
            if unix.is_some_and(|unix| unix < last) {
                // The clock was ahead when this process ran last: waits go on from there.
                zone.keeper.clock_jumped(i64::try_from(last - now).map_or(0, |ahead| -ahead));
            }
        }
        zone.keeper.reconfigure(now, settings, zone_ttl, self.dnssec.dnskey_ttl);
    }

    /// The time, and what its jumps do to all waits; `None` while no clock was ever right.
    fn unix(&mut self) -> Option<u64> {
        let (unix, now) = (self.clock.unix_ms() / 1000, self.clock.now());
        let (believed, news) = self.time.look(unix, now);
        let believed = believed?;
        if let (Some((then, at)), Some(ClockNews::Believed { .. })) = (self.last, news) {
            let expected = then.saturating_add(now.since(at).as_secs());
            let jump = i64::try_from(believed).unwrap_or(0) - i64::try_from(expected).unwrap_or(0);
            self.zones.values_mut().for_each(|zone| zone.keeper.clock_jumped(jump));
        }
        self.last = Some((believed, now));
        Some(believed)
    }

    fn advance(&mut self) {
        let Some(now) = self.unix() else { return };
        for (apex, zone) in &mut self.zones {
            if zone.keeper.lacks_files() {
                zone.look_for_files(apex, now);
            }
            if !self.is_signer {
                continue;
            }
            match zone.keeper.advance(now) {
                Ok(notices) => {
                    notices.iter().for_each(|notice| tracing::info!("{notice}"));
                    zone.stuck = None;
                }
                Err(error) => {
                    let error = walrus_host::log::chain(&error);
                    if zone.stuck.as_ref() != Some(&error) {
                        tracing::error!(zone = %apex, "keys stay as they are: {error}");
                    }
                    zone.stuck = Some(error);
                }
            }
        }
    }

    /// Whether a zone's parent is asked at all.
    fn asks(&self, zone: &SignedZone) -> bool {
        self.is_signer && !zone.keeper.keys().published.is_empty()
    }

    /// A zone that has begun to wait for its parent does not wait for the hourly look.
    fn ask_in_time(&mut self) {
        let now = self.clock.now();
        for zone in self.zones.values_mut() {
            let interval = zone.keeper.rollover().parent_interval();
            zone.ask_at = zone.ask_at.min(now + interval.mul_f64(ASK_FACTOR_MAX));
        }
    }

    fn pause(&mut self, now: Time) -> Duration {
        let unix = self.unix();
        let looks = self.zones.values().filter_map(|zone| {
            let unix = unix?;
            let look = zone.keeper.rollover().next_look(unix)?;
            Some(Duration::from_secs(look - unix))
        });
        let asked = self.zones.values().filter(|zone| self.asks(zone));
        let asks = asked.map(|zone| zone.ask_at.since(now));
        let lacking = self.zones.values().any(|zone| zone.keeper.lacks_files());
        let files = lacking.then_some(LOOK_FOR_FILES_EVERY);
        looks.chain(asks).chain(files).min().unwrap_or(LOOK_EVERY).clamp(PAUSE_MIN, LOOK_EVERY)
    }

    fn settings(&self) -> RolloverSettings {
        let dnssec = &self.dnssec;
        RolloverSettings {
            algorithm: dnssec.algorithm,
            roles: match dnssec.keys {
                KeyLayout::Csk => vec![KeyRole::Csk],
                KeyLayout::KskAndZsk => vec![KeyRole::Ksk, KeyRole::Zsk],
            },
            roll_ksk_every: dnssec.roll_ksk_every,
            roll_zsk_every: Some(dnssec.roll_zsk_every),
            margin: dnssec.roll_margin,
            // Who follows waits for nobody.
            nodes: match self.is_signer {
                true => dnssec.nodes.iter().chain([&self.node]).cloned().collect(),
                false => [self.node.clone()].into(),
            },
        }
    }

    fn zone_signing(&self, apex: DomainName, keys: ZoneKeys) -> ZoneSigning {
        ZoneSigning {
            apex,
            keys,
            dnskey_ttl: self.dnssec.dnskey_ttl,
            denial: self.dnssec.denial,
            validity: ValidityPolicy {
                renew_every: self.dnssec.renew_every,
                valid_for: self.dnssec.valid_for,
                ..ValidityPolicy::default()
            },
        }
    }
}

impl SignedZone {
    /// Whether the name server has the keys as they are now.
    fn is_told(&self) -> bool {
        self.told == Some((self.keeper.keys(), held(&self.keeper)))
    }

    /// What is wrong, but for a parent that cannot be asked.
    fn wrong(&self) -> impl Iterator<Item = String> {
        let problems = self.keeper.problems().iter().cloned().chain(self.stuck.clone());
        let problems = problems.chain(self.unfollowed.clone()).chain(self.refused.clone());
        problems.chain(self.keeper.rollover().state().ds_mismatch())
    }

    fn look_for_files(&mut self, apex: &DomainName, now: u64) {
        let before = self.keeper.problems().to_vec();
        self.keeper.look_again(now);
        let problems = self.keeper.problems();
        for problem in problems.iter().filter(|problem| !before.contains(problem)) {
            tracing::error!("{problem}");
        }
        if !self.keeper.lacks_files() {
            tracing::info!(zone = %apex, "all key files are there again");
        }
    }
}

fn held(keeper: &ZoneKeeper) -> Vec<DnsKey> {
    keeper.pairs().map(|pair| pair.public().clone()).collect()
}

fn is_signer(configuration: &Configuration) -> bool {
    configuration.dnssec.signer && configuration.node.roles.director
}

/// What comes into a zone from elsewhere is not known when its keys are: so long a TTL is reckoned with,
/// in seconds, and a longer one counts from the next restart or reload.
const MOVING_TTL_SECS: u32 = 86_400;

/// Apexes of the zones that are signed here.
fn signed_zones(configuration: &Configuration) -> Vec<DomainName> {
    let signed = configuration.zones.iter().filter(|zone| zone.dnssec == ZoneDnssec::Sign);
    signed.map(|zone| zone.apex.clone()).collect()
}

/// The longest TTL of anything in a zone: its records, and answers of its services.
fn longest_ttl(zone: &Zone, configuration: &Configuration) -> u32 {
    let records = zone.iter().flat_map(|(_, sets)| sets.iter()).map(|set| set.ttl());
    let services = configuration.topology.services.iter();
    let in_zone = services.filter(|service| service.name.is_within(zone.apex()));
    records.chain(in_zone.map(|service| service.ttl.seconds_max())).max().unwrap_or(0)
}

#[cfg(test)]
mod tests;

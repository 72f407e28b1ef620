//! DNS UPDATE (RFC 2136): who asked is verified, what it comes to is decided by the core, written to the
//! journal, served, and only then acknowledged.
//!
//! What waits is taken together: it shares one write to the disk, one signing and one publication. Each
//! update is decided on what those before it in line leave, and all of a line fail with the disk.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use walrus_core::answer::Transport;
use walrus_core::dynamic::{
    JournalChange, UpdateGround, UpdateMessage, UpdateRefused, UpdateRules, decide,
};
use walrus_core::world::Topology;
use walrus_core::zone::{Zone, ZoneDifference};
use walrus_dns::{DomainName, rcode};
use walrus_host::log::chain;

use super::hand_off::{Back, HandedOver};
use super::journal::{Journal, JournalError, journal_path};
use super::update_counts::UpdateCounts;
use super::update_reply::reply;
use super::{MovingZone, ReplaceError};
use crate::director::DirectorHandle;
use crate::tsig::{ReplySigner, TsigKeys};

/// A zone that takes updates, and from whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpdatedZone {
    /// Which.
    pub apex: DomainName,
    /// By key.
    pub rules: BTreeMap<DomainName, UpdateRules>,
}

/// What a Director takes updates by.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UpdateSettings {
    /// The zones that take them; each is one of those that move.
    pub zones: Vec<UpdatedZone>,
    /// Journals lie below it.
    pub state: PathBuf,
}

/// How a zone that takes updates stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpdateStatus {
    /// Which.
    pub apex: DomainName,
    /// Of what is served, before Walrus' signatures raise it.
    pub serial: u32,
    /// Changes since the journal was written anew.
    pub changes: u64,
    /// Bytes of the journal.
    pub journal_bytes: u64,
    /// When the last change was made, in seconds since 1970, and by which key.
    pub last: Option<(u64, DomainName)>,
    /// Why it takes none.
    pub problem: Option<String>,
}

/// All zones that take updates, with their journals.
#[derive(Default)]
pub(crate) struct Updates {
    settings: UpdateSettings,
    zones: BTreeMap<DomainName, Taking>,
    /// Names that are Walrus' own.
    services: Vec<DomainName>,
    hosts: Vec<DomainName>,
    pub(crate) counts: Arc<UpdateCounts>,
}

/// What is to be in the place of [`Updates`] if all else goes well.
pub(crate) struct Prepared {
    settings: UpdateSettings,
    services: Vec<DomainName>,
    hosts: Vec<DomainName>,
    /// Zones that were not open before.
    opened: BTreeMap<DomainName, Taking>,
    /// Zones that are open, that nobody has changed yet and that were loaded otherwise now.
    loaded_anew: Vec<Arc<Zone>>,
    /// What zones contain that take updates.
    pub(crate) contents: BTreeMap<DomainName, Arc<Zone>>,
    /// Zones of which nobody knows what they contain, for their journals cannot be read.
    pub(crate) unread: BTreeSet<DomainName>,
}

/// One zone's journal and what it says; without one, why.
enum Taking {
    Open(Box<Journal>, Arc<Zone>),
    Closed(String),
}

/// A message that was decided, and waits for the disk.
struct Waiting {
    back: Back,
    signer: ReplySigner,
    message: Vec<u8>,
    /// `None`: it changes nothing.
    change: Option<(JournalChange, ZoneDifference)>,
}

/// What happens to one zone together.
struct Line {
    /// The zone after all that waits.
    zone: Arc<Zone>,
    waiting: Vec<Waiting>,
}

impl Updates {
    /// Opens the journals of zones that are new here. What they say counts; a zone that nobody has changed yet
    /// is as it was loaded.
    pub(crate) fn prepare(
        &self,
        settings: UpdateSettings,
        loaded: &[MovingZone],
        topology: &Topology,
    ) -> Prepared {
        let (mut opened, mut contents) = (BTreeMap::new(), BTreeMap::new());
        let (mut loaded_anew, mut unread) = (Vec::new(), BTreeSet::new());
        for UpdatedZone { apex, .. } in &settings.zones {
            let found = loaded.iter().find(|zone| zone.apex == *apex);
            let found = found.and_then(|zone| zone.content.as_ref());
            if settings.state == self.settings.state
                && let Some(Taking::Open(journal, zone)) = self.zones.get(apex)
                && !journal.is_replaced()
            {
                let anew = found.filter(|found| journal.is_as_loaded() && *found != zone);
                loaded_anew.extend(anew.cloned());
                contents.insert(apex.clone(), Arc::clone(anew.unwrap_or(zone)));
                continue;
            }
            let Some(found) = found else { continue };
            let path = journal_path(&settings.state, apex);
            let taking = match Journal::open(&path, apex) {
                Ok(read) => open(&path, read, found),
                Err(error) => {
                    unread.insert(apex.clone());
                    Err(error)
                }
            };
            let taking = opened_or_closed(apex, taking);
            if let Taking::Open(_, zone) = &taking {
                contents.insert(apex.clone(), Arc::clone(zone));
            }
            opened.insert(apex.clone(), taking);
        }
        let services = topology.services.iter().map(|service| service.name.clone()).collect();
        let hosts = topology.hosts().into_iter().map(|host| host.name).collect();
        Prepared { settings, services, hosts, opened, loaded_anew, contents, unread }
    }

    /// Goes over to what was prepared, now that it is served.
    pub(crate) fn adopt(&mut self, prepared: Prepared) {
        let Prepared { settings, services, hosts, opened, loaded_anew, .. } = prepared;
        self.zones.extend(opened);
        for zone in loaded_anew {
            // Not sooner: the journal that is open must not be replaced by one that may not count.
            let begun = Journal::begin(&journal_path(&settings.state, zone.apex()), &zone);
            let taking = begun.map(|journal| Taking::Open(Box::new(journal), Arc::clone(&zone)));
            self.zones.insert(zone.apex().clone(), opened_or_closed(zone.apex(), taking));
        }
        self.zones.retain(|apex, _| settings.zones.iter().any(|zone| zone.apex == *apex));
        (self.settings, self.services, self.hosts) = (settings, services, hosts);
    }

    /// Takes no more updates before the next start: what is in memory may not be what is on the disk.
    pub(crate) fn close(&mut self, why: &str) {
        self.zones.values_mut().for_each(|taking| *taking = Taking::Closed(why.to_owned()));
    }

    /// Whether any zone takes updates.
    pub(crate) fn are_taken(&self) -> bool {
        !self.zones.is_empty()
    }

    /// How they stand.
    pub(crate) fn status(&self) -> Vec<UpdateStatus> {
        let one = |(apex, taking): (&DomainName, &Taking)| {
            let status = UpdateStatus {
                apex: apex.clone(),
                serial: 0,
                changes: 0,
                journal_bytes: 0,
                last: None,
                problem: None,
            };
            match taking {
                Taking::Closed(why) => UpdateStatus { problem: Some(why.clone()), ..status },
                Taking::Open(journal, zone) => {
                    let (changes, last) = journal.told();
                    let last = last.map(|last| (last.at, last.key.clone()));
                    let (serial, journal_bytes) = (zone.serial(), journal.len());
                    UpdateStatus { serial, changes, journal_bytes, last, ..status }
                }
            }
        };
        self.zones.iter().map(one).collect()
    }

    /// Takes messages, all or some of which are updates of one zone, and answers each.
    pub(crate) fn take(&mut self, director: &DirectorHandle, messages: Vec<HandedOver>) {
        let now = director.inner().clock.unix_ms() / 1000;
        let keys = director.inner().keys.load_full();
        let mut lines: BTreeMap<DomainName, Line> = BTreeMap::new();
        for message in messages {
            self.take_one(&keys, message, now, &mut lines);
        }
        for (apex, line) in lines {
            self.finish(director, &apex, line, now);
        }
    }

    fn take_one(
        &self,
        keys: &TsigKeys,
        handed: HandedOver,
        now: u64,
        lines: &mut BTreeMap<DomainName, Line>,
    ) {
        let HandedOver { mut message, back, client, transport } = handed;
        let signer = match keys.verify(&mut message, now) {
            Ok(Some(signer)) => signer,
            Ok(None) => {
                tracing::debug!(%client, transport = transport.name(), "an unsigned update is refused");
                self.counts.unsigned.add();
                // To an address that may be forged goes no more than came from it.
                let text = (transport != Transport::Udp).then_some(UNSIGNED);
                return back.send(reply(&message, rcode::REFUSED, text));
            }
            Err(refusal) => {
                self.counts.unsigned.add();
                // What is no request has no reply.
                if let Some(reply) = refusal.reply(&message, now) {
                    back.send(reply);
                }
                return;
            }
        };
        match self.decide(&message, &signer, now, lines) {
            Ok((zone, change)) => {
                let Some(line) = lines.get_mut(&zone) else { return };
                line.waiting.push(Waiting { back, signer, message, change });
            }
            Err(Refusal::ByRule(refused)) => {
                let count = if refused.is_prerequisite() {
                    &self.counts.prerequisites
                } else {
                    &self.counts.refused
                };
                count.add();
                tracing::info!(key = %signer.key(), "an update is refused: {refused}");
                let text = refused.to_string();
                send(back, signer, reply(&message, refused.rcode(), Some(&text)), now);
            }
            Err(Refusal::Closed(why)) => {
                self.counts.failed.add();
                send(back, signer, reply(&message, rcode::SERVFAIL, Some(&why)), now);
            }
        }
    }

    /// What a verified message comes to, after all that waits.
    fn decide(
        &self,
        bytes: &[u8],
        signer: &ReplySigner,
        now: u64,
        lines: &mut BTreeMap<DomainName, Line>,
    ) -> Result<(DomainName, Option<(JournalChange, ZoneDifference)>), Refusal> {
        let message = UpdateMessage::read(bytes)?;
        let apex = message.zone.clone();
        let other = || UpdateRefused::OtherZone(apex.clone());
        let held = match self.zones.get(&apex) {
            None => return Err(other().into()),
            Some(Taking::Closed(why)) => return Err(Refusal::Closed(why.clone())),
            Some(Taking::Open(_, zone)) => zone,
        };
        let line = lines
            .entry(apex.clone())
            .or_insert_with(|| Line { zone: Arc::clone(held), waiting: Vec::new() });
        let no_rules = UpdateRules::default();
        let settings = self.settings.zones.iter().find(|zone| zone.apex == apex);
        let rules = settings.and_then(|zone| zone.rules.get(signer.key())).unwrap_or(&no_rules);
        let ground =
            UpdateGround { zone: &line.zone, services: &self.services, hosts: &self.hosts };
        let difference = decide(&ground, &message, rules)?;
        if difference.is_empty() {
            return Ok((apex, None));
        }
        // It was made from this very zone.
        let next = line.zone.with_difference(&difference);
        line.zone = Arc::new(next.map_err(|error| Refusal::Closed(error.to_string()))?);
        let by = JournalChange { at: now, key: signer.key().clone() };
        Ok((apex, Some((by, difference))))
    }

    /// Writes what waits for one zone to the disk, serves it, and tells who asked.
    fn finish(&mut self, director: &DirectorHandle, apex: &DomainName, line: Line, now: u64) {
        let Line { zone, mut waiting } = line;
        let Some(Taking::Open(journal, held)) = self.zones.get_mut(apex) else { return };
        let mut changes = Vec::new();
        let mut is_change = Vec::with_capacity(waiting.len());
        for one in &mut waiting {
            is_change.push(one.change.is_some());
            changes.extend(one.change.take());
        }
        let result = if changes.is_empty() {
            Ok(())
        } else {
            keep_and_serve(director, journal, &zone, &changes)
        };
        match &result {
            Ok(()) => {
                *held = Arc::clone(&zone);
                for (by, difference) in &changes {
                    tell(apex, by, difference);
                }
            }
            Err(why) => tracing::error!(zone = %apex, "updates have failed: {why}"),
        }
        for (one, is_change) in waiting.into_iter().zip(is_change) {
            let (code, text, count) = match &result {
                Ok(()) if is_change => (rcode::NOERROR, None, &self.counts.done),
                Ok(()) => (rcode::NOERROR, None, &self.counts.unchanged),
                Err(why) => (rcode::SERVFAIL, Some(why.as_str()), &self.counts.failed),
            };
            count.add();
            send(one.back, one.signer, reply(&one.message, code, text), now);
        }
        if result.is_ok() && !changes.is_empty() {
            journal.shorten(&zone);
        }
    }
}

const UNSIGNED: &str = "an update must be signed (TSIG) by a key that the zone's `updates` name";

/// Why a verified message changes nothing.
enum Refusal {
    ByRule(UpdateRefused),
    /// Not for what it says.
    Closed(String),
}

impl From<UpdateRefused> for Refusal {
    fn from(refused: UpdateRefused) -> Self {
        Self::ByRule(refused)
    }
}

/// First on the disk, then served; if it cannot be served, off the disk again.
fn keep_and_serve(
    director: &DirectorHandle,
    journal: &mut Journal,
    zone: &Arc<Zone>,
    changes: &[(JournalChange, ZoneDifference)],
) -> Result<(), String> {
    let end = journal.end();
    journal.append(changes).map_err(|error| chain(&error))?;
    match director.replace_zone(Arc::clone(zone)) {
        Ok(()) => Ok(()),
        // It has become the zone's content, and is served once it can be signed.
        Err(error @ ReplaceError::Signing { .. }) => {
            tracing::warn!(error = chain(&error), "an update is kept, and not served yet");
            Ok(())
        }
        Err(error) => {
            journal.take_back(end);
            Err(chain(&error))
        }
    }
}

/// Without a journal that can be used the zone takes no updates.
fn opened_or_closed(apex: &DomainName, taking: Result<Taking, JournalError>) -> Taking {
    taking.unwrap_or_else(|error| {
        let why = chain(&error);
        tracing::error!(zone = %apex, error = why, "the zone takes no updates");
        Taking::Closed(why)
    })
}

/// What a journal says, if anybody has changed the zone; else what was loaded, with which it begins.
fn open(
    path: &Path,
    read: Option<(Journal, Zone)>,
    loaded: &Arc<Zone>,
) -> Result<Taking, JournalError> {
    let apex = loaded.apex();
    if let Some((journal, zone)) = read {
        if !journal.is_as_loaded() {
            tracing::info!(
                zone = %apex,
                serial = zone.serial(),
                journal = %path.display(),
                "the zone has been updated, and is as its journal says: its file counts no longer"
            );
            return Ok(Taking::Open(Box::new(journal), Arc::new(zone)));
        }
        if zone == **loaded {
            return Ok(Taking::Open(Box::new(journal), Arc::clone(loaded)));
        }
    }
    tracing::info!(
        zone = %apex,
        journal = %path.display(),
        "the zone takes updates: from the first one on its journal counts, and its file no longer"
    );
    let journal = Journal::begin(path, loaded)?;
    Ok(Taking::Open(Box::new(journal), Arc::clone(loaded)))
}

/// One line a change, of bounded length.
fn tell(apex: &DomainName, by: &JournalChange, difference: &ZoneDifference) {
    let soa = walrus_dns::record_type::SOA;
    let count = |list: &[walrus_core::zone::Record]| {
        list.iter().filter(|record| record.record_type != soa).count()
    };
    let changed = difference.added.iter().chain(&difference.removed);
    let first =
        changed.filter(|record| record.record_type != soa).map(|record| &record.name).next();
    tracing::info!(
        zone = %apex,
        key = %by.key,
        added = count(&difference.added),
        removed = count(&difference.removed),
        first = first.map(tracing::field::display),
        serial = difference.to_serial,
        "updated"
    );
}

fn send(back: Back, mut signer: ReplySigner, mut reply: Vec<u8>, now: u64) {
    signer.sign(&mut reply, now);
    back.send(reply);
}

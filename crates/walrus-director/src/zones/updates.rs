//! DNS UPDATE (RFC 2136): who asked is verified, what it comes to is decided by the core, written to the
//! journal, served, and only then acknowledged.
//!
//! What waits is taken together: it shares one write to the disk, one signing and one publication. Each
//! update is decided on what those before it in line leave, and all of a line fail with the disk.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use walrus_core::dynamic::{
    JournalChange, PendingSets, UpdateGround, UpdateMessage, UpdateRefused, UpdateRules,
    decide_next,
};
use walrus_core::zone::{InTheWay, OwnNames, Zone, ZoneDifference};
use walrus_dns::{DomainName, rcode};
use walrus_host::log::chain;

use super::ReplaceError;
use super::hand_off::{Back, HandedOver};
use super::journal::Journal;
use super::update_counts::UpdateCounts;
use super::update_repeats::{Repeats, Seen};
use super::update_reply::reply;
use crate::director::DirectorHandle;
use crate::tsig::{ReplySigner, TsigKeys};

/// A zone that takes updates, and from whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpdatedZone {
    /// Which.
    pub apex: DomainName,
    /// By key.
    pub rules: BTreeMap<DomainName, UpdateRules>,
    /// Names the text that it is loaded from, in at most 255 bytes, so that a later one is known as another; empty
    /// if there is none.
    pub text: Vec<u8>,
}

/// What a Director takes updates by.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UpdateSettings {
    /// The zones that take them; each is one of those that move.
    pub zones: Vec<UpdatedZone>,
    /// Journals lie below it.
    pub state: PathBuf,
    /// Updates make no zone take more bytes of memory than this.
    pub zone_memory_max: usize,
}

impl UpdateSettings {
    /// Names the text that a zone is loaded from.
    pub(super) fn text(&self, apex: &DomainName) -> &[u8] {
        self.zones.iter().find(|zone| zone.apex == *apex).map_or(&[], |zone| &zone.text)
    }
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
    /// What updates made and is not served, a sentence each; the first ones.
    pub left_out: Vec<String>,
}

/// All zones that take updates, with their journals.
#[derive(Default)]
pub(crate) struct Updates {
    pub(super) settings: UpdateSettings,
    pub(super) zones: BTreeMap<DomainName, Taking>,
    /// Names in them that are Walrus' own.
    pub(super) own: BTreeMap<DomainName, OwnNames>,
    /// What of them is not served, for it would hide such a name.
    pub(super) left_out: BTreeMap<DomainName, Vec<InTheWay>>,
    repeats: Repeats,
    pub(crate) counts: Arc<UpdateCounts>,
}

/// One zone's journal and what it says; without one, why.
pub(super) enum Taking {
    Open(Box<Journal>, Arc<Zone>),
    Closed(String),
    /// The disk refused a new journal. It is tried again when an update comes, `tried_at` last, in seconds since
    /// 1970.
    Unbegun {
        zone: Arc<Zone>,
        why: String,
        tried_at: u64,
    },
}

/// So many bytes of differences are written, and held, together; one alone may have as many.
const TOGETHER_BYTES_MAX: usize = 4 << 20;

/// A message whose signature is right, without it, and the way back.
struct Verified {
    back: Back,
    signer: ReplySigner,
    message: Vec<u8>,
    /// What the reply bears: whoever passed the message on may have given it another id than was signed
    /// (RFC 8945 section 5.5).
    id: [u8; 2],
}

impl Verified {
    fn send(self, told: (u16, Option<&str>), now: u64) {
        let (back, reply) = self.signed(told, now);
        back.send(reply);
    }

    /// The same to what came before, or is not kept in mind and may have: it counts for the rate limit.
    fn send_again(self, told: (u16, Option<&str>), now: u64) {
        let (back, reply) = self.signed(told, now);
        back.send_again(reply);
    }

    fn signed(self, (code, why): (u16, Option<&str>), now: u64) -> (Back, Vec<u8>) {
        let Self { back, mut signer, message, id } = self;
        let mut reply = reply(&message, code, why);
        reply[..2].copy_from_slice(&id);
        signer.sign(&mut reply, now);
        (back, reply)
    }
}

/// A message that was decided, and waits for the disk.
struct Waiting {
    first: Verified,
    /// The same, which came again before that was told anything.
    again: Vec<Verified>,
    outcome: Outcome,
}

/// What a message comes to.
enum Outcome {
    /// `None` once it is with the others that are written together.
    Change(Option<(JournalChange, ZoneDifference)>),
    /// It is done already.
    Nothing,
    /// It is refused, as things stand after those before it.
    Refused { code: u16, why: String, is_prerequisite: bool },
}

/// What happens to one zone together.
struct Line {
    /// The zone before all that waits.
    zone: Arc<Zone>,
    /// What that makes of it.
    pending: PendingSets,
    waiting: Vec<Waiting>,
}

impl Updates {
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
            let left_out = self.left_out.get(apex).into_iter().flatten().take(LEFT_OUT_TOLD_MAX);
            let status = UpdateStatus {
                apex: apex.clone(),
                serial: 0,
                changes: 0,
                journal_bytes: 0,
                last: None,
                problem: None,
                left_out: left_out.map(ToString::to_string).collect(),
            };
            match taking {
                Taking::Closed(why) | Taking::Unbegun { why, .. } => {
                    UpdateStatus { problem: Some(why.clone()), ..status }
                }
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
        self.begin_again(now);
        for message in messages {
            self.take_one(&keys, message, now, &mut lines);
            let bytes: usize = lines.values().map(|line| line.pending.bytes()).sum();
            if bytes >= TOGETHER_BYTES_MAX {
                self.finish_all(director, &mut lines, now);
            }
        }
        self.finish_all(director, &mut lines, now);
    }

    fn finish_all(
        &mut self,
        director: &DirectorHandle,
        lines: &mut BTreeMap<DomainName, Line>,
        now: u64,
    ) {
        for (apex, line) in std::mem::take(lines) {
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
        let HandedOver { mut message, back, client, transport, signed, .. } = handed;
        if back.is_gone() {
            // Who has stopped waiting asks again; it must not be done twice.
            return;
        }
        let asked = message.clone();
        let signer = match keys.verify_once(signed, &mut message, now) {
            Ok(Some(signer)) => signer,
            Ok(None) => {
                tracing::debug!(%client, transport = transport.name(), "an unsigned update is refused");
                self.counts.unsigned.add();
                return back.send(reply(&message, rcode::REFUSED, None));
            }
            Err(refusal) => {
                self.counts.unsigned.add();
                // What is no request has no reply.
                if let Some(reply) = refusal.reply(&asked, now) {
                    back.send(reply);
                }
                return;
            }
        };
        let seen = self.repeats.look(&signer, now);
        if seen == Seen::Forgotten {
            self.counts.unsigned.add();
            if let Some(reply) = keys.refuse_forgotten(signer, now).reply(&asked, now) {
                back.send(reply);
            }
            return;
        }
        let id = asked.first_chunk().copied().unwrap_or_default();
        let verified = Verified { back, signer, message, id };
        if let Seen::Told(code) = seen {
            self.counts.unchanged.add();
            return verified.send_again((code, None), now);
        }
        let mac = verified.signer.request_mac();
        let mut waiting = lines.values_mut().flat_map(|line| &mut line.waiting);
        match waiting.find(|it| it.first.signer.request_mac() == mac) {
            Some(first) => first.again.push(verified),
            None => self.take_verified(verified, now, lines),
        }
    }

    /// Takes what has not come before.
    fn take_verified(&self, verified: Verified, now: u64, lines: &mut BTreeMap<DomainName, Line>) {
        let Verified { signer, message, .. } = &verified;
        let (apex, outcome) = match self.decide(message, signer, now, lines) {
            Ok(decided) => decided,
            Err(Refusal::ByRule(apex, refused)) => {
                // What reaches no zone is not kept in mind, and would be told as often as it is sent again.
                if lines.contains_key(&apex) {
                    tracing::info!(key = %signer.key(), "an update is refused: {refused}");
                } else {
                    tracing::debug!(key = %signer.key(), "an update is refused: {refused}");
                }
                let (code, is_prerequisite) = (refused.rcode(), refused.is_prerequisite());
                (apex, Outcome::Refused { code, why: refused.to_string(), is_prerequisite })
            }
            Err(Refusal::Closed(why)) => {
                self.counts.failed.add();
                return verified.send_again((rcode::SERVFAIL, Some(&why)), now);
            }
        };
        match (lines.get_mut(&apex), outcome) {
            // Also a refusal waits: it is told of a zone that may fail to come.
            (Some(line), outcome) => {
                line.waiting.push(Waiting { first: verified, again: Vec::new(), outcome });
            }
            (None, Outcome::Refused { code, why, .. }) => {
                self.counts.refused.add();
                verified.send_again((code, Some(&why)), now);
            }
            (None, _) => {}
        }
    }

    /// What a verified message comes to, after all that waits.
    fn decide(
        &self,
        bytes: &[u8],
        signer: &ReplySigner,
        now: u64,
        lines: &mut BTreeMap<DomainName, Line>,
    ) -> Result<(DomainName, Outcome), Refusal> {
        let unread = |refused| Refusal::ByRule(DomainName::root(), refused);
        let message = UpdateMessage::read(bytes).map_err(unread)?;
        let apex = message.zone.clone();
        let held = match self.zones.get(&apex) {
            None => return Err(unread(UpdateRefused::OtherZone(apex))),
            Some(Taking::Closed(why) | Taking::Unbegun { why, .. }) => {
                return Err(Refusal::Closed(why.clone()));
            }
            Some(Taking::Open(_, zone)) => zone,
        };
        let line = lines.entry(apex.clone()).or_insert_with(|| Line {
            zone: Arc::clone(held),
            pending: PendingSets::default(),
            waiting: Vec::new(),
        });
        let no_rules = UpdateRules::default();
        let settings = self.settings.zones.iter().find(|zone| zone.apex == apex);
        let rules = settings.and_then(|zone| zone.rules.get(signer.key())).unwrap_or(&no_rules);
        let none = OwnNames::default();
        let own = self.own.get(&apex).unwrap_or(&none);
        let hosts: Vec<DomainName> = own.hosts.iter().map(|host| host.name.clone()).collect();
        let ground = UpdateGround { zone: &line.zone, services: &own.services, hosts: &hosts };
        let memory_max = self.settings.zone_memory_max;
        let difference = decide_next(&ground, &mut line.pending, (&message, rules), memory_max)
            .map_err(|refused| Refusal::ByRule(apex.clone(), refused))?;
        if difference.is_empty() {
            return Ok((apex, Outcome::Nothing));
        }
        let by = JournalChange { at: now, key: signer.key().clone() };
        Ok((apex, Outcome::Change(Some((by, difference)))))
    }

    /// Writes what waits for one zone to the disk, serves it, and tells who asked.
    fn finish(&mut self, director: &DirectorHandle, apex: &DomainName, line: Line, now: u64) {
        let Line { zone, pending, mut waiting } = line;
        let Some(Taking::Open(journal, held)) = self.zones.get_mut(apex) else { return };
        let mut changes = Vec::new();
        for one in &mut waiting {
            if let Outcome::Change(change) = &mut one.outcome {
                changes.extend(change.take());
            }
        }
        // Put together once for all that waits.
        let none = OwnNames::default();
        let own = self.own.get(apex).unwrap_or(&none);
        let result = match changes.last() {
            None => Ok(()),
            Some((_, last)) => {
                let next = pending.apply(&zone).filter(|next| next.serial() == last.to_serial);
                let next = next.map(Arc::new).ok_or_else(|| NO_ZONE.to_owned());
                next.and_then(|next| {
                    let (served, left_out) = own.without_what_hides_them(&next);
                    keep_and_serve(director, journal, &served, &changes)?;
                    *held = next;
                    self.left_out.insert(apex.clone(), left_out);
                    Ok(())
                })
            }
        };
        match &result {
            Ok(()) => changes.iter().for_each(|(by, difference)| tell(apex, by, difference)),
            Err(why) => tracing::error!(zone = %apex, "updates have failed: {why}"),
        }
        for Waiting { first, again, outcome } in waiting {
            let (code, text, count) = match (&result, &outcome) {
                (Ok(()), Outcome::Change(_)) => (rcode::NOERROR, None, &self.counts.done),
                (Ok(()), Outcome::Nothing) => (rcode::NOERROR, None, &self.counts.unchanged),
                (Ok(()), Outcome::Refused { code, why, is_prerequisite: true }) => {
                    (*code, Some(why.as_str()), &self.counts.prerequisites)
                }
                (Ok(()), Outcome::Refused { code, why, .. }) => {
                    (*code, Some(why.as_str()), &self.counts.refused)
                }
                // Also of what was decided on a change that has failed.
                (Err(why), _) => (rcode::SERVFAIL, Some(why.as_str()), &self.counts.failed),
            };
            count.add();
            if result.is_ok() {
                self.repeats.keep(&first.signer, code, now);
                first.send((code, text), now);
            } else {
                first.send_again((code, text), now);
            }
            for repeat in again {
                self.counts.unchanged.add();
                repeat.send_again((code, text), now);
            }
        }
        let Some(Taking::Open(journal, zone)) = self.zones.get_mut(apex) else { return };
        if result.is_ok() && !changes.is_empty() {
            journal.shorten(zone);
        }
    }
}

const NO_ZONE: &str = "it does not come to a zone that can be served";
/// Of one zone so many sets that are not served are told in its status.
const LEFT_OUT_TOLD_MAX: usize = 10;
/// Why a verified message changes nothing.
enum Refusal {
    /// In this zone, if that is one of ours.
    ByRule(DomainName, UpdateRefused),
    /// Not for what it says.
    Closed(String),
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

#[cfg(test)]
#[path = "updates_tests.rs"]
mod tests;

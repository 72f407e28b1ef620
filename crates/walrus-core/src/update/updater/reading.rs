//! Reading: the zone's serial, names, and what the balanced names lead to.

use std::collections::BTreeSet;

use walrus_dns::{DomainName, record_type};

use super::name::{Alias, NameState};
use super::{DesiredName, Failure, Held, NAMES_MAX, Reply, Request, UnderWay, Updater};
use crate::update::{ReplyData, ReplyRecord, held};
use crate::world::Time;

/// Questions for one name: its addresses of both kinds, its texts, and the alias that leads to it.
const QUESTIONS: usize = 4;
/// All names are read in the course of so many looks, or more if they do not fit these, whatever the serial says:
/// whoever edits a file may forget it, and not all name servers raise it for every kind of change.
const LOOKS_WHOLE: usize = 10;
/// Names that each look reads at least.
const LOOK_NAMES_MIN: usize = 8;

impl Updater {
    /// Questions about names that are to be read.
    pub(super) fn read(&self, now: Time) -> Option<(UnderWay, Vec<Request>)> {
        let is_due = |name: &NameState| name.next_reading().is_some_and(|at| at <= now);
        let due = self.wanted().filter(|(_, name)| is_due(name));
        let due: Vec<&DesiredName> = due.map(|(wanted, _)| wanted).take(NAMES_MAX).collect();
        (!due.is_empty()).then(|| self.ask(&due))
    }

    /// Whether somebody else changed something: the serial, and some of the names in turn.
    pub(super) fn look(&mut self) -> (UnderWay, Vec<Request>) {
        let all: Vec<&DesiredName> = self.wanted().map(|(wanted, _)| wanted).collect();
        let some = all.len().div_ceil(LOOKS_WHOLE).clamp(LOOK_NAMES_MIN, NAMES_MAX);
        let some = some.min(all.len());
        let begin = if self.next_name < all.len() { self.next_name } else { 0 };
        let in_turn: Vec<&DesiredName> = all.into_iter().cycle().skip(begin).take(some).collect();
        let work = self.ask(&in_turn);
        self.next_name = begin + some;
        work
    }

    /// Questions about these names.
    fn ask(&self, names: &[&DesiredName]) -> (UnderWay, Vec<Request>) {
        let query =
            |name: &DomainName, record_type| Request::Query { name: name.clone(), record_type };
        let mut requests = vec![query(&self.settings.zone, record_type::SOA)];
        let mut zones = BTreeSet::new();
        for wanted in names {
            for of_type in [record_type::A, record_type::AAAA, record_type::TXT] {
                requests.push(query(&wanted.target, of_type));
            }
            requests.push(query(&wanted.service, record_type::CNAME));
            let published = self.settings.services.iter().find(|it| it.target == wanted.target);
            zones.extend(published.map(|it| it.apex.clone()));
        }
        requests.extend(zones.iter().map(|apex| query(apex, record_type::DNSKEY)));
        let targets = names.iter().map(|wanted| wanted.target.clone()).collect();
        (UnderWay::Read(targets, zones.into_iter().collect()), requests)
    }

    /// All names are to be read; what is known of them may still be acted upon.
    pub(super) fn read_all(&mut self) {
        self.reads_all = true;
        self.serial = None;
        self.serial_before = None;
        self.names.values_mut().for_each(|name| {
            name.is_stale = true;
            name.in_use = false;
        });
    }

    pub(super) fn have_read(
        &mut self,
        now: Time,
        names: &[DomainName],
        zones: &[DomainName],
        replies: &[Result<Reply, Failure>],
    ) -> Result<(), Failure> {
        let (first, rest) = replies.split_first().ok_or(Failure::Malformed)?;
        let serial = match first {
            Ok(reply) => Ok(serial_of(reply)?),
            // What was answered besides is taken.
            Err(failure) => Err(failure.clone()),
        };
        if let Ok(serial) = serial {
            if !self.reads_all && self.serial != Some(serial) {
                self.read_all();
            }
            if self.reads_all {
                self.serial_before.get_or_insert(serial);
            }
        }
        let (rest, of_zones) =
            rest.split_at_checked(names.len() * QUESTIONS).ok_or(Failure::Malformed)?;
        for (apex, reply) in zones.iter().zip(of_zones) {
            if let Some(tags) = reply.as_ref().ok().and_then(|reply| tags_of(reply, apex)) {
                self.keys.insert(apex.clone(), tags);
            }
        }
        let mut chunks = rest.chunks_exact(QUESTIONS);
        for target in names {
            let Some([own @ .., alias]) = chunks.next() else { return Err(Failure::Malformed) };
            let service = self.service_of(target);
            let Some(name) = self.names.get_mut(target) else { continue };
            match held_of(target, own) {
                Ok(held) => name.read(held),
                Err(failure) if serial.is_ok() => name.could_not_be_read(now, failure),
                // It is the whole that is wrong, a key say, and no matter of names.
                Err(_) => continue,
            }
            name.alias = service.map(|service| alias_of(alias, &service));
        }
        let is_read = !self.wanted().any(|(_, name)| name.is_stale);
        if is_read && std::mem::take(&mut self.reads_all) {
            // Whatever was changed while names were read raised the serial above that of before.
            self.serial = self.serial_before.take();
        }
        self.judge_all();
        serial.map(drop)
    }

    fn service_of(&self, target: &DomainName) -> Option<DomainName> {
        let mut wanted = self.wanted();
        wanted.find(|(name, _)| name.target == *target).map(|(name, _)| name.service.clone())
    }
}

fn held_of(target: &DomainName, replies: &[Result<Reply, Failure>]) -> Result<Held, Failure> {
    let replies: Vec<Reply> = replies.iter().cloned().collect::<Result<_, _>>()?;
    Ok(Held::read(target, &replies)?)
}

/// The tags of a zone's keys; `None` if it does not say.
fn tags_of(reply: &Reply, apex: &DomainName) -> Option<BTreeSet<u16>> {
    held::check(reply).ok()?;
    let tag = |record: &ReplyRecord| match record.data {
        ReplyData::Key(tag) if record.owner == *apex => Some(tag),
        _ => None,
    };
    Some(reply.answers.iter().filter_map(tag).collect())
}

fn serial_of(reply: &Reply) -> Result<u32, Failure> {
    held::check(reply)?;
    let serial = reply.answers.iter().find_map(|record| match record.data {
        ReplyData::Serial(serial) => Some(serial),
        _ => None,
    });
    // A name inside another zone has none: that zone is not there.
    serial.ok_or(Failure::NotAuthoritative)
}

fn alias_of(reply: &Result<Reply, Failure>, service: &DomainName) -> Alias {
    let reply = match reply {
        Ok(reply) => reply,
        Err(failure) => return Alias::Unknown(failure.clone()),
    };
    if let Err(error) = held::check(reply) {
        return Alias::Unknown(error.into());
    }
    let found = reply.answers.iter().find_map(|record| match &record.data {
        ReplyData::Alias(target) if record.owner == *service => Some((target, record.ttl)),
        _ => None,
    });
    found.map_or(Alias::Missing, |(target, ttl)| Alias::To(target.clone(), ttl))
}

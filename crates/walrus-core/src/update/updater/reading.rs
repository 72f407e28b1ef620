//! Reading: the zone's serial, names, and what the balanced names lead to.

use walrus_dns::{DomainName, record_type};

use super::name::{Alias, NameState};
use super::{Failure, Held, NAMES_MAX, Reply, Request, UnderWay, Updater};
use crate::update::{ReplyData, held};
use crate::world::Time;

/// Questions for one name: its addresses of both kinds, its texts, and the alias that leads to it.
const QUESTIONS: usize = 4;
/// All names are read at one look in so many, whatever the serial says: not all name servers raise it
/// for every kind of change.
const LOOKS_WHOLE: u32 = 10;

impl Updater {
    pub(super) fn ask_serial(&self) -> Request {
        Request::Query { name: self.settings.zone.clone(), record_type: record_type::SOA }
    }

    /// Questions about names that are to be read.
    pub(super) fn read(&self, now: Time) -> Option<(UnderWay, Vec<Request>)> {
        let (mut requests, mut targets) = (vec![self.ask_serial()], Vec::new());
        let is_due = |name: &NameState| name.next_reading().is_some_and(|at| at <= now);
        let due = self.wanted().filter(|(_, name)| is_due(name));
        for (wanted, _) in due.take(NAMES_MAX) {
            for of_type in [record_type::A, record_type::AAAA, record_type::TXT] {
                requests.push(Request::Query { name: wanted.target.clone(), record_type: of_type });
            }
            let (name, record_type) = (wanted.service.clone(), record_type::CNAME);
            requests.push(Request::Query { name, record_type });
            targets.push(wanted.target.clone());
        }
        (!targets.is_empty()).then_some((UnderWay::Read(targets), requests))
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

    pub(super) fn looked(&mut self, replies: &[Result<Reply, Failure>]) -> Result<(), Failure> {
        let serial = serial_of(replies.first())?;
        self.looks += 1;
        if self.serial != Some(serial) || self.looks >= LOOKS_WHOLE {
            self.read_all();
        }
        Ok(())
    }

    pub(super) fn have_read(
        &mut self,
        now: Time,
        names: &[DomainName],
        replies: &[Result<Reply, Failure>],
    ) -> Result<(), Failure> {
        let (first, rest) = replies.split_first().ok_or(Failure::Malformed)?;
        let serial = serial_of(Some(first))?;
        self.serial_before.get_or_insert(serial);
        let mut chunks = rest.chunks_exact(QUESTIONS);
        for target in names {
            let Some([own @ .., alias]) = chunks.next() else { return Err(Failure::Malformed) };
            let service = self.service_of(target);
            let Some(name) = self.names.get_mut(target) else { continue };
            match held_of(target, own) {
                Ok(held) => name.read(held),
                Err(failure) => name.could_not_be_read(now, failure),
            }
            name.alias = service.map(|service| alias_of(alias, &service));
        }
        let is_read = !self.wanted().any(|(_, name)| name.is_stale);
        if is_read && std::mem::take(&mut self.reads_all) {
            // Whatever was changed while names were read raised the serial above that of before.
            self.serial = self.serial_before.take();
            self.looks = 0;
        }
        self.judge_all();
        Ok(())
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

fn serial_of(reply: Option<&Result<Reply, Failure>>) -> Result<u32, Failure> {
    let reply = reply.ok_or(Failure::Malformed)?.as_ref().map_err(Clone::clone)?;
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

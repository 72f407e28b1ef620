//! The messages of a transfer in, a zone or a difference out.
//!
//! Whoever sends them is a primary that the operator named, and may be broken or somebody else all the
//! same: records and bytes are bounded, each message must bring records, and what is not exactly a
//! transfer of the zone that was asked for is an error.

use std::collections::BTreeMap;

use walrus_dns::{DomainName, rcode, record_type};

use super::is_newer;
use super::wire::{Head, Reader, WireRecord};
use crate::zone::{Record, Zone, ZoneDifference, ZoneDraft, is_data_of};

/// Memory that a record takes in a difference beside its name and data.
const RECORD_ROOM: usize = 96;

/// What was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// AXFR. `held` is the serial that is there already, if any.
    Whole {
        /// Of what is there.
        held: Option<u32>,
    },
    /// IXFR: what changed since this serial.
    Since(u32),
}

/// What a transfer may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TransferLimits {
    /// Bytes of memory of the zone; of a difference as much.
    pub memory_max: usize,
    /// Bytes of all messages.
    pub bytes_max: u64,
}

impl TransferLimits {
    /// For a zone of so many bytes of memory: names are written out in messages, so that these may
    /// have four times as many.
    #[must_use]
    pub const fn of_memory(memory_max: usize) -> Self {
        Self { memory_max, bytes_max: (memory_max as u64).saturating_mul(4) }
    }
}

/// What became of a transfer after a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Another message follows.
    More,
    /// It ended.
    Done(Transfer),
}

/// What came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Transfer {
    /// What is there is the newest.
    Unchanged,
    /// A whole zone, and what is hardly meant in it.
    Whole {
        /// The zone.
        zone: Box<Zone>,
        /// One a line.
        warnings: Vec<String>,
    },
    /// What changed, all steps in one.
    Difference(ZoneDifference),
}

/// Why it is no transfer of the zone. Nothing of it is used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TransferError {
    /// The primary says no.
    #[error("it answers {}", rcode::name(u16::from(*.0)))]
    Refused(u8),
    /// No DNS message, or none that answers what was asked.
    #[error("it sends something that is no reply to a transfer")]
    Malformed,
    /// A record whose data is not of its type.
    #[error("the record of type {record_type} at {name} is damaged")]
    Damaged {
        /// Its owner.
        name: DomainName,
        /// Its type.
        record_type: u16,
    },
    /// A message without records.
    #[error("it sends messages without records")]
    Empty,
    /// The first record is no SOA record of the zone.
    #[error("it does not begin with the zone's SOA record")]
    NoSoa,
    /// A record of another class.
    #[error("it sends {0} in another class than IN")]
    OtherClass(DomainName),
    /// An older zone than the one that is there.
    #[error(
        "its serial {came} is not newer than {held}, which is here: raise the primary's serial above"
    )]
    Shrinks {
        /// Here.
        held: u32,
        /// The primary's.
        came: u32,
    },
    /// The steps of a difference do not lead from one serial to the next.
    #[error("a difference of it leads from serial {from} to {to}, where {expected} was expected")]
    Steps {
        /// It begins there.
        from: u32,
        /// It ends there.
        to: u32,
        /// It had to begin or end there.
        expected: u32,
    },
    /// Something follows the end.
    #[error("it goes on behind its end")]
    Trailing,
    /// It takes more than may be.
    #[error("it is larger than a zone may be: raise `[dns] zone_memory_max`, or split the zone")]
    TooLarge,
    /// What came is no zone.
    #[error("the zone has problems: {0}")]
    NoZone(String),
}

/// Reads one transfer.
#[derive(Debug)]
pub struct TransferReader {
    apex: DomainName,
    asked: Asked,
    id: u16,
    keeps_signatures: bool,
    limits: TransferLimits,
    bytes: u64,
    /// Records that are not in the zone: how many, and the name of the first.
    outside: Option<(u64, DomainName)>,
    state: State,
}

#[derive(Debug)]
enum State {
    /// Before the first record.
    Begin,
    /// Behind the first SOA record of a reply to IXFR.
    First(Soa),
    Whole(Soa, ZoneDraft),
    Steps(Steps),
    Ended,
}

/// A SOA record's serial and itself.
#[derive(Clone, Debug)]
struct Soa {
    serial: u32,
    record: Record,
}

/// The differences of an IXFR, and where it stands.
#[derive(Debug)]
struct Steps {
    newest: u32,
    net: Net,
    /// Of the step that is read: where it begins, and where it ends once its records are added.
    from: u32,
    to: Option<u32>,
    size: usize,
}

impl TransferReader {
    /// For the reply to a question with this number. Signatures and proofs that the zone has are kept
    /// or left out.
    #[must_use]
    pub const fn new(
        apex: DomainName,
        asked: Asked,
        id: u16,
        keeps_signatures: bool,
        limits: TransferLimits,
    ) -> Self {
        Self {
            apex,
            asked,
            id,
            keeps_signatures,
            limits,
            bytes: 0,
            outside: None,
            state: State::Begin,
        }
    }

    /// Bytes that what came takes until it ends, about.
    #[must_use]
    pub fn memory(&self) -> usize {
        match &self.state {
            State::Begin | State::First(_) | State::Ended => 0,
            State::Whole(_, draft) => draft.memory(),
            State::Steps(steps) => steps.size,
        }
    }

    /// Takes a message in. After an error, or the end, there is nothing more to read.
    ///
    /// # Errors
    /// If this is no transfer of the zone.
    pub fn read(&mut self, message: &[u8]) -> Result<Step, TransferError> {
        self.bytes = self.bytes.saturating_add(message.len() as u64);
        if self.bytes > self.limits.bytes_max {
            return Err(TransferError::TooLarge);
        }
        let (mut reader, answers) = self.open(message)?;
        for number in 0..answers {
            let record = reader.record().ok_or(TransferError::Malformed)?;
            let is_last = number + 1 == answers;
            if let Some(transfer) = self.take(record, is_last)? {
                return if is_last {
                    Ok(Step::Done(transfer))
                } else {
                    Err(TransferError::Trailing)
                };
            }
        }
        Ok(Step::More)
    }

    /// Checks a message's head and question.
    fn open<'m>(&self, message: &'m [u8]) -> Result<(Reader<'m>, u16), TransferError> {
        let head = Head::read(message).ok_or(TransferError::Malformed)?;
        let is_ours = head.is_reply && head.opcode == 0 && head.id == self.id;
        if !is_ours || head.is_truncated || head.questions > 1 {
            return Err(TransferError::Malformed);
        }
        if head.rcode != 0 {
            return Err(TransferError::Refused(head.rcode));
        }
        let mut reader = Reader::new(message);
        if head.questions == 1 {
            let (name, record_type, _) = reader.question().ok_or(TransferError::Malformed)?;
            let is_asked = matches!(record_type, record_type::AXFR | record_type::IXFR);
            if name != self.apex || !is_asked {
                return Err(TransferError::Malformed);
            }
        }
        if head.answers == 0 {
            return Err(TransferError::Empty);
        }
        Ok((reader, head.answers))
    }

    /// Takes a record; what came, if that was the last one.
    fn take(
        &mut self,
        record: WireRecord,
        is_last_of_message: bool,
    ) -> Result<Option<Transfer>, TransferError> {
        let Some(record) = self.checked(record)? else { return self.pass_by().map(|()| None) };
        let soa = self.soa(&record);
        match std::mem::replace(&mut self.state, State::Ended) {
            State::Begin => self.begin(soa.ok_or(TransferError::NoSoa)?, is_last_of_message),
            State::First(newest) => self.second(newest, record, soa),
            State::Whole(newest, mut draft) => match soa {
                Some(soa) if soa.serial == newest.serial => self.finish(&newest, draft).map(Some),
                Some(soa) => Err(TransferError::Steps {
                    from: newest.serial,
                    to: soa.serial,
                    expected: newest.serial,
                }),
                None => {
                    self.draft(&mut draft, &record)?;
                    self.state = State::Whole(newest, draft);
                    Ok(None)
                }
            },
            State::Steps(mut steps) => match soa {
                Some(soa) => self.turn(steps, soa),
                None => {
                    self.step(&mut steps, record)?;
                    self.state = State::Steps(steps);
                    Ok(None)
                }
            },
            State::Ended => Err(TransferError::Trailing),
        }
    }

    /// The record; `None` if it is not in the zone: other name servers send what their files have (RFC 5936
    /// section 3.5 has them refuse it, and secondaries bear it).
    fn checked(&mut self, record: WireRecord) -> Result<Option<Record>, TransferError> {
        let WireRecord { name, record_type, class, ttl, data } = record;
        if class != record_type::CLASS_IN {
            return Err(TransferError::OtherClass(name));
        }
        if !name.is_within(&self.apex) {
            let (count, _) = self.outside.get_or_insert((0, name));
            *count += 1;
            return Ok(None);
        }
        // Types that exist only in messages (RFC 6895).
        let is_meta = matches!(record_type, 0 | record_type::OPT | 128..=255);
        if is_meta || !is_data_of(record_type, &data) {
            return Err(TransferError::Damaged { name, record_type });
        }
        Ok(Some(Record { name, record_type, ttl, data: data.into() }))
    }

    /// A record that is not in the zone is left out, and counts as what it is all the same.
    fn pass_by(&mut self) -> Result<(), TransferError> {
        match std::mem::replace(&mut self.state, State::Ended) {
            State::Begin => return Err(TransferError::NoSoa),
            State::First(newest) => self.state = self.whole(newest)?,
            State::Ended => return Err(TransferError::Trailing),
            state => self.state = state,
        }
        Ok(())
    }

    /// The record as the zone's SOA record, if it is one.
    fn soa(&self, record: &Record) -> Option<Soa> {
        if record.record_type != record_type::SOA || record.name != self.apex {
            return None;
        }
        let serial = crate::zone::serial_of(&record.data)?;
        Some(Soa { serial, record: record.clone() })
    }

    fn begin(&mut self, newest: Soa, is_alone: bool) -> Result<Option<Transfer>, TransferError> {
        let held = match self.asked {
            Asked::Whole { held } => held,
            Asked::Since(held) => Some(held),
        };
        if let Some(held) = held {
            if newest.serial == held && matches!(self.asked, Asked::Since(_)) && is_alone {
                return Ok(Some(Transfer::Unchanged));
            }
            if newest.serial != held && !is_newer(newest.serial, held) {
                return Err(TransferError::Shrinks { held, came: newest.serial });
            }
        }
        self.state = match self.asked {
            Asked::Whole { .. } => self.whole(newest)?,
            Asked::Since(_) => State::First(newest),
        };
        Ok(None)
    }

    fn whole(&self, newest: Soa) -> Result<State, TransferError> {
        let memory_max = self.limits.memory_max;
        let mut draft = ZoneDraft::new(self.apex.clone(), self.keeps_signatures, memory_max);
        self.draft(&mut draft, &newest.record)?;
        Ok(State::Whole(newest, draft))
    }

    /// The record behind the first SOA record in a reply to IXFR: another SOA begins a difference,
    /// anything else is a whole zone's.
    fn second(
        &mut self,
        newest: Soa,
        record: Record,
        soa: Option<Soa>,
    ) -> Result<Option<Transfer>, TransferError> {
        let Asked::Since(held) = self.asked else { return Err(TransferError::Malformed) };
        match soa {
            Some(old) if old.serial == newest.serial => {
                Err(TransferError::NoZone("nothing stands between its SOA records".to_owned()))
            }
            Some(old) if old.serial != held => {
                Err(TransferError::Steps { from: old.serial, to: newest.serial, expected: held })
            }
            Some(old) => {
                let net = Net::new(old.record);
                let (newest, from) = (newest.serial, old.serial);
                self.state = State::Steps(Steps { newest, net, from, to: None, size: 0 });
                Ok(None)
            }
            None => {
                let State::Whole(newest, mut draft) = self.whole(newest)? else {
                    return Err(TransferError::Malformed);
                };
                self.draft(&mut draft, &record)?;
                self.state = State::Whole(newest, draft);
                Ok(None)
            }
        }
    }

    fn draft(&self, draft: &mut ZoneDraft, record: &Record) -> Result<(), TransferError> {
        let Record { name, record_type, ttl, data } = record;
        // Nobody need be told at each transfer what the configuration asks for.
        if !self.keeps_signatures && is_of_signer(*record_type) {
            return Ok(());
        }
        if !draft.push(name, *record_type, *ttl, data) {
            return Err(TransferError::Malformed);
        }
        if draft.is_too_large() { Err(TransferError::TooLarge) } else { Ok(()) }
    }

    fn step(&self, steps: &mut Steps, record: Record) -> Result<(), TransferError> {
        if !self.keeps_signatures && is_of_signer(record.record_type) {
            return Ok(());
        }
        steps.size += RECORD_ROOM + record.data.len() + record.name.as_wire().len();
        if steps.size > self.limits.memory_max {
            return Err(TransferError::TooLarge);
        }
        match steps.to {
            None => steps.net.remove(record),
            Some(_) => steps.net.add(record),
        }
        Ok(())
    }

    /// A SOA record within differences: from what goes to what comes, to the next step, or the end.
    fn turn(&mut self, mut steps: Steps, soa: Soa) -> Result<Option<Transfer>, TransferError> {
        let wrong = |from, to, expected| Err(TransferError::Steps { from, to, expected });
        let Some(to) = steps.to else {
            if !is_newer(soa.serial, steps.from) {
                return wrong(steps.from, soa.serial, steps.newest);
            }
            steps.to = Some(soa.serial);
            steps.net.last = Some(soa.record);
            self.state = State::Steps(steps);
            return Ok(None);
        };
        if to == steps.newest {
            if soa.serial != to {
                return wrong(to, soa.serial, to);
            }
            let Asked::Since(from) = self.asked else { return Err(TransferError::Malformed) };
            return Ok(Some(Transfer::Difference(steps.net.finish(from, to))));
        }
        if soa.serial != to || !is_newer(steps.newest, to) {
            return wrong(soa.serial, steps.newest, to);
        }
        (steps.from, steps.to) = (to, None);
        self.state = State::Steps(steps);
        Ok(None)
    }

    fn finish(&self, newest: &Soa, draft: ZoneDraft) -> Result<Transfer, TransferError> {
        if matches!(self.asked, Asked::Whole { held: Some(held) } | Asked::Since(held)
            if held == newest.serial)
        {
            return Ok(Transfer::Unchanged);
        }
        let source = format!("the zone {} as it was transferred", self.apex);
        match draft.finish(&source) {
            Ok(read) => {
                let mut warnings: Vec<String> =
                    read.warnings.iter().map(ToString::to_string).collect();
                if let Some((count, first)) = &self.outside {
                    warnings.push(format!(
                        "{count} records that came are not in the zone and left out, the first at {first}"
                    ));
                }
                Ok(Transfer::Whole { zone: Box::new(read.zone), warnings })
            }
            Err(problems) => {
                let first = problems.first().map(ToString::to_string).unwrap_or_default();
                Err(TransferError::NoZone(first))
            }
        }
    }
}

/// Records that are left out of a zone that is not kept as it is signed.
const fn is_of_signer(record_type: u16) -> bool {
    matches!(
        record_type,
        record_type::RRSIG | record_type::NSEC | record_type::NSEC3 | record_type::NSEC3PARAM
    )
}

/// What several steps come to.
#[derive(Debug)]
struct Net {
    first: Record,
    last: Option<Record>,
    /// By name, type and data: the TTL.
    removed: BTreeMap<RecordKey, u32>,
    added: BTreeMap<RecordKey, u32>,
}

type RecordKey = (DomainName, u16, Box<[u8]>);

impl Net {
    const fn new(first: Record) -> Self {
        Self { first, last: None, removed: BTreeMap::new(), added: BTreeMap::new() }
    }

    fn remove(&mut self, record: Record) {
        let Record { name, record_type, ttl, data } = record;
        let key = (name, record_type, data);
        if self.added.remove(&key).is_none() {
            self.removed.insert(key, ttl);
        }
    }

    fn add(&mut self, record: Record) {
        let Record { name, record_type, ttl, data } = record;
        let key = (name, record_type, data);
        if self.removed.get(&key) == Some(&ttl) {
            self.removed.remove(&key);
        } else {
            self.added.insert(key, ttl);
        }
    }

    fn finish(self, from_serial: u32, to_serial: u32) -> ZoneDifference {
        let record = |((name, record_type, data), ttl): (RecordKey, u32)| Record {
            name,
            record_type,
            ttl,
            data,
        };
        let removed = std::iter::once(self.first).chain(self.removed.into_iter().map(record));
        let added = self.last.into_iter().chain(self.added.into_iter().map(record));
        ZoneDifference {
            from_serial,
            to_serial,
            removed: removed.collect(),
            added: added.collect(),
        }
    }
}

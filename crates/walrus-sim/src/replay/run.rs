//! The replay itself: query by query.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use walrus_core::answer::PlanCompileError;
use walrus_core::control::JournalRecord;
use walrus_core::plan::PlanNumber;
use walrus_core::world::{Digest, Time, Topology};

use super::asked::{Asked, Recorded};
use super::compare::compare;
use super::interval::Mass;
use super::log::Found;
use super::names::{Choice, Names};
use super::outcome::{LogCounts, ReplayOutcome};
use super::side::{Answered, Proposal, Side};
use super::tally::{Half, Tally};
use super::world::Snapshot;
use super::worlds::{JournalReader, Opened, Records, told};

/// Broken lines that are told with their numbers; the rest are counted.
const BROKEN_TOLD: usize = 5;

/// The configurations of a replay.
#[derive(Debug)]
pub struct Sides {
    /// The proposed one.
    pub proposed: Proposal,
    /// What it is compared with; `None`: what the log says was answered.
    pub against: Option<Proposal>,
}

/// What they decide in.
pub enum World<'a> {
    /// The same for all of the log.
    Snapshot(Box<Snapshot>),
    /// The records of a journal, each for the lines that were answered from its Plan.
    Journal(Records<'a>),
}

/// Why nothing can be replayed.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// A Plan cannot be carried out.
    #[error(transparent)]
    Plan(#[from] PlanCompileError),
    /// The journal names servers by their places in another configuration.
    #[error(
        "no round of the journal was under one of the two configurations; the last was under {0}: \
         give that one as the one to compare with"
    )]
    Configuration(Digest),
    /// Nothing in it.
    #[error("the journal holds no round")]
    NoRecords,
    /// Queries alone were logged.
    #[error(
        "the log does not say what was answered (line or frame {0}): name a configuration to \
         compare with"
    )]
    NotRecorded(u64),
}

/// A replay on its way.
pub struct Replay<'a> {
    names: Names,
    proposed: Side,
    against: Option<Side>,
    /// The proposed configuration's servers by their addresses.
    addressed: BTreeMap<IpAddr, (String, String)>,
    /// The World in force.
    snapshot: Snapshot,
    journal: Option<Journal<'a>>,
    tally: Tally,
    log: LogCounts,
    query: Vec<u8>,
    error: Option<ReplayError>,
}

struct Journal<'a> {
    reader: JournalReader<'a>,
    /// The configurations that its rounds may be under.
    topologies: Vec<(Digest, Arc<Topology>)>,
    /// The last round that was decided in, and when by its Controller's clock.
    last: (PlanNumber, Time),
}

impl Journal<'_> {
    fn topology(&self, record: &JournalRecord) -> Option<Arc<Topology>> {
        written_under(&self.topologies, record).cloned()
    }

    /// Whether another Controller than before decided this, or the same one after a restart: its time
    /// begins anew.
    fn is_new_start(&mut self, record: &JournalRecord) -> bool {
        let last = std::mem::replace(&mut self.last, (record.number.clone(), record.now));
        let (number, now) = last;
        record.number.epoch != number.epoch
            || record.number.controller != number.controller
            || record.now < now
    }
}

fn written_under<'t>(
    topologies: &'t [(Digest, Arc<Topology>)],
    record: &JournalRecord,
) -> Option<&'t Arc<Topology>> {
    let mut found = topologies.iter();
    found.find(|(digest, _)| *digest == record.digests.configuration).map(|(_, topology)| topology)
}

impl<'a> Replay<'a> {
    /// Decides in the (first) World.
    ///
    /// # Errors
    /// See [`ReplayError`].
    pub fn new(sides: Sides, world: World<'a>) -> Result<Self, ReplayError> {
        let Sides { proposed, against } = sides;
        let mut names = Names::default();
        let mut log = LogCounts::default();
        let (proposed, against, snapshot, journal) = match world {
            World::Snapshot(snapshot) => {
                let proposed = Side::at(proposed, &snapshot, &mut names)?;
                let against = against.map(|it| Side::at(it, &snapshot, &mut names)).transpose()?;
                (proposed, against, *snapshot, None)
            }
            World::Journal(records) => {
                let both = against.iter().chain([&proposed]);
                let topologies: Vec<_> = both
                    .map(|it| (it.digests.configuration.clone(), Arc::clone(&it.topology)))
                    .collect();
                let (Opened { reader, first, passed_over }, topology) = open(records, &topologies)?;
                log.other_rounds = passed_over;
                let (snapshot, memory) = told(&first, &topology);
                let (world, when) = ((&snapshot, &memory, &*topology), (first.now, first.cause));
                let mut begin = |it| Side::in_journal(it, world, when, &mut names);
                let (proposed, against) = (begin(proposed)?, against.map(begin).transpose()?);
                let last = (first.number.clone(), first.now);
                let journal = Journal { reader, topologies, last };
                (proposed, against, snapshot, Some(journal))
            }
        };
        Ok(Self {
            names,
            addressed: addressed(proposed.topology()),
            proposed,
            against,
            snapshot,
            journal,
            tally: Tally::default(),
            log,
            query: Vec::new(),
            error: None,
        })
    }

    /// Servers of the proposed configuration that the World does not know: they count as living, of
    /// unknown load.
    #[must_use]
    pub fn unknown_servers(&self) -> Vec<String> {
        let servers = self.proposed.topology().servers.iter();
        let unknown = servers.filter(|it| !self.snapshot.conditions.contains_key(&it.name));
        unknown.map(|server| server.name.to_string()).collect()
    }

    /// Takes what was found in the log.
    pub fn take(&mut self, found: Found) {
        match found {
            Found::Broken(place, why) => {
                self.log.broken += 1;
                if self.log.first_broken.len() < BROKEN_TOLD {
                    self.log.first_broken.push((place, why));
                }
            }
            Found::PassedOver => self.log.passed_over += 1,
            Found::Asked(asked) => {
                if self.error.is_none()
                    && let Err(error) = self.ask(&asked)
                {
                    self.error = Some(error);
                }
            }
        }
    }

    /// Adds everything up.
    ///
    /// # Errors
    /// What went wrong on the way; see [`ReplayError`].
    pub fn finish(self) -> Result<ReplayOutcome, ReplayError> {
        match self.error {
            Some(error) => Err(error),
            None => Ok(compare(self.tally, &self.names, self.log, &self.snapshot.conditions)),
        }
    }

    /// Whether going on is of no use: [`Self::finish`] says why.
    #[must_use]
    pub const fn has_failed(&self) -> bool {
        self.error.is_some()
    }

    fn ask(&mut self, asked: &Asked) -> Result<(), ReplayError> {
        self.log.read += 1;
        let mass = Mass::of(asked.weight);
        self.log.queries += mass.queries;
        self.follow_journal(asked)?;
        if self.tally.is_full() || self.names.is_full() {
            self.add_up();
        }
        asked.write_query(&mut self.query);
        let after = self.proposed.ask(asked, &self.query, &mut self.names);
        let before = match (&mut self.against, &asked.recorded) {
            (Some(side), _) => side.ask(asked, &self.query, &mut self.names),
            (None, Some(recorded)) => self.recorded(asked, recorded, &after),
            (None, None) => return Err(ReplayError::NotRecorded(self.log.read)),
        };
        self.tally.code(before.rcode, after.rcode, mass);
        let Some((service, ..)) = after.service.or(before.service) else {
            self.tally.others.add(mass);
            return Ok(());
        };
        let half = |answered: Answered| -> Option<Half> {
            answered.service.map(|(_, area, choice)| (area, choice))
        };
        let halves = (half(before), half(after));
        self.tally.add(service, halves, mass, asked.domain());
        Ok(())
    }

    /// Makes room for more Plans.
    fn add_up(&mut self) {
        self.tally.add_up(&self.names);
        self.names.forget_distributions();
        for side in std::iter::once(&mut self.proposed).chain(&mut self.against) {
            side.forget_choices();
        }
    }

    /// What the log says was answered, in the proposed configuration's words where it says less.
    fn recorded(&mut self, asked: &Asked, recorded: &Recorded, after: &Answered) -> Answered {
        let of_address = |address: IpAddr| {
            let known = self.addressed.get(&address).cloned();
            // One that is gone; the answer of a static name is no server's.
            let gone = || (address.to_string(), "(unknown)".to_owned());
            known.or_else(|| after.service.is_some().then(gone))
        };
        let server = recorded.server.clone().zip(recorded.cluster.clone());
        let server = server.or_else(|| of_address(recorded.address?));
        let is_service = recorded.area.is_some() || server.is_some();
        let choice = server.map_or(Choice::Nobody, |(server, cluster)| {
            Choice::Drawn(self.names.place(&server, &cluster))
        });
        // A dnstap file knows no areas: it is taken to have been the same one.
        let area = recorded.area.as_deref().map(|area| self.names.area(area));
        let area = area.or(after.service.map(|(_, area, _)| area));
        let service = after.service.map(|(service, ..)| service);
        let service = area
            .filter(|_| is_service)
            .map(|area| (service.unwrap_or_else(|| self.names.service(&asked.name)), area, choice));
        Answered { rcode: recorded.rcode, service }
    }

    /// Goes on in the journal to the World of the line's Plan and time.
    fn follow_journal(&mut self, asked: &Asked) -> Result<(), ReplayError> {
        let Some(journal) = &mut self.journal else { return Ok(()) };
        let mut newest: Option<JournalRecord> = None;
        while let Some(record) = journal.reader.next_until(asked) {
            // Another configuration numbers other servers.
            let Some(topology) = journal.topology(&record) else {
                self.log.other_rounds += 1;
                continue;
            };
            self.snapshot = Snapshot::of_record(&record, &topology);
            let is_new_start = journal.is_new_start(&record);
            for side in std::iter::once(&mut self.proposed).chain(&mut self.against) {
                if is_new_start {
                    side.restart(record.now);
                }
                side.decide(&self.snapshot, record.now, record.cause);
            }
            newest = Some(record);
        }
        if newest.is_some() {
            for side in std::iter::once(&mut self.proposed).chain(&mut self.against) {
                side.compile(&self.snapshot, &mut self.names)?;
            }
        }
        if let Some(plan) = &asked.plan {
            self.log.late += u64::from(*plan < journal.reader.number);
            self.log.without_world += u64::from(*plan > journal.reader.number);
        } else if asked.unix_ms > 0 {
            self.log.late += u64::from(journal.reader.unix_ms.is_some_and(|it| it > asked.unix_ms));
        }
        Ok(())
    }
}

/// At the first record under one of the configurations, with that one's topology.
fn open<'a>(
    records: Records<'a>,
    topologies: &[(Digest, Arc<Topology>)],
) -> Result<(Opened<'a>, Arc<Topology>), ReplayError> {
    let is_wanted = |record: &JournalRecord| written_under(topologies, record).is_some();
    let opened = JournalReader::open(records, &is_wanted).map_err(|last| match last {
        Some(last) => ReplayError::Configuration(last.digests.configuration),
        None => ReplayError::NoRecords,
    })?;
    let topology = written_under(topologies, &opened.first).cloned();
    Ok((opened, topology.ok_or(ReplayError::NoRecords)?))
}

/// Servers and their clusters by address; of several with the same the first.
fn addressed(topology: &Topology) -> BTreeMap<IpAddr, (String, String)> {
    let mut servers = BTreeMap::new();
    for server in &topology.servers {
        let cluster = &topology.clusters[server.cluster.index()].name;
        for address in &server.addresses {
            let name = || (server.name.to_string(), cluster.to_string());
            servers.entry(*address).or_insert_with(name);
        }
    }
    servers
}

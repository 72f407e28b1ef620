//! The replay itself: query by query.

use std::net::IpAddr;
use std::sync::Arc;

use walrus_core::answer::PlanCompileError;
use walrus_core::control::JournalRecord;
use walrus_core::world::{Digest, Topology};

use super::asked::{Asked, Recorded};
use super::compare::compare;
use super::interval::Mass;
use super::log::Found;
use super::names::{Choice, Names};
use super::outcome::{LogCounts, ReplayOutcome};
use super::side::{Answered, Proposal, Side};
use super::tally::{Half, Tally};
use super::world::Snapshot;
use super::worlds::{JournalReader, Records, told};

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
        "the journal was written under configuration {0}, which is neither the proposed one nor \
         the one to compare with: give that one as the one to compare with"
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
    /// The configuration that it was written under.
    digest: Digest,
    topology: Arc<Topology>,
}

impl<'a> Replay<'a> {
    /// Decides in the (first) World.
    ///
    /// # Errors
    /// See [`ReplayError`].
    pub fn new(sides: Sides, world: World<'a>) -> Result<Self, ReplayError> {
        let Sides { proposed, against } = sides;
        let mut names = Names::default();
        let (proposed, against, snapshot, journal) = match world {
            World::Snapshot(snapshot) => {
                let proposed = Side::at(proposed, &snapshot, &mut names)?;
                let against = against.map(|it| Side::at(it, &snapshot, &mut names)).transpose()?;
                (proposed, against, *snapshot, None)
            }
            World::Journal(records) => {
                let (reader, first) = JournalReader::open(records).ok_or(ReplayError::NoRecords)?;
                let digest = first.digests.configuration.clone();
                let written = |it: &&Proposal| it.digests.configuration == digest;
                let written = against.iter().chain([&proposed]).find(written);
                let topology = written.map(|it| Arc::clone(&it.topology));
                let topology = topology.ok_or(ReplayError::Configuration(digest.clone()))?;
                let (snapshot, memory) = told(&first, &topology);
                let (world, when) = ((&snapshot, &memory, &*topology), (first.now, first.cause));
                let mut begin = |it| Side::in_journal(it, world, when, &mut names);
                let (proposed, against) = (begin(proposed)?, against.map(begin).transpose()?);
                let journal = Journal { reader, digest, topology };
                (proposed, against, snapshot, Some(journal))
            }
        };
        Ok(Self {
            names,
            proposed,
            against,
            snapshot,
            journal,
            tally: Tally::default(),
            log: LogCounts::default(),
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
            None => Ok(compare(&self.tally, &self.names, self.log, &self.snapshot.conditions)),
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
        self.tally.add((service, asked.record_type), halves, mass, asked.domain());
        Ok(())
    }

    /// What the log says was answered, in the proposed configuration's words where it says less.
    fn recorded(&mut self, asked: &Asked, recorded: &Recorded, after: &Answered) -> Answered {
        let topology = self.proposed.topology();
        let of_address = |address: IpAddr| {
            let server = topology.servers.iter().find(|it| it.addresses.contains(&address));
            let known = server.map(|server| {
                let cluster = &topology.clusters[server.cluster.index()];
                (server.name.to_string(), cluster.name.to_string())
            });
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
            if record.digests.configuration != journal.digest {
                continue;
            }
            self.snapshot = Snapshot::of_record(&record, &journal.topology);
            for side in std::iter::once(&mut self.proposed).chain(&mut self.against) {
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

//! One candidate list of one type of record as answer sets: records in ring order, so that the
//! answer that begins with any server is one run of bytes.
//!
//! A list becomes one ring for each group, and for choosers without weights one more for each step
//! of gradual return: a server with ramp r stands in rings that are drawn for a share r of the
//! answers. An answer draws its ring (one draw, only if there are several), chooses its first
//! server in it, and copies from there.

use super::choosing::{Choosing, goes_by_capacity};
use super::record_data::{self, RECORD_HEAD_LEN, RecordMaker};
use super::ring_draft::{RecordsDraft, Start};
use crate::plan::{Candidate, CandidateList, Group, PlannedServer};
use crate::policy::choose::{self, Asked, ChoiceTrace, Chooser, ChooserState, ServiceMemory};
use crate::world::{ChooseParameters, ChoosePolicy, Generator, ServiceType};

/// Steps of gradual return in a list; finer ones are rounded up, so that a list of n servers never
/// takes more than this times n records.
const STEPS_MAX: usize = 16;
/// The most servers in an answer whose records say which one was chosen: such answers share no
/// bytes, so their memory is this times the servers. Hardly as many fit a datagram.
const TOLD_SERVERS_MAX: u32 = 32;
/// The most servers in all such answers of a ring together.
const TOLD_TOTAL_MAX: u32 = 1 << 20;

/// What answers out of a list have in common.
#[derive(Clone, Copy, Debug)]
pub(super) struct RingParameters<'a> {
    pub(super) maker: RecordMaker<'a>,
    pub(super) choosing: Choosing<'a>,
    pub(super) answers: Option<u32>,
}

/// A compiled candidate list.
#[derive(Clone, Debug, PartialEq)]
pub struct RingList {
    service_type: ServiceType,
    rings: Box<[Ring]>,
    /// Where each ring but the last ends among the draws, in 1/2^32.
    cutoffs: Box<[u32]>,
    /// The Plan's server at each ordinal, that is place in the list, groups one after the other.
    /// Empty if the list's one answer names no server.
    servers: Box<[u32]>,
}

#[derive(Clone, Debug, PartialEq)]
struct Ring {
    chooser: Chooser,
    /// Servers in an answer.
    take: u32,
    /// How many of `starts` an answer goes on for: `take` where answers overlap, else 1.
    span: u32,
    /// Records of all servers in ring order, and of the first ones again; or answer by answer
    /// where the records say which server was chosen.
    records: Box<[u8]>,
    /// What stands before each server's (or answer's) first record; one more than of these.
    starts: Box<[Start]>,
    /// Each server's ordinal.
    ordinals: Box<[u32]>,
}

/// One drawn answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::answer) struct Drawn<'a> {
    /// As they go into a reply, owners pointing to the question.
    pub(in crate::answer) records: &'a [u8],
    /// How many.
    pub(in crate::answer) count: u16,
    /// The ring's place in its list ...
    pub(in crate::answer) ring: u32,
    /// ... and the first server's place in the ring: together they name the answer.
    pub(in crate::answer) first: u32,
    /// The first server's ordinal.
    pub(in crate::answer) ordinal: u32,
    /// Servers in the answer.
    pub(in crate::answer) servers: u32,
}

/// One answer that a list can give.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RingAnswer<'a> {
    /// The ring's place in its list.
    pub ring: u32,
    /// The first server's place in the ring.
    pub first: u32,
    /// Servers in the answer, of those that the ring holds: an answer with one is a single-server
    /// answer.
    pub servers: u32,
    /// As they go into a reply, owners pointing to the question.
    pub records: &'a [u8],
    /// How many.
    pub count: u16,
}

impl<'a> RingAnswer<'a> {
    /// Each record's data: uncompressed.
    pub fn data(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        data_of(self.records)
    }
}

/// Each record's data, out of records whose owners are pointers.
pub(in crate::answer) fn data_of(records: &[u8]) -> impl Iterator<Item = &[u8]> {
    records_of(records).filter_map(|record| record.get(RECORD_HEAD_LEN..))
}

/// One record after the other of such a run.
pub(in crate::answer) fn records_of(records: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = records;
    std::iter::from_fn(move || {
        let head = rest.first_chunk::<RECORD_HEAD_LEN>()?;
        let len = u16::from_be_bytes([head[10], head[11]]);
        let (record, next) = rest.split_at_checked(RECORD_HEAD_LEN + usize::from(len))?;
        rest = next;
        Some(record)
    })
}

/// Gives all records of such a run this TTL, in seconds. Of signatures, too: the one that was signed
/// stands in their data, and a lower one is valid (RFC 4034 section 3.1.4, RFC 4035 section 5.3.3).
#[inline]
pub(in crate::answer) fn set_ttl(records: &mut [u8], ttl: u32) {
    let mut rest = records;
    while let Some(head) = rest.first_chunk_mut::<RECORD_HEAD_LEN>() {
        head[6..10].copy_from_slice(&ttl.to_be_bytes());
        let len = RECORD_HEAD_LEN + usize::from(u16::from_be_bytes([head[10], head[11]]));
        let Some(next) = rest.get_mut(len..) else { return };
        rest = next;
    }
}

impl RingList {
    /// Compiles a list; `None` if none of its servers has a record of the type.
    pub(super) fn compile(
        list: &CandidateList,
        servers: &[PlannedServer],
        parameters: RingParameters<'_>,
    ) -> Option<Self> {
        let mut draft = Draft { shares: Vec::new(), rings: Vec::new(), servers: Vec::new() };
        for group in &list.groups {
            draft.add_group(group, servers, parameters);
        }
        draft.finish(parameters.maker.service_type)
    }

    /// The list of a record that is the same whichever server is chosen.
    pub(super) fn constant(maker: RecordMaker<'_>) -> Option<Self> {
        let mut records = Vec::new();
        let written = maker.write_constant(&mut records);
        let end = Start { byte: u32::try_from(records.len()).ok()?, record: written };
        let ring = Ring {
            chooser: only_choice()?,
            take: 0,
            span: 1,
            records: records.into(),
            starts: [Start::default(), end].into(),
            ordinals: [0].into(),
        };
        let service_type = maker.service_type;
        Some(Self { service_type, rings: [ring].into(), cutoffs: [].into(), servers: [].into() })
    }

    /// The type of its records.
    #[must_use]
    pub const fn service_type(&self) -> ServiceType {
        self.service_type
    }

    /// How many rings there are: a worker keeps one position for each.
    pub(in crate::answer) fn rings(&self) -> usize {
        self.rings.len()
    }

    /// The Plan's server at each ordinal.
    #[must_use]
    pub fn servers(&self) -> &[u32] {
        &self.servers
    }

    /// Every answer that the list can give: linear in its servers.
    pub fn answers(&self) -> impl Iterator<Item = RingAnswer<'_>> {
        (0..).zip(&self.rings).flat_map(|(index, ring)| {
            (0..ring.chooser.candidates()).map(move |first| {
                let (records, count) = ring.answer(first as usize);
                RingAnswer { ring: index, first, servers: ring.take, records, count }
            })
        })
    }

    /// The records of the server that an answer begins with: in it they stand first.
    pub(super) fn own(&self, ring: u32, first: u32) -> &[u8] {
        let Some(ring) = self.rings.get(ring as usize) else { return &[] };
        let first = first as usize;
        if !self.overlaps() {
            // Where a record says which server was chosen, each server has one.
            let answer = ring.answer(first).0;
            let len = data_of(answer).next().map_or(0, |data| RECORD_HEAD_LEN + data.len());
            return &answer[..len];
        }
        let (from, to) = (ring.starts[first], ring.starts[first + 1]);
        &ring.records[from.byte as usize..to.byte as usize]
    }

    /// The ordinal of the server that an answer begins with.
    pub(in crate::answer) fn ordinal(&self, ring: u32, first: u32) -> u32 {
        let ring = self.rings.get(ring as usize);
        ring.and_then(|ring| ring.ordinals.get(first as usize)).copied().unwrap_or(0)
    }

    /// Whether answers share their records, so that all answers of the same servers are one set.
    pub(super) const fn overlaps(&self) -> bool {
        !record_data::tells_first(self.service_type)
    }

    /// The Plan's servers that an answer names, the first one first.
    pub fn servers_of(&self, ring: u32, first: u32) -> impl Iterator<Item = u32> {
        let ring = self.rings.get(ring as usize);
        let ordinals = ring.map_or(&[][..], |ring| &ring.ordinals);
        let take = ring.map_or(0, |ring| ring.take as usize);
        let behind = ordinals.iter().cycle().skip(first as usize).take(take);
        behind.filter_map(|ordinal| self.servers.get(*ordinal as usize).copied())
    }

    /// How often each of the Plan's servers comes first in the long run, as (its place, share); the
    /// shares add up to 1. `None` if that depends on who asks or on what was answered before. A
    /// server that stands in several rings comes several times.
    #[must_use]
    pub fn expected(&self) -> Option<Vec<(u32, f64)>> {
        let mut expected = Vec::with_capacity(self.servers.len());
        let ends = self.cutoffs.iter().map(|cutoff| f64::from(*cutoff) / 4_294_967_296.0);
        let mut before = 0.0;
        for (ring, end) in self.rings.iter().zip(ends.chain([1.0])) {
            let shares = ring.chooser.shares()?;
            for (ordinal, share) in ring.ordinals.iter().zip(shares) {
                // None if the list's one answer names no server.
                let server = self.servers.get(*ordinal as usize);
                expected.extend(server.map(|server| (*server, share * (end - before))));
            }
            before = end;
        }
        Some(expected)
    }

    /// Draws an answer, which counts with [`Self::grant`]. `positions` are the worker's for this list,
    /// `memory` for its service.
    #[inline]
    pub(in crate::answer) fn draw(
        &self,
        asked: &Asked,
        generator: &mut Generator,
        positions: &mut [[u32; 2]],
        memory: Option<&mut ServiceMemory>,
    ) -> Drawn<'_> {
        let index = if self.cutoffs.is_empty() { 0 } else { self.draw_ring(generator) };
        let ring = &self.rings[index];
        let mut nowhere = [0; 2];
        let positions = positions.get_mut(index).unwrap_or(&mut nowhere);
        let first = ring.chooser.choose(asked, ChooserState { generator, positions, memory });
        let (records, count) = ring.answer(first as usize);
        Drawn {
            records,
            count,
            // At most as many as groups times steps.
            ring: index as u32,
            first,
            ordinal: ring.ordinals[first as usize],
            servers: ring.take,
        }
    }

    /// Notes what the answer's first server was given, once its TTL is known: that in `asked`.
    #[inline]
    pub(in crate::answer) fn grant(
        &self,
        drawn: &Drawn<'_>,
        asked: &Asked,
        memory: Option<&mut ServiceMemory>,
    ) {
        if let Some(ring) = self.rings.get(drawn.ring as usize) {
            ring.chooser.grant(drawn.first, asked, memory);
        }
    }

    /// What drawing an answer would look at, with the Plan's servers of the ring that is drawn. To be
    /// given copies.
    pub(in crate::answer) fn trace(
        &self,
        asked: &Asked,
        generator: &mut Generator,
        positions: &mut [[u32; 2]],
        memory: Option<&mut ServiceMemory>,
    ) -> (Vec<u32>, ChoiceTrace) {
        let index = if self.cutoffs.is_empty() { 0 } else { self.draw_ring(generator) };
        let ring = &self.rings[index];
        let mut nowhere = [0; 2];
        let positions = positions.get_mut(index).unwrap_or(&mut nowhere);
        let trace = ring.chooser.trace(asked, ChooserState { generator, positions, memory });
        let servers = ring.ordinals.iter();
        let servers = servers.filter_map(|ordinal| self.servers.get(*ordinal as usize).copied());
        (servers.collect(), trace)
    }

    fn draw_ring(&self, generator: &mut Generator) -> usize {
        let (_, draw) = generator.index(1);
        self.cutoffs.partition_point(|cutoff| *cutoff <= draw)
    }
}

struct Draft {
    /// Each ring's share, of any sum.
    shares: Vec<f64>,
    rings: Vec<Ring>,
    servers: Vec<u32>,
}

/// A candidate that can be answered with.
struct Member<'a> {
    candidate: &'a Candidate,
    server: &'a PlannedServer,
    ordinal: u32,
}

impl Draft {
    fn add_group(
        &mut self,
        group: &Group,
        servers: &[PlannedServer],
        parameters: RingParameters<'_>,
    ) {
        let mut members = Vec::new();
        for candidate in &group.candidates {
            let Some(server) = servers.get(candidate.server as usize) else { continue };
            let Ok(ordinal) = u32::try_from(self.servers.len()) else { break };
            if parameters.maker.has(server) {
                members.push(Member { candidate, server, ordinal });
                self.servers.push(candidate.server);
            }
        }
        // Weight 0 takes no clients unless nobody else is left.
        if members.iter().any(|member| member.candidate.weight > 0) {
            members.retain(|member| member.candidate.weight > 0);
        }
        let share = if group.share.is_finite() { group.share.max(0.0) } else { 0.0 };
        for (step_share, ramp_min) in steps(&members, returns_by_steps(parameters)) {
            let taking_part: Vec<&Member<'_>> =
                members.iter().filter(|member| ramp(member.candidate) >= ramp_min).collect();
            if let Some(ring) = Ring::compile(&taking_part, parameters) {
                self.shares.push(share * step_share);
                self.rings.push(ring);
            }
        }
    }

    fn finish(mut self, service_type: ServiceType) -> Option<RingList> {
        let mut sum: f64 = self.shares.iter().sum();
        if sum > 0.0 {
            let mut shares = self.shares.iter();
            self.rings.retain(|_| shares.next().is_some_and(|share| *share > 0.0));
            self.shares.retain(|share| *share > 0.0);
        } else {
            self.shares.fill(1.0);
            sum = self.shares.len() as f64;
        }
        let mut before = 0.0;
        let mut cutoffs = Vec::with_capacity(self.shares.len());
        for share in &self.shares {
            before += share / sum;
            cutoffs.push(Generator::threshold(before));
        }
        cutoffs.pop()?;
        Some(RingList {
            service_type,
            rings: self.rings.into(),
            cutoffs: cutoffs.into(),
            servers: self.servers.into(),
        })
    }
}

/// Gradual return as (share of the answers, least ramp that takes part); the shares add up to 1.
///
/// With everybody below 1 the highest ramp counts as 1, so that somebody always takes part.
fn steps(members: &[Member<'_>], by_steps: bool) -> Vec<(f64, f64)> {
    if !by_steps {
        return vec![(1.0, 0.0)];
    }
    let mut ramps: Vec<f64> = members.iter().map(|member| ramp(member.candidate)).collect();
    ramps.sort_by(f64::total_cmp);
    ramps.dedup();
    let highest = ramps.last().copied().unwrap_or(1.0);
    let coarse = ramps.len() > STEPS_MAX;
    let mut steps: Vec<(f64, f64)> = Vec::new();
    let mut before = 0.0;
    for ramp in ramps {
        let exact = ramp / highest;
        let share =
            if coarse { (exact * STEPS_MAX as f64).ceil() / STEPS_MAX as f64 } else { exact };
        if share > before {
            steps.push((share - before, ramp));
            before = share;
        }
    }
    steps
}

/// Whether a server that returns takes part in some answers only; else its weight is scaled. With
/// SRV clients choose by weight among all that an answer names, whoever comes first in it.
fn returns_by_steps(parameters: RingParameters<'_>) -> bool {
    !parameters.choosing.policy.weighs_servers()
        || parameters.maker.service_type == ServiceType::Srv
}

/// A ramp that can be reckoned with: above 0, at most 1.
fn ramp(candidate: &Candidate) -> f64 {
    if candidate.ramp.is_nan() { 1.0 } else { candidate.ramp.clamp(1e-6, 1.0) }
}

/// The chooser of a list with one answer.
fn only_choice() -> Option<Chooser> {
    let candidate = choose::Candidate { key: 0, place: 0, weight: 1.0 };
    Chooser::compile(ChoosePolicy::RoundRobin, &ChooseParameters::default(), &[candidate], 0.0)
}

/// The chooser among these members: by their capacities where the policy wants to know them and all
/// have one, else by their weights; scaled by gradual return.
fn chooser(
    members: &[&Member<'_>],
    parameters: RingParameters<'_>,
    weight: impl Fn(&Member<'_>) -> f64,
) -> Option<Chooser> {
    let Choosing { policy, parameters: tuned, largest, .. } = parameters.choosing;
    let by_capacity = goes_by_capacity(policy, members.iter().map(|member| member.server));
    let by_steps = returns_by_steps(parameters);
    let candidate = |member: &&Member<'_>| {
        let ramp = if by_steps { 1.0 } else { ramp(member.candidate) };
        let capacity = member.server.capacity.filter(|_| by_capacity);
        choose::Candidate {
            key: choose::Candidate::key_of(&member.server.name),
            place: parameters.choosing.place_of(member.candidate.server),
            weight: capacity.unwrap_or_else(|| weight(member)) * ramp,
        }
    };
    let candidates: Vec<choose::Candidate> = members.iter().map(candidate).collect();
    let largest = if by_capacity { largest.capacity } else { largest.weight };
    Chooser::compile(policy, tuned, &candidates, largest)
}

impl Ring {
    fn compile(members: &[&Member<'_>], parameters: RingParameters<'_>) -> Option<Self> {
        let all_zero = members.iter().all(|member| member.candidate.weight == 0);
        let weight = |member: &Member<'_>| if all_zero { 1 } else { member.candidate.weight };
        let chooser = chooser(members, parameters, |member| f64::from(weight(member)))?;
        let count = chooser.candidates();
        let take = parameters.answers.unwrap_or(count).clamp(1, count);
        let write = |place: usize, is_first: bool, out: &mut Vec<u8>| {
            let member = members[place % members.len()];
            parameters.maker.write_server(member.server, weight(member), is_first, out)
        };
        let draft = if parameters.maker.tells_first() {
            // Both bounds leave at least one.
            let take = take.min(TOLD_SERVERS_MAX).min((TOLD_TOTAL_MAX / count).max(1));
            RecordsDraft::apart(count, take, write)
        } else {
            RecordsDraft::overlapping(count, take, write)
        };
        // Places are kept in 32 bits.
        u32::try_from(draft.records.len()).ok()?;
        Some(Self {
            chooser,
            take: draft.take,
            span: draft.span,
            records: draft.records.into(),
            starts: draft.starts.into(),
            ordinals: members.iter().map(|member| member.ordinal).collect(),
        })
    }

    /// The records of the answer with this first server.
    #[inline]
    fn answer(&self, first: usize) -> (&[u8], u16) {
        let (from, to) = (self.starts[first], self.starts[first + self.span as usize]);
        // No answer has more bytes than a reply, so there are less than 65,536 / 12 of them.
        let count = (to.record - from.record) as u16;
        (&self.records[from.byte as usize..to.byte as usize], count)
    }
}

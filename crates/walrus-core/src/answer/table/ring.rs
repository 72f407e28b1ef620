//! One candidate list of one family as answer sets: records in ring order, so that the answer that
//! begins with any server is one run of bytes.
//!
//! A list becomes one ring for each group, and for choosers without weights one more for each step
//! of gradual return: a server with ramp r stands in rings that are drawn for a share r of the
//! answers. An answer draws its ring (one draw, only if there are several), chooses its first
//! server in it, and copies from there.

use std::net::IpAddr;

use walrus_dns::record_type;

use crate::plan::{Candidate, CandidateList, Group, PlannedServer};
use crate::policy::choose::{Chooser, Generator};
use crate::world::ChoosePolicy;

/// Steps of gradual return in a list; finer ones are rounded up, so that a list of n servers never
/// takes more than this times n records.
const STEPS_MAX: usize = 16;
/// The most bytes of records in a reply: what TCP holds beside header, question and OPT.
const RECORDS_LEN_MAX: usize = 65_535 - 400;

/// An address family as a record type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Family {
    /// A records.
    Ipv4,
    /// AAAA records.
    Ipv6,
}

impl Family {
    /// The family that a record type asks for.
    #[must_use]
    pub const fn of(record_type: u16) -> Option<Self> {
        match record_type {
            record_type::A => Some(Self::Ipv4),
            record_type::AAAA => Some(Self::Ipv6),
            _ => None,
        }
    }

    /// Bytes of a record whose owner is a pointer.
    pub(in crate::answer) const fn record_len(self) -> usize {
        match self {
            Self::Ipv4 => 16,
            Self::Ipv6 => 28,
        }
    }

    const fn holds(self, address: &IpAddr) -> bool {
        matches!((self, address), (Self::Ipv4, IpAddr::V4(_)) | (Self::Ipv6, IpAddr::V6(_)))
    }
}

/// What answers out of a list have in common.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct RingParameters {
    pub(super) family: Family,
    pub(super) choose: ChoosePolicy,
    pub(super) answers: Option<u32>,
    pub(super) ttl: u32,
}

/// A compiled candidate list.
#[derive(Clone, Debug, PartialEq)]
pub struct RingList {
    family: Family,
    rings: Box<[Ring]>,
    /// Where each ring but the last ends among the draws, in 1/2^32.
    cutoffs: Box<[u32]>,
    /// The Plan's server at each ordinal, that is place in the list, groups one after the other.
    servers: Box<[u32]>,
}

#[derive(Clone, Debug, PartialEq)]
struct Ring {
    chooser: Chooser,
    /// Servers in an answer.
    take: u32,
    /// Records of all servers in ring order, and of the first ones again.
    records: Box<[u8]>,
    /// How many records stand before each server's first; one more than servers in `records`.
    starts: Box<[u32]>,
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
    /// The first server's ordinal.
    pub(in crate::answer) ordinal: u32,
    /// Servers in the answer.
    pub(in crate::answer) servers: u32,
}

impl RingList {
    /// Compiles a list; `None` if none of its servers has an address of the family.
    pub(super) fn compile(
        list: &CandidateList,
        servers: &[PlannedServer],
        parameters: RingParameters,
    ) -> Option<Self> {
        let mut draft = Draft { shares: Vec::new(), rings: Vec::new(), servers: Vec::new() };
        for group in &list.groups {
            draft.add_group(group, servers, parameters);
        }
        draft.finish(parameters.family)
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

    /// Bytes of a record.
    pub(in crate::answer) const fn record_len(&self) -> usize {
        self.family.record_len()
    }

    /// Draws an answer. `positions` are the worker's for this list.
    #[inline]
    pub(in crate::answer) fn draw(
        &self,
        generator: &mut Generator,
        positions: &mut [u32],
    ) -> Drawn<'_> {
        let index = if self.cutoffs.is_empty() { 0 } else { self.draw_ring(generator) };
        let ring = &self.rings[index];
        let mut nowhere = 0;
        let position = positions.get_mut(index).unwrap_or(&mut nowhere);
        let first = ring.chooser.choose(generator, position) as usize;
        let from = ring.starts[first] as usize;
        let to = ring.starts[first + ring.take as usize] as usize;
        let record_len = self.record_len();
        let count = (to - from).min(RECORDS_LEN_MAX / record_len);
        Drawn {
            records: &ring.records[from * record_len..(from + count) * record_len],
            // Less than 65,536 / 16.
            count: count as u16,
            ordinal: ring.ordinals[first],
            servers: ring.take,
        }
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
    fn add_group(&mut self, group: &Group, servers: &[PlannedServer], parameters: RingParameters) {
        let mut members = Vec::new();
        for candidate in &group.candidates {
            let Some(server) = servers.get(candidate.server as usize) else { continue };
            let Ok(ordinal) = u32::try_from(self.servers.len()) else { break };
            if server.addresses.iter().any(|address| parameters.family.holds(address)) {
                members.push(Member { candidate, server, ordinal });
                self.servers.push(candidate.server);
            }
        }
        // Weight 0 takes no clients unless nobody else is left.
        if members.iter().any(|member| member.candidate.weight > 0) {
            members.retain(|member| member.candidate.weight > 0);
        }
        let share = if group.share.is_finite() { group.share.max(0.0) } else { 0.0 };
        for (step_share, ramp_min) in steps(&members, parameters.choose) {
            let taking_part: Vec<&Member<'_>> =
                members.iter().filter(|member| ramp(member.candidate) >= ramp_min).collect();
            if let Some(ring) = Ring::compile(&taking_part, parameters) {
                self.shares.push(share * step_share);
                self.rings.push(ring);
            }
        }
    }

    fn finish(mut self, family: Family) -> Option<RingList> {
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
            cutoffs.push(fixed_point(before));
        }
        cutoffs.pop()?;
        Some(RingList {
            family,
            rings: self.rings.into(),
            cutoffs: cutoffs.into(),
            servers: self.servers.into(),
        })
    }
}

/// Gradual return as (share of the answers, least ramp that takes part); the shares add up to 1.
///
/// With everybody below 1 the highest ramp counts as 1, so that somebody always takes part.
fn steps(members: &[Member<'_>], choose: ChoosePolicy) -> Vec<(f64, f64)> {
    if choose == ChoosePolicy::Weighted {
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

/// A ramp that can be reckoned with: above 0, at most 1.
fn ramp(candidate: &Candidate) -> f64 {
    if candidate.ramp.is_nan() { 1.0 } else { candidate.ramp.clamp(1e-6, 1.0) }
}

/// A share of 0 to 1 in 1/2^32; `as` saturates.
fn fixed_point(share: f64) -> u32 {
    (share * 4_294_967_296.0) as u32
}

impl Ring {
    fn compile(members: &[&Member<'_>], parameters: RingParameters) -> Option<Self> {
        let all_zero = members.iter().all(|member| member.candidate.weight == 0);
        let weight = |member: &&Member<'_>| {
            let weight = if all_zero { 1 } else { member.candidate.weight };
            f64::from(weight) * ramp(member.candidate)
        };
        let weights: Vec<f64> = members.iter().map(weight).collect();
        let chooser = Chooser::compile(parameters.choose, &weights)?;
        let count = chooser.candidates();
        // More servers than this do not fit into a reply anyway.
        let fitting = (RECORDS_LEN_MAX / parameters.family.record_len()) as u32;
        let take = parameters.answers.unwrap_or(count).clamp(1, count.min(fitting));
        let mut records = Vec::new();
        let mut starts = vec![0];
        let mut written = 0;
        for member in members.iter().cycle().take((count + take - 1) as usize) {
            written += write_records(member.server, parameters, &mut records);
            starts.push(written);
        }
        let ordinals = members.iter().map(|member| member.ordinal).collect();
        Some(Self { chooser, take, records: records.into(), starts: starts.into(), ordinals })
    }
}

/// Appends a server's addresses of the family as records; how many.
fn write_records(server: &PlannedServer, parameters: RingParameters, out: &mut Vec<u8>) -> u32 {
    let ttl = parameters.ttl.to_be_bytes();
    let mut written = 0;
    for address in server.addresses.iter().filter(|address| parameters.family.holds(address)) {
        // The owner is the question's name: a pointer to byte 12.
        match address {
            IpAddr::V4(address) => {
                out.extend_from_slice(&[0xc0, 12, 0, 1, 0, 1]);
                out.extend_from_slice(&ttl);
                out.extend_from_slice(&[0, 4]);
                out.extend_from_slice(&address.octets());
            }
            IpAddr::V6(address) => {
                out.extend_from_slice(&[0xc0, 12, 0, 28, 0, 1]);
                out.extend_from_slice(&ttl);
                out.extend_from_slice(&[0, 16]);
                out.extend_from_slice(&address.octets());
            }
        }
        written += 1;
    }
    written
}

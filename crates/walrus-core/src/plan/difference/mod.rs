//! What changed from one Plan to another, so that it need not travel whole.
//!
//! **Problem.** A Plan of ten thousand servers is megabytes, and a new one is made for every death; most of it is as
//! before.
//!
//! **Rule.** Servers and services are kept in runs, in their order; of a server that differs in its load and backlog
//! alone, only these travel. A candidate list is kept, or stands in the place of another: then areas that name
//! it are kept too, with the list's new place. Of a service that differs in some areas or in who asks, only those
//! travel. Whatever else differs travels whole. What comes out is the very Plan that the difference was made for, to the
//! last bit; its digest is checked.
//!
//! **When it is long.** A server more or less gives all that follow another place, by which all lists name them: after
//! a change of the configuration the whole Plan is shorter ([`super::PlanSender`] sends that).
//!
//! **Example.** One of 100 servers dies: its entry, its cluster's list without it, in the old list's place, and
//! the loads that have changed since.

mod carry_out;
mod find;

use serde::{Deserialize, Serialize};

use super::{
    AreaPlan, CandidateList, Digests, PlanNumber, PlannedServer, ServiceDemand, ServicePlan,
};
use crate::world::Digest;

pub use carry_out::apply;
pub use find::difference;

/// The changes from one Plan to another.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PlanDifference {
    /// The Plan that it is to be applied to.
    pub base: PlanNumber,
    /// Of the Plan that comes out.
    pub outcome: Digest,
    format: u32,
    number: PlanNumber,
    digests: Digests,
    servers: Vec<ServerEdit>,
    lists: Vec<ListEdit>,
    services: Vec<ServiceEdit>,
}

/// So many entries of the old Plan from this place on are as they were. Runs of the same kind of entry go
/// upwards, so that nothing comes twice.
type Run = (u32, u32);

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum ServerEdit {
    Keep(Run),
    /// From this place on: kept but for load and backlog.
    Loads(u32, Vec<(Option<f64>, Option<u64>)>),
    New(PlannedServer),
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum ListEdit {
    /// In any order, but each at most once.
    Keep(Run),
    /// Areas that named the old one name this one.
    Instead(u32, CandidateList),
    New(CandidateList),
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum ServiceEdit {
    Keep(Run),
    /// Kept but for some areas and who asks.
    Areas(u32, Vec<AreaEdit>, DemandEdit),
    New(Box<ServicePlan>),
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum AreaEdit {
    Keep(Run),
    New(AreaPlan),
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum DemandEdit {
    Keep,
    New(Option<ServiceDemand>),
}

/// Why a difference cannot be applied: the Plan is to be asked for as a whole.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ApplyError {
    /// It begins from another Plan.
    #[error("the difference is to Plan {base}, and Plan {held} is held")]
    Base {
        /// What it begins from.
        base: PlanNumber,
        /// What is there.
        held: PlanNumber,
    },
    /// It keeps what the Plan does not have.
    #[error("the difference keeps {0} that the Plan does not have, or twice")]
    Kept(&'static str),
    /// What comes out is not what was meant.
    #[error("the difference leads to another Plan than it was made for")]
    Outcome,
}

/// An area that names the lists by their places in the new Plan; none if it named one that is gone.
fn carry(area: &AreaPlan, places: &[Option<u32>]) -> Option<AreaPlan> {
    let carry = |list: Option<u32>| match list {
        None => Some(None),
        Some(list) => places.get(list as usize).copied().flatten().map(Some),
    };
    let (ipv4, ipv6, hosts) = (carry(area.ipv4)?, carry(area.ipv6)?, carry(area.hosts)?);
    Some(AreaPlan { ipv4, ipv6, hosts, ..area.clone() })
}

//! What a worker remembers of a service for its `choose` stage: of all its lists together, since a
//! server stands in several (of both families, of several areas).

use std::sync::Arc;

use super::ChooseInputs;
use super::accumulated_load::Bins;
use super::charged_load::Charges;
use super::grants::Grants;
use super::told::{Told, Word};
use crate::world::{ChoosePolicy, Time};

/// One service's memory. It has its full size from the start.
#[derive(Clone, Debug)]
pub struct ServiceMemory {
    inputs: Arc<ChooseInputs>,
    pub(super) kept: Kept,
}

/// What is kept, by policy.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Kept {
    /// Nothing: the policy compares no loads.
    Nothing,
    /// What the Plan says of loads: `pow2`.
    Loads(Arc<[f32]>),
    /// Living grants: `hash`, `mrl`.
    Grants(Grants),
    /// Living grants, and what is charged beyond them: `crml`.
    Charged(Grants, Charges),
    /// All that was ever given: `dal`.
    Bins(Bins),
}

impl ServiceMemory {
    /// Nothing remembered yet.
    #[must_use]
    pub fn new(inputs: &Arc<ChooseInputs>) -> Self {
        let servers = inputs.servers.len();
        let ttls = (inputs.ttl_min, inputs.ttl_mean, inputs.ttl_max);
        let grants = || Grants::between(servers, ttls);
        let kept = match inputs.policy {
            ChoosePolicy::RoundRobin
            | ChoosePolicy::Weighted
            | ChoosePolicy::Random
            | ChoosePolicy::Rr2
            | ChoosePolicy::Prr2 => Kept::Nothing,
            ChoosePolicy::Pow2 => Kept::Loads(Arc::clone(&inputs.loads)),
            ChoosePolicy::Hash | ChoosePolicy::Mrl => Kept::Grants(grants()),
            ChoosePolicy::Crml => Kept::Charged(grants(), Charges::new(&inputs.observed)),
            ChoosePolicy::Dal => Kept::Bins(Bins::new(servers, inputs.ttl_mean)),
        };
        Self { inputs: Arc::clone(inputs), kept }
    }

    /// Of a service that is not known yet.
    #[must_use]
    pub fn nothing() -> Self {
        let inputs = ChooseInputs::nothing(String::new(), ChoosePolicy::Random);
        Self { inputs: Arc::new(inputs), kept: Kept::Nothing }
    }

    /// Whether nothing is ever kept here that would have to be carried over.
    #[must_use]
    pub const fn is_nothing(&self) -> bool {
        matches!(self.kept, Kept::Nothing | Kept::Loads(_))
    }

    /// Whether it is of the service of these inputs.
    #[must_use]
    pub fn is_of_service(&self, inputs: &ChooseInputs) -> bool {
        self.inputs.service == inputs.service
    }

    /// Whose it is, and of which servers.
    #[must_use]
    pub const fn inputs(&self) -> &Arc<ChooseInputs> {
        &self.inputs
    }

    /// Goes on from the service's memory under an earlier Plan, without allocating. A memory of
    /// another kind (another policy) leaves nothing.
    pub fn carry_over(&mut self, from: &mut Self) {
        let (inputs, earlier) = (Arc::clone(&self.inputs), Arc::clone(&from.inputs));
        let alike = inputs.numbers_alike(&earlier);
        let before = inputs.before(&earlier);
        match (&mut self.kept, &mut from.kept) {
            (Kept::Grants(to), Kept::Grants(from)) => carry_grants(to, from, alike, before),
            (Kept::Charged(to, charges), Kept::Charged(from, charged)) => {
                charges.carry_over(charged, &before);
                carry_grants(to, from, alike, before);
            }
            (Kept::Bins(to), Kept::Bins(from)) => {
                let is = |present: &[bool], place: usize| present.get(place).copied() == Some(true);
                to.carry_over(from, |place| {
                    let was = before(place).filter(|was| is(&earlier.present, *was));
                    was.filter(|_| is(&inputs.present, place))
                });
            }
            _ => {}
        }
    }

    /// Writes into `told` what this thread has to tell the others.
    pub(crate) fn tell(&mut self, now: Time, told: &mut Told) {
        told.at = now;
        match (&mut self.kept, &mut told.word) {
            (Kept::Grants(grants), Word::Grants(living)) => grants.tell(now, living),
            (Kept::Charged(grants, charges), Word::Charged(living, hot)) => {
                grants.tell(now, living);
                charges.tell(hot);
            }
            (Kept::Bins(bins), Word::Bins(added)) => bins.tell(added),
            // Made for another policy of this service: there is nothing to tell.
            (_, word) => *word = Word::Nothing,
        }
    }

    /// Takes in what all others told.
    pub(crate) fn hear(&mut self, told: &Told) {
        if !told.inputs.numbers_alike(&self.inputs) {
            return;
        }
        match (&mut self.kept, &told.word) {
            (Kept::Grants(grants), Word::Grants(living)) => {
                // Domains belong to servers: others do not give them to whom this thread does.
                let is_hash = self.inputs.policy == ChoosePolicy::Hash;
                grants.hear(living, if is_hash { 0 } else { told.speakers }, told.at);
            }
            (Kept::Charged(grants, charges), Word::Charged(living, hot)) => {
                grants.hear(living, told.speakers, told.at);
                let is_alike = told.inputs.observed.names_alike(&self.inputs.observed);
                if is_alike && told.speakers > 0 {
                    charges.hear(hot, told.at);
                }
            }
            (Kept::Bins(bins), Word::Bins(added)) => bins.hear(added, told.speakers),
            _ => {}
        }
    }
}

fn carry_grants(
    to: &mut Grants,
    from: &mut Grants,
    alike: bool,
    before: impl Fn(usize) -> Option<usize>,
) {
    if !alike || !to.take_over(from) {
        to.carry_over(from, before);
    }
}

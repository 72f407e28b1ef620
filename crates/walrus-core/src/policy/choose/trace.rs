//! What a choice looks at, written down: for `explain`, on a copy of a worker's state.

use super::accumulated_load::Bins;
use super::charged_load::Charges;
use super::grants::Grants;
use super::hash::{self, Circle};
use super::{Asked, Chooser, ChooserState, Compiled, Kept, Servers};

/// What the next choice of a ring looks at.
#[derive(Clone, Debug, PartialEq)]
pub struct ChoiceTrace {
    /// The rule and what it was given, in a sentence.
    pub rule: String,
    /// By candidate.
    pub candidates: Vec<CandidateTrace>,
}

/// What is known of one candidate. Each number is `None` where the policy does not look at it.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct CandidateTrace {
    /// What was given to it: the weight of its living grants (`hash`), its bin (`dal`), its residual
    /// load in weight times seconds (`mrl`, `crml`); or its load in the Plan (`pow2`).
    pub given: Option<f64>,
    /// What is charged beyond that (`crml`): observed requests and backlog, in the same unit.
    pub charged: Option<f64>,
    /// What is compared: over its capacity; the least comes first.
    pub compared: Option<f64>,
    /// Below how much it takes the answer (`hash`), in the unit of `compared`.
    pub bound: Option<f64>,
    /// It was drawn (`pow2`), it is its turn (`rr2`, `prr2`), or the domain belongs to it (`hash`).
    pub marked: bool,
}

impl Chooser {
    /// What [`Chooser::choose`] would look at; give it a copy of the state.
    #[must_use]
    pub fn trace(&self, asked: &Asked, state: ChooserState<'_>) -> ChoiceTrace {
        let ChooserState { generator, positions, memory } = state;
        let mut nothing = Kept::Nothing;
        let kept = memory.map_or(&mut nothing, |memory| &mut memory.kept);
        let tier = usize::from(asked.domain.hot.is_some());
        let tier_name = ["normal", "hot"][tier];
        let mut candidates = vec![CandidateTrace::default(); self.len as usize];
        let mut mark = |candidate: u32| {
            if let Some(candidate) = candidates.get_mut(candidate as usize) {
                candidate.marked = true;
            }
        };
        let rule = match (&self.policy, kept) {
            (Compiled::Weighted(_), _) => "at random, by weight".to_owned(),
            (Compiled::Random, _) => "at random, all alike".to_owned(),
            (Compiled::RoundRobin2, _) => {
                mark(positions[tier] % self.len);
                format!("in turn among the answers to {tier_name} domains")
            }
            (Compiled::ProbabilisticRoundRobin2(_), _) => {
                mark(positions[tier] % self.len);
                format!(
                    "in turn among the answers to {tier_name} domains; who is not the largest is \
                     taken with the probability of its part of the largest one's capacity"
                )
            }
            (Compiled::PowerOfTwo(choices), Kept::Loads(loads)) => {
                choices.draw(generator).into_iter().for_each(mark);
                for (index, candidate) in (0..).zip(&mut candidates) {
                    let load = f64::from(choices.load(index, loads));
                    candidate.given = Some(load).filter(|load| !load.is_nan());
                }
                "the less loaded of the two that were drawn, by capacity".to_owned()
            }
            (Compiled::Hash(circle, servers), Kept::Grants(grants)) => {
                circle.home(asked.domain.key).into_iter().for_each(mark);
                fill_hash(&mut candidates, (circle, servers), asked, grants)
            }
            (Compiled::AccumulatedLoad(servers), Kept::Bins(bins)) => {
                fill_bins(&mut candidates, servers, asked, bins)
            }
            (Compiled::ResidualLoad(servers), Kept::Grants(grants)) => {
                grants.advance(asked.now);
                let since = grants.since_turn(asked.now);
                fill(&mut candidates, servers, |place| (grants.residual(place, since), None));
                "the least residual load over its capacity".to_owned()
            }
            (Compiled::ChargedLoad(servers), Kept::Charged(grants, charges)) => {
                fill_charged(&mut candidates, servers, asked, (grants, charges));
                format!(
                    "the least residual and charged load over its capacity (what was observed \
                     before a domain's newest answer is not charged); ties go round among \
                     {tier_name} domains"
                )
            }
            _ => {
                mark(positions[0] % self.len);
                "in turn".to_owned()
            }
        };
        ChoiceTrace { rule, candidates }
    }
}

fn fill_hash(
    candidates: &mut [CandidateTrace],
    (circle, servers): (&Circle, &Servers),
    asked: &Asked,
    grants: &mut Grants,
) -> String {
    grants.advance(asked.now);
    let bound = circle.bound(servers, asked.domain.counted_weight(), grants);
    fill(candidates, servers, |place| (grants.weight(place), None));
    candidates.iter_mut().for_each(|candidate| candidate.bound = Some(bound));
    let point = hash::point_of(asked.domain.key);
    format!("the first behind the domain's point {point:08x} that is below the bound")
}

fn fill_bins(
    candidates: &mut [CandidateTrace],
    servers: &Servers,
    asked: &Asked,
    bins: &Bins,
) -> String {
    fill(candidates, servers, |place| (bins.bin(place), None));
    for (index, candidate) in (0..).zip(candidates) {
        let own = bins.requests(asked) * servers.inverse(index);
        candidate.compared = candidate.given.map(|given| given + own);
    }
    "the least bin, which is over the capacity already, with this answer in it".to_owned()
}

fn fill_charged(
    candidates: &mut [CandidateTrace],
    servers: &Servers,
    asked: &Asked,
    (grants, charges): (&mut Grants, &mut Charges),
) {
    grants.advance(asked.now);
    charges.advance(asked.now);
    let since = grants.since_turn(asked.now);
    fill(candidates, servers, |place| {
        let own = charges.own(asked.domain.hot, place);
        let charged = (charges.extra(place) - own).max(0.0);
        (grants.residual(place, since), Some(charged))
    });
}

/// Writes down what was given and charged, and both over the capacity.
fn fill(
    candidates: &mut [CandidateTrace],
    servers: &Servers,
    load: impl Fn(u32) -> (f64, Option<f64>),
) {
    for (index, candidate) in (0..).zip(candidates) {
        let (given, charged) = load(servers.place(index));
        let compared = (given + charged.unwrap_or(0.0)) * servers.inverse(index);
        candidate.given = Some(given);
        candidate.charged = charged;
        candidate.compared = Some(compared).filter(|compared| compared.is_finite());
    }
}

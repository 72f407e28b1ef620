//! Which server comes first in this answer?
//!
//! A [`Chooser`] is compiled once for each ring of candidates; [`Chooser::choose`] returns the
//! index of the first server and nothing else, without allocation: in constant time where the
//! policy compares no servers, else in one pass over the ring. How long the answer may be cached can
//! depend on that server; once it is known, [`Chooser::grant`] notes what the server was given.
//!
//! What a ring's answers depend on beside the ring stands in three places: who asks ([`Asked`]), what
//! the thread itself remembers of the service ([`ServiceMemory`]), and what the Plan says of it
//! ([`ChooseInputs`], which the memory holds). Threads tell each other what they gave ([`Exchange`]).

mod accumulated_load;
#[cfg(test)]
mod adaptive_ttl_tests;
mod asked;
mod charged_load;
mod grants;
mod hash;
mod hot_grants;
mod inputs;
mod memory;
mod observed;
mod power_of_two;
mod probabilistic_round_robin2;
mod random;
mod residual_load;
mod round_robin;
mod round_robin2;
mod servers;
mod told;
#[cfg(test)]
mod told_tests;
mod trace;
mod weighted;

pub use asked::{Asked, AskingDomain};
pub use inputs::ChooseInputs;
pub use memory::ServiceMemory;
pub use observed::{CHARGES_MAX, Observed, ObservedRate};
pub use told::{Exchange, Told};
pub use trace::{CandidateTrace, ChoiceTrace};

use rapidhash::v3::rapidhash_v3_nano_inline;

use crate::world::{ChooseParameters, ChoosePolicy, Generator, Name};
use hash::Circle;
use memory::Kept;
use power_of_two::TwoChoices;
use probabilistic_round_robin2::Chances;
use servers::Servers;
use weighted::AliasTable;

/// The most candidates in a ring; more than fit into any reply.
pub const CANDIDATES_MAX: usize = 1 << 20;

/// One server that may come first.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Candidate {
    /// A hash of its name: the same in all Plans.
    pub key: u64,
    /// Its place among the service's servers ([`ChooseInputs::servers`]), where memories keep what
    /// was given to it. Anything where the policy keeps nothing.
    pub place: u32,
    /// What it can bear beside the others: weight or capacity, gradual return included. What is not
    /// above 0 bears nothing; if none is, all are alike.
    pub weight: f64,
}

impl Candidate {
    /// The key of a server's name.
    #[must_use]
    pub fn key_of(name: &Name) -> u64 {
        rapidhash_v3_nano_inline::<true, false>(name.as_str().as_bytes(), &asked::SECRETS)
    }
}

/// The compiled `choose` stage of one ring.
#[derive(Clone, Debug, PartialEq)]
pub struct Chooser {
    /// How many candidates there are; at least 1.
    len: u32,
    policy: Compiled,
}

#[derive(Clone, Debug, PartialEq)]
enum Compiled {
    RoundRobin,
    Random,
    Weighted(AliasTable),
    Hash(Circle, Servers),
    PowerOfTwo(TwoChoices),
    RoundRobin2,
    ProbabilisticRoundRobin2(Chances),
    AccumulatedLoad(Servers),
    ResidualLoad(Servers),
    ChargedLoad(Servers),
}

/// A worker's own state, as far as one choice may touch it.
#[derive(Debug)]
pub struct ChooserState<'a> {
    /// The worker's.
    pub generator: &'a mut Generator,
    /// The ring's: where round robin goes on, for normal and for hot domains. May hold anything at
    /// first.
    pub positions: &'a mut [u32; 2],
    /// The service's; without one the policies that need it go round.
    pub memory: Option<&'a mut ServiceMemory>,
}

impl Chooser {
    /// Compiles the policy; `largest` is the most that any server of the service may ever bear, living
    /// or not, 0 if unknown. `None` for no candidates or more than [`CANDIDATES_MAX`].
    #[must_use]
    pub fn compile(
        policy: ChoosePolicy,
        parameters: &ChooseParameters,
        candidates: &[Candidate],
        largest: f64,
    ) -> Option<Self> {
        if candidates.is_empty() || candidates.len() > CANDIDATES_MAX {
            return None;
        }
        let weights: Vec<f64> = candidates.iter().map(|it| it.weight).collect();
        let servers = || Servers::compile(candidates.iter().map(|it| (it.place, it.weight)));
        let policy = match policy {
            ChoosePolicy::RoundRobin => Compiled::RoundRobin,
            ChoosePolicy::Random => Compiled::Random,
            ChoosePolicy::Weighted => Compiled::Weighted(AliasTable::compile(&weights)),
            ChoosePolicy::Hash => {
                let keys: Vec<_> = candidates.iter().map(|it| (it.key, it.weight)).collect();
                Compiled::Hash(Circle::compile(&keys, largest, parameters.hash_bound), servers())
            }
            ChoosePolicy::Pow2 => {
                let places = candidates.iter().map(|it| it.place);
                Compiled::PowerOfTwo(TwoChoices::compile(&weights, places))
            }
            ChoosePolicy::Rr2 => Compiled::RoundRobin2,
            ChoosePolicy::Prr2 => Compiled::ProbabilisticRoundRobin2(Chances::compile(&weights)),
            ChoosePolicy::Dal => Compiled::AccumulatedLoad(servers()),
            ChoosePolicy::Mrl => Compiled::ResidualLoad(servers()),
            ChoosePolicy::Crml => Compiled::ChargedLoad(servers()),
        };
        Some(Self { len: u32::try_from(candidates.len()).ok()?, policy })
    }

    /// How many candidates there are.
    #[must_use]
    pub const fn candidates(&self) -> u32 {
        self.len
    }

    /// The index of the answer's first server, below [`Self::candidates`]; `asked.ttl` is what is expected
    /// before that is known. A memory of another policy leaves round robin. The answer counts with
    /// [`Self::grant`].
    #[inline]
    pub fn choose(&self, asked: &Asked, state: ChooserState<'_>) -> u32 {
        let ChooserState { generator, positions, memory } = state;
        let mut nothing = Kept::Nothing;
        match (&self.policy, memory.map_or(&mut nothing, |memory| &mut memory.kept)) {
            (Compiled::Weighted(table), _) => table.choose(generator),
            (Compiled::Random, _) => random::choose(self.len, generator),
            (Compiled::RoundRobin2, _) => round_robin2::choose(self.len, &asked.domain, positions),
            (Compiled::ProbabilisticRoundRobin2(chances), _) => {
                chances.choose(&asked.domain, positions, generator)
            }
            (Compiled::PowerOfTwo(choices), Kept::Loads(loads)) => choices.choose(generator, loads),
            (Compiled::Hash(circle, servers), Kept::Grants(grants)) => {
                circle.choose(servers, asked, grants)
            }
            (Compiled::AccumulatedLoad(servers), Kept::Bins(bins)) => {
                accumulated_load::choose(servers, asked, bins, &mut positions[0])
            }
            (Compiled::ResidualLoad(servers), Kept::Grants(grants)) => {
                residual_load::choose(servers, asked, grants, &mut positions[0])
            }
            (Compiled::ChargedLoad(servers), Kept::Charged(grants, charges)) => {
                charged_load::choose(servers, asked, (grants, charges), positions)
            }
            _ => round_robin::choose(self.len, &mut positions[0]),
        }
    }

    /// Notes that the server at this index was given an answer of the TTL in `asked`, where the policy
    /// remembers that.
    #[inline]
    pub fn grant(&self, chosen: u32, asked: &Asked, memory: Option<&mut ServiceMemory>) {
        let Some(memory) = memory else { return };
        match (&self.policy, &mut memory.kept) {
            (Compiled::Hash(_, servers), Kept::Grants(grants)) => {
                Circle::grant(servers, chosen, asked, grants);
            }
            (Compiled::ResidualLoad(servers), Kept::Grants(grants)) => {
                residual_load::grant(servers, chosen, asked, grants);
            }
            (Compiled::AccumulatedLoad(servers), Kept::Bins(bins)) => {
                accumulated_load::grant(servers, chosen, asked, bins);
            }
            (Compiled::ChargedLoad(servers), Kept::Charged(grants, charges)) => {
                charged_load::grant(servers, chosen, asked, (grants, charges));
            }
            _ => {}
        }
    }

    /// How often each index comes first in the long run, whoever asks; `None` if that depends on who
    /// asks or on what was answered before.
    #[must_use]
    pub fn shares(&self) -> Option<Vec<f64>> {
        match &self.policy {
            Compiled::Weighted(table) => Some(table.shares()),
            Compiled::ProbabilisticRoundRobin2(chances) => Some(chances.shares()),
            Compiled::RoundRobin | Compiled::RoundRobin2 | Compiled::Random => {
                Some(vec![1.0 / f64::from(self.len); self.len as usize])
            }
            Compiled::Hash(..)
            | Compiled::PowerOfTwo(_)
            | Compiled::AccumulatedLoad(_)
            | Compiled::ResidualLoad(_)
            | Compiled::ChargedLoad(_) => None,
        }
    }
}

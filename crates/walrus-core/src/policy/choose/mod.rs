//! Which server comes first in this answer?
//!
//! A [`Chooser`] is compiled once for each ring of candidates; [`Chooser::choose`] returns the
//! index of the first server and nothing else, in constant time and without allocation.

mod asked;
mod random;
mod round_robin;
mod weighted;

pub use asked::{Asked, AskingDomain};

use crate::world::{ChoosePolicy, Generator};
use weighted::AliasTable;

/// The most candidates in a ring; more than fit into any reply.
pub const CANDIDATES_MAX: usize = 1 << 20;

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
}

impl Chooser {
    /// Compiles the policy for candidates of these weights (finite and not negative; if their sum
    /// is 0, all alike). Policies without weights only count them. `None` for no candidates or
    /// more than [`CANDIDATES_MAX`].
    #[must_use]
    pub fn compile(policy: ChoosePolicy, weights: &[f64]) -> Option<Self> {
        if weights.is_empty() || weights.len() > CANDIDATES_MAX {
            return None;
        }
        let policy = match policy {
            ChoosePolicy::RoundRobin => Compiled::RoundRobin,
            ChoosePolicy::Random => Compiled::Random,
            ChoosePolicy::Weighted => Compiled::Weighted(AliasTable::compile(weights)),
        };
        Some(Self { len: u32::try_from(weights.len()).ok()?, policy })
    }

    /// How many candidates there are.
    #[must_use]
    pub const fn candidates(&self) -> u32 {
        self.len
    }

    /// The index of the answer's first server, below [`Self::candidates`].
    ///
    /// `position` is the worker's own place in this ring: only `round-robin` uses it, and it may
    /// hold anything at first.
    #[inline]
    pub fn choose(&self, generator: &mut Generator, position: &mut u32) -> u32 {
        match &self.policy {
            Compiled::RoundRobin => round_robin::choose(self.len, position),
            Compiled::Random => random::choose(self.len, generator),
            Compiled::Weighted(table) => table.choose(generator),
        }
    }

    /// How often each index comes first in the long run, whoever asks; `None` if that depends on who
    /// asks or on what was answered before.
    #[must_use]
    pub fn shares(&self) -> Option<Vec<f64>> {
        if let Compiled::Weighted(table) = &self.policy {
            return Some(table.shares());
        }
        let even = vec![1.0 / f64::from(self.len); self.len as usize];
        matches!(self.policy, Compiled::RoundRobin | Compiled::Random).then_some(even)
    }
}

//! Phase one, problem notification: who counts as functioning.
//!
//! **Problem.** A server may answer and still ask to be left out (BYPASS), or be in trouble that
//! a person must see (PANIC).
//!
//! **Rule.** Whoever asks for BYPASS or PANIC is treated as dead in this round. A cluster
//! functions if one of its servers does (A26). The notices to people are the Controller's, made
//! from the same conditions with their own memory (A18), so that deciding twice never notifies
//! twice. What is left is ranked in the order of last resort, and a service hands out only its
//! best rank: living, living with weight 0 ("nobody else is left"), unseen, drained.
//!
//! **Source.** Thesis (004) section 6.1, phase one; design of last resort: "fail static".
//!
//! **When it is wrong.** If a common fault makes all Reporters say BYPASS at once, nobody
//! functions; then the last usable answer stands (A9) rather than none.
//!
//! **Example.** Servers living, PANIC, drained: the first is handed out. It dies: the drained one
//! is, since it still functions. All three PANIC: none has a rank.

use crate::world::{Condition, Life, Topology};

/// The order of last resort, best first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Rank {
    /// Functions, and nobody objects.
    Living,
    /// As living, but with weight 0: takes no clients unless nobody else is left.
    Standby,
    /// Not seen by anybody, which is not the same as dead.
    Unknown,
    /// Functions; an operator wants no clients on it.
    Drained,
}

/// Each server's rank; `None` is dead or as good as.
pub(in super::super) fn rank_servers(
    topology: &Topology,
    conditions: &[Condition],
) -> Vec<Option<Rank>> {
    let rank = |(index, server): (usize, &crate::world::Server)| match conditions
        .get(index)
        .map_or(Life::Unknown, |condition| condition.life)
    {
        Life::Living if server.weight == 0 => Some(Rank::Standby),
        Life::Living => Some(Rank::Living),
        Life::Unknown => Some(Rank::Unknown),
        Life::Drained => Some(Rank::Drained),
        Life::Bypass | Life::Panic | Life::Dead => None,
    };
    topology.servers.iter().enumerate().map(rank).collect()
}

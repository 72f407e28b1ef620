//! Which grants of hot domains live, and when each domain got its newest: what decides whether `crml`
//! charges what servers observe.

use super::Observed;

/// Of one service, on one answering thread or told by others. Times are whole seconds from 1 on; 0 is
/// none.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct HotGrants {
    /// At `hot * servers + server`: the last second of the living grant.
    ends: Box<[u32]>,
    /// By hot domain: when it was granted a server last, whichever.
    newest: Box<[u32]>,
}

impl HotGrants {
    /// None yet.
    pub(super) fn new(observed: &Observed) -> Self {
        let places = observed.charges().len();
        Self { ends: vec![0; places].into(), newest: vec![0; observed.rows()].into() }
    }

    pub(super) const fn ends(&self) -> &[u32] {
        &self.ends
    }

    #[inline]
    pub(super) fn end(&self, at: usize) -> u32 {
        self.ends.get(at).copied().unwrap_or(0)
    }

    #[inline]
    pub(super) fn newest(&self, hot: usize) -> u32 {
        self.newest.get(hot).copied().unwrap_or(0)
    }

    /// The hot domain is granted a server, whose place with it is `at`.
    #[inline]
    pub(super) fn add(&mut self, hot: usize, at: usize, second: u32, ttl: u32) {
        if let (Some(newest), Some(end)) = (self.newest.get_mut(hot), self.ends.get_mut(at)) {
            *newest = second;
            *end = (*end).max(second.saturating_add(ttl));
        }
    }

    /// Copies what others are told, without allocating.
    pub(super) fn tell(&self, told: &mut Self) {
        told.ends.iter_mut().zip(&self.ends).for_each(|(told, end)| *told = *end);
        told.newest.iter_mut().zip(&self.newest).for_each(|(told, newest)| *told = *newest);
    }

    /// Those of others, in the same places.
    pub(super) fn hear(&mut self, others: &Self) {
        self.ends.iter_mut().zip(&others.ends).for_each(|(end, other)| *end = (*end).max(*other));
        let newest = self.newest.iter_mut().zip(&others.newest);
        newest.for_each(|(newest, other)| *newest = (*newest).max(*other));
    }

    /// Those for which hot domains and servers had other places: `before` says where each server was.
    pub(super) fn carry(
        &mut self,
        here: &Observed,
        (earlier, grants): (&Observed, &Self),
        before: impl Fn(usize) -> Option<usize>,
    ) {
        for (row, old_row) in here.rows_of(earlier) {
            if let Some(newest) = self.newest.get_mut(row) {
                *newest = (*newest).max(grants.newest(old_row));
            }
        }
        // Servers are looked for by name, hot domains are walked along: once each is enough.
        for server in 0..here.servers() {
            let Some(place) = before(server).filter(|place| *place < earlier.servers()) else {
                continue;
            };
            for (row, old_row) in here.rows_of(earlier) {
                if let Some(end) = self.ends.get_mut(row * here.servers() + server) {
                    *end = (*end).max(grants.end(old_row * earlier.servers() + place));
                }
            }
        }
    }
}

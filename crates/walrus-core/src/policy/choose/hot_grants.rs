//! Which grants of hot domains live, and when each domain got its newest: what decides whether `crml`
//! charges what servers observe.

use super::Observed;

/// Of a server that is not there.
const GONE: u32 = u32::MAX;

/// Of one service, on one answering thread or told by others. Times are whole seconds from 1 on; 0 is
/// none.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct HotGrants {
    /// At `hot * servers + server`: the last second of the living grant.
    ends: Box<[u32]>,
    /// By hot domain: when it was granted a server last.
    newest: Box<[u32]>,
    /// By hot domain: which server that was; one that is not there if it is gone.
    newest_at: Box<[u32]>,
}

impl HotGrants {
    /// None yet.
    pub(super) fn new(observed: &Observed) -> Self {
        let places = observed.charges().len();
        let rows = observed.rows();
        Self {
            ends: vec![0; places].into(),
            newest: vec![0; rows].into(),
            newest_at: vec![GONE; rows].into(),
        }
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

    /// The server that the newest grant named.
    #[inline]
    pub(super) fn newest_at(&self, hot: usize) -> usize {
        self.newest_at.get(hot).map_or(usize::MAX, |server| *server as usize)
    }

    /// The hot domain is granted a server of so many; says when that ends.
    #[inline]
    pub(super) fn add(
        &mut self,
        (hot, server, servers): (usize, usize, usize),
        second: u32,
        ttl: u32,
    ) -> u32 {
        let newest = self.newest.get_mut(hot).zip(self.newest_at.get_mut(hot));
        let Some(((newest, at), end)) = newest.zip(self.ends.get_mut(hot * servers + server))
        else {
            return u32::MAX;
        };
        // As many as candidates, which are counted in 32 bits.
        (*newest, *at) = (second, server as u32);
        *end = (*end).max(second.saturating_add(ttl));
        *end
    }

    /// Copies what others are told, without allocating.
    pub(super) fn tell(&self, told: &mut Self) {
        told.ends.iter_mut().zip(&self.ends).for_each(|(told, end)| *told = *end);
        told.newest.iter_mut().zip(&self.newest).for_each(|(told, newest)| *told = *newest);
        told.newest_at.iter_mut().zip(&self.newest_at).for_each(|(told, at)| *told = *at);
    }

    /// Those of others, in the same places.
    pub(super) fn hear(&mut self, others: &Self) {
        self.ends.iter_mut().zip(&others.ends).for_each(|(end, other)| *end = (*end).max(*other));
        let own = self.newest.iter_mut().zip(&mut self.newest_at);
        for ((newest, at), other) in own.zip(others.newest.iter().zip(&others.newest_at)) {
            if other.0 > newest {
                (*newest, *at) = (*other.0, *other.1);
            } else if other.0 == newest {
                // Of one second: all are to name the same, whoever hears whom.
                *at = (*at).min(*other.1);
            }
        }
    }

    /// Those for which hot domains and servers had other places: `before` says where each server was.
    pub(super) fn carry(
        &mut self,
        here: &Observed,
        (earlier, grants): (&Observed, &Self),
        before: impl Fn(usize) -> Option<usize>,
    ) {
        for (row, old_row) in here.rows_of(earlier) {
            let own = self.newest.get_mut(row).zip(self.newest_at.get_mut(row));
            let Some((newest, at)) = own else { continue };
            if grants.newest(old_row) > *newest {
                (*newest, *at) = (grants.newest(old_row), GONE);
            }
        }
        // Servers are looked for by name, hot domains are walked along: once each is enough.
        for server in 0..here.servers() {
            let Some(place) = before(server).filter(|place| *place < earlier.servers()) else {
                continue;
            };
            for (row, old_row) in here.rows_of(earlier) {
                let is_newest = grants.newest_at(old_row) == place
                    && grants.newest(old_row) == self.newest(row);
                if is_newest && let Some(at) = self.newest_at.get_mut(row) {
                    *at = u32::try_from(server).unwrap_or(GONE).min(*at);
                }
                if let Some(end) = self.ends.get_mut(row * here.servers() + server) {
                    *end = (*end).max(grants.end(old_row * earlier.servers() + place));
                }
            }
        }
    }
}

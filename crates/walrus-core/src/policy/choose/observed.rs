//! What servers report to observe of hot domains, and how full they are, out of a Plan: the same for
//! all workers. `crml` charges it.

/// The most places of hot domains times servers of one service: what a worker keeps (4 bytes each),
/// and goes through where a grant ended, once a second at most.
pub const CHARGES_MAX: usize = 1 << 16;

/// Charges are whole numbers of this part of a request times second: so they come off a sum again
/// without a rest, which would decide between servers that are alike.
const GRAIN: f64 = 1.0 / 1024.0;

/// What servers report to observe, made of a Plan.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Observed {
    servers: usize,
    /// Hot domains by key, with their places.
    hot: Box<[(u64, u32)]>,
    /// At `hot * servers + server`: rate x horizon x TTL, in the unit of residual loads.
    charges: Box<[f64]>,
    /// By hot domain: the sum over all servers.
    wholes: Box<[f64]>,
    /// By server, in the same unit: its backlog x TTL, or 0.
    backlog: Box<[f64]>,
    /// How many seconds before the Plan the observation began.
    over: u32,
}

/// What one server observes of one hot domain.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ObservedRate {
    /// The hot domain's place.
    pub hot: u32,
    /// The server's place among the service's.
    pub server: u32,
    /// Requests a second.
    pub rate: f64,
}

impl Observed {
    /// From the keys of hot domains by their places, requests in each server's queue, and what servers
    /// observe. Both TTL and horizon are in seconds. What is beyond [`CHARGES_MAX`], not a number or of
    /// no such server is left out.
    #[must_use]
    pub fn new(
        hot: &[u64],
        backlog: &[f64],
        observed: impl Iterator<Item = ObservedRate>,
        ttl: u32,
        horizon: u32,
    ) -> Self {
        let servers = backlog.len();
        let rows = hot.len().min(CHARGES_MAX / servers.max(1));
        let mut charges = vec![0.0; rows * servers];
        let (ttl, horizon) = (f64::from(ttl), f64::from(horizon));
        for ObservedRate { hot, server, rate } in observed {
            let (hot, server) = (hot as usize, server as usize);
            if hot < rows && server < servers && rate.is_finite() && rate > 0.0 {
                charges[hot * servers + server] = grained(rate.min(1e12) * horizon * ttl);
            }
        }
        let mut by_key: Vec<(u64, u32)> = hot.iter().copied().zip(0..).take(rows).collect();
        by_key.sort_unstable();
        let backlog = backlog.iter().map(|queue| grained(countable(*queue) * ttl)).collect();
        let row = |row| charges[row * servers..(row + 1) * servers].iter().sum();
        let wholes = (0..rows).map(row).collect();
        Self { servers, hot: by_key.into(), charges: charges.into(), wholes, backlog, over: 0 }
    }

    /// The observation began so many seconds before the Plan that tells of it; begun ones count.
    #[must_use]
    pub const fn made_over(mut self, seconds: u32) -> Self {
        self.over = seconds;
        self
    }

    /// The second in which an observation began of which one heard in `second`. Both count from 1 on.
    pub(super) fn began(&self, second: u32) -> u32 {
        second.saturating_sub(self.over).max(1)
    }

    /// How many servers there are.
    pub(super) const fn servers(&self) -> usize {
        self.servers
    }

    /// How many hot domains there are.
    pub(super) const fn rows(&self) -> usize {
        self.hot.len()
    }

    /// At `hot * servers + server`: what is charged if nothing speaks against it.
    pub(super) const fn charges(&self) -> &[f64] {
        &self.charges
    }

    /// What all servers together observe of a hot domain, as a charge.
    #[inline]
    pub(super) fn whole(&self, hot: usize) -> f64 {
        self.wholes.get(hot).copied().unwrap_or(0.0)
    }

    /// By server.
    pub(super) const fn backlog(&self) -> &[f64] {
        &self.backlog
    }

    /// Whether places mean the same hot domains.
    pub(super) fn names_alike(&self, other: &Self) -> bool {
        self.servers == other.servers && self.hot == other.hot
    }

    /// Hot domains that both know: their places here and in `earlier`.
    pub(super) fn rows_of<'a>(
        &'a self,
        earlier: &'a Self,
    ) -> impl Iterator<Item = (usize, usize)> + 'a {
        let mut theirs = earlier.hot.iter().peekable();
        self.hot.iter().filter_map(move |(key, row)| {
            while theirs.next_if(|(other, _)| other < key).is_some() {}
            let (_, old_row) = theirs.peek().filter(|(other, _)| other == key)?;
            Some((*row as usize, *old_row as usize))
        })
    }
}

/// A number that was told, as it is reckoned with.
fn countable(number: f64) -> f64 {
    if number > 0.0 { number.min(1e12) } else { 0.0 }
}

fn grained(charge: f64) -> f64 {
    (charge / GRAIN).round() * GRAIN
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOT: [u64; 1] = [9];
    const TTL: u32 = 60;

    #[test]
    fn what_makes_no_sense_is_left_out() {
        let odd = [(0, 7, 1.0), (u32::MAX, 0, 1.0), (0, 0, f64::NAN), (0, 1, -1.0)];
        let odd = odd.into_iter().map(|(hot, server, rate)| ObservedRate { hot, server, rate });
        let observed = Observed::new(&HOT, &[0.0; 2], odd, TTL, TTL);
        assert!(observed.charges.iter().all(|charge| *charge == 0.0));
        let backlog = [f64::NAN, -1.0];
        let odd = Observed::new(&HOT, &backlog, std::iter::empty(), TTL, TTL);
        assert_eq!(*odd.backlog, [0.0, 0.0]);
    }

    #[test]
    fn a_charge_is_the_rate_over_the_horizon_for_a_ttl() {
        let rates = [(0, 1, 2.0), (1, 0, 0.5)];
        let rates = rates.into_iter().map(|(hot, server, rate)| ObservedRate { hot, server, rate });
        let observed = Observed::new(&[7, 5], &[3.0, 0.0], rates, 30, 90);
        assert_eq!(*observed.charges, [0.0, 2.0 * 90.0 * 30.0, 0.5 * 90.0 * 30.0, 0.0]);
        assert_eq!(*observed.backlog, [3.0 * 30.0, 0.0]);
    }

    #[test]
    fn hot_domains_are_found_again_by_key() {
        let of = |keys: &[u64]| Observed::new(keys, &[0.0], std::iter::empty(), TTL, TTL);
        for (keys, earlier, expected) in [
            (&[9, 5, 7][..], &[7, 9][..], &[(2, 0), (0, 1)][..]),
            (&[1, 2], &[3, 4], &[]),
            (&[4, 3], &[1, 2, 3], &[(1, 2)]),
            (&[], &[1], &[]),
            (&[1], &[], &[]),
        ] {
            assert_eq!(of(keys).rows_of(&of(earlier)).collect::<Vec<_>>(), expected);
        }
    }

    #[test]
    fn an_observation_begins_with_time_at_the_earliest() {
        let observed = Observed::default().made_over(12);
        assert_eq!([1, 12, 13, 14, 100].map(|second| observed.began(second)), [1, 1, 1, 2, 88]);
        assert_eq!(Observed::default().made_over(u32::MAX).began(100), 1);
    }
}

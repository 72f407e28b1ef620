//! How much memory the measures of a run take: what bounds studies, and how many results are held at once.

use super::super::Distribution;
use super::Setup;

/// What a run measures.
#[derive(Clone, Copy, Debug)]
pub(super) struct Measured {
    pub(super) servers: u128,
    pub(super) populations: u128,
    /// Of each series.
    pub(super) points: u128,
}

impl Measured {
    pub(super) fn of(setup: &Setup) -> Self {
        let measured = setup.duration.saturating_sub(setup.discard).as_nanos();
        Self {
            servers: setup.configuration.topology.servers.len() as u128,
            populations: setup.populations.len() as u128,
            points: measured / setup.interval.as_nanos().max(1),
        }
    }

    /// Whether it fits into a few hundred megabytes; else what to write instead.
    pub(super) fn check(&self) -> Result<(), String> {
        /// Points of all series, a few numbers each.
        const SERIES_MAX: u128 = 10_000_000;
        /// Counts of populations' answers and pages by server, 16 bytes each.
        const COUNTS_MAX: u128 = 10_000_000;
        let Self { servers, populations, points } = *self;
        if points.saturating_mul(servers + populations) > SERIES_MAX {
            return Err(format!(
                "{points} points of each of {servers} servers and {populations} populations are more than \
                 {SERIES_MAX}: make `interval` longer"
            ));
        }
        if servers * populations > COUNTS_MAX {
            return Err(format!(
                "{populations} populations at {servers} servers are more than {COUNTS_MAX} counts: take \
                 fewer of them"
            ));
        }
        Ok(())
    }

    /// Bytes, at most.
    pub(super) fn bytes(&self) -> u64 {
        /// Of the run as a whole: utilisation, length, response times, windows.
        const DISTRIBUTIONS: u128 = 4;
        /// Of each population: response times, windows.
        const DISTRIBUTIONS_EACH: u128 = 2;
        let Self { servers, populations, points } = *self;
        let distributions = DISTRIBUTIONS + DISTRIBUTIONS_EACH * populations;
        // Two series of each server and population, three of all together; a list may have twice the room it needs.
        let series = (2 * 4 * (2 * (servers + populations) + 3)).saturating_mul(points);
        let counts = 2 * 8 * servers * populations;
        let all = (distributions * Distribution::BYTES_MAX as u128 + counts).saturating_add(series);
        u64::try_from(all).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use std::ops::ControlFlow;

    use super::super::Study;
    use super::super::tests::GOOD;
    use super::*;
    use crate::simulation::simulate;

    #[test]
    fn what_is_too_much_is_told_with_what_to_do() {
        let check = |servers, populations, points| {
            Measured { servers, populations, points }.check().err().unwrap_or_default()
        };
        assert_eq!(check(65_000, 100, 100), "");
        assert_eq!(check(20, 1000, 240), "");
        assert!(check(100, 1, 100_000).contains("make `interval` longer"));
        assert!(check(65_000, 200, 1).contains("take fewer of them"));
        assert!(check(1, 1, u128::MAX).contains("make `interval`"));
    }

    #[test]
    fn a_result_takes_about_as_much_as_was_reckoned() {
        let study = Study::parse("small.toml", GOOD, &|_| Err(String::new()), &[]).unwrap();
        let result = simulate(&study, 0, 1, &mut |_| ControlFlow::Continue(())).unwrap();
        let mut numbers = 3 * result.near_share.len();
        numbers += result.servers.iter().map(|it| 2 * it.share.len()).sum::<usize>();
        numbers += result.populations.iter().map(|it| 2 * it.near_share.len()).sum::<usize>();
        let counts: usize = result.populations.iter().map(|it| 2 * it.pages.len()).sum();
        // Utilisation, length, and response times of the population and of all: nobody chooses name servers here.
        let held = 4 * numbers + 8 * counts + 4 * Distribution::BYTES_MAX;
        let reckoned = usize::try_from(study.result_bytes(0)).unwrap();
        assert!(held <= reckoned && reckoned < 2 * held, "{held} {reckoned}");
    }
}

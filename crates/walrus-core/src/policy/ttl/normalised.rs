//! Problem: shorter TTLs for everybody always balance better, and cost more queries; policies are to be
//! compared, and operators to be charged, at the same price.
//!
//! Rule (the papers' fairness rule): name servers are asked as often as with the constant TTL T, in the mean
//! over all K domains:
//!
//! ```text
//! K / T = sum over j of 1 / E[TTL(i, j)]       E over the servers of j's answers
//! ```
//!
//! The papers' texts let this be read with E[1/TTL] as well. We use 1/E[TTL] throughout: a domain that
//! always has clients waiting asks anew when its answer ends, and by the theorem of renewals that
//! happens once in the *mean* of the times between, whatever their spread. E[1/TTL] is higher (two
//! servers at 20 s and 40 s: one query in 30 s, not in 26.7), so that TTLs normalised by it would be
//! longer than they need be. Without an influence of servers, the two are the same.
//!
//! The TTLs of [`super::adaptive`] keep it as they are, as long as no bound cuts one off: the mean over
//! servers of C(i)/C is 1 by its definition, and the sum of W(j)/(T*W) over all j is K/T by that of W.
//! With bounds all of a list are scaled until the sum holds: with `ttl_min` <= T <= `ttl_max`
//! there is always such a scale, as all are T at most at one end, and at least at the other. It holds
//! in each area by itself, since a scale belongs to a list.
//!
//! Example: T = 240, domains of 8, 1, 1 requests a second, and 100, 800 and 800 s: 1/100 + 2/800 is 3/240. With
//! `ttl_max = 600` the light ones are cut off, and the heavy one gets 109.1: 1/109.1 + 2/600 = 3/240.
//!
//! Source: Colajanni, Yu, Cardellini 1998; papers.md 2.2.
//!
//! When it is wrong: where domains have no client waiting when an answer ends. The time g until the next one
//! comes is the same after a long TTL as after a short one, so that queries come at 1/(TTL + g): the light domains'
//! long TTLs save less than the heavy ones' short TTLs cost (4 % of all queries with twenty domains by
//! Zipf, up to 13 % with a real site's resolvers). To take g for h / rate and to find h from all queries that are
//! counted overshot in the studies, and is not done: lonely clients come in sessions, in which a long
//! TTL saves most of the queries (30 % too few came), few queries tell h badly, and fewer queries make it
//! seem greater still.

use super::adaptive::AlikeDomains;

/// A scale is looked for until it is this near.
const NEAR_ENOUGH: f64 = 1e-6;
/// No more steps than that, whatever the numbers: each halves the distance.
const STEPS_MAX: usize = 100;
/// TTLs are told apart in this many steps for each doubling where there are too many to be summed up
/// one by one: sums are then wrong by less than a ten thousandth.
const STEPS_A_DOUBLING: f64 = 16.0;
/// So many are.
const ONE_BY_ONE_MAX: usize = 64;

/// A server as one list gives it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct ServerShare {
    /// Above 0; in any unit.
    pub(crate) capacity: f64,
    /// The share of the list's answers that it comes first in.
    pub(crate) share: f64,
}

/// What an adaptive policy is told.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Bounds {
    /// Seconds: the mean that is kept.
    pub(crate) mean: u32,
    /// Seconds.
    pub(crate) min: u32,
    /// Seconds.
    pub(crate) max: u32,
}

impl Bounds {
    /// Not `clamp`, which panics where they are the wrong way round; what is no number is the least.
    #[inline]
    pub(super) fn cut(self, seconds: f64) -> f64 {
        seconds.max(f64::from(self.min)).min(f64::from(self.max))
    }
}

/// The domains of a service, as far as the mean rate of their queries depends on them.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Fairness {
    bounds: Bounds,
    /// TTLs that are to be scaled, in seconds, with how many domains have them.
    ttls: Vec<(f64, f64)>,
}

impl Fairness {
    /// For these domains and these TTLs by class, in seconds.
    pub(super) fn new(bounds: Bounds, domains: &[AlikeDomains], seconds: &[f64]) -> Self {
        let of_class = |class: u32| seconds.get(class as usize).copied();
        let with = domains.iter().filter_map(|it| Some((of_class(it.class)?, it.domains)));
        let mut ttls = gathered(with);
        if ttls.is_empty() {
            ttls.extend(of_class(0).map(|seconds| (seconds, 1.0)));
        }
        Self { bounds, ttls }
    }

    /// What all TTLs of a list are multiplied with, whose servers have these factors and shares.
    pub(super) fn scale(&self, servers: &[(f64, f64)]) -> f64 {
        let (shortest, longest) =
            (least(&self.ttls) * least(servers), most(&self.ttls) * most(servers));
        let Bounds { mean, min, max } = self.bounds;
        let (mean, min, max) = (f64::from(mean), f64::from(min), f64::from(max));
        if min <= shortest && longest <= max {
            return 1.0;
        }
        let wanted = self.asked(|_| mean);
        let whole: f64 = servers.iter().map(|(_, share)| share).sum();
        let scaled = |scale: f64| {
            self.asked(|seconds| {
                let of = |&(factor, share): &(f64, f64)| {
                    self.bounds.cut(seconds * factor * scale) * share
                };
                servers.iter().map(of).sum::<f64>() / whole
            })
        };
        // From where all are at the lower bound to where all are at the upper one.
        let (mut low, mut high) = (min / longest, max / shortest);
        for _ in 0..STEPS_MAX {
            let middle = (low * high).sqrt();
            if !(low < middle && middle < high) || high / low < 1.0 + NEAR_ENOUGH {
                break;
            }
            if scaled(middle) > wanted { low = middle } else { high = middle }
        }
        let scale = (low * high).sqrt();
        if scale.is_finite() && scale > 0.0 { scale } else { 1.0 }
    }

    /// Queries a second with such mean TTLs: the longer they are, the less.
    fn asked(&self, mean: impl Fn(f64) -> f64) -> f64 {
        self.ttls.iter().map(|(seconds, domains)| domains / mean(*seconds)).sum()
    }
}

/// Values with what they weigh, those that are about alike together.
fn gathered(values: impl Iterator<Item = (f64, f64)>) -> Vec<(f64, f64)> {
    let mut values: Vec<(f64, f64)> = values.filter(|(_, weight)| *weight > 0.0).collect();
    values.sort_by(|one, other| one.0.total_cmp(&other.0));
    let step = if values.len() > ONE_BY_ONE_MAX { STEPS_A_DOUBLING.recip().exp2() } else { 1.0 };
    let mut gathered: Vec<(f64, f64, f64)> = Vec::new();
    for (value, weight) in values {
        match gathered.last_mut() {
            Some((first, sum, weights)) if value <= *first * step => {
                *sum += value * weight;
                *weights += weight;
            }
            _ => gathered.push((value, value * weight, weight)),
        }
    }
    gathered.into_iter().map(|(_, sum, weight)| (sum / weight, weight)).collect()
}

/// The factors of a list's servers with their shares, those that are about alike together; at least
/// one.
pub(super) fn factors(factors: impl Iterator<Item = (f64, f64)>) -> Vec<(f64, f64)> {
    let mut factors = gathered(factors);
    if factors.is_empty() {
        // Records that name no server.
        factors.push((1.0, 1.0));
    }
    factors
}

fn least(values: &[(f64, f64)]) -> f64 {
    values.iter().map(|it| it.0).fold(f64::INFINITY, f64::min)
}

fn most(values: &[(f64, f64)]) -> f64 {
    values.iter().map(|it| it.0).fold(0.0, f64::max)
}

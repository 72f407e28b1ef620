//! Problem: shorter TTLs for everybody always balance better, and cost more queries; policies are to be
//! compared, and operators to be charged, at the same price.
//!
//! Rule (the papers' fairness rule): name servers are asked as often as with the constant TTL T, in the mean
//! over all K domains. The papers write
//!
//! ```text
//! K / T = sum over j of 1 / E[TTL(i, j)]       E over the servers of j's answers
//! ```
//!
//! for domains that always have clients waiting: these ask anew when an answer ends. Others do not: after
//! the end of an answer, a domain of rate w waits some g(j) until the next client comes, and that is the same for
//! a long TTL as for a short one. So what is kept is
//!
//! ```text
//! sum over j of 1 / (T + g(j)) = sum over j of 1 / (E[TTL(i, j)] + g(j))       g(j) = h / w(j)
//! ```
//!
//! with h the requests that a client makes for each lookup. It is not told by anybody, but follows from
//! the queries that Directors count: the left side is all of them. Where these are not known, or are as many
//! as T allows, h is 0: the papers' rule. Without h, TTL/K costs up to 13 % more queries than T (see the
//! studies): the light domains' long TTLs save less than the heavy ones' short TTLs cost.
//!
//! The papers' texts let their rule be read with E[1/TTL] as well. We use 1/E[TTL] throughout: by the
//! theorem of renewals a domain asks once in the *mean* of the times between, whatever their spread.
//! E[1/TTL] is higher (two servers at 20 s and 40 s: one query in 30 s, not in 26.7), so that TTLs
//! normalised by it would be longer than they need be. Without an influence of servers, the two are the
//! same.
//!
//! The TTLs of [`super::adaptive`] keep the papers' rule as they are, as long as no bound cuts one off: the mean over
//! servers of C(i)/C is 1 by its definition, and the sum of W(j)/(T*W) over all j is K/T by that of W.
//! With h, or with bounds, all of a list are scaled until the sum holds: with `ttl_min` <= T <= `ttl_max`
//! there is always such a scale, as all are T at most at one end, and at least at the other.
//! It holds in each area by itself, since a scale belongs to a list.
//!
//! Example: T = 60, three domains of 8, 1, 1 requests a second, a lookup for each 30 requests: they wait 3.75
//! and 30 s after an answer ends, and ask 1/63.75 + 2/90 = 0.0379 times a second together. TTL/K would give them 25, 200
//! and 200 s, which is 1/28.75 + 2/230 = 0.0435 queries, 15 % more; 1.17 times those, 29.2 and 233.8 s, keep it.
//!
//! Source: Colajanni, Yu, Cardellini 1998; papers.md 2.2. h is ours.
//!
//! When it is wrong: clients come in sessions and not one by one, so that a lonely client's resolver asks
//! several times in a session if TTLs are short and once if they are long: its long TTL saves more than is
//! reckoned here. Of domains that are not named neither number nor rates are known, only their sum.

use super::adaptive::{AlikeDomains, Askers};

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
    groups: Vec<Group>,
}

/// Domains with about the same TTL that wait about as long.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Group {
    /// The TTL that is to be scaled.
    seconds: f64,
    /// From the end of an answer to the next question, in seconds.
    gap: f64,
    domains: f64,
}

impl Fairness {
    /// For these domains and these TTLs by class, in seconds.
    pub(super) fn new(bounds: Bounds, askers: &Askers, seconds: &[f64]) -> Self {
        let requests_a_lookup = requests_a_lookup(f64::from(bounds.mean), askers);
        let groups = askers.domains.iter().map(|alike| {
            let gap = requests_a_lookup * alike.domains / alike.rate;
            let gap = if gap.is_finite() && gap > 0.0 { gap } else { 0.0 };
            let seconds = seconds.get(alike.class as usize).copied();
            let seconds = seconds.unwrap_or_else(|| f64::from(bounds.mean));
            Group { seconds, gap, domains: alike.domains }
        });
        let mut groups = gathered(groups);
        if groups.is_empty() {
            let seconds = seconds.first().copied().unwrap_or_else(|| f64::from(bounds.mean));
            groups.push(Group { seconds, gap: 0.0, domains: 1.0 });
        }
        Self { bounds, groups }
    }

    /// What all TTLs of a list are multiplied with, whose servers have these factors and shares.
    pub(super) fn scale(&self, servers: &[(f64, f64)]) -> f64 {
        let ttls = self.groups.iter().map(|group| group.seconds);
        let factors = servers.iter().map(|(factor, _)| *factor);
        let (shortest, longest) =
            (least(ttls.clone()) * least(factors.clone()), most(ttls) * most(factors));
        let Bounds { mean, min, max } = self.bounds;
        let (mean, min, max) = (f64::from(mean), f64::from(min), f64::from(max));
        let is_cut = shortest < min || longest > max;
        if !is_cut && self.groups.iter().all(|group| group.gap == 0.0 || group.seconds == mean) {
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
        self.groups.iter().map(|it| it.domains / (mean(it.seconds) + it.gap)).sum()
    }
}

/// h: for how many requests there is a lookup, if all those queries come with the constant TTL.
fn requests_a_lookup(mean: f64, askers: &Askers) -> f64 {
    let asking = askers.domains.iter().filter(|it| it.domains > 0.0 && it.rate > 0.0);
    let asked = |requests: f64| -> f64 {
        let of = |it| {
            let AlikeDomains { domains, rate, .. } = it;
            domains / (mean + requests * domains / rate)
        };
        asking.clone().map(|it| of(*it)).sum()
    };
    let queries = askers.queries;
    if !(queries > 0.0 && queries.is_finite()) || asked(0.0) <= queries {
        return 0.0;
    }
    // With a query for each, fewer would come than there are.
    let (mut low, mut high) = (0.0, asking.clone().map(|it| it.rate).sum::<f64>() / queries);
    for _ in 0..STEPS_MAX {
        let middle = f64::midpoint(low, high);
        if !(low < middle && middle < high) || high - low < NEAR_ENOUGH * high {
            break;
        }
        if asked(middle) > queries { low = middle } else { high = middle }
    }
    if high.is_finite() { high } else { 0.0 }
}

/// Those that are about alike together.
fn gathered(groups: impl Iterator<Item = Group>) -> Vec<Group> {
    let mut groups: Vec<Group> = groups.filter(|group| group.domains > 0.0).collect();
    groups.sort_by(|one, other| {
        one.seconds.total_cmp(&other.seconds).then(one.gap.total_cmp(&other.gap))
    });
    let step = if groups.len() > ONE_BY_ONE_MAX { STEPS_A_DOUBLING.recip().exp2() } else { 1.0 };
    let mut gathered: Vec<(Group, Group)> = Vec::new();
    for group in groups {
        let Group { seconds, gap, domains } = group;
        match gathered.last_mut() {
            Some((first, sum)) if seconds <= first.seconds * step && gap <= first.gap * step => {
                sum.seconds += seconds * domains;
                sum.gap += gap * domains;
                sum.domains += domains;
            }
            _ => gathered
                .push((group, Group { seconds: seconds * domains, gap: gap * domains, domains })),
        }
    }
    let mean = |(_, sum): (Group, Group)| {
        let Group { seconds, gap, domains } = sum;
        Group { seconds: seconds / domains, gap: gap / domains, domains }
    };
    gathered.into_iter().map(mean).collect()
}

/// The factors of a list's servers with their shares, those that are about alike together; at least
/// one.
pub(super) fn factors(factors: impl Iterator<Item = (f64, f64)>) -> Vec<(f64, f64)> {
    let group = |(seconds, domains)| Group { seconds, gap: 0.0, domains };
    let gathered = gathered(factors.map(group));
    let mut factors: Vec<_> = gathered.iter().map(|it| (it.seconds, it.domains)).collect();
    if factors.is_empty() {
        // Records that name no server.
        factors.push((1.0, 1.0));
    }
    factors
}

fn least(values: impl Iterator<Item = f64>) -> f64 {
    values.fold(f64::INFINITY, f64::min)
}

fn most(values: impl Iterator<Item = f64>) -> f64 {
    values.fold(0.0, f64::max)
}

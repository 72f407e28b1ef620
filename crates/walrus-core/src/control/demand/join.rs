//! Queries that Directors saw and requests that servers served become one demand by domain.
//!
//! **Problem.** What loads servers is requests, but whoever asks a Director is a resolver (or names a
//! client prefix), and whoever asks a server is a client. A domain's queries say little of its
//! requests: a resolver asks once a TTL, whether ten clients stand behind it or ten thousand.
//!
//! **Rule.** A client prefix of an access log counts for the domains that lie in it (resolvers'
//! addresses, ECS prefixes), divided by their queries; if there are none, for the longest ECS prefix
//! that it lies in; else it is a domain of its own. A domain that has requests so has their rate, and
//! its queries no longer count. One that only Directors saw has its queries times the mean requests
//! a query of those that both saw; if both saw none in common, of all; if no server tells of requests,
//! times 1: the unit is queries then. The rest is what is told without names on either side, whichever
//! is more.
//!
//! Prefixes that are domains of their own ask nobody: their clients' resolvers do, wherever they are.
//! They are **silent**: named, for a resolver that Directors did not name may stand in one, but neither
//! counted nor hot. Where nobody asks at all (Directors are not heard), all count; and so they do where
//! somebody wants to know at which servers domains are seen (`crml`): a resolver that asks less than once
//! an hour is silent, too. Who asked within the hour still has its requests, however long it keeps answers;
//! beside one in the same prefix that asks all the time, a hundredth of them.
//!
//! A rate that queries alone make up is **reckoned**: no server tells of requests of the domain's clients, or of
//! far fewer than its queries stand for elsewhere. It says how often a domain asks, of which the TTL that it
//! was given is the greater part: adaptive TTLs must not follow it, or who asks often would be made to ask
//! more often.
//!
//! A resolver may have a few clients in its own network and most elsewhere. So a domain that asks has
//! at least a tenth ([`LEAST_PART`]) of what its queries stand for in the mean, and one with less than
//! that says nothing about the mean.
//!
//! **Source.** papers.md 2.3 (Colajanni, Yu, Dias: servers count requests by domain) and 5 (which
//! resolver a client uses must come from logs or ECS); the join by prefix is Walrus' own.
//!
//! **When it is wrong.** A resolver far from its clients, of whom a few are in its own network, has a tenth
//! of the mean at least and may have more in truth. A resolver far from its clients without ECS: their
//! requests stand under their own prefixes and once more in its estimate. Shares among those who ask stay right, the whole
//! is too high. Where only some servers tell, all rates are too low by the same part.
//!
//! **Example.** Resolver 198.51.100.53 asks once a second, 203.0.113.53 twice; the log has 10 requests
//! a second from 198.51.100.0/24 and 5 from 192.0.2.0/24. Demand: 203.0.113.53 20 (2 x 10 a query),
//! 198.51.100.53 10, 192.0.2.0/24 5.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::rates::{AVERAGED_OVER, FADED, Rates};
use crate::plan::{DomainDemand, ServiceDemand};
use crate::world::Domain;

/// A hot domain stays hot until its share is below this part of what made it hot: one at the border
/// would else bring a Plan each round.
const STAYS_HOT: f64 = 0.8;

/// A domain that asks has this part of what its queries stand for in the mean, however few requests
/// come from around it. Who really has so few is then taken for as light as few others are.
const LEAST_PART: f64 = 0.1;

/// Of domains that share a prefix in servers' logs, each has this part of what the one that asks most has.
const LEAST_OF_NEIGHBOURS: f64 = 0.01;

/// Those that both sides saw say alone what a query stands for if they have this part of all queries;
/// the fewer they are, the more all others have a say.
const PART_OF_BOTH: f64 = 0.1;

/// What one server serves of a service.
#[derive(Clone, Copy)]
pub(super) struct Served<'a> {
    /// Its place in the Plan.
    pub(super) server: u32,
    /// The part of its requests that is this service's, 0 to 1.
    pub(super) part: f64,
    /// Of all its services.
    pub(super) requests: &'a Rates<Domain>,
    /// Where they come from now; `None` if the last report is too old to tell.
    pub(super) seen: Option<Seen<'a>>,
}

/// What a server's last report alone tells.
#[derive(Clone, Copy)]
pub(super) struct Seen<'a> {
    pub(super) rates: &'a BTreeMap<Domain, f64>,
    /// How long ago the time began that it covers.
    pub(super) over: Duration,
}

/// How much is named, and what is hot.
#[derive(Clone, Copy)]
pub(super) struct Naming {
    /// The most domains that are named.
    pub(super) domains_max: usize,
    /// The share of what all ask that count above which a domain is hot; one in the number of those
    /// if `None`.
    pub(super) hot_share: Option<f64>,
    /// Whether anybody looks at where hot domains are seen.
    pub(super) observes: bool,
}

/// One domain, both sides.
#[derive(Clone, Copy, Default)]
struct Joined {
    queries: f64,
    requests: f64,
}

/// The demand of one service; `None` if there is nothing. `before` says who was hot.
pub(super) fn join(
    queries: &Rates<Domain>,
    served: &[Served<'_>],
    naming: Naming,
    before: Option<&ServiceDemand>,
) -> Option<ServiceDemand> {
    let asked = Asked::new(queries);
    let attributed = attribute(&asked, served);
    let mut domains: BTreeMap<Domain, Joined> = BTreeMap::new();
    for (domain, rate) in queries.named() {
        domains.entry(*domain).or_default().queries = *rate;
    }
    for it in served {
        for (prefix, rate) in it.requests.named() {
            for (domain, share) in &attributed[prefix] {
                domains.entry(*domain).or_default().requests += it.part * rate * share;
            }
        }
    }
    let rest_of_requests: f64 = served.iter().map(|it| it.part * it.requests.rest()).sum();
    // What is averaged over longer may be rarer.
    let least = FADED * AVERAGED_OVER.as_secs_f64() / queries.over().as_secs_f64();
    let factor = requests_per_query(&domains, (queries.rest(), rest_of_requests), least);
    let asks_at_all = queries.rest() > 0.0 || !queries.named().is_empty();
    let rates = domains.into_iter().map(|(domain, joined)| Rated {
        domain,
        rate: joined.rate(factor),
        is_silent: asks_at_all && joined.queries <= 0.0,
        is_reckoned: joined.requests < joined.rate(factor),
    });
    let asked = queries.rest() * factor;
    let rest = Rest { asked, silent: (rest_of_requests - asked).max(0.0), asks_at_all };
    let rates: Vec<Rated> = rates.filter(|it| it.rate >= least).collect();
    let mut demand = name(rates, rest, naming, before)?;
    if naming.observes {
        observe(&mut demand, served, &attributed);
    }
    Some(demand)
}

impl Joined {
    /// Requests a second, where a query stands for `factor` in the mean.
    fn rate(self, factor: f64) -> f64 {
        let least = if self.requests > 0.0 { LEAST_PART } else { 1.0 };
        self.requests.max(self.queries * factor * least)
    }
}

/// A domain with its requests a second.
#[derive(Clone, Copy)]
struct Rated {
    domain: Domain,
    rate: f64,
    is_silent: bool,
    /// Queries alone say how much it asks: no server tells of requests of its clients, or of far fewer than its
    /// queries stand for elsewhere.
    is_reckoned: bool,
}

/// What is told without names: requests a second.
#[derive(Clone, Copy)]
struct Rest {
    asked: f64,
    /// What servers have on top of it.
    silent: f64,
    asks_at_all: bool,
}

/// What Directors were asked, to look prefixes up in.
struct Asked<'a> {
    queries: &'a Rates<Domain>,
    /// All lengths that there are, longest first.
    lengths: Vec<u8>,
}

impl<'a> Asked<'a> {
    fn new(queries: &'a Rates<Domain>) -> Self {
        let lengths: BTreeSet<u8> = queries.named().keys().map(|it| it.length()).collect();
        Self { queries, lengths: lengths.into_iter().rev().collect() }
    }

    /// The domains that a client prefix counts for, with shares that add up to 1.
    fn of_prefix(&self, prefix: Domain) -> Vec<(Domain, f64)> {
        let all = self.queries.named();
        let inside = || all.range(prefix..=prefix.last());
        let most = inside().map(|(_, rate)| *rate).fold(0.0, f64::max);
        if most > 0.0 {
            // Who asked long ago has clients still, of whom its neighbour is not to get all.
            let part = |rate: &f64| rate.max(most * LEAST_OF_NEIGHBOURS);
            let whole: f64 = inside().map(|(_, rate)| part(rate)).sum();
            return inside().map(|(domain, rate)| (*domain, part(rate) / whole)).collect();
        }
        let around = self.lengths.iter().filter(|length| **length < prefix.length());
        let mut around = around.map(|length| Domain::new(prefix.network(), *length));
        vec![(around.find(|it| all.contains_key(it)).unwrap_or(prefix), 1.0)]
    }
}

/// For which domains each client prefix counts.
fn attribute(asked: &Asked<'_>, served: &[Served<'_>]) -> BTreeMap<Domain, Vec<(Domain, f64)>> {
    let mut attributed = BTreeMap::new();
    for prefix in served.iter().flat_map(|it| it.requests.named().keys()) {
        attributed.entry(*prefix).or_insert_with(|| asked.of_prefix(*prefix));
    }
    attributed
}

/// How many requests a query stands for in the mean.
fn requests_per_query(
    domains: &BTreeMap<Domain, Joined>,
    (queries_rest, requests_rest): (f64, f64),
    least_asked: f64,
) -> f64 {
    let sum = |counts: &dyn Fn(&Joined) -> bool| {
        let counted = domains.values().filter(|it| counts(it));
        counted.fold(Joined::default(), |sum, it| Joined {
            queries: sum.queries + it.queries,
            requests: sum.requests + it.requests,
        })
    };
    let all = sum(&|_| true);
    let (queries, requests) = (all.queries + queries_rest, all.requests + requests_rest);
    let of_all = if queries > 0.0 && requests > 0.0 { requests / queries } else { 1.0 };
    // Who asked long ago is remembered, but its queries are none.
    let is_both = |it: &Joined| it.queries >= least_asked && it.requests > 0.0;
    let both = sum(&is_both);
    if both.queries <= 0.0 {
        return of_all;
    }
    // Whose clients are elsewhere says nothing of those who have theirs at home.
    let least = both.requests / both.queries * LEAST_PART;
    let at_home = sum(&|it| is_both(it) && it.requests >= it.queries * least);
    let of_both = at_home.requests / at_home.queries;
    // The logarithms' mean: both may be off by orders of magnitude.
    let part = (both.queries / queries / PART_OF_BOTH).min(1.0);
    of_both.powf(part) * of_all.powf(1.0 - part)
}

/// Names the heaviest, marks the hot ones, and rounds: noise in the fourth digit is no news.
fn name(
    mut rates: Vec<Rated>,
    mut rest: Rest,
    naming: Naming,
    before: Option<&ServiceDemand>,
) -> Option<ServiceDemand> {
    let by_rate =
        |one: &Rated, two: &Rated| two.rate.total_cmp(&one.rate).then(one.domain.cmp(&two.domain));
    let most = naming.domains_max.min(ServiceDemand::DOMAINS_MAX);
    if rates.len() > most {
        // Who asks goes first.
        rates.sort_by(|one, two| one.is_silent.cmp(&two.is_silent).then(by_rate(one, two)));
        for it in rates.drain(most..) {
            *(if it.is_silent { &mut rest.silent } else { &mut rest.asked }) += it.rate;
        }
    }
    rates.sort_by(by_rate);
    let sum = |is_silent: bool| -> f64 {
        rates.iter().filter(|it| it.is_silent == is_silent).map(|it| it.rate).sum()
    };
    let (mut asked, mut silent) = (sum(false) + rest.asked, sum(true) + rest.silent);
    if !rest.asks_at_all {
        (asked, silent) = (asked + silent, 0.0);
    }
    if asked + silent <= 0.0 {
        return None;
    }
    // What servers see is worth knowing of whoever keeps answers so long that no query of it is
    // remembered; the other policies have nothing to tell those apart by who never ask.
    let counts = |it: &&Rated| naming.observes || !it.is_silent;
    let counted = rates.iter().filter(counts).count();
    let whole = if naming.observes { asked + silent } else { asked };
    let hot_share = naming.hot_share.unwrap_or_else(|| 1.0 / counted.max(1) as f64);
    let were_hot: BTreeSet<&str> = before
        .iter()
        .flat_map(|before| &before.domains)
        .filter(|it| it.hot)
        .map(|it| it.domain.as_str())
        .collect();
    let mut hot_left = ServiceDemand::HOT_MAX;
    let mut domains: Vec<DomainDemand> = Vec::with_capacity(rates.len());
    for Rated { domain, rate, is_silent, is_reckoned } in rates {
        let domain = domain.to_string();
        let share = rate / whole;
        let stays = share > STAYS_HOT * hot_share && were_hot.contains(domain.as_str());
        let may_be = naming.observes || !is_silent;
        let hot = may_be && hot_left > 0 && (share > hot_share || stays);
        hot_left -= usize::from(hot);
        let (rate, observed) = (rounded(rate), Vec::new());
        let (silent, reckoned) = (is_silent, is_reckoned);
        domains.push(DomainDemand { domain, rate, hot, silent, reckoned, observed });
    }
    let (rate, silent) = (rounded(asked + silent), rounded(silent));
    Some(ServiceDemand { rate, domains, silent, ..ServiceDemand::default() })
}

/// Says at which servers hot domains are seen.
fn observe(
    demand: &mut ServiceDemand,
    served: &[Served<'_>],
    attributed: &BTreeMap<Domain, Vec<(Domain, f64)>>,
) {
    let hot = demand.domains.iter().enumerate().filter(|(_, it)| it.hot);
    let hot: BTreeMap<Domain, usize> =
        hot.filter_map(|(index, it)| Some((it.domain.parse().ok()?, index))).collect();
    if hot.is_empty() {
        return;
    }
    for it in served {
        let mut seen: BTreeMap<usize, f64> = BTreeMap::new();
        let Some(Seen { rates, over }) = it.seen else { continue };
        for (prefix, rate) in rates {
            for (domain, share) in attributed.get(prefix).into_iter().flatten() {
                if let Some(index) = hot.get(domain) {
                    *seen.entry(*index).or_default() += it.part * rate * share;
                }
            }
        }
        for (index, rate) in seen {
            let rate = rounded(rate);
            if rate > 0.0 {
                demand.domains[index].observed.push((it.server, rate));
                let over = u64::try_from(over.as_millis()).unwrap_or(u64::MAX);
                demand.observed_over_ms = demand.observed_over_ms.max(over);
            }
        }
    }
}

/// To three significant digits.
fn rounded(rate: f64) -> f64 {
    format!("{rate:.2e}").parse().unwrap_or(rate)
}

#[cfg(test)]
#[path = "join_tests.rs"]
mod tests;

//! Problem: whoever caches an answer sends its clients to one server for as long as it caches it. A
//! resolver with many clients then binds more of a server's capacity by one answer than a small one
//! (its *hidden load*), and a weak server is bound as long as a strong one.
//!
//! Rule: the heavier a domain, the shorter the TTL that it gets (variants `TTL/n`), and the stronger
//! the server, the longer the TTL that it is given out with (variants `TTL/S_n`). With W(j) the mean
//! demand of the domains in j's class, W the mean of all domains, C(i) a server's capacity (its
//! weight), and T the configured `ttl`:
//!
//! ```text
//! TTL(i, j) = T * W / W(j)                   TTL/n:    one class, two (hot and normal), or each domain
//! TTL(i, j) = T * W / W(j) * C(i) / C        TTL/S_n:  the same by server
//! ```
//!
//! where C is the mean capacity of the first servers of the answers that a list gives. Bounded
//! by `ttl_min` and `ttl_max`, and halved while the area is degraded, as a constant TTL is.
//!
//! All TTLs of a list are scaled so that domains ask as often as with the constant TTL T: see
//! [`super::normalised`]. TTLs are whole seconds in an answer: 12.4 s is 12 or 13, drawn so that the mean
//! stays.
//!
//! Example: T = 240, domains of 8, 1, 1 requests a second: W is 10/3, so they get 100, 800 and 800
//! seconds (1/100 + 2/800 = 3/240). With `ttl_max = 600` the light ones are cut off, and the heavy one
//! gets 109.1: 1/109.1 + 2/600 = 3/240. Servers of capacity 3 and 1 that come first alike: the first
//! is given out with 1.5 times that, the other with half of it.
//!
//! Domains that are not named are one class; how many they are is not known, but not less than the
//! lightest named one allows (see the table of demand), and so many count. Without any demand, all are
//! one class, and what is left is the servers' part.
//!
//! Source: Colajanni, Yu, Cardellini: Dynamic load balancing in geographically distributed
//! heterogeneous web servers (ICDCS 1998); papers.md 2.2. The papers divide by C of the weakest
//! server; the scale is ours, so that it is no matter. Whole seconds by chance are ours.
//!
//! When it is wrong: `TTL/S_n` with a chooser that gives stronger servers more answers counts capacity
//! twice: it wants `round-robin`, `random` or `rr2`, and `TTL/n` wants `weighted` or `prr2`. Resolvers that keep answers for a least time of their own undo the short
//! TTLs, that is those of the domains that matter most: `ttl_min` is to tell the policy of it.

use std::collections::BTreeMap;

use super::normalised::{self, Bounds, Fairness, ServerShare};
use crate::world::{AdaptiveTtl, DomainClasses};

/// Domains of one class that ask alike.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct AlikeDomains {
    pub(crate) class: u32,
    /// How many, which may be a guess.
    pub(crate) domains: f64,
    /// Requests a second of all of them.
    pub(crate) rate: f64,
}

/// The class of a domain that the Plan names at this place. 0 is that of those that are not named.
pub(crate) const fn class_of(classes: DomainClasses, place: u32, is_hot: bool) -> u32 {
    match classes {
        DomainClasses::One => 0,
        DomainClasses::Two => is_hot as u32,
        DomainClasses::Each => place.saturating_add(RECKONED + 1),
    }
}

/// Where each domain has a class, that of those of which queries alone are known: whose rate follows from its TTL
/// gets none that follows from its rate.
pub(crate) const RECKONED: u32 = 1;

/// The TTLs of one service: by class of domain, by list, and by server of the list.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct AdaptiveTtls {
    pub(crate) variant: AdaptiveTtl,
    pub(crate) bounds: Bounds,
    /// Seconds by class, before what is the list's.
    classes: Box<[f32]>,
    /// By list, server by server; one for a list without servers.
    factors: Box<[f32]>,
    /// Where each list's begin.
    lists: Box<[u32]>,
}

/// How a TTL came about.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct AdaptedTtl {
    /// Seconds by the domain's class alone.
    pub(crate) by_domain: f64,
    /// What the server (and the scale of its list) makes of it.
    pub(crate) factor: f64,
    /// Seconds, within the bounds, not yet whole.
    pub(crate) seconds: f64,
}

impl AdaptiveTtls {
    /// The TTLs for these classes of domains and these lists, each with the servers at its ordinals.
    pub(crate) fn compile(
        variant: AdaptiveTtl,
        bounds: Bounds,
        domains: &[AlikeDomains],
        lists: impl Iterator<Item = Vec<ServerShare>>,
    ) -> Self {
        let seconds = class_seconds(bounds, domains);
        let fairness = Fairness::new(bounds, domains, &seconds);
        let (mut factors, mut starts) = (Vec::new(), Vec::new());
        // Lists of servers of the same capacities are many.
        let mut scales: BTreeMap<Vec<[u64; 2]>, f64> = BTreeMap::new();
        for servers in lists {
            starts.push(u32::try_from(factors.len()).unwrap_or(u32::MAX));
            let of_servers = server_factors(variant, &servers);
            let shares = servers.iter().map(|server| server.share);
            let by_share = normalised::factors(of_servers.iter().copied().zip(shares));
            let key = by_share.iter().map(|(factor, share)| [factor.to_bits(), share.to_bits()]);
            let scale = scales.entry(key.collect());
            let scale = *scale.or_insert_with(|| fairness.scale(&by_share));
            factors.extend(of_servers.iter().map(|factor| single(factor * scale)));
            if servers.is_empty() {
                factors.push(single(scale));
            }
        }
        let classes = seconds.into_iter().map(single).collect();
        Self { variant, bounds, classes, factors: factors.into(), lists: starts.into() }
    }

    /// Whether the TTL depends on the domain.
    #[inline]
    pub(crate) const fn looks_at_domains(&self) -> bool {
        self.classes.len() > 1
    }

    /// Whole seconds for a domain of this class that is given the server at this ordinal of this
    /// list first. `draw`, from 0 to below 1, decides what a part of a second becomes.
    #[inline]
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is bounded")]
    pub(crate) fn seconds(
        &self,
        (class, list, ordinal): (u32, u32, u32),
        is_halved: bool,
        draw: f64,
    ) -> u32 {
        (self.adapted(class, list, ordinal, is_halved).seconds + draw) as u32
    }

    /// About how long an answer for a domain of this class may be cached, in seconds, whichever
    /// server it begins with.
    #[inline]
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is bounded")]
    pub(crate) fn expected(&self, class: u32, is_halved: bool) -> u32 {
        let seconds = self.bounds.cut(self.by_domain(class));
        (if is_halved { seconds / 2.0 } else { seconds }).ceil() as u32
    }

    #[inline]
    fn by_domain(&self, class: u32) -> f64 {
        let of_class = self.classes.get(class as usize).or(self.classes.first());
        of_class.copied().map_or(f64::from(self.bounds.mean), f64::from)
    }

    /// The same before it is whole, and how it came about.
    #[inline]
    pub(crate) fn adapted(
        &self,
        class: u32,
        list: u32,
        ordinal: u32,
        is_halved: bool,
    ) -> AdaptedTtl {
        let by_domain = self.by_domain(class);
        let at = self.lists.get(list as usize).map(|start| start.saturating_add(ordinal) as usize);
        let factor = at.and_then(|at| self.factors.get(at)).copied().map_or(1.0, f64::from);
        let mut seconds = self.bounds.cut(by_domain * factor);
        if is_halved {
            seconds = (seconds / 2.0).max(1.0);
        }
        AdaptedTtl { by_domain, factor, seconds }
    }
}

/// T * W / W(j) by class; at least one.
fn class_seconds(bounds: Bounds, domains: &[AlikeDomains]) -> Vec<f64> {
    let mean = f64::from(bounds.mean);
    let count = domains.iter().map(|it| it.class as usize + 1).max().unwrap_or(1);
    let mut classes = vec![(0.0, 0.0); count];
    for alike in domains {
        let (domains, rate) = &mut classes[alike.class as usize];
        *domains += alike.domains;
        *rate += alike.rate;
    }
    let all: f64 = classes.iter().map(|(domains, _)| domains).sum();
    let demand = classes.iter().map(|(_, rate)| rate).sum::<f64>() / all;
    let seconds = |(domains, rate): (f64, f64)| {
        let seconds = mean * demand * domains / rate;
        // A class without domains or demand is nobody's.
        if seconds.is_finite() && seconds > 0.0 { seconds } else { mean }
    };
    classes.into_iter().map(seconds).collect()
}

/// C(i) / C for the servers of a list.
fn server_factors(variant: AdaptiveTtl, servers: &[ServerShare]) -> Vec<f64> {
    let whole: f64 = servers.iter().map(|server| server.share).sum();
    let mean = servers.iter().map(|server| server.capacity * server.share).sum::<f64>() / whole;
    let factor = |server: &ServerShare| {
        let factor = server.capacity / mean;
        if variant.looks_at_servers() && factor.is_finite() && factor > 0.0 { factor } else { 1.0 }
    };
    servers.iter().map(factor).collect()
}

/// Half the memory, and more digits than any estimate has.
#[expect(clippy::cast_possible_truncation, reason = "an estimate has fewer digits")]
const fn single(value: f64) -> f32 {
    value as f32
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::world::Generator;

    /// So many domains that are a class of their own.
    fn class(domains: f64, rate: f64) -> (f64, f64) {
        (domains, rate)
    }

    fn servers(of: &[(f64, f64)]) -> Vec<ServerShare> {
        of.iter().map(|&(capacity, share)| ServerShare { capacity, share }).collect()
    }

    fn compile(
        variant: AdaptiveTtl,
        (mean, min, max): (u32, u32, u32),
        classes: &[(f64, f64)],
        list: &[(f64, f64)],
    ) -> AdaptiveTtls {
        let of = |(class, (domains, rate)): (u32, &(f64, f64))| AlikeDomains {
            class,
            domains: *domains,
            rate: *rate,
        };
        let domains: Vec<_> = (0..).zip(classes).map(of).collect();
        compile_for(variant, (mean, min, max), &domains, list)
    }

    fn compile_for(
        variant: AdaptiveTtl,
        (mean, min, max): (u32, u32, u32),
        domains: &[AlikeDomains],
        list: &[(f64, f64)],
    ) -> AdaptiveTtls {
        let bounds = Bounds { mean, min, max };
        AdaptiveTtls::compile(variant, bounds, domains, std::iter::once(servers(list)))
    }

    /// Seconds by class and server.
    fn table(ttls: &AdaptiveTtls, classes: usize, servers: usize) -> Vec<Vec<f64>> {
        let of = |class: usize, server: usize| {
            (ttls.adapted(class as u32, 0, server as u32, false).seconds * 10.0).round() / 10.0
        };
        let row = |class| (0..servers).map(|server| of(class, server)).collect();
        (0..classes).map(row).collect()
    }

    #[test]
    fn the_worked_example() {
        let classes = [class(1.0, 8.0), class(1.0, 1.0), class(1.0, 1.0)];
        let wide = (240, 1, 86_400);
        let ttls = compile(AdaptiveTtl::Each, wide, &classes, &[(3.0, 0.5), (1.0, 0.5)]);
        assert_eq!(table(&ttls, 3, 2), [[100.0, 100.0], [800.0, 800.0], [800.0, 800.0]]);
        let ttls = compile(AdaptiveTtl::Each, (240, 1, 600), &classes, &[]);
        assert_eq!(table(&ttls, 3, 1), [[109.1], [600.0], [600.0]]);
        let ttls = compile(AdaptiveTtl::ServerEach, wide, &classes, &[(3.0, 0.5), (1.0, 0.5)]);
        assert_eq!(table(&ttls, 3, 2), [[150.0, 50.0], [1200.0, 400.0], [1200.0, 400.0]]);
        // Two classes: a hot domain, and two of the same demand together.
        let two = [class(2.0, 2.0), class(1.0, 8.0)];
        let ttls = compile(AdaptiveTtl::ServerTwo, wide, &two, &[(3.0, 0.5), (1.0, 0.5)]);
        assert_eq!(table(&ttls, 2, 2), [[1200.0, 400.0], [150.0, 50.0]]);
        // By server alone, and by nothing.
        let one = [class(3.0, 10.0)];
        let ttls = compile(AdaptiveTtl::ServerOne, wide, &one, &[(3.0, 0.5), (1.0, 0.5)]);
        assert_eq!(table(&ttls, 1, 2), [[360.0, 120.0]]);
        let ttls = compile(AdaptiveTtl::One, wide, &one, &[(3.0, 0.5), (1.0, 0.5)]);
        assert_eq!(table(&ttls, 1, 2), [[240.0, 240.0]]);
    }

    #[test]
    fn without_demand_all_domains_are_alike() {
        for variant in AdaptiveTtl::ALL {
            let ttls = compile(variant, (30, 3, 300), &[], &[(1.0, 1.0)]);
            assert!(!ttls.looks_at_domains());
            for class in [0, 1, u32::MAX] {
                assert_eq!(ttls.seconds((class, 0, 0), false, 0.999), 30);
                assert_eq!(ttls.seconds((class, 9, 9), true, 0.999), 15, "no such list");
            }
        }
        let ttls = compile(AdaptiveTtl::ServerEach, (30, 3, 300), &[], &[(2.0, 0.5), (1.0, 0.5)]);
        assert_eq!(table(&ttls, 1, 2), [[40.0, 20.0]]);
    }

    #[test]
    fn halved_while_degraded_but_never_to_zero() {
        let classes = [class(1.0, 9.0), class(1.0, 1.0)];
        let ttls = compile(AdaptiveTtl::Each, (2, 1, 20), &classes, &[]);
        assert_eq!(table(&ttls, 2, 1), [[1.1], [10.0]]);
        let halved = |class| ttls.adapted(class, 0, 0, true).seconds;
        assert_eq!((halved(0), halved(1)), (1.0, 5.0));
    }

    #[test]
    fn parts_of_a_second_are_kept_in_the_mean() {
        let classes = [class(1.0, 8.0), class(1.0, 3.0)];
        let ttls = compile(AdaptiveTtl::Each, (9, 1, 90), &classes, &[]);
        let exact = ttls.adapted(0, 0, 0, false).seconds;
        let mut generator = Generator::new(7);
        let draws = 10_000;
        let mut sum = 0.0;
        for _ in 0..draws {
            let seconds = f64::from(ttls.seconds((0, 0, 0), false, generator.share()));
            assert!((seconds - exact).abs() < 1.0);
            sum += seconds;
        }
        let (mean, part) = (sum / f64::from(draws), exact.fract());
        // Five deviations of a binomial.
        let bound = 5.0 * (part * (1.0 - part) / f64::from(draws)).sqrt();
        assert!((mean - exact).abs() <= bound, "{mean} {exact}");
    }

    #[test]
    fn what_is_odd_is_no_panic_and_within_bounds() {
        let odd = [f64::NAN, f64::INFINITY, -1.0, 0.0, f64::MAX, f64::MIN_POSITIVE];
        for one in odd {
            for other in odd {
                let classes = [class(one, other), class(other, one), class(1.0, 1.0)];
                for variant in AdaptiveTtl::ALL {
                    let list = [(one, other), (other, one), (1.0, 1.0)];
                    let ttls = compile(variant, (30, 3, 300), &classes, &list);
                    for at in 0..4 {
                        let seconds = ttls.seconds((at, 0, at), false, 0.5);
                        assert!((3..=300).contains(&seconds), "{one} {other} {seconds}");
                    }
                }
            }
        }
        // A Plan that was not validated.
        let ttls = compile(AdaptiveTtl::Each, (30, 300, 3), &[class(1.0, 1.0)], &[]);
        assert_eq!(ttls.seconds((0, 0, 0), false, 0.5), 3);
    }

    proptest! {
        /// The fairness rule: domains ask as often as with the constant TTL, whatever bounds cut off.
        #[test]
        fn the_mean_rate_of_queries_is_kept(
            rates in prop::collection::vec(0.001_f64..1000.0, 1..300),
            unnamed in 0.0_f64..500.0,
            list in prop::collection::vec((1.0_f64..20.0, 0.01_f64..1.0), 1..12),
            mean in 2_u32..1000, shorter in 1_u32..50, longer in 1_u32..50,
            variant in 0_usize..6,
        ) {
            let variant = AdaptiveTtl::ALL[variant];
            let whole = rates.iter().sum::<f64>();
            let is_hot = |rate: f64| rate / whole > 1.0 / rates.len() as f64;
            let mut domains = vec![AlikeDomains { class: 0, domains: unnamed, rate: unnamed * 0.001 }];
            for (place, rate) in (0..).zip(&rates) {
                let class = class_of(variant.domain_classes(), place, is_hot(*rate));
                domains.push(AlikeDomains { class, domains: 1.0, rate: *rate });
            }
            let bounds = (mean, (mean / shorter).max(1), mean * longer);
            let ttls = compile_for(variant, bounds, &domains, &list);
            let shares: f64 = list.iter().map(|server| server.1).sum();
            let mean_of = |class: u32| {
                let of = |(server, (_, share)): (usize, &(f64, f64))| {
                    share * ttls.adapted(class, 0, server as u32, false).seconds
                };
                list.iter().enumerate().map(of).sum::<f64>() / shares
            };
            let asked: f64 = domains.iter().map(|it| it.domains / mean_of(it.class)).sum();
            let wanted = (rates.len() as f64 + unnamed) / f64::from(mean);
            prop_assert!((asked / wanted - 1.0).abs() < 1e-3, "{} {}", asked, wanted);
        }

        /// The heavier a domain, the shorter; the stronger a server, the longer.
        #[test]
        fn ttls_follow_weights_and_capacities(
            mut rates in prop::collection::vec(0.001_f64..1000.0, 2..50),
            mut list in prop::collection::vec((1.0_f64..20.0, 0.01_f64..1.0), 2..9),
            mean in 2_u32..1000,
        ) {
            rates.sort_by(f64::total_cmp);
            list.sort_by(|one, other| one.0.total_cmp(&other.0));
            let mut classes = vec![class(1.0, rates[0])];
            classes.extend(rates.iter().map(|rate| class(1.0, *rate)));
            let bounds = (mean, 1, mean * 20);
            for variant in [AdaptiveTtl::Each, AdaptiveTtl::ServerEach] {
                let ttls = compile(variant, bounds, &classes, &list);
                let seconds = |class: usize, server: usize| {
                    ttls.adapted(class as u32, 0, server as u32, false).seconds
                };
                for class in 1..classes.len() {
                    for server in 0..list.len() {
                        prop_assert!(seconds(class, server) <= seconds(class - 1, server));
                        if server > 0 {
                            prop_assert!(seconds(class, server) >= seconds(class, server - 1));
                        }
                    }
                }
            }
        }
    }
}

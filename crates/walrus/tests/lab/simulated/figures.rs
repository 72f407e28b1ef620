//! What is compared, and how far the two may be apart.
//!
//! A figure of the real run is one more draw of what a true simulator draws by its seeds: but once in
//! millions it lies within five of their deviations of their mean. Where the real run had fewer draws than
//! simulated ones have, because the machine had other work, deviations are wider by the root of that. To
//! this comes what is known to be modelled otherwise:
//!
//! - shares: [`SHARE_APART`];
//! - the time between two questions: real resolvers keep time in whole seconds, and once clients wait for
//!   the next one, they ask at its very beginning; a simulated answer ends at any time, and then waits for
//!   a click. So the real time is shorter, by up to one wait for a click. And of a run in which n
//!   questions were asked it is known to a 2n-th only how long they are apart. The real median strays by
//!   the wait over the root of how many it is taken of.

use std::fmt::Write as _;

use serde_json::Value;
use walrus_sim::simulation::RunResult;

use super::scene::{DOMAINS, POLICIES, SECONDS, SERVERS, Service, decision_of, population_of};

const DEVIATIONS: f64 = 5.0;
/// All real resolvers ask at the beginning of a second and nearly at once, simulated ones at any time: who
/// is given what comes in another order.
const SHARE_APART: f64 = 0.02;

/// By server.
type Counts = [u64; SERVERS.len()];

/// One run, real or simulated, by policy.
#[derive(Clone, Debug, Default)]
pub(super) struct Figures {
    /// Answers that name a server first.
    answers: [Counts; POLICIES.len()],
    /// Pages that a server served.
    pages: [Counts; POLICIES.len()],
    /// By domain: seconds from one question of its resolver to the next.
    between: [[f64; DOMAINS.len()]; POLICIES.len()],
}

impl Figures {
    /// Of a simulated run.
    pub(super) fn simulated(result: &RunResult) -> Self {
        let mut this = Self::default();
        let mut asked = [[0; DOMAINS.len()]; POLICIES.len()];
        for population in &result.populations {
            let (Service { policy, .. }, domain) = population_of(&population.name);
            for (place, server) in result.servers.iter().enumerate() {
                let own = SERVERS.iter().position(|it| it.name == server.name).expect("ours");
                this.answers[policy][own] += population.answers[place];
                this.pages[policy][own] += population.pages[place];
                asked[policy][domain] += population.answers[place];
            }
        }
        for (place, policy) in POLICIES.iter().enumerate() {
            let services = policy.services as f64;
            // n questions stand between n - 1 and n times the time between them apart.
            let mean = |asked: u64| SECONDS as f64 / (asked as f64 / services - 0.5);
            this.between[place] = asked[place].map(mean);
        }
        this
    }

    /// Of the real run: what web servers logged, by server and policy, and what the name server did.
    pub(super) fn real(
        pages: &[[u64; POLICIES.len()]],
        decisions: &str,
        began_unix_ms: u64,
    ) -> Self {
        let mut this = Self::default();
        let mut asked: Vec<(Service, usize, u64)> = Vec::new();
        for line in decisions.lines() {
            let line: Value = serde_json::from_str(line).expect("a line of the decision log");
            let time = line["time_unix_ms"].as_u64().expect("a time");
            let text = |field: &str| line[field].as_str().unwrap_or_default();
            let resolver = text("resolver").parse().expect("an address");
            let found = decision_of(text("name"), resolver, text("server"));
            if let Some((service, domain, server)) = found.filter(|_| time >= began_unix_ms) {
                this.answers[service.policy][server] += 1;
                asked.push((service, domain, time));
            }
        }
        for (policy, counts) in this.pages.iter_mut().enumerate() {
            *counts = std::array::from_fn(|server| pages[server][policy]);
            let of_policy = || Service::all().filter(move |it| it.policy == policy);
            this.between[policy] = std::array::from_fn(|domain| {
                let times = |service: Service| {
                    let of = asked.iter().filter(|it| (it.0, it.1) == (service, domain));
                    of.map(|it| it.2).collect::<Vec<_>>()
                };
                median(of_policy().flat_map(|service| gaps(times(service))).collect())
            });
        }
        this
    }

    /// All of them, in the same order always.
    fn list(&self) -> Vec<Figure> {
        let mut list = Vec::new();
        for (place, policy) in POLICIES.iter().enumerate() {
            let answers: u64 = self.answers[place].iter().sum();
            for (kind, counts) in [("answers", &self.answers[place]), ("pages", &self.pages[place])]
            {
                let all: u64 = counts.iter().sum();
                for (server, count) in SERVERS.iter().zip(counts) {
                    list.push(Figure {
                        what: format!("{}: share of {kind} at `{}`", policy.name, server.name),
                        value: *count as f64 / all as f64,
                        // However many pages follow from one answer.
                        draws: Some(answers as f64),
                        below: SHARE_APART,
                        above: SHARE_APART,
                    });
                }
            }
            for (domain, between) in DOMAINS.iter().zip(self.between[place]) {
                let family = if domain.is_unbound() { "unbound" } else { "bind" };
                let clicks = domain.clicks_per_second();
                let gaps = policy.services as f64 * SECONDS as f64 / between;
                let of_median = DEVIATIONS / clicks / gaps.sqrt();
                let uncertain = between * between / (2.0 * SECONDS as f64) + of_median;
                list.push(Figure {
                    what: format!(
                        "{}: seconds between questions of {family}, {clicks} clicks/s",
                        policy.name
                    ),
                    value: between,
                    draws: None,
                    below: 1.0 / clicks + uncertain,
                    above: uncertain,
                });
            }
        }
        list
    }
}

/// Milliseconds between times.
fn gaps(mut times: Vec<u64>) -> Vec<u64> {
    times.sort_unstable();
    times.windows(2).map(|pair| pair[1] - pair[0]).collect()
}

/// In seconds. A machine that stood still for a moment stretches few gaps: the median is as it was.
fn median(mut gaps: Vec<u64>) -> f64 {
    gaps.sort_unstable();
    gaps.get(gaps.len() / 2).map_or(f64::NAN, |gap| *gap as f64 / 1000.0)
}

/// One figure of a run.
struct Figure {
    what: String,
    value: f64,
    /// What it is a share of, if it is one.
    draws: Option<f64>,
    /// How far below and above what is simulated it may be, besides chance.
    below: f64,
    above: f64,
}

/// What the simulator's runs say of one figure.
struct Bound {
    mean: f64,
    deviation: f64,
    draws: Option<f64>,
    below: f64,
    above: f64,
}

/// What the simulator's runs say.
pub(super) struct Bounds {
    bounds: Vec<Bound>,
}

impl Bounds {
    /// Of at least two runs.
    pub(super) fn of(runs: &[Figures]) -> Self {
        let lists: Vec<Vec<Figure>> = runs.iter().map(Figures::list).collect();
        let count = lists.len() as f64;
        let mean = |values: Vec<f64>| values.iter().sum::<f64>() / count;
        let bound = |place: usize| {
            let each = || lists.iter().map(|list| &list[place]);
            let middle = mean(each().map(|it| it.value).collect());
            let squares: f64 = each().map(|it| (it.value - middle).powi(2)).sum();
            // The real run is one more draw, and the mean is itself drawn.
            let deviation = (squares / (count - 1.0) * (1.0 + 1.0 / count)).sqrt();
            Bound {
                mean: middle,
                deviation,
                draws: each().map(|it| it.draws).sum::<Option<f64>>().map(|sum| sum / count),
                below: mean(each().map(|it| it.below).collect()),
                above: mean(each().map(|it| it.above).collect()),
            }
        };
        Self { bounds: (0..lists[0].len()).map(bound).collect() }
    }

    /// What is further from the simulator's mean than it may be.
    pub(super) fn disagreements(&self, real: &Figures) -> Vec<String> {
        let list = real.list();
        let each = self.bounds.iter().zip(&list);
        each.filter(|(bound, figure)| !bound.holds(figure)).map(|(it, of)| it.line(of)).collect()
    }

    /// All figures, a line each.
    pub(super) fn table(&self, real: &Figures) -> String {
        let list = real.list();
        self.bounds.iter().zip(&list).fold(String::new(), |mut text, (bound, figure)| {
            let _ = writeln!(text, "{}", bound.line(figure));
            text
        })
    }
}

impl Bound {
    fn range(&self, figure: &Figure) -> (f64, f64) {
        let fewer = self.draws.zip(figure.draws).map_or(1.0, |(simulated, real)| simulated / real);
        let spread = DEVIATIONS * self.deviation * fewer.max(1.0).sqrt();
        (self.mean - self.below - spread, self.mean + self.above + spread)
    }

    fn holds(&self, figure: &Figure) -> bool {
        let (least, most) = self.range(figure);
        (least..=most).contains(&figure.value)
    }

    fn line(&self, figure: &Figure) -> String {
        let (least, most) = self.range(figure);
        let of = figure.draws.map_or(String::new(), |draws| format!(", {draws} answers"));
        format!(
            "{:<60} {:.3} ({:.3}, {least:.3} to {most:.3}{of})",
            figure.what, figure.value, self.mean
        )
    }
}

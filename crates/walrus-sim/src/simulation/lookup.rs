//! A client's lookup: its resolver's cache, else the name servers, until one answers.

use walrus_core::world::Time;

use super::answers::Learned;
use super::crowd::nanos;
use super::director::Question;
use super::family;
use super::queue::Entry;
use super::resolver::{Held, Network};
use super::run::Run;
use super::study::Reach;

/// How long "there is no address" is kept.
const FAILURE_KEPT: u64 = 1_000_000_000;

impl Run<'_> {
    /// A client asks its resolver, which asks a name server if it has to.
    #[inline]
    pub(super) fn look_up(&mut self, number: usize, domain: u32) -> Held {
        self.measures.of(number).lookups += 1;
        let population = &self.setup.populations[number];
        let network = population
            .subnet
            .then(|| Network::of(population, domain - self.resolvers.first_domain(number)));
        match self.resolvers.find(domain, self.now, network) {
            Some(held) => held,
            None => self.ask(number, domain, network),
        }
    }

    /// A resolver asks name servers until one answers or it gives up.
    fn ask(&mut self, number: usize, domain: u32, network: Option<Network>) -> Held {
        let setup = self.setup;
        let population = &setup.populations[number];
        let home = self.resolvers.home_of(domain);
        let first = self.resolvers.first_domain(number);
        let resolver = Network::of(population, home - first).resolver();
        if let Some(network) = network {
            self.crowds[number].set_subnet(network);
        }
        let mut chance = self.chance.question(home, self.resolvers.count_question(domain));
        let (mut delay, mut asked) = (0, 0_u32);
        let now_ms = u32::try_from(self.now / 1_000_000).unwrap_or(u32::MAX);
        for _ in 0..setup.queries.tries {
            let known = self.resolvers.known(domain);
            let place = match known.len() {
                0 => 0,
                _ => family::choose(population.family, known, asked, now_ms, &mut chance),
            };
            asked |= 1 << place;
            let lost = setup.queries.loss > 0.0 && chance.share() < setup.queries.loss;
            let crowd = &self.crowds[number];
            let reply = if self.directors.list[place].reach != Reach::Well || lost {
                None
            } else {
                let counts_for = match network {
                    Some(_) => (population.service as u32, domain),
                    None => (population.service as u32, home),
                };
                let now = Time::from_nanos(self.now);
                let question = Question { query: &crowd.query, resolver, now, counts_for };
                self.directors.answer(place, &question, &mut chance)
            };
            let Some(reply) = reply else {
                let timeout = nanos(setup.queries.timeout);
                delay += timeout;
                self.measures.of(number).upstream_timeouts += 1;
                if !known.is_empty() {
                    let time = timeout as f32 / 1e6;
                    family::timed_out(population.family, known, place, time, now_ms);
                }
                continue;
            };
            let jitter = setup.queries.jitter;
            let spread = 1.0 + jitter * (2.0 * chance.share() - 1.0);
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a minute")]
            let way = (crowd.name_server_distances[place] as f64 * spread) as u64;
            delay += way;
            self.measures.of(number).upstream_queries += 1;
            if !known.is_empty() {
                family::answered(population.family, known, place, way as f32 / 1e6, now_ms);
            }
            let learned = self.answers.learn(reply, population.record_type);
            // SERVFAIL: it asks another one.
            if learned.is_none() && reply.get(3).is_some_and(|flags| flags & 0x0f == 2) {
                continue;
            }
            if crowd.nearest_name_servers != 0 {
                let is_nearest = crowd.nearest_name_servers >> place & 1 == 1;
                let (window, is_first) = self.resolvers.count_window(domain, is_nearest);
                self.measures.populations[number].answered(window, is_nearest, is_first);
            }
            let Some(learned) = learned else { break };
            return self.keep((number, domain), delay, &learned, network);
        }
        self.measures.of(number).failed_lookups += 1;
        let from = self.now + delay;
        let held = Held { from, until: from + FAILURE_KEPT, answer: Entry::NO_ANSWER };
        self.resolvers.keep(domain, held, network.map(|network| (network, network.bits)))
    }

    /// A resolver keeps an answer that came after so long.
    #[inline]
    fn keep(
        &mut self,
        (number, domain): (usize, u32),
        delay: u64,
        learned: &Learned,
        network: Option<Network>,
    ) -> Held {
        if let Some(first) = self.answers.servers(learned.answer).first() {
            self.measures.named(number, usize::from(*first));
        }
        let from = self.now + delay;
        let rule = self.setup.populations[number].ttl_rule;
        let until = from.saturating_add(self.resolvers.lifetime(domain, learned.ttl, rule));
        let held = Held { from, until, answer: learned.answer };
        let scope = network.map(|network| (network, learned.scope.unwrap_or_default()));
        self.resolvers.keep(domain, held, scope)
    }
}

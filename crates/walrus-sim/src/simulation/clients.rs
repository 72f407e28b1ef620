//! Clients: sessions, clicks, lookups, calls. This is where nearly all of the time of a run goes.

use walrus_core::world::Time;

use super::crowd::{NOWHERE, nanos, of_day};
use super::director::Question;
use super::family;
use super::queue::{Entry, Step};
use super::resolver::{Held, Network};
use super::result::SimulationError;
use super::run::Run;
use super::server::Presence;
use super::study::{Arrivals, ClientCache, Reach, exponential};

/// How long "there is no address" is kept.
const FAILURE_KEPT: u64 = 1_000_000_000;
/// An open population's rate is looked at again at least so often: always, and while it changes.
const RATE_LOOKED_AT: f64 = 10.0;
const RATE_CHANGES: f64 = 1.0;
/// The least time between two clicks of a client: time goes on even where nobody thinks and every page
/// fails at once.
const CLICKS_APART: u64 = 1_000_000;

impl Run<'_> {
    /// Puts the first clients of all populations into the queue.
    pub(super) fn populate(&mut self) -> Result<(), SimulationError> {
        for (number, population) in self.setup.populations.iter().enumerate() {
            let Arrivals::Closed(clients) = population.arrivals else {
                self.expect_session(number)?;
                continue;
            };
            let first = self.resolvers.first_domain(number);
            for (domain, clients) in (first..).zip(population.shares.deal(clients)) {
                for _ in 0..clients {
                    self.be_there(number, domain)?;
                }
            }
        }
        Ok(())
    }

    /// A client of a closed population was there before time began: it is somewhere in its session and in
    /// its thinking, so that a run begins as it goes on.
    fn be_there(&mut self, number: usize, domain: u32) -> Result<(), SimulationError> {
        let population = &self.setup.populations[number];
        self.crowds[number].active += 1;
        self.measures.totals.sessions += 1;
        let think = population.think.draw_rest(&mut self.chance.clients) / of_day(population, 0);
        let left = population.session.draw_count_rest(&mut self.chance.clients);
        self.queue.push(Entry { time: to_nanos(think), left, ..Entry::click(domain) })
    }

    /// A client of a closed population comes: it thinks, and begins a session.
    fn come(&mut self, number: usize, domain: u32) -> Result<(), SimulationError> {
        let population = &self.setup.populations[number];
        self.crowds[number].active += 1;
        self.measures.totals.sessions += 1;
        let think = population.think.draw(&mut self.chance.clients);
        let left = population.session.draw_count(&mut self.chance.clients);
        let time = self.now.saturating_add(to_nanos(think));
        self.queue.push(Entry { time, left, ..Entry::click(domain) })
    }

    /// A closed population has grown: as many come as are missing.
    pub(super) fn fill_up(&mut self, number: usize) -> Result<(), SimulationError> {
        let setup = self.setup;
        let population = &setup.populations[number];
        let wanted = self.crowds[number].wanted(population, self.now);
        let first = self.resolvers.first_domain(number);
        while self.crowds[number].active < wanted {
            let domain = first + population.shares.draw(&mut self.chance.clients);
            self.come(number, domain)?;
        }
        Ok(())
    }

    /// When the next session of an open population begins, or its rate is to be looked at again.
    fn expect_session(&mut self, number: usize) -> Result<(), SimulationError> {
        let (population, crowd) = (&self.setup.populations[number], &self.crowds[number]);
        let Arrivals::Open(rate) = population.arrivals else { return Ok(()) };
        let rate = rate * crowd.factor(self.now) * of_day(population, self.now);
        let wait = exponential(&mut self.chance.clients) / rate.max(1e-12);
        let most = if crowd.swell.is_some() { RATE_CHANGES } else { RATE_LOOKED_AT };
        self.queue.push(Entry {
            time: self.now + to_nanos(wait.min(most)),
            step: Step::Session,
            // An exponential time has no memory: what was cut off is drawn anew.
            left: u16::from(wait <= most),
            ..Entry::click(number as u32)
        })
    }

    /// A session of an open population begins.
    pub(super) fn begin_session(&mut self, entry: Entry) -> Result<(), SimulationError> {
        let number = entry.domain as usize;
        self.expect_session(number)?;
        if entry.left == 0 {
            return Ok(());
        }
        let population = &self.setup.populations[number];
        let first = self.resolvers.first_domain(number);
        let domain = first + population.shares.draw(&mut self.chance.clients);
        let left = population.session.draw_count(&mut self.chance.clients);
        self.measures.totals.sessions += 1;
        self.click(Entry { left, ..Entry::click(domain) })
    }

    /// A client asks for a page.
    #[inline]
    pub(super) fn click(&mut self, entry: Entry) -> Result<(), SimulationError> {
        let number = self.resolvers.population_of(entry.domain);
        if self.crowds[number].swell.is_some() && self.leaves(number) {
            return Ok(());
        }
        if entry.answer != Entry::NO_ANSWER && self.now / Entry::TICK < u64::from(entry.held) {
            return self.call(number, entry, 0, Some(entry.held));
        }
        let held = self.look_up(number, entry.domain);
        let entry = Entry { answer: held.answer, tried: 0, ..entry };
        if held.from <= self.now {
            return self.call(number, entry, 0, None);
        }
        let waited = (held.from - self.now) / 1000;
        let held_field = u32::try_from(waited).unwrap_or(u32::MAX);
        self.queue.push(Entry { time: held.from, step: Step::Call, held: held_field, ..entry })
    }

    /// Whether a client of a population that shrinks goes away now.
    fn leaves(&mut self, number: usize) -> bool {
        let population = &self.setup.populations[number];
        let crowd = &mut self.crowds[number];
        let leaves = matches!(population.arrivals, Arrivals::Closed(_))
            && crowd.active > crowd.wanted(population, self.now);
        crowd.active -= u64::from(leaves);
        leaves
    }

    /// A client that waited for an address or for a server that does not answer calls.
    pub(super) fn call_after_wait(&mut self, entry: Entry) -> Result<(), SimulationError> {
        let number = self.resolvers.population_of(entry.domain);
        self.call(number, entry, u64::from(entry.held) * 1000, None)
    }

    /// A client calls at a server. `kept`: until when it keeps the answer, if it had it before.
    #[inline]
    fn call(
        &mut self,
        number: usize,
        entry: Entry,
        waited: u64,
        kept: Option<u32>,
    ) -> Result<(), SimulationError> {
        let setup = self.setup;
        let population = &setup.populations[number];
        let hits = population.hits.draw_count(&mut self.chance.clients);
        let mut tried = entry.tried;
        let addresses = self.answers.servers(entry.answer);
        while let Some(place) = addresses.get(usize::from(tried)) {
            let place = usize::from(*place);
            let server = &mut self.servers[place];
            let (law, most) = (setup.service_law, setup.queue_max);
            let departs = match server.presence {
                Presence::Up => server.accept(self.now, hits, law, most, &mut self.chance.service),
                Presence::Killed | Presence::Cut => None,
            };
            if let Some(departs) = departs {
                self.served(&entry, place, hits);
                let way = self.crowds[number].cluster_distances[self.clusters[place]];
                let ends = departs.saturating_add(way);
                if self.measures.is_on {
                    let response = waited + (ends - self.now);
                    self.measures.response_seconds.add(response as f64 / 1e9);
                }
                return self.think(number, entry, ends, kept);
            }
            self.measures.totals.failed_attempts += 1;
            tried = tried.saturating_add(1);
            if server.presence == Presence::Cut {
                let timeout = nanos(setup.connect_timeout);
                let held = u32::try_from((waited + timeout) / 1000).unwrap_or(u32::MAX);
                let (time, step) = (self.now + timeout, Step::Call);
                return self.queue.push(Entry { time, step, held, tried, ..entry });
            }
            if tried == u8::MAX {
                break;
            }
        }
        self.measures.totals.pages += 1;
        self.measures.totals.failed_pages += 1;
        // Its addresses are of no use: it asks anew.
        let entry = Entry { answer: Entry::NO_ANSWER, ..entry };
        self.think(number, entry, self.now, Some(0))
    }

    /// Counts a page that a server accepted.
    #[inline]
    fn served(&mut self, entry: &Entry, server: usize, hits: u16) {
        let totals = &mut self.measures.totals;
        totals.pages += 1;
        totals.hits += u64::from(hits);
        let nearest = self.resolvers.nearest_to(entry.domain);
        if nearest != NOWHERE {
            totals.placed_pages += 1;
            totals.near_pages += u64::from(usize::from(nearest) == self.clusters[server]);
        }
        let place = server * self.resolvers.domains() + entry.domain as usize;
        if let Some(count) = self.requests.get_mut(place) {
            *count += u32::from(hits);
        }
    }

    /// A page ended: the client thinks and goes on.
    #[inline]
    fn think(
        &mut self,
        number: usize,
        entry: Entry,
        ended: u64,
        kept: Option<u32>,
    ) -> Result<(), SimulationError> {
        let population = &self.setup.populations[number];
        let mut next = Entry { step: Step::Click, tried: 0, left: entry.left - 1, ..entry };
        if next.left == 0 {
            if matches!(population.arrivals, Arrivals::Open(_)) {
                return Ok(());
            }
            self.measures.totals.sessions += 1;
            next.left = population.session.draw_count(&mut self.chance.clients);
            next.answer = Entry::NO_ANSWER;
        }
        next.held = match population.client_cache {
            ClientCache::None => 0,
            ClientCache::Session => u32::MAX,
            ClientCache::Time(time) => kept.unwrap_or_else(|| {
                u32::try_from((self.now + nanos(time)) / Entry::TICK).unwrap_or(u32::MAX)
            }),
        };
        let think = population.think.draw(&mut self.chance.clients) / of_day(population, self.now);
        next.time = ended.saturating_add(to_nanos(think)).max(self.now + CLICKS_APART);
        self.queue.push(next)
    }

    /// A client asks its resolver, which asks a name server if it has to.
    #[inline]
    fn look_up(&mut self, number: usize, domain: u32) -> Held {
        self.measures.totals.lookups += 1;
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
        let (mut delay, mut asked) = (0, 0_u32);
        let now_ms = u32::try_from(self.now / 1_000_000).unwrap_or(u32::MAX);
        for _ in 0..setup.queries.tries {
            let known = self.resolvers.known(domain);
            let place = match known.len() {
                0 => 0,
                _ => family::choose(
                    population.family,
                    known,
                    asked,
                    now_ms,
                    &mut self.chance.network,
                ),
            };
            asked |= 1 << place;
            let lost = setup.queries.loss > 0.0 && self.chance.network.share() < setup.queries.loss;
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
                self.directors.answer(place, &question, &mut self.chance.network)
            };
            let Some(reply) = reply else {
                let timeout = nanos(setup.queries.timeout);
                delay += timeout;
                self.measures.totals.upstream_timeouts += 1;
                if !known.is_empty() {
                    let time = timeout as f32 / 1e6;
                    family::timed_out(population.family, known, place, time, now_ms);
                }
                continue;
            };
            let jitter = setup.queries.jitter;
            let spread = 1.0 + jitter * (2.0 * self.chance.network.share() - 1.0);
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a minute")]
            let way = (crowd.name_server_distances[place] as f64 * spread) as u64;
            delay += way;
            self.measures.totals.upstream_queries += 1;
            if !known.is_empty() {
                family::answered(population.family, known, place, way as f32 / 1e6);
            }
            let learned = self.answers.learn(reply, population.record_type);
            // SERVFAIL: it asks another one.
            if learned.is_none() && reply.get(3).is_some_and(|flags| flags & 0x0f == 2) {
                continue;
            }
            if crowd.nearest_name_servers != 0 {
                let is_nearest = crowd.nearest_name_servers >> place & 1 == 1;
                let (window, is_first) = self.resolvers.count_window(domain, is_nearest);
                self.measures.answered(window, is_nearest, is_first);
            }
            let Some(learned) = learned else { break };
            let from = self.now + delay;
            let lifetime = self.resolvers.lifetime(domain, learned.ttl, population.ttl_rule);
            let until = from.saturating_add(lifetime);
            let held = Held { from, until, answer: learned.answer };
            let scope = network.map(|network| (network, learned.scope.unwrap_or_default()));
            return self.resolvers.keep(domain, held, scope);
        }
        self.measures.totals.failed_lookups += 1;
        let from = self.now + delay;
        let held = Held { from, until: from + FAILURE_KEPT, answer: Entry::NO_ANSWER };
        self.resolvers.keep(domain, held, network.map(|network| (network, network.bits)))
    }
}

impl Entry {
    /// A client of this domain that holds no address.
    const fn click(domain: u32) -> Self {
        let (time, answer, held) = (0, Self::NO_ANSWER, 0);
        Self { time, domain, answer, held, left: 0, step: Step::Click, tried: 0 }
    }
}

#[inline]
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "saturates")]
fn to_nanos(seconds: f64) -> u64 {
    (seconds * 1e9) as u64
}

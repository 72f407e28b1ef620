//! Clients: sessions, clicks, calls. This is where nearly all of the time of a run goes.

use walrus_core::world::Generator;

use super::chance::{next_page, of_page, of_work};
use super::crowd::{nanos, of_day, thought, to_nanos};
use super::queue::{Entry, Step, Wait};
use super::result::SimulationError;
use super::run::Run;
use super::server::{Page, Presence};
use super::study::{Arrivals, ClientCache, exponential};

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
        let mut chance = self.next_client(number);
        self.crowds[number].active += 1;
        self.measures.of(number).sessions += 1;
        let think = population.think.draw_rest(&mut chance);
        let left = population.session.draw_count_rest(&mut chance);
        let time = thought(population, 0, think);
        self.queue.push(Entry { time, left, ..Entry::click(domain, chance.draw()) })
    }

    /// What the choices of the next client to come follow from.
    fn next_client(&mut self, number: usize) -> Generator {
        let crowd = &mut self.crowds[number];
        crowd.came += 1;
        self.chance.client(number, crowd.came)
    }

    /// A closed population has grown: as many come as are missing.
    pub(super) fn fill_up(&mut self, number: usize) -> Result<(), SimulationError> {
        let setup = self.setup;
        let population = &setup.populations[number];
        let wanted = self.crowds[number].wanted(population, self.now);
        let first = self.resolvers.first_domain(number);
        while self.crowds[number].active < wanted {
            let mut chance = self.next_client(number);
            let domain = first + population.shares.draw(&mut chance);
            self.crowds[number].active += 1;
            self.measures.of(number).sessions += 1;
            // It thinks, and begins a session.
            let think = population.think.draw(&mut chance);
            let left = population.session.draw_count(&mut chance);
            let time = thought(population, self.now, think);
            self.queue.push(Entry { time, left, ..Entry::click(domain, chance.draw()) })?;
        }
        Ok(())
    }

    /// When the next session of an open population begins, or its rate is to be looked at again.
    fn expect_session(&mut self, number: usize) -> Result<(), SimulationError> {
        let (population, crowd) = (&self.setup.populations[number], &self.crowds[number]);
        let Arrivals::Open(rate) = population.arrivals else { return Ok(()) };
        let rate = rate * crowd.factor(self.now) * of_day(population, self.now);
        let wait = exponential(&mut self.chance.arrivals[number]) / rate.max(1e-12);
        let most = if crowd.swell.is_some() { RATE_CHANGES } else { RATE_LOOKED_AT };
        self.queue.push(Entry {
            time: self.now.saturating_add(to_nanos(wait.min(most))),
            step: Step::Session,
            // An exponential time has no memory: what was cut off is drawn anew.
            left: u16::from(wait <= most),
            ..Entry::click(number as u32, 0)
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
        let mut chance = self.next_client(number);
        let first = self.resolvers.first_domain(number);
        let domain = first + population.shares.draw(&mut chance);
        let left = population.session.draw_count(&mut chance);
        self.measures.of(number).sessions += 1;
        self.click(Entry { left, ..Entry::click(domain, chance.draw()) })
    }

    /// A client asks for a page.
    #[inline]
    pub(super) fn click(&mut self, entry: Entry) -> Result<(), SimulationError> {
        let number = self.resolvers.population_of(entry.domain);
        if self.crowds[number].swell.is_some() && self.leaves(number) {
            return Ok(());
        }
        let mut entry = Entry { tried: 0, ..entry };
        if entry.answer == Entry::NO_ANSWER || self.now / Entry::TICK >= u64::from(entry.held) {
            let found = self.look_up(number, entry.domain);
            let from = found.from.max(self.now);
            entry.answer = found.answer;
            entry.held = self.held_until(number, from);
            if from > self.now {
                return self.wait(entry, self.now, from);
            }
        }
        self.call(number, entry, self.now)
    }

    /// Until when a client keeps addresses that it has from now on, in [`Entry::TICK`]s.
    #[inline]
    fn held_until(&self, number: usize, from: u64) -> u32 {
        match self.setup.populations[number].client_cache {
            ClientCache::None => 0,
            ClientCache::Session => u32::MAX,
            ClientCache::Time(time) => {
                let until = from.saturating_add(nanos(time)) / Entry::TICK;
                u32::try_from(until).unwrap_or(u32::MAX)
            }
        }
    }

    /// A client waits to call.
    fn wait(&mut self, entry: Entry, clicked: u64, time: u64) -> Result<(), SimulationError> {
        let held = self.waits.put(Wait { clicked, held: entry.held });
        self.queue.push(Entry { time, step: Step::Call, held, ..entry })
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
        let Wait { clicked, held } = self.waits.take(entry.held);
        self.call(number, Entry { held, ..entry }, clicked)
    }

    /// A client calls at a server.
    #[expect(
        clippy::inline_always,
        reason = "an entry stays in registers until it is in the queue"
    )]
    #[inline(always)]
    fn call(
        &mut self,
        number: usize,
        mut entry: Entry,
        clicked: u64,
    ) -> Result<(), SimulationError> {
        let setup = self.setup;
        let mut chance = of_page(entry.chance);
        let hits = setup.populations[number].hits.draw_count(&mut chance);
        let mut ended = None;
        while let Some(place) = self.answers.servers(entry.answer).get(usize::from(entry.tried)) {
            let place = usize::from(*place);
            let server = &mut self.servers[place];
            let (law, most) = (setup.service_law, setup.queue_max);
            let way = self.crowds[number].cluster_distances[self.clusters[place]];
            let page = Page {
                hits,
                population: number as u16,
                is_measured: self.measures.is_on,
                since: clicked.cast_signed().saturating_sub_unsigned(way),
                next: next_page(entry.chance),
            };
            let departs = match server.presence {
                Presence::Up => {
                    server.accept(self.now, page, law, most, &mut of_work(entry.chance))
                }
                Presence::Killed | Presence::Cut => None,
            };
            if let Some(departs) = departs {
                self.served(number, &entry, place, hits);
                self.measures.accepted(number, place);
                if self.measures.is_on {
                    self.measures.populations[number].response_seconds.add(page.response(departs));
                }
                ended = Some(departs.saturating_add(way));
                break;
            }
            self.measures.of(number).failed_attempts += 1;
            entry.tried = entry.tried.saturating_add(1);
            if server.presence == Presence::Cut {
                let time = self.now.saturating_add(nanos(setup.connect_timeout));
                return self.wait(entry, clicked, time);
            }
            if entry.tried == u8::MAX {
                break;
            }
        }
        let ended = ended.unwrap_or_else(|| {
            let counts = self.measures.of(number);
            counts.pages += 1;
            counts.failed_pages += 1;
            // Its addresses are of no use: it asks anew.
            (entry.answer, entry.held) = (Entry::NO_ANSWER, 0);
            self.now
        });
        self.think(number, entry, ended, chance)
    }

    /// Counts a page that a server accepted.
    #[inline]
    fn served(&mut self, number: usize, entry: &Entry, server: usize, hits: u16) {
        let counts = self.measures.of(number);
        counts.pages += 1;
        counts.hits += u64::from(hits);
        let nearest = self.resolvers.nearest_to(entry.domain);
        if let Some(is_near) = self.nearest.has(nearest, self.clusters[server]) {
            counts.placed_pages += 1;
            counts.near_pages += u64::from(is_near);
        }
        self.requests.add(server, entry.domain, hits);
    }

    /// A page ended: the client thinks and goes on.
    #[expect(
        clippy::inline_always,
        reason = "an entry stays in registers until it is in the queue"
    )]
    #[inline(always)]
    fn think(
        &mut self,
        number: usize,
        entry: Entry,
        ended: u64,
        mut chance: Generator,
    ) -> Result<(), SimulationError> {
        let population = &self.setup.populations[number];
        let think = population.think.draw(&mut chance);
        let (mut left, mut answer) = (entry.left - 1, entry.answer);
        if left == 0 {
            if matches!(population.arrivals, Arrivals::Open(_)) {
                return Ok(());
            }
            self.measures.of(number).sessions += 1;
            left = population.session.draw_count(&mut chance);
            answer = Entry::NO_ANSWER;
        }
        let time = thought(population, ended, think).max(self.now + CLICKS_APART);
        let (chance, step) = (next_page(entry.chance), Step::Click);
        self.queue.push(Entry { time, chance, step, left, answer, tried: 0, ..entry })
    }
}

impl Entry {
    /// A client of this domain that holds no address.
    const fn click(domain: u32, chance: u64) -> Self {
        let (time, answer, held) = (0, Self::NO_ANSWER, 0);
        Self { time, chance, domain, answer, held, left: 0, step: Step::Click, tried: 0 }
    }
}

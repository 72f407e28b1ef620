//! Random choices, each from what it is for: a client's n-th page, a resolver's n-th question.
//!
//! Drawn from one generator in the order of events, the choices of clients would follow from the policy,
//! which moves events. Here they follow from the seed and the client's number alone, so that variants with the
//! same seed meet the same clients: who come at the same times for the same pages, think as long, and give
//! servers the same work.

use walrus_core::world::Generator;

use super::study::Messages;

/// What all random choices of a run follow from.
#[derive(Debug)]
pub(super) struct Chance {
    /// By population: of its clients, and when sessions of an open one begin.
    clients: Vec<u64>,
    pub(super) arrivals: Vec<Generator>,
    questions: u64,
    /// When Reporters begin.
    pub(super) begin: Generator,
    messages: [Generator; 3],
}

/// From a client's page to its next; from a page to the work that it is to a server. Odd and without a
/// pattern.
const PAGE: u64 = 0xd6e8_feb8_6659_fd93;
const WORK: u64 = 0x2545_f491_4f6c_dd1d;
/// From a number to the next.
const NUMBER: u64 = 0x9e37_79b9_7f4a_7c15;

impl Chance {
    pub(super) fn new(seeds: &mut Generator, populations: usize) -> Self {
        let mut each = || -> Vec<u64> { (0..populations).map(|_| seeds.draw()).collect() };
        let (clients, arrivals) = (each(), each());
        let mut generator = || Generator::new(seeds.draw());
        Self {
            clients,
            arrivals: arrivals.into_iter().map(Generator::new).collect(),
            begin: generator(),
            messages: [generator(), generator(), generator()],
            questions: seeds.draw(),
        }
    }

    /// Of a population's client (or session of an open one), by its number.
    #[inline]
    pub(super) fn client(&self, population: usize, number: u64) -> Generator {
        Generator::new(self.clients[population].wrapping_add(number.wrapping_mul(NUMBER)))
    }

    /// Of a resolver's question, by its number.
    #[inline]
    pub(super) fn question(&self, resolver: u32, number: u32) -> Generator {
        let which = u64::from(resolver) << 32 | u64::from(number);
        Generator::new(self.questions.wrapping_add(which.wrapping_mul(NUMBER)))
    }

    /// Of messages of a kind.
    pub(super) const fn messages(&mut self, messages: Messages) -> &mut Generator {
        &mut self.messages[messages as usize]
    }
}

/// The choices of the client in a page: its hits, then how long it thinks, then its next session.
#[inline]
pub(super) const fn of_page(chance: u64) -> Generator {
    Generator::new(chance)
}

/// How much work the page is to a server.
#[inline]
pub(super) const fn of_work(chance: u64) -> Generator {
    Generator::new(chance ^ WORK)
}

/// What its next page's choices follow from.
#[inline]
pub(super) const fn next_page(chance: u64) -> u64 {
    chance.wrapping_add(PAGE)
}

//! The heaviest domains among many questions, by space-saving, where keys are small numbers.
//!
//! The same as [`SpaceSaving`](walrus_core::world::SpaceSaving) gives, which keeps trees of keys of any kind:
//! some four look-ups for each question, two fifths of what a simulated lookup cost. Here a key's place is found
//! by the key itself, and who leaves is the top of a heap.

use walrus_core::world::Heavy;

/// Counts of at most so many domains.
#[derive(Debug)]
pub(super) struct Heaviest {
    /// Count and domain, in one word that orders by count and then by domain; the least is the first, and
    /// none is less than the one at (place - 1) / 2.
    heap: Vec<u64>,
    /// By domain: its place in the heap, [`NOWHERE`], and how far its count may be too high.
    known: Vec<(u32, u32)>,
    domains_max: usize,
}

const NOWHERE: u32 = u32::MAX;

impl Heaviest {
    /// For so many domains at most, at least one.
    pub(super) fn new(domains_max: usize) -> Self {
        let domains_max = domains_max.clamp(1, NOWHERE as usize);
        Self { heap: Vec::new(), known: Vec::new(), domains_max }
    }

    /// Counts a domain once. Counts have 32 bits.
    pub(super) fn add(&mut self, domain: u32) {
        let at = domain as usize;
        if at >= self.known.len() {
            self.known.resize(at + 1, (NOWHERE, 0));
        }
        let (place, _) = self.known[at];
        if place != NOWHERE {
            self.sink(place as usize, self.heap[place as usize] + ONCE);
        } else if self.heap.len() < self.domains_max {
            self.known[at].1 = 0;
            self.heap.push(0);
            self.rise(self.heap.len() - 1, ONCE | u64::from(domain));
        } else {
            let leaving = self.heap[0];
            self.known[domain_of(leaving) as usize].0 = NOWHERE;
            self.known[at].1 = count_of(leaving);
            let count = u64::from(count_of(leaving)) * ONCE + ONCE;
            self.sink(0, count | u64::from(domain));
        }
    }

    /// Takes all counts out: the heaviest domains, at most so many, and the sum of all others' counts.
    pub(super) fn take(&mut self, most: usize) -> (Vec<Heavy<u32>>, u64) {
        // The heaviest first, those of like count in their order.
        self.heap.sort_unstable_by_key(|word| (!count_of(*word), domain_of(*word)));
        let rest = self.heap.iter().skip(most).map(|word| u64::from(count_of(*word))).sum();
        let heavy = self.heap.iter().take(most).map(|word| {
            let error = self.known[domain_of(*word) as usize].1.into();
            Heavy { key: domain_of(*word), count: count_of(*word).into(), error }
        });
        let heavy = heavy.collect();
        for word in self.heap.drain(..) {
            self.known[domain_of(word) as usize].0 = NOWHERE;
        }
        (heavy, rest)
    }

    /// Puts a word in at this place or below.
    fn sink(&mut self, mut place: usize, word: u64) {
        loop {
            let mut child = 2 * place + 1;
            let Some(first) = self.heap.get(child) else { break };
            child += usize::from(self.heap.get(child + 1).is_some_and(|second| second < first));
            let least = self.heap[child];
            if word < least {
                break;
            }
            self.put(place, least);
            place = child;
        }
        self.put(place, word);
    }

    /// Puts a word in at this place or above.
    fn rise(&mut self, mut place: usize, word: u64) {
        while place > 0 {
            let above = (place - 1) / 2;
            if self.heap[above] < word {
                break;
            }
            self.put(place, self.heap[above]);
            place = above;
        }
        self.put(place, word);
    }

    fn put(&mut self, place: usize, word: u64) {
        self.heap[place] = word;
        self.known[domain_of(word) as usize].0 = place as u32;
    }
}

/// A count of 1.
const ONCE: u64 = 1 << 32;

const fn count_of(word: u64) -> u32 {
    (word >> 32) as u32
}

const fn domain_of(word: u64) -> u32 {
    word as u32
}

#[cfg(test)]
mod tests {
    use super::*;
    use walrus_core::world::{Generator, SpaceSaving};

    #[test]
    fn it_is_space_saving() {
        let mut generator = Generator::new(3);
        for (places, domains) in [(1, 3), (7, 5), (10, 100), (64, 65), (200, 1000)] {
            let (mut one, mut other) = (Heaviest::new(places), SpaceSaving::new(places));
            for _ in 0..3 {
                for _ in 0..generator.index(20_000).0 {
                    // Some ask more than others.
                    let domain = (generator.share().powi(3) * f64::from(domains)) as u32;
                    one.add(domain);
                    other.add(domain, 1);
                }
                assert_eq!(one.take(places / 2), other.take(places / 2), "{places} of {domains}");
            }
        }
    }
}

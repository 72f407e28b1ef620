//! An even sample of a thread's answers in bounded memory: which names are asked for, by whom, and
//! what was decided of late.
//!
//! **Problem.** Anybody can ask for any name, so names cannot be counted one by one; and to look
//! at every query would cost more than to answer it.
//!
//! **Rule.** A reservoir: of all answers since the counts were last handed over each is in the
//! sample with the same chance, and each of the sample stands for `seen / kept` answers. How many
//! answers are passed over until the next that is taken is drawn when one is taken, so that those
//! passed over cost an addition and a comparison. Few answers are all taken.
//!
//! **Source.** Li: Reservoir-Sampling Algorithms of Time Complexity O(n(1 + log(N/n))) (ACM
//! Transactions on Mathematical Software 20, 1994), algorithm L.
//!
//! **When it is wrong.** What is rare is missed: a name with a share `p` of the answers has about
//! `p` times [`KEPT_MAX`] places, give or take that number's square root.
//!
//! **Example.** Half a million answers in a second: the first 512 are taken, and some 3,500 of the
//! others replace them one by one; 512 remain, and each stands for 977.

use std::net::IpAddr;

use walrus_core::answer::{Decision, Transport};
use walrus_core::world::{Generator, Time};
use walrus_dns::query;

use crate::answering::Incoming;

/// Answers that are kept: 180 KiB a thread, and every share within 5 % of the whole.
pub(crate) const KEPT_MAX: usize = 512;

/// An answer without a pointer to anything that changes. What it numbers is named by the table
/// that it was given under.
#[derive(Clone, Copy)]
pub(crate) struct Sampled {
    pub(crate) at: Time,
    pub(crate) resolver: IpAddr,
    pub(crate) transport: Transport,
    pub(crate) decision: Decision,
    name: [u8; 255],
    name_length: u8,
}

impl Sampled {
    /// Copies what is known of an answer.
    pub(crate) fn new(at: Time, incoming: &Incoming<'_>, decision: &Decision) -> Self {
        let mut sampled = Self {
            at,
            resolver: incoming.client,
            transport: incoming.transport,
            decision: *decision,
            name: [0; 255],
            name_length: 0,
        };
        if let Ok(query) = query::parse(incoming.query) {
            let mut folded = [0; 256];
            let name = query.fold_name(&mut folded);
            sampled.name_length = name.len().min(sampled.name.len()) as u8;
            let length = usize::from(sampled.name_length);
            sampled.name[..length].copy_from_slice(&name[..length]);
        }
        sampled
    }

    /// The name in wire format and lower case; empty if the query could not be read.
    pub(crate) fn name(&self) -> &[u8] {
        &self.name[..usize::from(self.name_length)]
    }

    /// Fills places that are not in use.
    fn nothing() -> Self {
        Self {
            at: Time::ZERO,
            resolver: IpAddr::from([0; 4]),
            transport: Transport::Udp,
            decision: Decision::default(),
            name: [0; 255],
            name_length: 0,
        }
    }
}

/// One thread's sample.
pub(crate) struct Sample {
    places: Box<[Sampled]>,
    kept: usize,
    seen: u64,
    /// Which answer is the next to take, counted as `seen`.
    next: u64,
    /// The largest of as many draws from 0 to 1 as there are places, in the words of the paper W.
    largest: f64,
}

impl Sample {
    /// Empty, with all its memory.
    pub(crate) fn new() -> Self {
        Self { places: vec![Sampled::nothing(); KEPT_MAX].into(), ..Self::none() }
    }

    /// Takes nothing and has no memory.
    pub(crate) fn none() -> Self {
        Self { places: Box::default(), kept: 0, seen: 0, next: 0, largest: 1.0 }
    }

    /// Counts an answer; whether it is to be taken.
    #[inline]
    pub(crate) const fn takes_this(&mut self) -> bool {
        self.seen += 1;
        self.seen >= self.next
    }

    /// Takes the answer that [`Self::takes_this`] wanted.
    #[cold]
    pub(crate) fn take(&mut self, sampled: Sampled, generator: &mut Generator) {
        let places = self.places.len();
        if places == 0 {
            self.next = u64::MAX;
            return;
        }
        if self.kept < places {
            self.places[self.kept] = sampled;
            self.kept += 1;
        } else {
            // There are far fewer places than 2^32.
            let place = generator.index(places as u32).0 as usize;
            self.places[place] = sampled;
        }
        if self.kept == places {
            self.largest *= (uniform(generator).ln() / places as f64).exp();
            let passed_over = (uniform(generator).ln() / (-self.largest).ln_1p()).floor();
            // Saturates: a gap that no thread lives through.
            self.next = self.seen.saturating_add(passed_over as u64).saturating_add(1);
        }
    }

    /// All answers since the sample was empty.
    pub(crate) const fn seen(&self) -> u64 {
        self.seen
    }

    /// Those that were kept, in no order that means anything.
    pub(crate) fn kept(&self) -> &[Sampled] {
        &self.places[..self.kept]
    }

    /// How many answers each of those kept stands for.
    pub(crate) fn weight(&self) -> f64 {
        if self.kept == 0 { 0.0 } else { self.seen as f64 / self.kept as f64 }
    }
}

/// Evenly from above 0 up to 1, so that it has a logarithm.
fn uniform(generator: &mut Generator) -> f64 {
    1.0 - generator.share()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The answers that are kept of so many, by their number.
    fn kept_of(answers: u64, seed: u64) -> (Sample, usize) {
        let (mut sample, mut generator) = (Sample::new(), Generator::new(seed));
        let mut taken = 0;
        for number in 1..=answers {
            if sample.takes_this() {
                let at = Time::from_nanos(number);
                sample.take(Sampled { at, ..Sampled::nothing() }, &mut generator);
                taken += 1;
            }
        }
        (sample, taken)
    }

    #[test]
    fn few_answers_are_all_kept() {
        for answers in [0, 1, KEPT_MAX as u64] {
            let (sample, _) = kept_of(answers, 1);
            let kept: Vec<u64> = sample.kept().iter().map(|it| it.at.as_nanos()).collect();
            assert_eq!(kept, (1..=answers).collect::<Vec<_>>());
            assert_eq!(sample.weight(), if answers == 0 { 0.0 } else { 1.0 });
        }
    }

    #[test]
    fn every_answer_has_the_same_chance_whenever_it_came() {
        const ANSWERS: u64 = 20_000;
        const SEEDS: u64 = 40;
        const PARTS: usize = 10;
        let mut by_part = [0_usize; PARTS];
        for seed in 1..=SEEDS {
            let (sample, taken) = kept_of(ANSWERS, seed);
            assert_eq!((sample.kept().len(), sample.seen()), (KEPT_MAX, ANSWERS), "seed {seed}");
            // The paper's bound: n (1 + ln (N / n)), here 2,388 on average.
            assert!((2_000..2_800).contains(&taken), "{taken} with seed {seed}");
            for kept in sample.kept() {
                by_part[((kept.at.as_nanos() - 1) * PARTS as u64 / ANSWERS) as usize] += 1;
            }
        }
        // 2,048 in each, with a standard deviation of 43.
        let expected = KEPT_MAX * SEEDS as usize / PARTS;
        for (part, kept) in by_part.iter().enumerate() {
            assert!(kept.abs_diff(expected) < 215, "{kept} instead of {expected} in part {part}");
        }
    }

    #[test]
    fn without_memory_nothing_is_taken() {
        let (mut sample, mut generator) = (Sample::none(), Generator::new(1));
        assert!(sample.takes_this());
        sample.take(Sampled::nothing(), &mut generator);
        assert!(!sample.takes_this());
        assert!(sample.kept().is_empty());
    }

    #[test]
    fn names_are_kept_in_lower_case_and_garbage_has_none() {
        let mut query = vec![0, 1, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
        query.extend_from_slice(b"\x03wWw\x06Walrus\x07example\0\0\x01\0\x01");
        for (query, name) in
            [(&query[..], &b"\x03www\x06walrus\x07example\0"[..]), (&query[..20], b"")]
        {
            let incoming = Incoming {
                query,
                client: [192, 0, 2, 53].into(),
                local: ([127, 0, 0, 1], 53).into(),
                transport: Transport::Udp,
            };
            let sampled = Sampled::new(Time::ZERO, &incoming, &Decision::default());
            assert_eq!(sampled.name(), name);
        }
    }
}

//! What clients wait for, in the order of time: a wheel of buckets, sorted only when their turn comes.
//!
//! A binary heap of a million entries costs some twenty cache misses for each event. Here an entry is
//! appended to a bucket of a far wheel, dealt out to a near wheel when that bucket's time comes, and
//! sorted among a handful of others just before it happens: three sequential touches, whatever the number
//! of entries. Entries of the same time keep the order in which they came.

use std::collections::BTreeMap;

use super::result::SimulationError;

/// A waiting client: all there is of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    /// When, in nanoseconds since the start.
    pub(super) time: u64,
    /// What the random choices of the client's next page follow from; no other client has it.
    pub(super) chance: u64,
    /// The client's domain; the population for [`Step::Session`].
    pub(super) domain: u32,
    /// The addresses that it holds, as the place of an answer; [`Entry::NO_ANSWER`].
    pub(super) answer: u32,
    /// For a click: until when the client keeps its answer, in [`Entry::TICK`]s. For a call at a server:
    /// its place among [`Waits`].
    pub(super) held: u32,
    /// Pages left in its session, the next one included.
    pub(super) left: u16,
    pub(super) step: Step,
    /// How many addresses of the answer were tried.
    pub(super) tried: u8,
}

impl Entry {
    pub(super) const NO_ANSWER: u32 = u32::MAX;
    /// The unit of `held` of a click: 10 ms, so that 32 bits are more than a year.
    pub(super) const TICK: u64 = 10_000_000;
}

/// What an entry waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Step {
    /// A client asks for its next page.
    Click,
    /// A client has an address at last, and calls there.
    Call,
    /// A session of an open population begins.
    Session,
}

/// What is known of clients between their click and a call at a server.
#[derive(Debug, Default)]
pub(super) struct Waits {
    list: Vec<Wait>,
    free: Vec<u32>,
}

/// A client that waits for an address, or for a server that does not answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Wait {
    /// When it clicked.
    pub(super) clicked: u64,
    /// Until when it keeps its answer, in [`Entry::TICK`]s.
    pub(super) held: u32,
}

impl Waits {
    /// Keeps it, and says where.
    pub(super) fn put(&mut self, wait: Wait) -> u32 {
        if let Some(place) = self.free.pop() {
            self.list[place as usize] = wait;
            return place;
        }
        self.list.push(wait);
        self.list.len() as u32 - 1
    }

    /// Takes it out.
    pub(super) fn take(&mut self, place: u32) -> Wait {
        self.free.push(place);
        self.list[place as usize]
    }
}

/// A page ends at another time than was told when it began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Shift {
    pub(super) from: u64,
    pub(super) to: u64,
}

/// Buckets of a wheel.
const BUCKETS: usize = 1 << BUCKET_BITS;
const BUCKET_BITS: u32 = 11;
/// Entries that a bucket of the near wheel should have at most.
const DENSITY: f64 = 4.0;
/// As many buckets are looked into for the next that has entries.
const AHEAD: usize = 4;
/// The most entries: 32 bytes each.
const ENTRIES_MAX: usize = 60_000_000;

/// Entries by time.
#[derive(Debug)]
pub(super) struct Queue {
    /// The bucket whose turn it is, in the order of time from `next` on.
    current: Vec<Entry>,
    next: usize,
    /// The number of the current bucket, counted from time zero.
    turn: u64,
    /// Nanoseconds of a bucket, as a power of two.
    width_bits: u32,
    /// Buckets that follow `turn`, up to the end of the near wheel's round.
    near: Box<[Vec<Entry>]>,
    /// Rounds of the near wheel that follow the present one.
    far: Box<[Vec<Entry>]>,
    /// Beyond the far wheel's round; looked through once a round.
    beyond: Vec<Entry>,
    len: usize,
    /// What would happen later is left out,
    end: u64,
    /// ... or stands here, if it may come to be earlier.
    late: Option<Vec<Entry>>,
}

impl Queue {
    /// A queue for about so many events a second, up to this time. `may_shift`: whether entries may come
    /// to be for another time.
    pub(super) fn new(events_per_second: f64, end: u64, may_shift: bool) -> Self {
        let width = (DENSITY * 1e9 / events_per_second.max(1e-3)).clamp(1024.0, 4e9);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped")]
        let width_bits = width.log2() as u32;
        let wheel = || (0..BUCKETS).map(|_| Vec::new()).collect();
        Self {
            current: Vec::new(),
            next: 0,
            turn: 0,
            width_bits,
            near: wheel(),
            far: wheel(),
            beyond: Vec::new(),
            len: 0,
            end,
            late: may_shift.then(Vec::new),
        }
    }

    #[cfg(test)]
    const fn len(&self) -> usize {
        self.len
    }

    /// Puts an entry in, unless it is for after the end.
    ///
    /// # Errors
    /// If there are too many.
    #[expect(clippy::inline_always, reason = "an entry is written once, where it belongs")]
    #[inline(always)]
    pub(super) fn push(&mut self, entry: Entry) -> Result<(), SimulationError> {
        let bucket = entry.time >> self.width_bits;
        if bucket <= self.turn || entry.time > self.end || self.len >= ENTRIES_MAX {
            let Entry { time, chance, domain, answer, held, left, step, tried } = entry;
            return self.push_otherwise(
                time,
                chance,
                (domain, answer),
                (held, left),
                (step, tried),
            );
        }
        self.len += 1;
        let (round, present) = (bucket >> BUCKET_BITS, self.turn >> BUCKET_BITS);
        let list = if round == present {
            &mut self.near[bucket as usize & (BUCKETS - 1)]
        } else if round >> BUCKET_BITS == present >> BUCKET_BITS {
            &mut self.far[round as usize & (BUCKETS - 1)]
        } else {
            &mut self.beyond
        };
        list.push(entry);
        Ok(())
    }

    /// For what happens at once or never, or finds no room. It takes an entry in pieces that fit into registers:
    /// else the usual way, too, would write all entries to the stack first, and wait for them.
    #[cold]
    #[inline(never)]
    fn push_otherwise(
        &mut self,
        time: u64,
        chance: u64,
        (domain, answer): (u32, u32),
        (held, left): (u32, u16),
        (step, tried): (Step, u8),
    ) -> Result<(), SimulationError> {
        let entry = Entry { time, chance, domain, answer, held, left, step, tried };
        if entry.time > self.end {
            self.late.iter_mut().for_each(|late| late.push(entry));
            return Ok(());
        }
        if self.len >= ENTRIES_MAX {
            let at = std::time::Duration::from_nanos(entry.time);
            return Err(SimulationError::Bound { what: "waiting clients", bound: ENTRIES_MAX, at });
        }
        self.len += 1;
        // Behind those of the same time. Few are left of a bucket, so that little is moved.
        let waiting = &self.current[self.next..];
        let place = waiting.partition_point(|other| other.time <= entry.time);
        self.current.insert(self.next + place, entry);
        Ok(())
    }

    /// When the turn of a bucket has just begun: what is in the one after it, as far as that is near. Nothing in
    /// the midst of one.
    #[inline]
    pub(super) fn upcoming(&self) -> &[Entry] {
        if self.next != 0 {
            return &[];
        }
        let behind = self.turn as usize & (BUCKETS - 1);
        let near = self.near[behind + 1..].iter().take(AHEAD);
        near.map(Vec::as_slice).find(|bucket| !bucket.is_empty()).unwrap_or_default()
    }

    /// The time of the next entry; the end of time without any.
    #[inline]
    pub(super) fn next_time(&mut self) -> u64 {
        if self.next == self.current.len() && !self.turn_on() {
            return u64::MAX;
        }
        self.current[self.next].time
    }

    /// Takes the next entry, if [`Self::next_time`] said that there is one.
    #[inline]
    pub(super) fn pop(&mut self) -> Option<Entry> {
        let entry = *self.current.get(self.next)?;
        self.next += 1;
        self.len -= 1;
        Some(entry)
    }

    /// Moves the next clicks of these clients, by their `chance`. Looks at each entry: for what happens
    /// seldom.
    pub(super) fn shift(&mut self, shifts: &BTreeMap<u64, Shift>) -> Result<(), SimulationError> {
        let mut found = Vec::new();
        let mut take = |list: &mut Vec<Entry>| {
            list.retain(|entry| {
                let shift = shifts.get(&entry.chance).filter(|_| entry.step == Step::Click);
                let time =
                    |shift: &Shift| entry.time.saturating_sub(shift.from).saturating_add(shift.to);
                found.extend(shift.map(|shift| Entry { time: time(shift), ..*entry }));
                shift.is_none()
            });
        };
        self.late.iter_mut().for_each(&mut take);
        self.current.drain(..self.next);
        self.next = 0;
        take(&mut self.current);
        self.near.iter_mut().chain(&mut self.far).for_each(&mut take);
        take(&mut self.beyond);
        let lists = self.near.iter().chain(&self.far).chain([&self.current, &self.beyond]);
        self.len = lists.map(Vec::len).sum();
        found.into_iter().try_for_each(|entry| self.push(entry))
    }

    /// Goes to the next bucket that holds something; `false` if there is none.
    #[cold]
    fn turn_on(&mut self) -> bool {
        self.current.clear();
        self.next = 0;
        if self.len == 0 {
            return false;
        }
        loop {
            let place = self.turn as usize & (BUCKETS - 1);
            let found = self.near[place + 1..].iter().position(|bucket| !bucket.is_empty());
            if let Some(skipped) = found {
                self.turn += skipped as u64 + 1;
                let place = place + 1 + skipped;
                std::mem::swap(&mut self.current, &mut self.near[place]);
                self.current.sort_by_key(|entry| entry.time);
                return true;
            }
            self.next_round();
            let place = self.turn as usize & (BUCKETS - 1);
            if !self.near[place].is_empty() {
                std::mem::swap(&mut self.current, &mut self.near[place]);
                self.current.sort_by_key(|entry| entry.time);
                return true;
            }
        }
    }

    /// Deals out the next round of the near wheel that holds something.
    fn next_round(&mut self) {
        let mut round = (self.turn >> BUCKET_BITS) + 1;
        loop {
            if round & (BUCKETS as u64 - 1) == 0 {
                self.deal_beyond(round);
            }
            let place = round as usize & (BUCKETS - 1);
            if let Some(skipped) = self.far[place..].iter().position(|bucket| !bucket.is_empty()) {
                round += skipped as u64;
                break;
            }
            round += (BUCKETS - place) as u64;
        }
        self.turn = round << BUCKET_BITS;
        let mut dealt = std::mem::take(&mut self.far[round as usize & (BUCKETS - 1)]);
        for entry in dealt.drain(..) {
            let bucket = entry.time >> self.width_bits;
            self.near[bucket as usize & (BUCKETS - 1)].push(entry);
        }
        // Its room is used again.
        self.far[round as usize & (BUCKETS - 1)] = dealt;
    }

    /// Fills the far wheel for the rounds from this one on.
    fn deal_beyond(&mut self, round: u64) {
        let (far, bits) = (&mut self.far, self.width_bits + BUCKET_BITS);
        self.beyond.retain(|entry| {
            let due = entry.time >> bits;
            let now = due >> BUCKET_BITS == round >> BUCKET_BITS;
            if now {
                far[due as usize & (BUCKETS - 1)].push(*entry);
            }
            !now
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use walrus_core::world::Generator;

    fn entry(time: u64, domain: u32) -> Entry {
        let (answer, held, left, tried) = (0, 0, 0, 0);
        let chance = u64::from(domain);
        Entry { time, chance, domain, answer, held, left, tried, step: Step::Click }
    }

    #[test]
    fn a_waiting_client_costs_32_bytes() {
        assert_eq!(size_of::<Entry>(), 32);
    }

    #[test]
    fn what_shifts_comes_at_its_new_time() {
        for rate in [1.0, 1e3, 1e9] {
            let mut queue = Queue::new(rate, 1_000_000, true);
            for number in 0..100 {
                queue.push(entry(u64::from(number) * 20_000, number)).unwrap();
            }
            assert_eq!((queue.next_time(), queue.len()), (0, 51));
            queue.pop();
            // Of those within the end, one leaves it; of those beyond, one comes.
            let shift = |from, to| Shift { from, to };
            let shifts = [(10, shift(100_000, 1_100_000)), (90, shift(1_700_000, 5))];
            queue.shift(&shifts.into()).unwrap();
            let mut order = Vec::new();
            while queue.next_time() != u64::MAX {
                order.extend(queue.pop().map(|it| (it.time, it.domain)));
            }
            assert!(order.is_sorted() && order.len() == 50, "{order:?}");
            assert!(order.contains(&(100_005, 90)) && order.iter().all(|it| it.1 != 10));
        }
    }

    #[test]
    fn places_of_waits_are_used_again() {
        let mut waits = Waits::default();
        let wait = |clicked| Wait { clicked, held: 7 };
        let (one, two) = (waits.put(wait(1)), waits.put(wait(2)));
        assert_eq!((waits.take(one), waits.put(wait(3))), (wait(1), one));
        assert_eq!((waits.take(two), waits.take(one)), (wait(2), wait(3)));
    }

    #[test]
    fn what_is_for_after_the_end_is_left_out() {
        let mut queue = Queue::new(1.0, 1000, false);
        queue.push(entry(u64::MAX, 1)).unwrap();
        queue.push(entry(1000, 2)).unwrap();
        assert_eq!((queue.len(), queue.next_time()), (1, 1000));
        assert_eq!(queue.pop().map(|entry| entry.domain), Some(2));
        assert_eq!((queue.next_time(), queue.pop()), (u64::MAX, None));
    }

    #[test]
    fn entries_come_in_the_order_of_time_and_then_as_they_were_put_in() {
        for (seed, rate, spread) in [(1, 1e6, 1e9), (2, 10.0, 1e12), (3, 1e3, 3e15), (4, 1e9, 50.0)]
        {
            let mut generator = Generator::new(seed);
            let (mut queue, mut oracle) =
                (Queue::new(rate, u64::MAX, false), std::collections::BTreeMap::new());
            let (mut now, mut number) = (0, 0_u32);
            for _ in 0..20_000 {
                for _ in 0..generator.index(3).0 {
                    let time = now + (spread * generator.share().powi(3)) as u64;
                    queue.push(entry(time, number)).unwrap();
                    oracle.insert((time, number), ());
                    number += 1;
                }
                let first = oracle.pop_first().map(|(key, ())| key);
                assert_eq!(queue.next_time(), first.map_or(u64::MAX, |first| first.0));
                let popped = queue.pop().map(|it| (it.time, it.domain));
                assert_eq!(popped, first);
                now = first.map_or(now, |first| first.0);
                assert_eq!(queue.len(), oracle.len());
            }
        }
    }
}

//! The answers that are still cached somewhere, by server: what MRL and CRML weigh, and bounded
//! loads count.
//!
//! A grant is the right to one server for one TTL. Grants are not kept one by one: those of one
//! server that end within the same tick are one sum. The longer a grant lives, the longer its ticks:
//! a wheel of [`BUCKETS`] ticks holds what ends soon, the next one, of ticks twice as long, what it
//! cannot hold, and so on until the longest TTL fits. So the end of a grant is off by at most a 124th of
//! its TTL where all TTLs are alike, and by a 62nd where they differ; the memory is 260 bytes a server
//! and wheel, however many answers are given, and nothing is allocated. A wheel is there for each
//! doubling between the shortest and the longest TTL: one if there is one TTL, seven if the longest is
//! a hundred times the shortest.
//!
//! Threads tell each other two numbers a server: the weight of their living grants, and its residual
//! load. Until they are told again, others' grants fade as if they had been given evenly over one
//! TTL: after dt of a mean rest r the weight is (1 - dt / 2r) of what it was and the residual load
//! the square of that. For grants that did come evenly this is exact; for any others its slope is.
//!
//! All threads hear the same and would all send to the same servers until they hear again (the herd of
//! stale reports). So each takes it that the others do as it does itself: until it hears, what it gives
//! counts as often as there are threads like it.

use crate::world::Time;

/// How many ends of grants a wheel tells apart, but for one or two.
const BUCKETS: usize = 64;
/// The most wheels: the longest TTL is then some two hundred times the shortest one that is told apart
/// as well.
const WHEELS_MAX: u32 = 8;
/// More ticks of the first wheel than the last one reaches.
const TICKS_MAX: f64 = 1e6;
/// By wheel: 1 / how many ticks of the first one a tick of it is. (A division takes its time.)
const SHARES: [f64; WHEELS_MAX as usize] =
    [1.0, 1.0 / 2.0, 1.0 / 4.0, 1.0 / 8.0, 1.0 / 16.0, 1.0 / 32.0, 1.0 / 64.0, 1.0 / 128.0];

/// The living grants of one service: those of one answering thread, and those of all the others as
/// they were told last.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Grants {
    /// How many nanoseconds a tick of the first wheel covers; above 0. Of the next one twice that.
    tick: u64,
    /// 1 / tick.
    inverse: f64,
    /// At least 1.
    wheels: u32,
    /// The TTL in seconds that domains' weights are for; above 0.
    ttl_mean: f64,
    /// The first wheel's tick of the latest `now`, counted from time zero.
    current: u64,
    /// When it ends, in nanoseconds.
    turn_at: u64,
    /// This thread's, by wheel, tick in which they end (modulo [`BUCKETS`]) and server: sums of weights.
    ends: Box<[f32]>,
    /// This thread's by server. All moments are from the begin of `current` on.
    own: Box<[Living]>,
    /// Everybody else's by server, as told at `others_at`.
    others: Box<[Living]>,
    others_at: Time,
    /// How many times what this thread gives the others give.
    alike: f64,
    /// What they are taken to have given since they were heard, by server.
    expected: Box<[Living]>,
    /// All of them by server.
    living: Box<[Living]>,
}

/// Grants of one server.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Living {
    /// The sum of their weights.
    pub(super) weight: f64,
    /// The sum of weight times seconds from some moment to the end.
    pub(super) moment: f64,
}

impl Living {
    /// What is left of it after so many seconds.
    pub(super) fn faded(self, seconds: f64) -> Self {
        if seconds <= 0.0 {
            // Told a moment after the tick began: then it had so much longer to live.
            return Self { moment: self.moment - seconds * self.weight, ..self };
        }
        let left = 1.0 - seconds * self.weight / (2.0 * self.moment);
        // Without any moment this is no number, and nothing is left.
        if left > 0.0 {
            Self { weight: self.weight * left, moment: self.moment * left * left }
        } else {
            Self::default()
        }
    }

    pub(super) fn add(&mut self, other: Self) {
        self.weight += other.weight;
        self.moment += other.moment;
    }

    /// The residual load so many seconds after the tick began: each living grant's weight times the seconds
    /// left of it.
    #[inline]
    pub(super) const fn residual(self, since_turn: f64) -> f64 {
        // Grants end where ticks do: this is below zero by rounding errors alone.
        (self.moment - since_turn * self.weight).max(0.0)
    }

    fn times(self, factor: f64) -> Self {
        Self { weight: self.weight * factor, moment: self.moment * factor }
    }
}

impl Grants {
    /// None yet, for servers `0..servers` and TTLs from the shortest to the longest, in seconds, with
    /// domains' weights for the mean one. A shorter one is told apart less well.
    pub(super) fn between(servers: usize, (ttl_min, ttl_mean, ttl_max): (u32, u32, u32)) -> Self {
        let doublings = (ttl_max.max(1) / ttl_min.max(1)).checked_ilog2().unwrap_or(0);
        let wheels = 1 + doublings.min(WHEELS_MAX - 1);
        // The last bucket must not be the one that is just ending.
        let ticks = (BUCKETS as u64 - 2) << (wheels - 1);
        let tick = (u64::from(ttl_max.max(1)) * 1_000_000_000).div_ceil(ticks);
        let nobody = vec![Living::default(); servers].into_boxed_slice();
        Self {
            tick,
            inverse: 1.0 / tick as f64,
            wheels,
            ttl_mean: f64::from(ttl_mean.max(1)),
            current: 0,
            turn_at: tick,
            ends: vec![0.0; wheels as usize * servers * BUCKETS].into(),
            own: nobody.clone(),
            others: nobody.clone(),
            others_at: Time::ZERO,
            alike: 0.0,
            expected: nobody.clone(),
            living: nobody,
        }
    }

    /// The TTL in seconds that domains' weights are for.
    #[inline]
    pub(super) const fn ttl_mean(&self) -> f64 {
        self.ttl_mean
    }

    /// How many servers there are.
    pub(super) const fn servers(&self) -> usize {
        self.living.len()
    }

    /// Forgets what has ended by `now`; before anything else is asked. Time never goes back.
    #[inline]
    pub(super) fn advance(&mut self, now: Time) {
        if now.as_nanos() >= self.turn_at {
            self.turn(now);
        }
    }

    /// Adds a grant for so many seconds.
    #[inline]
    pub(super) fn add(&mut self, server: u32, weight: f64, now: Time, ttl: u32) {
        let server = server as usize;
        let end = now.as_nanos().saturating_add(u64::from(ttl) * 1_000_000_000);
        let added = self.add_until(server, weight, end);
        let likewise = added.times(self.alike);
        if let (Some(living), Some(expected)) =
            (self.living.get_mut(server), self.expected.get_mut(server))
        {
            living.add(added);
            living.add(likewise);
            expected.add(likewise);
        }
    }

    /// Adds to what is this thread's, and says what.
    #[inline]
    fn add_until(&mut self, server: usize, weight: f64, end: u64) -> Living {
        // Beyond the last wheel's reach they are all alike; so they fit into 32 bits, too.
        let ticks = (end.saturating_sub(self.begin()) as f64 * self.inverse).min(TICKS_MAX);
        // The first wheel that reaches so far; what is beyond the last one is cut.
        let reaches = ticks as u32 / (BUCKETS as u32 - 2);
        let wheel = (u32::BITS - reaches.leading_zeros()).min(self.wheels - 1);
        let begun = self.current >> wheel;
        let since_begin = f64::from((self.current - (begun << wheel)) as u32);
        let behind = (ticks + since_begin) * SHARES[wheel as usize % SHARES.len()] + 0.5;
        // One that ends at once is there until the tick is over.
        let behind = (behind as u32).clamp(1, BUCKETS as u32 - 1);
        let left = f64::from(behind << wheel) - since_begin;
        let slot = slot_of(wheel, begun + u64::from(behind));
        let at = slot * self.others.len() + server;
        let (Some(own), Some(sum)) = (self.own.get_mut(server), self.ends.get_mut(at)) else {
            return Living::default();
        };
        // 24 bits: among a million grants each still counts. What is added is what will be taken off.
        let before = *sum;
        *sum += weight as f32;
        let weight = f64::from(*sum) - f64::from(before);
        let added = Living { weight, moment: weight * left * self.tick as f64 / 1e9 };
        own.add(added);
        added
    }

    /// The weight of a server's living grants.
    #[inline]
    pub(super) fn weight(&self, server: u32) -> f64 {
        self.living.get(server as usize).map_or(0.0, |living| living.weight)
    }

    /// The living grants of all servers, by place.
    #[inline]
    pub(super) const fn living(&self) -> &[Living] {
        &self.living
    }

    /// The residual load of a server.
    pub(super) fn residual(&self, server: u32, since_turn: f64) -> f64 {
        self.living.get(server as usize).copied().unwrap_or_default().residual(since_turn)
    }

    /// Seconds since the current tick began, for [`Living::residual`].
    #[inline]
    pub(super) const fn since_turn(&self, now: Time) -> f64 {
        now.as_nanos().saturating_sub(self.begin()) as f64 / 1e9
    }

    /// Writes down this thread's own grants as of `now`, for the others: as many servers as here.
    pub(super) fn tell(&mut self, now: Time, told: &mut [Living]) {
        self.advance(now);
        let since_turn = self.since_turn(now);
        told.fill(Living::default());
        for (told, own) in told.iter_mut().zip(&self.own) {
            *told = Living { moment: (own.moment - since_turn * own.weight).max(0.0), ..*own };
        }
    }

    /// What everybody else, so many of them, told together, as of that time, in place of what they
    /// told before. That of another number of servers is left out.
    pub(super) fn hear(&mut self, others: &[Living], speakers: u32, at: Time) {
        if others.len() != self.others.len() {
            return;
        }
        self.advance(at);
        self.others.copy_from_slice(others);
        self.others_at = at;
        self.expected.fill(Living::default());
        self.sum_up();
        let sum = |living: &[Living]| living.iter().map(|living| living.weight).sum::<f64>();
        let (theirs, own) = (sum(&self.others), sum(&self.own).max(0.0));
        self.alike = if theirs > 0.0 { (theirs / own).min(f64::from(speakers)) } else { 0.0 };
    }

    /// Goes over to these servers and these TTLs from others: `before` says where each was.
    pub(super) fn carry_over(&mut self, from: &mut Self, before: impl Fn(usize) -> Option<usize>) {
        let known = |server| before(server).filter(|place| *place < from.servers());
        self.begin_at(from.begin());
        self.others_at = from.others_at;
        let count = from.servers();
        for server in 0..self.servers() {
            let Some(place) = known(server) else { continue };
            self.others[server] = from.others[place];
            for (wheel, tick) in from.ticks() {
                let weight = f64::from(from.ends[slot_of(wheel, tick) * count + place]);
                if weight > 0.0 {
                    self.add_until(server, weight, (from.tick << wheel).saturating_mul(tick));
                }
            }
        }
        self.alike = from.alike;
        self.sum_up();
    }

    /// Likewise, where servers and TTLs are the same: at no cost.
    pub(super) fn take_over(&mut self, from: &mut Self) -> bool {
        let ttls = |it: &Self| (it.tick, it.wheels, it.ttl_mean.to_bits());
        let is_alike = ttls(self) == ttls(from) && self.servers() == from.servers();
        if is_alike {
            std::mem::swap(self, from);
        }
        is_alike
    }

    /// When the current tick began, in nanoseconds.
    const fn begin(&self) -> u64 {
        self.current * self.tick
    }

    const fn begin_at(&mut self, nanos: u64) {
        self.current = nanos / self.tick;
        self.turn_at = self.begin().saturating_add(self.tick);
    }

    /// The ticks that grants may end in, of all wheels: as (wheel, tick).
    fn ticks(&self) -> impl Iterator<Item = (u32, u64)> + use<> {
        let current = self.current;
        let behind =
            move |wheel: u32| (1..BUCKETS as u64).map(move |it| (wheel, it + (current >> wheel)));
        (0..self.wheels).flat_map(behind)
    }

    /// Goes on to the tick of `now`: takes off what has ended.
    #[cold]
    fn turn(&mut self, now: Time) {
        let before = self.current;
        self.begin_at(now.as_nanos());
        let tick = self.tick as f64 / 1e9;
        let seconds = (self.current - before) as f64 * tick;
        for living in self.own.iter_mut().chain(&mut self.expected) {
            living.moment -= seconds * living.weight;
        }
        for expected in self.expected.iter_mut().filter(|expected| expected.moment <= 0.0) {
            *expected = Living::default();
        }
        let servers = self.others.len();
        for wheel in 0..self.wheels {
            let (from, to) = (before >> wheel, self.current >> wheel);
            for ended in from + 1..=to.min(from + BUCKETS as u64 - 1) {
                let at = slot_of(wheel, ended) * servers;
                let since = (self.current - (ended << wheel)) as f64 * tick;
                for (own, sum) in self.own.iter_mut().zip(&mut self.ends[at..at + servers]) {
                    let weight = f64::from(std::mem::take(sum));
                    own.weight -= weight;
                    own.moment += weight * since;
                }
            }
        }
        let last = self.wheels - 1;
        if before >> last != self.current >> last {
            self.add_up_own();
        }
        self.sum_up();
    }

    /// What is this thread's, anew: so no rounding error piles up. As often as the last wheel ticks, each
    /// 62nd of the longest TTL.
    fn add_up_own(&mut self) {
        self.own.fill(Living::default());
        let servers = self.others.len();
        for (wheel, tick) in self.ticks() {
            let left = (tick << wheel).saturating_sub(self.current);
            let seconds = left as f64 * self.tick as f64 / 1e9;
            let ends = self.ends[slot_of(wheel, tick) * servers..].iter();
            for (own, weight) in self.own.iter_mut().zip(ends) {
                let weight = f64::from(*weight);
                own.add(Living { weight, moment: weight * seconds });
            }
        }
    }

    /// All together, from the parts.
    fn sum_up(&mut self) {
        let begin = Time::from_nanos(self.begin());
        let seconds = begin.as_secs_f64() - self.others_at.as_secs_f64();
        let parts = self.own.iter().zip(&self.others).zip(&self.expected);
        for (living, ((own, told), expected)) in self.living.iter_mut().zip(parts) {
            *living = told.faded(seconds);
            living.add(*expected);
            living.add(*own);
        }
    }
}

/// Where the sums of a wheel's tick stand.
#[inline]
const fn slot_of(wheel: u32, tick: u64) -> usize {
    wheel as usize * BUCKETS + tick as usize % BUCKETS
}

#[cfg(test)]
mod tests;

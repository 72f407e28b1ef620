//! The answers that are still cached somewhere, by server: what MRL and CRML weigh, and bounded
//! loads count.
//!
//! A grant is the right to one server for one TTL. Grants are not kept one by one: those of one
//! server that end within the same 62nd of the longest TTL are one sum. So the memory is some 300
//! bytes a server however many answers are given, nothing is allocated, and the end of a grant is off
//! by a 124th of the longest TTL at most.
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

/// Ends of grants are told apart to this part of the longest TTL, but for two.
const BUCKETS: usize = 64;

/// The living grants of one service: those of one answering thread, and those of all the others as
/// they were told last.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Grants {
    /// How many nanoseconds a bucket covers; above 0.
    bucket: u64,
    /// 1 / bucket.
    inverse: f64,
    /// The bucket of the latest `now`, counted from time zero.
    current: u64,
    /// When it ends, in nanoseconds.
    turn_at: u64,
    /// This thread's, by bucket of their end (modulo [`BUCKETS`]) and server: sums of weights.
    ends: Box<[f32]>,
    /// Everybody else's by server, as told at `others_at`.
    others: Box<[Living]>,
    others_at: Time,
    /// How many times what this thread gives the others give.
    alike: f64,
    /// What they are taken to have given since they were heard, by server. Moments are from the begin
    /// of `current` on.
    expected: Box<[Living]>,
    /// All of them by server. Moments are from the begin of `current` on.
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
            // Told a moment after the bucket began: then it had so much longer to live.
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
}

impl Grants {
    /// None yet, for servers `0..servers` and TTLs of up to so many seconds.
    pub(super) fn new(servers: usize, ttl_max: u32) -> Self {
        // The last bucket must not be the one that is just ending.
        let bucket = u64::from(ttl_max.max(1)) * 1_000_000_000 / (BUCKETS as u64 - 2);
        Self {
            bucket,
            inverse: 1.0 / bucket as f64,
            current: 0,
            turn_at: bucket,
            ends: vec![0.0; servers * BUCKETS].into(),
            others: vec![Living::default(); servers].into(),
            others_at: Time::ZERO,
            alike: 0.0,
            expected: vec![Living::default(); servers].into(),
            living: vec![Living::default(); servers].into(),
        }
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
        let end = now.as_nanos().saturating_add(u64::from(ttl) * 1_000_000_000);
        let added = self.add_until(server as usize, weight, end);
        if self.alike > 0.0 {
            let likewise =
                Living { weight: added.weight * self.alike, moment: added.moment * self.alike };
            for sums in [&mut self.living, &mut self.expected] {
                if let Some(sum) = sums.get_mut(server as usize) {
                    sum.add(likewise);
                }
            }
        }
    }

    #[inline]
    fn add_until(&mut self, server: usize, weight: f64, end: u64) -> Living {
        let nanos = end.saturating_sub(self.begin());
        // Longer TTLs than the longest are cut; what ends now is in the bucket of now.
        let behind = ((nanos as f64 * self.inverse) as usize).min(BUCKETS - 1);
        let slot = (self.current as usize + behind) % BUCKETS;
        let servers = self.living.len();
        let added = Living { weight, moment: weight * middle(behind, self.bucket) };
        let Some(living) = self.living.get_mut(server) else { return Living::default() };
        living.add(added);
        if let Some(sum) = self.ends.get_mut(slot * servers + server) {
            // 24 bits: in a bucket a million grants still count each.
            *sum += weight as f32;
        }
        added
    }

    /// The weight of a server's living grants.
    #[inline]
    pub(super) fn weight(&self, server: u32) -> f64 {
        self.living.get(server as usize).map_or(0.0, |living| living.weight)
    }

    /// The residual load of a server: each living grant's weight times the seconds left of it.
    #[inline]
    pub(super) fn residual(&self, server: u32, since_turn: f64) -> f64 {
        let living = self.living.get(server as usize).copied().unwrap_or_default();
        // A bucket's grants end in its middle: those of the current one may just have.
        (living.moment - since_turn * living.weight).max(0.0)
    }

    /// Seconds since the current bucket began, for [`Self::residual`].
    #[inline]
    pub(super) const fn since_turn(&self, now: Time) -> f64 {
        now.as_nanos().saturating_sub(self.begin()) as f64 / 1e9
    }

    /// Writes down this thread's own grants as of `now`, for the others: as many servers as here.
    pub(super) fn tell(&mut self, now: Time, told: &mut [Living]) {
        self.advance(now);
        told.fill(Living::default());
        self.add_own(told);
        let since_turn = self.since_turn(now);
        for living in told {
            living.moment = (living.moment - since_turn * living.weight).max(0.0);
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
        let theirs = sum(&self.others);
        let own = (sum(&self.living) - theirs).max(0.0);
        self.alike = if theirs > 0.0 { (theirs / own).min(f64::from(speakers)) } else { 0.0 };
    }

    /// Goes over to these servers and this longest TTL from others: `before` says where each was.
    pub(super) fn carry_over(&mut self, from: &mut Self, before: impl Fn(usize) -> Option<usize>) {
        let known = |server| before(server).filter(|place| *place < from.servers());
        self.begin_at(Time::from_nanos(from.begin()));
        self.others_at = from.others_at;
        let count = from.servers();
        for server in 0..self.servers() {
            let Some(place) = known(server) else { continue };
            self.others[server] = from.others[place];
            for behind in 0..BUCKETS {
                let slot = (from.current as usize + behind) % BUCKETS;
                let weight = f64::from(from.ends[slot * count + place]);
                if weight > 0.0 {
                    let end =
                        from.begin().saturating_add(from.bucket * (2 * behind as u64 + 1) / 2);
                    self.add_until(server, weight, end);
                }
            }
        }
        self.alike = from.alike;
        self.sum_up();
    }

    /// Likewise, where servers and longest TTL are the same: at no cost.
    pub(super) fn take_over(&mut self, from: &mut Self) -> bool {
        let is_alike = self.bucket == from.bucket && self.servers() == from.servers();
        if is_alike {
            std::mem::swap(self, from);
        }
        is_alike
    }

    /// When the current bucket began, in nanoseconds.
    const fn begin(&self) -> u64 {
        self.turn_at.saturating_sub(self.bucket)
    }

    fn begin_at(&mut self, now: Time) {
        self.current = now.as_nanos() / self.bucket;
        self.turn_at = (self.current + 1).saturating_mul(self.bucket);
    }

    /// Goes on to the bucket of `now`. Rare (each 62nd of a TTL), so that sums are made anew instead
    /// of carried on: no rounding error piles up.
    #[cold]
    fn turn(&mut self, now: Time) {
        let (before, servers) = (self.current, self.servers());
        let begun = self.begin();
        self.begin_at(now);
        let seconds = self.begin().saturating_sub(begun) as f64 / 1e9;
        for expected in &mut self.expected {
            expected.moment -= seconds * expected.weight;
            if expected.moment <= 0.0 {
                *expected = Living::default();
            }
        }
        let passed = (self.current - before).min(BUCKETS as u64);
        for bucket in before..before + passed {
            let at = bucket as usize % BUCKETS * servers;
            self.ends[at..at + servers].fill(0.0);
        }
        self.sum_up();
    }

    fn sum_up(&mut self) {
        let begin = Time::from_nanos(self.begin());
        let seconds = begin.as_secs_f64() - self.others_at.as_secs_f64();
        let mut living = std::mem::take(&mut self.living);
        for (sum, told) in living.iter_mut().zip(&self.others) {
            *sum = told.faded(seconds);
        }
        living.iter_mut().zip(&self.expected).for_each(|(sum, expected)| sum.add(*expected));
        self.add_own(&mut living);
        self.living = living;
    }

    /// This thread's, with moments from the begin of the current bucket on.
    fn add_own(&self, sums: &mut [Living]) {
        let servers = self.others.len();
        if servers == 0 {
            return;
        }
        for behind in 0..BUCKETS {
            let seconds = middle(behind, self.bucket);
            let slot = (self.current as usize + behind) % BUCKETS;
            let ends = self.ends[slot * servers..].iter();
            for (sum, weight) in sums.iter_mut().zip(ends) {
                let weight = f64::from(*weight);
                sum.add(Living { weight, moment: weight * seconds });
            }
        }
    }
}

/// Seconds from the begin of the current bucket to the middle of one so many behind it.
#[inline]
const fn middle(behind: usize, bucket: u64) -> f64 {
    (behind as f64 + 0.5) * bucket as f64 / 1e9
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Time {
        Time::from_millis(millis)
    }

    fn residual(grants: &mut Grants, server: u32, now: Time) -> f64 {
        grants.advance(now);
        grants.residual(server, grants.since_turn(now))
    }

    fn told(grants: &mut Grants, now: Time) -> Vec<Living> {
        let mut told = vec![Living::default(); grants.servers()];
        grants.tell(now, &mut told);
        told
    }

    #[test]
    fn a_grant_fades_until_it_ends() {
        let mut grants = Grants::new(2, 62);
        grants.advance(at(10_000));
        grants.add(1, 3.0, at(10_000), 60);
        for (millis, expected) in [(10_000, 180.0), (40_000, 90.0), (69_000, 3.0), (72_000, 0.0)] {
            let residual = residual(&mut grants, 1, at(millis));
            // A bucket is a second: half of one either way, for a weight of 3.
            assert!((residual - expected).abs() <= 1.5 + 1e-3, "{millis}: {residual}");
        }
        assert_eq!(grants.weight(1), 0.0);
        assert_eq!(grants.weight(0), 0.0);
    }

    #[test]
    fn a_server_that_is_not_there_changes_nothing() {
        let mut grants = Grants::new(1, 30);
        let before = grants.clone();
        grants.add(7, 1.0, Time::ZERO, 30);
        assert_eq!(grants, before);
        assert_eq!(grants.weight(7) + grants.residual(7, 0.0), 0.0);
        let mut nobody = Grants::new(0, 0);
        nobody.advance(at(1 << 40));
        nobody.add(0, 1.0, at(1 << 40), 30);
    }

    #[test]
    fn a_long_silence_forgets_everything() {
        for late in [Time::from_secs(1 << 30), Time::from_nanos(u64::MAX - 1)] {
            let mut grants = Grants::new(1, 30);
            grants.add(0, 1.0, Time::ZERO, 30);
            assert_eq!(residual(&mut grants, 0, late), 0.0);
        }
        let mut grants = Grants::new(1, 30);
        grants.advance(Time::from_secs(1 << 30));
        grants.add(0, 1.0, Time::from_secs(1 << 30), 30);
        assert!(residual(&mut grants, 0, Time::from_secs(1 << 30)) > 29.0);
    }

    #[test]
    fn what_others_tell_counts_like_ones_own() {
        let (mut one, mut other) = (Grants::new(2, 30), Grants::new(2, 30));
        let mut all = Grants::new(2, 30);
        for (grants, server, second) in [(&mut one, 0, 1), (&mut other, 1, 2)] {
            for grants in [grants, &mut all] {
                grants.advance(Time::from_secs(second));
                grants.add(server, 2.0, Time::from_secs(second), 30);
            }
        }
        let now = Time::from_secs(5);
        one.advance(now);
        one.hear(&told(&mut other, now), 1, now);
        all.advance(now);
        for server in 0..2 {
            assert!((one.weight(server) - all.weight(server)).abs() < 1e-6);
            let since = one.since_turn(now);
            let (heard, own) = (one.residual(server, since), all.residual(server, since));
            assert!((heard - own).abs() < 1.0, "{heard} {own}");
        }
        // What was told before is replaced, and nothing is told on.
        one.hear(&told(&mut other, now), 1, now);
        assert!((one.weight(1) - 2.0).abs() < 1e-6);
        assert_eq!(told(&mut one, now)[1], Living::default());
    }

    #[test]
    fn others_are_taken_to_do_likewise_until_they_are_heard() {
        let (mut one, mut other) = (Grants::new(2, 30), Grants::new(2, 30));
        let now = at(1_000);
        for (grants, weight) in [(&mut one, 2.0), (&mut other, 6.0)] {
            grants.advance(now);
            grants.add(0, weight, now, 30);
        }
        // The other gives three times as much, but is one alone; then twice as much, as by two.
        for (speakers, alike) in [(1, 1.0), (7, 2.0)] {
            one.hear(&told(&mut other, now), speakers, now);
            one.add(1, 1.0, now, 30);
            assert!((one.weight(1) - told(&mut one, now)[1].weight - alike).abs() < 1e-6);
        }
        // Told truly, and gone when it is heard again.
        assert_eq!(told(&mut one, now)[1].weight, 2.0);
        assert!(residual(&mut one, 1, at(20_000)) > 3.0 * 10.0);
        one.hear(&told(&mut other, at(20_000)), 1, at(20_000));
        assert!((one.weight(1) - 2.0).abs() < 1e-6);
    }

    #[test]
    fn what_was_told_fades_as_grants_do_that_came_evenly() {
        let (mut one, mut other) = (Grants::new(1, 30), Grants::new(1, 30));
        for tenth in 0..300 {
            let now = at(tenth * 100);
            other.advance(now);
            other.add(0, 1.0, now, 30);
        }
        let now = at(30_000);
        one.advance(now);
        one.hear(&told(&mut other, now), 1, now);
        for second in [30, 33, 40, 55] {
            let now = Time::from_secs(second);
            let (heard, own) = (residual(&mut one, 0, now), residual(&mut other, 0, now));
            // Of 4,500 at first; half a bucket is 75.
            assert!((heard - own).abs() < 100.0, "{second}: {heard} for {own}");
            assert!((one.weight(0) - other.weight(0)).abs() < 8.0, "{second}");
        }
        assert_eq!(residual(&mut one, 0, Time::from_secs(61)), 0.0);
    }

    #[test]
    fn other_servers_and_ttls_keep_what_is_theirs() {
        let mut before = Grants::new(3, 30);
        before.add(0, 1.0, Time::ZERO, 30);
        before.add(2, 5.0, Time::ZERO, 30);
        let mut after = Grants::new(2, 60);
        assert!(!after.take_over(&mut before));
        after.carry_over(&mut before, |server| [Some(2), None][server]);
        assert_eq!((after.weight(0), after.weight(1)), (5.0, 0.0));
        assert!((residual(&mut after, 0, at(10_000)) - 100.0).abs() < 5.0);
        let mut alike = Grants::new(2, 60);
        assert!(alike.take_over(&mut after));
        assert_eq!(alike.weight(0), 5.0);
    }
}

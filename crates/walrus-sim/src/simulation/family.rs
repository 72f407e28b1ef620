//! How a resolver chooses among the name servers of a zone: the families of papers.md 10.
//!
//! *The problem.* The thesis' round-trip-time method needs resolvers that ask the nearest name server.
//! Some do, most of the time; others do not care.
//!
//! *The rules*, as far as they matter here:
//! - `bind`: the lowest smoothed round-trip time. An answer moves it: 0.7 old + 0.3 new; at each answer
//!   those of the others fall by 2 %, so that they are tried again. Who was never asked begins with a
//!   small random time, so that all are tried first. A timeout doubles it, to at least the timeout.
//! - `unbound`: any of those within 400 ms of the lowest, at random; who was never asked counts with
//!   376 ms. Each timeout in a row doubles the time, from at least 50 ms on. What is known of one is forgotten 15
//!   minutes after it was first asked (`infra-host-ttl`): so one that was out is tried again, and left again while
//!   it is still out.
//! - `knot`: who was never asked first; else the lowest time plus four deviations (RFC 6298), and one
//!   time in twenty any. Four timeouts in a row: dead for a second.
//! - `uniform`: any, at random. `sticky`: one, drawn at the start, until it fails; then any other that
//!   answers.
//!
//! No family asks a name server twice for one question while there is another that it has not asked.
//!
//! *When it is wrong.* The constants are those that are told of these programs, not measured ones;
//! versions differ, and many resolvers are farms with a cache each.
//!
//! *Example.* Two name servers at 10 ms and 90 ms: BIND asks the far one again when its time has fallen
//! below 10 ms: after ln(9) / 0.02 = 109 answers of the near one.

use walrus_core::world::Generator;

use super::study::Family;

/// What a resolver knows of one name server.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Acquaintance {
    /// Smoothed round-trip time in milliseconds; 0 if it was never asked.
    smoothed: f32,
    /// Smoothed deviation in milliseconds (`knot`).
    deviation: f32,
    /// Dead (`knot`) or known (`unbound`) until then, in milliseconds since the start; 0 if it never was.
    until: u32,
    /// Timeouts in a row.
    timeouts: u16,
    /// The one that is stuck to (`sticky`).
    chosen: bool,
}

const UNBOUND_UNKNOWN: f32 = 376.0;
const UNBOUND_BAND: f32 = 400.0;
/// The least time that a timeout doubles, and for how many milliseconds one is known.
const UNBOUND_LEAST: f32 = 50.0;
const UNBOUND_KNOWN: u32 = 900_000;
const TIME_MAX: f32 = 120_000.0;

impl Acquaintance {
    pub(super) const UNKNOWN: Self =
        Self { smoothed: 0.0, deviation: 0.0, until: 0, timeouts: 0, chosen: false };

    /// The time that `unbound` reckons with.
    fn unbound_time(&self, now_ms: u32) -> f32 {
        if self.until <= now_ms {
            return UNBOUND_UNKNOWN;
        }
        let time = if self.smoothed == 0.0 { UNBOUND_UNKNOWN } else { self.smoothed };
        match self.timeouts {
            0 => time,
            many => (time.max(UNBOUND_LEAST) * f32::from(many.min(32)).exp2()).min(TIME_MAX),
        }
    }

    /// `unbound` begins anew with one that it does not know any more.
    fn meet(&mut self, family: Family, now_ms: u32) {
        if family == Family::Unbound && self.until <= now_ms {
            *self = Self { until: now_ms.saturating_add(UNBOUND_KNOWN), ..Self::UNKNOWN };
        }
    }
}

/// Before the first question: `bind` begins with small random times, `sticky` with its choice.
pub(super) fn begin(family: Family, known: &mut [Acquaintance], generator: &mut Generator) {
    match family {
        Family::Bind => {
            known.iter_mut().for_each(|it| it.smoothed = 0.001 + 0.03 * generator.share() as f32);
        }
        Family::Sticky => {
            let (chosen, _) = generator.index(known.len() as u32);
            known[chosen as usize].chosen = true;
        }
        Family::Unbound | Family::Knot | Family::Uniform => {}
    }
}

/// The name server to ask; `asked` has a bit for each that was asked already for this question.
pub(super) fn choose(
    family: Family,
    known: &[Acquaintance],
    asked: u32,
    now_ms: u32,
    generator: &mut Generator,
) -> usize {
    let all = (1_u64 << known.len()) - 1;
    let open = if u64::from(asked) & all == all { 0 } else { asked };
    let is_open = |place: usize| open >> place & 1 == 0;
    let places = (0..known.len()).filter(|place| is_open(*place));
    match family {
        Family::Uniform => any(places, generator),
        Family::Bind => lowest(places, |place| known[place].smoothed),
        Family::Unbound => {
            let time = |place: usize| known[place].unbound_time(now_ms);
            let least = places.clone().map(time).fold(f32::MAX, f32::min);
            any(places.filter(|place| time(*place) <= least + UNBOUND_BAND), generator)
        }
        Family::Knot => {
            let alive = |place: &usize| known[*place].until <= now_ms;
            let living = places.clone().filter(alive);
            if living.clone().next().is_none() {
                return any(places, generator);
            }
            let unknown = living.clone().filter(|place| known[*place].smoothed == 0.0);
            if unknown.clone().next().is_some() {
                return any(unknown, generator);
            }
            if generator.index(20).0 == 0 {
                return any(living, generator);
            }
            lowest(living, |place| known[place].smoothed + 4.0 * known[place].deviation)
        }
        Family::Sticky => {
            let chosen = known.iter().position(|it| it.chosen).unwrap_or_default();
            if is_open(chosen) { chosen } else { any(places, generator) }
        }
    }
}

/// It answered after so many milliseconds.
pub(super) fn answered(
    family: Family,
    known: &mut [Acquaintance],
    place: usize,
    time: f32,
    now_ms: u32,
) {
    let time = time.max(0.001);
    known[place].meet(family, now_ms);
    if family == Family::Bind {
        known.iter_mut().for_each(|other| other.smoothed *= 0.98);
        // Its own does not decay.
        known[place].smoothed /= 0.98;
    }
    if family == Family::Sticky {
        known.iter_mut().for_each(|other| other.chosen = false);
        known[place].chosen = true;
    }
    let one = &mut known[place];
    one.timeouts = 0;
    match family {
        // The small time that it begins with is no measurement.
        Family::Bind if one.smoothed < 0.05 => one.smoothed = time,
        Family::Bind => one.smoothed = 0.7 * one.smoothed + 0.3 * time,
        Family::Unbound | Family::Knot if one.smoothed == 0.0 => {
            one.smoothed = time;
            one.deviation = time / 2.0;
        }
        Family::Unbound | Family::Knot => {
            one.deviation = 0.75 * one.deviation + 0.25 * (one.smoothed - time).abs();
            one.smoothed = 0.875 * one.smoothed + 0.125 * time;
        }
        Family::Uniform | Family::Sticky => {}
    }
}

/// It did not answer in so many milliseconds.
pub(super) fn timed_out(
    family: Family,
    known: &mut [Acquaintance],
    place: usize,
    time: f32,
    now_ms: u32,
) {
    let one = &mut known[place];
    one.meet(family, now_ms);
    one.timeouts = one.timeouts.saturating_add(1);
    match family {
        Family::Bind => one.smoothed = (2.0 * one.smoothed).clamp(time, TIME_MAX),
        Family::Knot => {
            if one.smoothed == 0.0 {
                one.smoothed = time;
            }
            if one.timeouts >= 4 {
                one.until = now_ms.saturating_add(1000);
                one.timeouts = 0;
            }
        }
        // What it is for `unbound`, the number of timeouts says.
        Family::Unbound | Family::Uniform | Family::Sticky => {}
    }
}

fn any(places: impl Iterator<Item = usize> + Clone, generator: &mut Generator) -> usize {
    let count = places.clone().count() as u32;
    let (chosen, _) = generator.index(count.max(1));
    places.into_iter().nth(chosen as usize).unwrap_or_default()
}

fn lowest(places: impl Iterator<Item = usize>, time: impl Fn(usize) -> f32) -> usize {
    let mut best = (f32::MAX, 0);
    for place in places {
        if time(place) < best.0 {
            best = (time(place), place);
        }
    }
    best.1
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Which name servers a resolver asks, one question a minute.
    fn asked(family: Family, times: &[f32], questions: usize, seed: u64) -> Vec<usize> {
        let mut generator = Generator::new(seed);
        let mut known = vec![Acquaintance::UNKNOWN; times.len()];
        begin(family, &mut known, &mut generator);
        let mut asked = Vec::new();
        for number in 0..questions {
            let now = number as u32 * 60_000;
            let place = choose(family, &known, 0, now, &mut generator);
            answered(family, &mut known, place, times[place], now);
            asked.push(place);
        }
        asked
    }

    fn share(asked: &[usize], place: usize) -> f64 {
        asked.iter().filter(|it| **it == place).count() as f64 / asked.len() as f64
    }

    #[test]
    fn bind_and_knot_prefer_the_nearest_and_unbound_does_not_care() {
        let times = [90.0, 10.0, 200.0];
        let share_of = |family| share(&asked(family, &times, 20_000, 5), 1);
        assert!(share_of(Family::Bind) > 0.95, "{}", share_of(Family::Bind));
        // 95 % and a third of the rest, within five deviations.
        assert!((share_of(Family::Knot) - (0.95 + 0.05 / 3.0)).abs() < 0.005);
        for family in [Family::Unbound, Family::Uniform] {
            assert!((share_of(family) - 1.0 / 3.0).abs() < 5.0 * (2.0_f64 / 9.0 / 20_000.0).sqrt());
        }
        let far = asked(Family::Unbound, &[10.0, 900.0], 2000, 5);
        // Beyond the band: asked only when it is forgotten, each 15 minutes.
        assert!(share(&far, 0) > 0.9, "{}", share(&far, 0));
    }

    #[test]
    fn everybody_but_the_sticky_tries_all_soon() {
        for family in [Family::Bind, Family::Knot] {
            let mut first = asked(family, &[5.0, 4.0, 3.0, 2.0, 1.0], 5, 9);
            first.sort_unstable();
            assert_eq!(first, [0, 1, 2, 3, 4], "{family:?}");
        }
        let sticky = asked(Family::Sticky, &[5.0, 4.0, 3.0], 100, 9);
        assert!(sticky.iter().all(|place| *place == sticky[0]));
    }

    #[test]
    fn unbound_comes_back_to_one_that_was_out() {
        let mut generator = Generator::new(1);
        let mut known = vec![Acquaintance::UNKNOWN; 2];
        let mut asked = vec![0_u32; 100];
        // One question a minute; the first name server is out from minute 10 to 40.
        for minute in 0..100_u32 {
            let now = minute * 60_000;
            for _ in 0..10 {
                let place = choose(Family::Unbound, &known, 0, now, &mut generator);
                asked[minute as usize] += u32::from(place == 0);
                if place == 0 && (10..40).contains(&minute) {
                    timed_out(Family::Unbound, &mut known, place, 800.0, now);
                } else {
                    answered(Family::Unbound, &mut known, place, 10.0, now);
                }
            }
        }
        let sum = |minutes: std::ops::Range<usize>| asked[minutes].iter().sum::<u32>();
        // Half of 100, within five deviations.
        assert!((25..=75).contains(&sum(0..10)), "{asked:?}");
        // Each 15 minutes anew it takes a few timeouts: 50, 100, 200, 400, 800 ms.
        assert!((4..=20).contains(&sum(10..40)), "{asked:?}");
        assert!(sum(56..100) > 165, "half of 440, less five deviations: {asked:?}");
    }

    #[test]
    fn who_does_not_answer_is_left() {
        for family in [Family::Bind, Family::Unbound, Family::Knot, Family::Uniform, Family::Sticky]
        {
            let mut generator = Generator::new(3);
            let mut known = vec![Acquaintance::UNKNOWN; 3];
            begin(family, &mut known, &mut generator);
            let first = choose(family, &known, 0, 0, &mut generator);
            timed_out(family, &mut known, first, 800.0, 0);
            let second = choose(family, &known, 1 << first, 800, &mut generator);
            assert_ne!(first, second, "{family:?}");
            answered(family, &mut known, second, 20.0, 800);
            if family == Family::Sticky {
                assert_eq!(choose(family, &known, 0, 60_000, &mut generator), second);
            }
            // All asked: it begins anew.
            assert!(choose(family, &known, 0b111, 60_000, &mut generator) < 3);
        }
    }
}

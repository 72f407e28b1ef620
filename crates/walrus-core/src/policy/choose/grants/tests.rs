//! Grants that fade and end, are told and carried over.

use super::*;

impl Grants {
    /// None yet, for servers `0..servers` and TTLs of so many seconds.
    pub(in crate::policy::choose) fn new(servers: usize, ttl: u32) -> Self {
        Self::between(servers, (ttl, ttl, ttl))
    }
}

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
        // A tick is a second: half of one either way, for a weight of 3.
        assert!((residual - expected).abs() <= 1.5 + 1e-3, "{millis}: {residual}");
    }
    assert_eq!(grants.weight(1), 0.0);
    assert_eq!(grants.weight(0), 0.0);
}

#[test]
fn short_grants_among_long_ones_end_in_time() {
    let mut grants = Grants::between(1, (6, 60, 600));
    for start in [0_u64, 100_000, 777_777] {
        for ttl in [6_u32, 7, 12, 25, 60, 130, 599, 600] {
            let begun = start + u64::from(ttl) * 7;
            for (part, left) in [(0, 1.0), (250, 0.75), (500, 0.5), (900, 0.1), (1_020, 0.0)] {
                let mut grants = grants.clone();
                grants.advance(at(begun));
                grants.add(0, 3.0, at(begun), ttl);
                let seconds = f64::from(ttl);
                let found = residual(&mut grants, 0, at(begun + u64::from(ttl) * part));
                let error = (found - 3.0 * left * seconds).abs();
                assert!(error <= 3.0 * seconds / 62.0 + 1e-3, "{ttl} s, {part}: {found}");
                assert_eq!(grants.weight(0) > 0.0, left > 0.0, "{ttl} s, {part}");
            }
        }
        grants.advance(at(start));
    }
}

#[test]
fn sums_are_those_of_the_grants_that_live() {
    let mut draws = crate::world::Generator::new(11);
    let mut grants = Grants::between(2, (3, 30, 300));
    let mut given: Vec<(u32, f64, u64, u32)> = Vec::new();
    let mut millis = 0;
    for _ in 0..3_000 {
        millis += u64::from(draws.index(400).0);
        let (server, ttl) = (draws.index(2).0, 3 + draws.index(298).0);
        let weight = 1.0 + 1e3 * draws.share().powi(8);
        grants.advance(at(millis));
        grants.add(server, weight, at(millis), ttl);
        given.push((server, weight, millis, ttl));
        given.retain(|(_, _, from, ttl)| from + u64::from(*ttl) * 1_100 > millis);
        let since = grants.since_turn(at(millis));
        for server in 0..2 {
            let (mut exact, mut error) = (0.0, 1e-6);
            for (_, weight, from, ttl) in given.iter().filter(|it| it.0 == server) {
                let left = f64::from(*ttl) - (millis - from) as f64 / 1e3;
                exact += weight * left.max(0.0);
                error += weight * f64::from(*ttl) / 62.0;
            }
            let found = grants.residual(server, since);
            assert!((found - exact).abs() <= error, "{found} for {exact}, give or take {error}");
        }
    }
    grants.advance(at(millis + 400_000));
    assert_eq!(*grants.living, [Living::default(); 2]);
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
        // Of 4,500 at first; half a tick is 75.
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
    let mut adaptive = Grants::between(2, (6, 60, 60));
    assert!(!adaptive.take_over(&mut alike), "other wheels");
    adaptive.carry_over(&mut alike, Some);
    assert!((residual(&mut adaptive, 0, at(10_000)) - 100.0).abs() < 7.5);
}

//! Stable allocation against its definition, and against deferred acceptance as it is written down.

use proptest::prelude::*;

use super::*;

/// (demand, threshold, kilometres to each cluster in order; `None` is none of its clusters).
type Asked = (f64, f64, Vec<Option<u32>>);

fn units(asked: &[Asked]) -> Vec<Unit<std::vec::IntoIter<(ClusterId, Distance)>>> {
    let unit = |(demand, threshold, kilometres): &Asked| {
        let known = (0..).map(ClusterId).zip(kilometres);
        let mut order: Vec<(ClusterId, Distance)> =
            known.filter_map(|(id, far)| Some((id, Distance::Kilometres((*far)?)))).collect();
        order.sort_by_key(|(id, distance)| (*distance, *id));
        let (demand, threshold) = (*demand, *threshold);
        Unit { demand, threshold, kept: Vec::new(), order: order.into_iter() }
    };
    asked.iter().map(unit).collect()
}

fn rooms(capacities: &[f64]) -> Vec<Room> {
    capacities.iter().map(|capacity| Room { capacity: *capacity, used: 0.0 }).collect()
}

/// Allocates, and spreads what is left as one service's.
fn all(asked: &[Asked], capacities: &[f64]) -> (Vec<Placed>, Vec<Room>) {
    let mut rooms = rooms(capacities);
    let mut placed = allocate(&mut units(asked), &mut rooms);
    let clusters: Vec<ClusterId> = (0..).map(ClusterId).take(capacities.len()).collect();
    let rests = asked.iter().map(|asked| asked.0).zip(&mut placed);
    overflow(&mut rests.filter(|(_, it)| it.rest > 0.0).collect::<Vec<_>>(), &clusters, &mut rooms);
    (placed, rooms)
}

fn percent(placed: &Placed) -> Vec<(u32, u32)> {
    placed.shares.iter().map(|(id, share)| (id.0, (share * 100.0).round() as u32)).collect()
}

/// Asked for; capacities; shares in percent; what fits nowhere, in percent.
type Case<'a> = (&'a [Asked], &'a [f64], &'a [&'a [(u32, u32)]], &'a [u32]);

#[test]
fn worked_examples() {
    let near =
        |kilometres: &[u32]| -> Vec<Option<u32>> { kilometres.iter().copied().map(Some).collect() };
    let cases: &[Case<'_>] = &[
        // Room for all: everybody at the nearest.
        (
            &[(60.0, 0.8, near(&[0, 9])), (20.0, 0.8, near(&[0, 9]))],
            &[100.0, 100.0],
            &[&[(0, 100)], &[(0, 100)]],
            &[0, 0],
        ),
        // The example of the policy's header: x, y and z.
        (
            &[
                (60.0, 0.8, near(&[0, 500, 900])),
                (60.0, 0.8, near(&[0, 500, 900])),
                (70.0, 0.8, near(&[500, 0, 900])),
            ],
            &[100.0, 100.0, 100.0],
            &[&[(0, 100)], &[(0, 33), (1, 17), (2, 50)], &[(1, 100)]],
            &[0, 0, 0],
        ),
        // ... without c: 30 requests/s go where 20 each are left above the threshold.
        (
            &[
                (60.0, 0.8, near(&[0, 500])),
                (60.0, 0.8, near(&[0, 500])),
                (70.0, 0.8, near(&[500, 0])),
            ],
            &[100.0, 100.0],
            &[&[(0, 100)], &[(0, 58), (1, 42)], &[(1, 100)]],
            &[0, 50, 0],
        ),
        // A nearer area pushes a farther one out although that comes first by name.
        (
            &[(50.0, 0.8, near(&[300, 800])), (60.0, 0.8, near(&[100, 900]))],
            &[100.0, 100.0],
            &[&[(0, 40), (1, 60)], &[(0, 100)]],
            &[0, 0],
        ),
        // More than all can serve: headroom first (20 and 40), the other 120 by capacity (40, 80).
        (&[(420.0, 0.8, near(&[1, 2]))], &[100.0, 200.0], &[&[(0, 33), (1, 67)]], &[43]),
        // Nothing asked for yet, or nobody can serve anything.
        (&[(0.0, 0.8, near(&[2, 1]))], &[0.0, 0.0], &[&[(1, 100)]], &[0]),
        (&[(5.0, 0.8, near(&[2, 1]))], &[0.0, 0.0], &[&[(0, 50), (1, 50)]], &[100]),
        // Each service fills a cluster up to its own threshold.
        (
            &[(60.0, 0.5, near(&[1, 2])), (60.0, 0.9, near(&[2, 3]))],
            &[100.0, 100.0],
            &[&[(0, 83), (1, 17)], &[(0, 67), (1, 33)]],
            &[0, 0],
        ),
    ];
    for (index, (asked, capacities, shares, rests)) in cases.iter().enumerate() {
        let (placed, _) = all(asked, capacities);
        let found: Vec<Vec<(u32, u32)>> = placed.iter().map(percent).collect();
        assert_eq!(found, *shares, "case {index}");
        let found: Vec<u32> = placed.iter().map(|it| (it.rest * 100.0).round() as u32).collect();
        assert_eq!(found, *rests, "case {index}");
    }
}

#[test]
fn a_splinter_is_not_split_off() {
    let (placed, _) = all(&[(100.0, 0.8, vec![Some(1), Some(2)])], &[124.5, 1000.0]);
    assert_eq!(placed[0].shares, [(ClusterId(0), 1.0)], "99.6 of 100");
    let (placed, _) = all(
        &[(80.0, 0.8, vec![Some(1), None]), (50.0, 0.8, vec![Some(2), Some(3)])],
        &[100.5, 1000.0],
    );
    assert_eq!(placed[1].shares, [(ClusterId(1), 1.0)], "0.4 of 50 would have fitted");
    assert_eq!((placed[1].full, placed[1].first_full), (1, Some(ClusterId(0))));
}

#[test]
fn of_many_clusters_those_with_most_left_take_what_fits_nowhere() {
    let near = |cluster: usize| -> Vec<Option<u32>> {
        (0..9).map(|other| (other == cluster).then_some(1)).collect()
    };
    // 10, 20, ... 90 are left above the threshold.
    let capacities: Vec<f64> = (1..=9).map(|n| f64::from(n) * 50.0).collect();
    let mut asked: Vec<Asked> = (0..9).map(|n| (capacities[n] * 0.8, 0.8, near(n))).collect();
    asked.push((100.0, 0.8, near(0)));
    let (placed, _) = all(&asked, &capacities);
    assert_eq!(percent(&placed[9]), [(5, 20), (6, 23), (7, 27), (8, 30)], "300 for 100");
    asked[9].0 = 180.0;
    let (placed, rooms) = all(&asked, &capacities);
    assert_eq!(placed[9].shares.len(), 6, "390 for 180");
    assert!(rooms.iter().all(|room| room.used < room.capacity));
}

#[test]
fn what_is_kept_is_kept_though_others_like_the_place_better() {
    let mut units =
        units(&[(60.0, 0.8, vec![Some(9), Some(1)]), (60.0, 0.8, vec![Some(1), Some(9)])]);
    units[0].kept = vec![(ClusterId(0), 0.5)];
    let placed = allocate(&mut units, &mut rooms(&[100.0, 100.0]));
    assert_eq!(percent(&placed[0]), [(0, 50), (1, 50)]);
    assert_eq!(percent(&placed[1]), [(0, 83), (1, 17)]);
}

fn asked(most: usize) -> impl Strategy<Value = (Vec<Asked>, Vec<f64>)> {
    (1..6_usize).prop_flat_map(move |clusters| {
        let far = prop::option::weighted(0.9, 0..40_u32);
        let asked = (
            0..200_u32,
            prop::sample::select(vec![0.5, 0.8, 1.0]),
            prop::collection::vec(far, clusters),
        );
        let asked = asked.prop_map(|(demand, threshold, far)| (f64::from(demand), threshold, far));
        let capacity = (0..500_u32).prop_map(f64::from);
        (prop::collection::vec(asked, 1..most), prop::collection::vec(capacity, clusters))
    })
}

/// Deferred acceptance as it is written down, in whole requests of one size: each request a unit of
/// its own that proposes, is held and given up. Units propose last first, to be as unlike as can be.
fn deferred_acceptance(asked: &[Asked], capacities: &[f64]) -> Vec<Vec<u32>> {
    let orders: Vec<Vec<(ClusterId, Distance)>> =
        units(asked).into_iter().map(|unit| unit.order.collect()).collect();
    let mut held: Vec<Vec<(Distance, usize, usize)>> = vec![Vec::new(); capacities.len()];
    let mut free: Vec<(usize, usize)> = Vec::new();
    for (unit, (demand, ..)) in asked.iter().enumerate() {
        free.extend((0..*demand as usize).map(|_| (unit, 0)));
    }
    while let Some((unit, at)) = free.pop() {
        let Some((cluster, distance)) = orders[unit].get(at).copied() else { continue };
        let here = &mut held[cluster.index()];
        here.push((distance, unit, at));
        here.sort_unstable();
        let limit = (asked[unit].1 * capacities[cluster.index()]).floor() as usize;
        if here.len() > limit {
            let (_, worst, at) = here.pop().unwrap();
            free.push((worst, at + 1));
        }
    }
    let mut counts = vec![vec![0; capacities.len()]; asked.len()];
    for (cluster, here) in held.iter().enumerate() {
        here.iter().for_each(|(_, unit, _)| counts[*unit][cluster] += 1);
    }
    counts
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(512) })]

    /// No unit and cluster would both rather have each other: wherever a unit has anything at a
    /// place that it likes less, the better cluster is filled to the unit's limit with what it likes at least as much.
    #[test]
    fn there_is_no_blocking_pair((asked, capacities) in asked(12)) {
        let mut rooms = rooms(&capacities);
        let placed = allocate(&mut units(&asked), &mut rooms);
        let orders: Vec<Vec<(ClusterId, Distance)>> =
            units(&asked).into_iter().map(|unit| unit.order.collect()).collect();
        let share = |unit: usize, cluster: ClusterId| {
            placed[unit].shares.iter().find(|(of, _)| *of == cluster).map_or(0.0, |(_, share)| *share)
        };
        for (unit, order) in orders.iter().enumerate() {
            let mut better = 0.0;
            for (cluster, distance) in order {
                better += share(unit, *cluster);
                if better >= 1.0 - SPLINTER {
                    break;
                }
                // It would like more here. Whom does the cluster like as much?
                let likes = |other: usize| {
                    orders[other].iter().any(|(of, far)| of == cluster && (*far, other) <= (*distance, unit))
                };
                let held: f64 = (0..asked.len())
                    .filter(|other| likes(*other))
                    .map(|other| share(other, *cluster) * asked[other].0)
                    .sum();
                let limit = asked[unit].1 * capacities[cluster.index()];
                prop_assert!(
                    held >= limit - SPLINTER * asked[unit].0 - 1e-9,
                    "{unit} at {cluster:?}: {held} of {limit}\n{placed:?}"
                );
            }
        }
    }

    #[test]
    fn shares_add_up_and_nobody_is_filled_beyond_what_others_have_left((asked, capacities) in asked(12)) {
        // Of one service: all are at all clusters.
        let everywhere = |(demand, _, far): &Asked| {
            (*demand, 0.8, far.iter().map(|far| Some(far.unwrap_or(99))).collect())
        };
        let asked: Vec<Asked> = asked.iter().map(everywhere).collect();
        let (placed, rooms) = all(&asked, &capacities);
        for placed in &placed {
            let sum: f64 = placed.shares.iter().map(|(_, share)| share).sum();
            prop_assert!((sum - 1.0).abs() < 1e-9, "{placed:?}");
            prop_assert!(placed.shares.iter().all(|(_, share)| *share > 0.0));
        }
        let used: f64 = rooms.iter().map(|room| room.used).sum();
        let demand: f64 = asked.iter().map(|asked| asked.0).sum();
        prop_assert!((used - demand).abs() < 1e-6, "{used} of {demand}");
        // A splinter of one unit may stand beyond a limit.
        let splinter = SPLINTER * asked.iter().map(|asked| asked.0).fold(0.0, f64::max);
        let is_over = |room: &Room| room.used > room.capacity + splinter + 1e-6;
        let has_left = |room: &Room| room.used < room.capacity - splinter - 1e-6;
        prop_assert!(!(rooms.iter().any(is_over) && rooms.iter().any(has_left)), "{rooms:?}");
        if placed.iter().any(|placed| placed.rest > 0.0) {
            let is_short = |room: &Room| room.used < 0.8 * room.capacity - splinter - 1e-6;
            prop_assert!(!rooms.iter().any(is_short), "nothing overflows while a cluster has room");
        }
    }

    #[test]
    fn it_comes_out_as_deferred_acceptance_does((asked, capacities) in asked(5)) {
        // In whole requests: thresholds that leave whole limits, and no more than a few hundred.
        let asked: Vec<Asked> =
            asked.into_iter().map(|(demand, _, far)| ((demand / 4.0).floor(), 0.5, far)).collect();
        let capacities: Vec<f64> = capacities.into_iter().map(|it| (it / 8.0).floor() * 2.0).collect();
        let counts = deferred_acceptance(&asked, &capacities);
        let placed = allocate(&mut units(&asked), &mut rooms(&capacities));
        let splinter: f64 = asked.iter().map(|asked| asked.0 * SPLINTER).sum::<f64>() + 1e-6;
        for (unit, placed) in placed.iter().enumerate() {
            for (cluster, count) in (0..).map(ClusterId).zip(&counts[unit]) {
                let share = placed.shares.iter().find(|(of, _)| *of == cluster).map_or(0.0, |it| it.1);
                let requests = share * asked[unit].0;
                prop_assert!(
                    (requests - f64::from(*count)).abs() <= splinter,
                    "{unit} at {cluster:?}: {requests} for {count}\n{asked:?}\n{capacities:?}\n{counts:?}\n{placed:?}"
                );
            }
        }
    }
}

//! Differences between Plans: exact, short where little changed, and no harm in hostile ones.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::properties::{scene, step};
use super::*;

/// Over the wire and applied.
fn carried(old: &Plan, new: &Plan) -> Plan {
    let text = serde_json::to_string(&difference(old, new)).unwrap();
    apply(&serde_json::from_str(&text).unwrap(), old).unwrap()
}

fn numbered(plan: Plan, sequence: u64) -> Plan {
    Plan { number: PlanNumber { sequence, ..plan.number.clone() }, ..plan }
}

/// Twenty clusters of five servers, one area at each, three services.
fn large() -> Scene {
    let names: Vec<String> = ('a'..='t').map(String::from).collect();
    let areas: Vec<String> = names.iter().map(|it| format!("x{it}")).collect();
    let clusters: Vec<(&str, u32)> = names.iter().map(|it| (it.as_str(), 5)).collect();
    let mut areas: Vec<(&str, &str)> =
        areas.iter().zip(&names).map(|(area, home)| (area.as_str(), home.as_str())).collect();
    areas.push(("world", "a"));
    let mut scene = Scene::new(&clusters, &areas);
    scene.add_service("www2.example.com");
    scene.add_service("www3.example.com");
    scene.round();
    scene
}

#[test]
fn a_death_and_new_loads_travel_short() {
    let mut scene = large();
    let old = numbered(scene.plan(), 1);
    scene.life("c", Life::Dead).load("d", 0.6).event();
    let new = numbered(scene.plan(), 2);
    assert_ne!(old.lists, new.lists);
    assert_eq!(carried(&old, &new), new);
    let len = |value: Value| value.to_string().len();
    let whole = len(serde_json::to_value(&new).unwrap());
    let change = len(serde_json::to_value(difference(&old, &new)).unwrap());
    assert!(change * 5 < whole, "{change} of {whole} bytes");
    let loads = Plan { number: PlanNumber { sequence: 3, ..new.number.clone() }, ..new.clone() };
    let same = len(serde_json::to_value(difference(&new, &loads)).unwrap());
    assert!(same < 700, "{same} bytes of a Plan that changed in its number alone");
}

#[test]
fn a_list_that_others_stand_behind_now_moves_no_area() {
    let old = large().plan();
    let mut new = old.clone();
    let first = new.lists.remove(0);
    new.lists.push(first);
    let count = new.lists.len() as u32;
    for area in new.services.iter_mut().flat_map(|service| &mut service.areas) {
        area.ipv4 = area.ipv4.map(|list| (list + count - 1) % count);
    }
    assert_eq!(carried(&old, &new), new);
    let text = serde_json::to_string(&difference(&old, &new)).unwrap();
    assert!(text.contains(r#""services":[{"keep":[0,3]}]"#), "{text}");
}

#[test]
fn whoever_holds_another_plan_is_told_so() {
    let mut scene = large();
    let old = scene.plan();
    scene.life("c", Life::Dead).event();
    let new = numbered(scene.plan(), 2);
    let difference = difference(&old, &new);
    let error = apply(&difference, &new).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the difference is to Plan 1/control/1, and Plan 1/control/2 is held"
    );
    // The same number, and another Plan all the same: of a Controller that lost its disk, or a twin's.
    let mut other = old;
    other.servers[0].load = Some(0.123);
    other.servers[20].reason = "other".to_owned();
    assert_eq!(apply(&difference, &other), Err(ApplyError::Outcome));
}

#[test]
fn hostile_differences_are_errors() {
    let old = large().plan();
    let good = serde_json::to_value(difference(&old, &old)).unwrap();
    assert!(apply(&serde_json::from_value(good.clone()).unwrap(), &old).is_ok());
    let keep = |from: u32, count: u32| json!({ "keep": [from, count] });
    for (field, edits) in [
        ("servers", json!([keep(0, u32::MAX)])),
        ("servers", json!([keep(u32::MAX, u32::MAX)])),
        ("servers", json!([keep(0, 50), keep(49, 51)])),
        ("servers", json!([keep(50, 50), keep(0, 50)])),
        ("servers", json!([{ "loads": [99, [[null, null], [0.5, 3]]] }])),
        ("servers", json!([])),
        ("lists", json!([keep(0, u32::MAX)])),
        ("lists", json!([keep(0, 1), keep(0, 1)])),
        ("lists", json!([{ "instead": [u32::MAX, { "groups": [] }] }])),
        ("lists", json!([])),
        ("services", json!([keep(0, 4)])),
        ("services", json!([{ "areas": [7, [], "keep"] }])),
        ("services", json!([{ "areas": [0, [keep(3, 1), keep(2, 1)], "keep"] }])),
        ("services", json!([])),
    ] {
        let mut bad = good.clone();
        bad[field] = edits.clone();
        let bad: PlanDifference = serde_json::from_value(bad).unwrap();
        assert!(apply(&bad, &old).is_err(), "{field} {edits}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(128) })]

    /// From any Plan to any other, of whatever worlds.
    #[test]
    fn what_comes_out_is_the_very_plan(
        scenes in (scene(), scene()),
        steps in prop::collection::vec(step(), 1..6),
    ) {
        let (mut one, mut other) = scenes;
        let mut plans = Vec::new();
        for (number, step) in (1..).zip(&steps) {
            one.apply(step);
            one.decide(step.cause);
            plans.push(numbered(one.plan(), number));
        }
        other.round();
        plans.push(numbered(other.plan(), 100));
        for old in &plans {
            for new in &plans {
                prop_assert_eq!(&carried(old, new), new);
            }
        }
    }

    /// Not even valid ones: each part of one or the other Plan, in any order, more than once.
    #[test]
    fn not_even_a_valid_plan_is_needed(
        scenes in (scene(), scene()),
        picks in prop::collection::vec((0..64_usize, any::<bool>(), 0..5_u32), 0..40),
    ) {
        let (mut one, mut other) = scenes;
        let old = one.round().plan();
        let from = other.round().plan();
        let mut new = numbered(old.clone(), 2);
        for (at, remove, part) in picks {
            fn change<T: Clone>(all: &mut Vec<T>, others: &[T], at: usize, remove: bool) {
                if remove && !all.is_empty() {
                    all.remove(at % all.len());
                } else if let Some(one) = others.get(at % others.len().max(1)) {
                    all.insert(at % (all.len() + 1), one.clone());
                }
            }
            match part {
                0 => change(&mut new.servers, &from.servers, at, remove),
                1 => change(&mut new.lists, &from.lists, at, remove),
                2 => change(&mut new.services, &from.services, at, remove),
                3 => {
                    let count = new.lists.len().max(1);
                    new.lists.rotate_left(at % count);
                }
                _ => {
                    let count = new.services.len().max(1);
                    if let Some(service) = new.services.get_mut(at % count) {
                        let others = service.areas.clone();
                        change(&mut service.areas, &others, at, remove);
                    }
                }
            }
        }
        prop_assert_eq!(carried(&old, &new), new);
    }
}

//! Plans as bytes: whole, cut short, damaged, and hostile.

use super::*;

fn plan() -> Plan {
    let mut scene = Scene::new(&[("a", 2), ("b", 1)], &[("x", "a"), ("y", "b"), ("world", "")]);
    scene.ipv6_only("a2").round();
    scene.plan()
}

#[test]
fn there_and_back() {
    let plan = plan();
    let bytes = to_bytes(&plan);
    assert!(bytes.starts_with(br#"{"walrus":1,"kind":"plan","checksum":""#));
    assert!(serde_json::from_slice::<serde_json::Value>(&bytes).is_ok(), "one JSON object");
    assert_eq!(from_bytes(&bytes).unwrap(), plan);
}

#[test]
fn every_truncation_is_an_error() {
    let bytes = to_bytes(&plan());
    // Without the final line feed it is still whole.
    for len in 0..bytes.len() - 1 {
        assert!(from_bytes(&bytes[..len]).is_err(), "{len} bytes");
    }
}

#[test]
fn every_damaged_byte_is_an_error() {
    let bytes = to_bytes(&plan());
    for at in 0..bytes.len() - 2 {
        let mut damaged = bytes.clone();
        damaged[at] ^= 1;
        assert!(from_bytes(&damaged).is_err(), "byte {at}");
    }
}

#[test]
fn errors_say_what_is_wrong() {
    let bytes = to_bytes(&plan());
    let text = String::from_utf8(bytes).unwrap();
    let error = |text: &str| from_bytes(text.as_bytes()).unwrap_err();
    assert!(matches!(error(""), PlanError::NoPlan));
    assert!(matches!(error("{}"), PlanError::NoPlan));
    assert!(matches!(error(&text.replacen(":1,", ":2,", 1)), PlanError::Version(2)));
    assert!(matches!(error(&text.replacen("plan", "plum", 1)), PlanError::NoPlan));
    assert!(matches!(error(&text.replacen("0.5", "0.6", 1)), PlanError::Checksum));
}

#[test]
fn a_plan_that_contradicts_itself_is_refused_even_with_a_good_checksum() {
    type Fault = (&'static str, fn(&mut Plan));
    let faults: &[Fault] = &[
        ("it has format 9", |plan| plan.format = 9),
        ("not sorted", |plan| plan.servers.reverse()),
        ("without servers of its address family", |plan| plan.servers[0].addresses.clear()),
        ("not there", |plan| plan.lists[0].groups[0].candidates[0].server = 77),
        ("twice", |plan| {
            let candidate = plan.lists[0].groups[0].candidates[0].clone();
            plan.lists[0].groups[0].candidates.push(candidate);
        }),
        ("no candidates", |plan| plan.lists[0].groups[0].candidates.clear()),
        ("add up", |plan| plan.lists[0].groups.clear()),
        ("add up", |plan| plan.lists[0].groups[0].share = 0.5),
        ("add up", |plan| plan.lists[0].groups[0].share = -1.0),
        ("ramp", |plan| plan.lists[0].groups[0].candidates[0].ramp = 0.0),
        ("list that is not there", |plan| plan.services[0].areas[0].ipv4 = Some(99)),
        ("address family", |plan| {
            plan.servers[0].addresses = plan.servers[1].addresses.clone();
        }),
        ("no servers at all", |plan| {
            plan.services[0].areas[0].ipv4 = None;
            plan.services[0].areas[0].ipv6 = None;
        }),
        ("add up", |plan| plan.services[0].areas[0].clusters.clear()),
        ("sorted", |plan| plan.services[0].areas.reverse()),
        ("no area `world`", |plan| plan.services[0].areas.clear()),
        ("twice", |plan| plan.services.push(plan.services[0].clone())),
        ("no domain name", |plan| plan.services[0].name = "Www.Example.Com.".into()),
        ("no domain name", |plan| plan.services[0].name = "a..b".into()),
        ("no servers", |plan| plan.services[0].answers = Some(0)),
        ("TTL above", |plan| plan.services[0].ttl = TtlPolicy::Constant { seconds: u32::MAX }),
        ("TTL that is not within", |plan| {
            let (variant, seconds) = (AdaptiveTtl::Each, 30);
            plan.services[0].ttl = TtlPolicy::Adaptive { variant, seconds, min: 31, max: 60 };
        }),
    ];
    for (expected, fault) in faults {
        let mut plan = plan();
        fault(&mut plan);
        let error = from_bytes(&to_bytes(&plan)).unwrap_err();
        let PlanError::Invalid(error) = error else { panic!("{expected}: {error}") };
        assert!(error.to_string().contains(expected), "{expected}: {error}");
    }
    let mut plan = plan();
    plan.servers[0].load = Some(f64::NAN);
    assert!(plan.validate().is_err());
}

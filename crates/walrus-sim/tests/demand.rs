//! Who asks a virtual system shows in its Plan, and who no longer asks fades from it.

#![expect(clippy::unwrap_used, reason = "a test: what cannot be done fails it")]

use std::sync::Arc;
use std::time::Duration;

use walrus_core::config::{Context, SourceFile, parse};
use walrus_core::plan::ServiceDemand;
use walrus_sim::{Question, System, VirtualSystem};

const CONFIG: &str = r#"
zone = "example.com"
nameservers = ["ns1.example.com"]
[node]
name = "one"
roles = ["controller", "director"]
[dns]
listen = ["127.0.0.1:5300"]
[control]
round = "10s"
[[cluster]]
name = "europe"
servers = [
  { name = "europe1", addresses = ["198.51.100.1"] },
  { name = "europe2", addresses = ["198.51.100.2"] },
]
[[area]]
name = "world"
home = "europe"
[[service]]
name = "www.example.com"
adaptive_ttl = "TTL/2"
[[service]]
name = "plain.example.com"
"#;

fn system() -> VirtualSystem {
    let file = SourceFile { name: "walrus.toml".to_owned(), text: CONFIG.to_owned() };
    let read = |_: &str| Err("no such file".to_owned());
    let parsed = parse(&[file], &Context { hostname: "here", read: &read }).unwrap();
    VirtualSystem::new(Arc::new(parsed.configuration), 7).unwrap()
}

/// Asks evenly over ten seconds.
fn ask(system: &mut VirtualSystem, all: &[(&str, &str, Option<&str>, u32)]) {
    for _ in 0..10 {
        for (service, client, subnet, times) in all {
            let question = Question {
                name: (*service).to_owned(),
                record_type: "A".to_owned(),
                client: client.parse().unwrap(),
                subnet: subnet.map(|subnet| (subnet.parse().unwrap(), 24)),
                server: None,
            };
            for _ in 0..*times {
                system.ask(&question).unwrap();
            }
        }
        system.pass(Duration::from_secs(1)).unwrap();
    }
}

fn demand(system: &VirtualSystem, service: &str) -> Option<ServiceDemand> {
    let plan = system.plan().unwrap();
    plan.services.iter().find(|it| it.name == service).unwrap().demand.clone()
}

#[test]
fn a_hot_domain_shows_in_the_plan() {
    let mut system = system();
    let asked = [
        ("www.example.com", "192.0.2.53", None, 30),
        ("www.example.com", "192.0.2.53", Some("203.0.113.0"), 6),
        ("www.example.com", "198.18.0.53", None, 4),
        ("plain.example.com", "192.0.2.53", None, 5),
    ];
    (0..3).for_each(|_| ask(&mut system, &asked));
    let told = demand(&system, "www.example.com").unwrap();
    let domains: Vec<_> =
        told.domains.iter().map(|it| (it.domain.as_str(), it.rate, it.hot)).collect();
    let expected =
        [("192.0.2.53", 30.0, true), ("203.0.113.0/24", 6.0, false), ("198.18.0.53", 4.0, false)];
    assert_eq!(domains, expected);
    assert_eq!(told.rate, 40.0);
    assert_eq!(demand(&system, "plain.example.com"), None, "its policies do not ask");
    (0..30).for_each(|_| ask(&mut system, &asked[1..]));
    let told = demand(&system, "www.example.com").unwrap();
    assert_eq!(told.domains[0].domain, "203.0.113.0/24");
    assert!(!told.domains.iter().any(|it| it.hot && it.domain == "192.0.2.53"), "{told:?}");
}

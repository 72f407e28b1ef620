//! The views hold all that the core says: parsed and written again it is the same.

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use walrus_core::answer::{WorkerState, explain};
use walrus_core::plan::diff;

use super::explain::{ExplainQuery, ExplanationView};
use super::plan::{DiffView, PlanView};
use crate::load::{self, Loaded};

const CONFIGURATION: &str = r#"
zone = "walrus.example"
nameservers = ["ns1.walrus.example"]
[node]
name = "one"
[dns]
listen = ["127.0.0.1:5300"]
[[cluster]]
name = "near"
servers = [{ name = "near1", addresses = ["192.0.2.1", "2001:db8::1"], weight = 3 },
           { name = "near2", addresses = ["192.0.2.2"] }]
[[cluster]]
name = "far"
servers = [{ name = "far1", addresses = ["198.51.100.1"] }]
[[area]]
name = "here"
home = "near"
clients = ["203.0.113.0/24"]
[[service]]
name = "www.walrus.example"
[[service]]
name = "all.walrus.example"
assign = "all"
answers = "all"
choose = "round-robin"
"#;

/// Servers, areas and services that come, go and change.
fn other() -> String {
    CONFIGURATION
        .replace("near2", "near3")
        .replace("weight = 3", "weight = 2")
        .replace("name = \"here\"", "name = \"there\"")
        .replace("all.walrus", "every.walrus")
        + "ttl = \"7s\"\n[[area]]\nname = \"world\"\nhome = \"far\"\n"
}

fn loaded(text: &str) -> Loaded {
    let loaded = load::check_text("test.toml", text).and_then(|checked| checked.load(None));
    loaded.unwrap_or_else(|error| panic!("{error:?}"))
}

/// What the core writes, and what a view makes of it.
fn both<V: Serialize + DeserializeOwned>(core: &impl Serialize) -> (Value, Value) {
    let core = serde_json::to_value(core).unwrap();
    let view: V = serde_json::from_value(core.clone()).unwrap();
    (core, serde_json::to_value(view).unwrap())
}

#[test]
fn a_plan_loses_nothing() {
    let mut plan = (*load::first_plan(&loaded(CONFIGURATION))).clone();
    let (core, view) = both::<PlanView>(&plan);
    assert_eq!(core, view);
    let domain = |domain: &str, silent: bool| walrus_core::plan::DomainDemand {
        domain: domain.to_owned(),
        rate: 5.0,
        hot: !silent,
        silent,
        reckoned: silent,
        observed: vec![(0, 2.5)],
    };
    plan.services[0].demand = Some(walrus_core::plan::ServiceDemand {
        rate: 10.0,
        domains: vec![domain("192.0.2.53", false), domain("198.51.100.0/24", true)],
        observed_over_ms: 9000,
        silent: 5.0,
    });
    let (core, view) = both::<PlanView>(&plan);
    assert_eq!(core, view);
}

#[test]
fn a_diff_loses_nothing() {
    let (old, new) = (loaded(CONFIGURATION), loaded(&other()));
    let diff = diff(&load::first_plan(&old), &load::first_plan(&new));
    assert!(!diff.servers.is_empty() && !diff.services_added.is_empty());
    let came = diff.areas.iter().any(|area| area.clusters_from.is_none());
    let went = diff.areas.iter().any(|area| area.clusters_to.is_none());
    assert!(came && went, "{diff:#?}");
    let (core, mut view) = both::<DiffView>(&diff);
    // Added by the API, for people.
    view.as_object_mut().unwrap().remove("lines");
    assert_eq!(core, view);
}

#[test]
fn an_explanation_loses_nothing() {
    let loaded = loaded(CONFIGURATION);
    let table = load::answer_table(&loaded, load::first_plan(&loaded)).unwrap();
    let worker = WorkerState::new(1, &table);
    for (name, client) in [
        ("www.walrus.example", "203.0.113.0/24"),
        ("all.walrus.example", "192.0.2.1"),
        ("nobody.walrus.example", "192.0.2.1"),
    ] {
        let query = ExplainQuery {
            name: name.to_owned(),
            record_type: None,
            client: client.to_owned(),
            resolver: None,
            server: None,
        };
        let explanation = explain(&table, &worker, &query.request(None).unwrap());
        let (core, view) = both::<ExplanationView>(&explanation);
        assert_eq!(core, view, "{name}");
    }
}

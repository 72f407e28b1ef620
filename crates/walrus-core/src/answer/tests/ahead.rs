//! What is fetched ahead: the places of names, then entries, and nothing for what is no query.

use std::sync::Arc;

use super::fixture::{Ask, SERVICES, plan, table, topology, zone_table};
use crate::answer::{AHEAD_MAX, AnswerTable, look_ahead};
use crate::map::Map;
use crate::world::ClientSpec;

fn fetched(queries: &[Vec<u8>]) -> usize {
    let mut fetched = 0;
    look_ahead(&table(plan()), queries.iter().map(Vec::as_slice), |_| fetched += 1);
    fetched
}

#[test]
fn slots_are_fetched_for_all_names_and_entries_for_those_that_exist() {
    let query = |name: &str| Ask::new(name, 1).bytes();
    assert_eq!(fetched(&[]), 0);
    assert_eq!(fetched(&[query("nobody.example")]), 1, "a slot");
    assert!((2..=3).contains(&fetched(&[query("ns.example")])), "a slot and one or two lines");
    let folded = fetched(&[query("nS.eXAMPLE")]);
    assert_eq!(folded, fetched(&[query("ns.example")]), "whatever the case");
    let both = fetched(&[query("ns.example"), query("nobody.example")]);
    assert_eq!(both, folded + 1);
}

#[test]
fn garbage_is_passed_over_and_a_batch_has_an_end() {
    assert_eq!(fetched(&[vec![], vec![0; 12], vec![0xff; 40]]), 0);
    let many = vec![Ask::new("nobody.example", 1).bytes(); AHEAD_MAX + 9];
    assert_eq!(fetched(&many), AHEAD_MAX);
}

/// A table whose map is so large that a lookup waits for memory.
fn far_table() -> AnswerTable {
    let mut topology = topology();
    let network = |index: u32| std::net::IpAddr::V4((0x0b00_0000 + (index << 9)).into());
    let networks = (0..20_000).map(|index| ClientSpec::Prefix(network(index), 24));
    // Not those that are answered as the rest of the world is: they would be one class with it.
    topology.areas[1].clients.extend(networks);
    let map = Arc::new(Map::build(&topology, &[]).unwrap());
    let zones = Arc::new(zone_table(&SERVICES));
    AnswerTable::new(zones, map, &topology).with_plan(Arc::new(plan())).unwrap()
}

#[test]
fn of_a_large_map_the_place_of_a_client_subnet_is_fetched() {
    let (near, far) = (table(plan()), far_table());
    let fetched = |table: &AnswerTable, query: &Ask| {
        let (bytes, mut seen) = (query.bytes(), Vec::new());
        look_ahead(table, std::iter::once(bytes.as_slice()), |address| seen.push(address));
        seen
    };
    let service = Ask::new("www.example", 1);
    let of_subnet = |network| Ask::new("www.example", 1).subnet(network, 24);
    let name_only = fetched(&far, &service).len();
    assert_eq!(fetched(&far, &of_subnet("11.0.2.0")).len(), name_only + 1);
    assert_eq!(fetched(&near, &of_subnet("11.0.2.0")).len(), fetched(&near, &service).len());
    assert_eq!(fetched(&far, &of_subnet("2001:db8::")).len(), name_only, "only of IPv4");
    let is_static = Ask::new("ns.example", 1);
    let of_static = Ask::new("ns.example", 1).subnet("11.0.2.0", 24);
    assert_eq!(fetched(&far, &of_static), fetched(&far, &is_static));
    let last = |network| fetched(&far, &of_subnet(network)).pop();
    assert_ne!(last("11.0.2.0"), last("11.200.2.0"));
}

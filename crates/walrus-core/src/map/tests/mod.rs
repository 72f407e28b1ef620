//! The map against a model that looks at every prefix for every address.

mod databases;
mod mmdb;

use std::net::IpAddr;

use proptest::prelude::*;

use super::*;
use crate::world::{Area, Nearness};

/// A topology of nothing but areas with these clients, as the configuration writes them.
pub(crate) fn topology(areas: &[(&str, &[&str])]) -> Topology {
    let area = |(name, clients): &(&str, &[&str])| Area {
        name: name.parse().unwrap(),
        home: None,
        clients: clients.iter().map(|client| client_spec(client)).collect(),
        nameservers: Vec::new(),
        nearness: Nearness::default(),
    };
    Topology { areas: areas.iter().map(area).collect(), ..Topology::default() }
}

fn client_spec(text: &str) -> ClientSpec {
    if let Some(code) = text.strip_prefix("country:") {
        return ClientSpec::Country(code.into());
    }
    if let Some(code) = text.strip_prefix("continent:") {
        return ClientSpec::Continent(code.into());
    }
    let (address, length) = text.split_once('/').unwrap();
    ClientSpec::Prefix(address.parse().unwrap(), length.parse().unwrap())
}

fn build(areas: &[(&str, &[&str])]) -> Map {
    Map::build(&topology(areas), &[]).unwrap()
}

fn area(map: &Map, address: &str) -> Option<u32> {
    map.lookup(address.parse().unwrap()).map(|area| area.0)
}

fn hit(table: &ClassTable, address: &str) -> (u16, u8) {
    let hit = table.lookup(address.parse().unwrap());
    (hit.class, hit.prefix_len)
}

#[test]
fn the_longest_prefix_wins() {
    let map = build(&[
        ("a", &["10.0.0.0/8", "10.1.2.0/24"]),
        ("b", &["10.1.0.0/16", "255.255.255.255/32", "0.0.0.0/32"]),
        ("c", &["2001:db8::/32"]),
        ("d", &["2001:db8:1::/48"]),
    ]);
    for (address, expected) in [
        ("10.0.0.0", Some(0)),
        ("10.1.0.0", Some(1)),
        ("10.1.2.3", Some(0)),
        ("10.1.3.0", Some(1)),
        ("10.2.0.0", Some(0)),
        ("10.255.255.255", Some(0)),
        ("11.0.0.0", None),
        ("9.255.255.255", None),
        ("0.0.0.0", Some(1)),
        ("0.0.0.1", None),
        ("255.255.255.255", Some(1)),
        ("255.255.255.254", None),
        ("::ffff:10.1.0.1", Some(1)),
        ("2001:db8::1", Some(2)),
        ("2001:db8:1::1", Some(3)),
        ("2001:db8:2::", Some(2)),
        ("2001:db9::", None),
        ("::", None),
        ("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", None),
    ] {
        assert_eq!(area(&map, address), expected, "{address}");
    }
}

#[test]
fn host_bits_do_not_matter_and_mapped_prefixes_are_ipv4() {
    let map = build(&[("a", &["10.1.2.3/16", "::ffff:192.0.2.0/120"])]);
    assert_eq!(area(&map, "10.1.255.255"), Some(0));
    assert_eq!(area(&map, "192.0.2.255"), Some(0));
    assert_eq!(area(&map, "192.0.3.0"), None);
}

#[test]
fn scopes_are_the_widest_prefix_of_one_class() {
    let map = build(&[
        ("a", &["10.0.0.0/8"]),
        ("b", &["10.1.0.0/16"]),
        ("c", &["192.0.2.0/24", "192.0.3.0/24"]),
    ]);
    let table = map.classes(&[0, 1, 2], 9);
    assert_eq!(hit(&table, "10.1.2.3"), (1, 16));
    assert_eq!(hit(&table, "10.0.2.3"), (0, 16));
    assert_eq!(hit(&table, "10.200.2.3"), (0, 9));
    assert_eq!(hit(&table, "192.0.2.1"), (2, 23), "two areas' prefixes side by side");
    assert_eq!(hit(&table, "128.0.0.1"), (9, 2), "the hole around the address");
    assert_eq!(hit(&table, "255.255.255.255"), (9, 3));
    assert_eq!(hit(&table, "::ffff:10.1.2.3"), (1, 112));
    assert_eq!(hit(&table, "2001:db8::1"), (9, 0), "no IPv6 prefix at all");
    // A service that treats a and b alike sees one prefix.
    let table = map.classes(&[4, 4, 9], 9);
    assert_eq!(hit(&table, "10.1.2.3"), (4, 8));
    assert_eq!(hit(&table, "192.0.2.1"), (9, 1));
}

#[test]
fn the_whole_space_as_one_class_has_length_zero() {
    let map = build(&[("a", &["10.0.0.0/8", "2001:db8::/32"]), ("b", &["10.1.0.0/16"])]);
    let table = map.classes(&[7, 7], 7);
    for address in ["0.0.0.0", "255.255.255.255", "10.1.0.0", "::", "2001:db8::", "ffff::"] {
        assert_eq!(hit(&table, address), (7, 0), "{address}");
    }
    let everything = build(&[("a", &["0.0.0.0/0", "::/0"])]).classes(&[3], 7);
    for address in ["0.0.0.0", "255.255.255.255", "::", "ffff::"] {
        assert_eq!(hit(&everything, address), (3, 0), "{address}");
    }
}

#[test]
fn an_area_without_a_class_is_a_hole() {
    let map = build(&[("a", &["10.0.0.0/8"]), ("b", &["11.0.0.0/8"])]);
    assert_eq!(hit(&map.classes(&[1], 5), "11.0.0.1"), (5, 8));
}

#[test]
fn compiled_there_and_back() {
    let areas: &[(&str, &[&str])] =
        &[("a", &["10.0.0.0/8", "2001:db8::/32"]), ("b", &["10.1.0.0/16", "255.0.0.0/8"])];
    let map = build(areas);
    let digest = Map::digest_of(&topology(areas), &[]);
    assert_eq!(map.digest(), &digest);
    let bytes = map.to_bytes();
    assert_eq!(Map::from_bytes(&bytes, &digest), Ok(map));
    let other = Map::digest_of(&topology(&areas[..1]), &[]);
    assert_ne!(other, digest);
    assert_eq!(Map::from_bytes(&bytes, &other), Err(CompiledError::OtherInputs));
}

#[test]
fn a_damaged_compiled_map_is_refused() {
    let areas: &[(&str, &[&str])] = &[("a", &["10.0.0.0/8", "2001:db8::/32"])];
    let digest = Map::digest_of(&topology(areas), &[]);
    let bytes = build(areas).to_bytes();
    for length in 0..bytes.len() {
        assert!(Map::from_bytes(&bytes[..length], &digest).is_err(), "cut to {length}");
    }
    for place in 0..bytes.len() {
        let mut damaged = bytes.clone();
        damaged[place] ^= 1;
        assert!(Map::from_bytes(&damaged, &digest).is_err(), "bit flipped at {place}");
    }
    assert!(Map::from_bytes(&[bytes.as_slice(), b"x"].concat(), &digest).is_err());
}

/// A compiled map with a fitting seal but wrong content, as another program might have written it.
#[test]
fn a_sealed_but_wrong_compiled_map_is_refused() {
    let areas: &[(&str, &[&str])] = &[("a", &["10.0.0.0/8"])];
    let digest = Map::digest_of(&topology(areas), &[]);
    let bytes = build(areas).to_bytes();
    let content = &bytes[..bytes.len() - 32];
    let seal = |content: &[u8]| [content, Digest::of([content]).as_str().as_bytes()].concat();
    assert!(Map::from_bytes(&seal(content), &digest).is_ok());
    // Header: 8 magic, 4 format, 32 digest, 2 areas, 4 count; then three starts, three areas.
    let starts = 8 + 4 + 32 + 2 + 4;
    for (place, byte) in [(starts + 3, 1), (starts + 4, 0), (starts + 8, 9), (starts + 15, 1)] {
        let mut wrong = content.to_vec();
        wrong[place] = byte;
        assert!(Map::from_bytes(&seal(&wrong), &digest).is_err(), "byte {place} set to {byte}");
    }
    let mut endless = content.to_vec();
    endless[starts - 4..starts].fill(0xff);
    assert!(Map::from_bytes(&seal(&endless), &digest).is_err());
}

#[test]
fn an_area_that_names_a_country_needs_a_database() {
    let error = Map::build(&topology(&[("a", &[]), ("b", &["country:DE"])]), &[]).unwrap_err();
    assert!(matches!(&error, MapError::NoDatabase { area } if area == "b"), "{error}");
}

/// Prefixes near each other and near the edges, so that they nest and touch.
fn prefixes() -> impl Strategy<Value = Vec<(u32, u8, u8)>> {
    let address = prop_oneof![
        any::<u32>(),
        (0..4_u32).prop_map(|low| low),
        (0..4_u32).prop_map(|low| u32::MAX - low),
        (0..512_u32).prop_map(|low| 0x0a00_0000 + (low << 20)),
        (0..64_u32).prop_map(|low| 0x0a00_0000 + low),
    ];
    let length = prop_oneof![Just(0_u8), 0..=32_u8, 24..=32_u8, 8..=14_u8];
    proptest::collection::vec((address, length, 0..4_u8), 0..24)
}

/// The area of an address by looking at every prefix; of equal ones the lowest area.
fn model(prefixes: &[(u32, u8, u8)], address: u32) -> Option<u32> {
    prefixes
        .iter()
        .filter(|(network, length, _)| {
            let shift = 32 - u32::from(*length);
            u64::from(*network) >> shift == u64::from(address) >> shift
        })
        .min_by_key(|(_, length, area)| (std::cmp::Reverse(*length), *area))
        .map(|(_, _, area)| u32::from(*area))
}

/// The edges of all prefixes and their neighbours: where a mistake would show.
fn edges(prefixes: &[(u32, u8, u8)], more: u32) -> Vec<u32> {
    let mut edges = vec![0, 1, u32::MAX - 1, u32::MAX, more];
    for (network, length, _) in prefixes {
        let host = u32::MAX.checked_shr(u32::from(*length)).unwrap_or(0);
        let (first, last) = (network & !host, network | host);
        edges.extend([first.wrapping_sub(1), first, last, last.wrapping_add(1)]);
    }
    edges
}

fn topology_of(prefixes: &[(u32, u8, u8)], ipv6: bool) -> Topology {
    let mut topology = topology(&[("a", &[]), ("b", &[]), ("c", &[]), ("d", &[])]);
    for (network, length, area) in prefixes {
        let address = address(*network, ipv6);
        topology.areas[usize::from(*area)].clients.push(ClientSpec::Prefix(address, *length));
    }
    topology
}

/// The same bits as IPv4 or at the top of IPv6.
fn address(bits: u32, ipv6: bool) -> IpAddr {
    if ipv6 {
        IpAddr::V6((u128::from(bits) << 96 | u128::from(bits)).into())
    } else {
        IpAddr::V4(bits.into())
    }
}

/// The widest prefix of one class, by trying every wider one and looking at all edges in it.
fn model_prefix(
    prefixes: &[(u32, u8, u8)],
    class: impl Fn(Option<u32>) -> u16,
    edges: &[u32],
    address: u32,
) -> u8 {
    let own = class(model(prefixes, address));
    (0..=32_u8)
        .find(|length| {
            let host = u32::MAX.checked_shr(u32::from(*length)).unwrap_or(0);
            let (first, last) = (address & !host, address | host);
            edges
                .iter()
                .chain([&first, &last])
                .filter(|edge| (first..=last).contains(edge))
                .all(|edge| class(model(prefixes, *edge)) == own)
        })
        .unwrap()
}

proptest! {
    #[test]
    fn lookup_is_the_model(prefixes in prefixes(), more: u32, ipv6: bool) {
        let map = Map::build(&topology_of(&prefixes, ipv6), &[]).unwrap();
        for edge in edges(&prefixes, more) {
            let found = map.lookup(address(edge, ipv6)).map(|area| area.0);
            prop_assert_eq!(found, model(&prefixes, edge), "{}", address(edge, ipv6));
        }
    }

    #[test]
    fn class_and_prefix_are_the_model(
        prefixes in prefixes(), more: u32, ipv6: bool, classes in proptest::array::uniform4(0..3_u16), hole in 0..3_u16,
    ) {
        let map = Map::build(&topology_of(&prefixes, ipv6), &[]).unwrap();
        let table = map.classes(&classes, hole);
        let class = |area: Option<u32>| area.map_or(hole, |area| classes[area as usize]);
        let edges = edges(&prefixes, more);
        for &edge in &edges {
            let hit = table.lookup(address(edge, ipv6));
            prop_assert_eq!(hit.class, class(model(&prefixes, edge)));
            let expected = model_prefix(&prefixes, class, &edges, edge);
            prop_assert_eq!(hit.prefix_len, expected, "{}", address(edge, ipv6));
        }
    }

    #[test]
    fn compiled_is_the_same_map(prefixes in prefixes(), ipv6: bool) {
        let map = Map::build(&topology_of(&prefixes, ipv6), &[]).unwrap();
        let back = Map::from_bytes(&map.to_bytes(), map.digest());
        prop_assert_eq!(back, Ok(map));
    }

    #[test]
    fn no_bytes_make_a_panic(bytes: Vec<u8>) {
        let digest = Digest::of([]);
        prop_assert!(Map::from_bytes(&bytes, &digest).is_err());
        let database = GeoDatabase::new("garbage", bytes);
        prop_assert!(Map::build(&topology(&[("a", &["country:DE"])]), &[database]).is_err());
    }
}

//! Countries and continents from databases of both schemas, and what is wrong with others.

use super::mmdb::{Value, database};
use super::*;

fn geolite(country: &'static str, continent: &'static str) -> Value {
    Value::Map(vec![
        ("continent", Value::Map(vec![("code", Value::Text(continent))])),
        ("country", Value::Map(vec![("iso_code", Value::Text(country))])),
    ])
}

fn flat(country: &'static str) -> Value {
    Value::Map(vec![("country_code", Value::Text(country))])
}

const AREAS: &[(&str, &[&str])] = &[
    ("europe", &["continent:EU"]),
    ("germany", &["country:DE"]),
    ("lab", &["198.51.100.0/24"]),
    ("world", &[]),
];

fn map(databases: &[GeoDatabase]) -> Map {
    Map::build(&topology(AREAS), databases).unwrap()
}

/// Explicit beats country beats continent, whatever is longer.
fn check_precedence(database: Vec<u8>) {
    let map = map(&[GeoDatabase::new("test.mmdb", database)]);
    for (address, expected) in [
        ("198.51.100.9", Some(2)),
        ("198.51.7.1", Some(1)),
        ("203.0.113.5", Some(0)),
        ("192.0.2.1", None),
        ("8.8.8.8", None),
        ("::ffff:198.51.7.1", Some(1)),
        ("2001:db8:1::1", Some(1)),
        ("2001:db8:2::1", Some(0)),
        ("2001:db8:3::1", None),
    ] {
        assert_eq!(area(&map, address), expected, "{address}");
    }
}

#[test]
fn geolite_schema() {
    check_precedence(database(&[
        ("198.51.0.0/16", geolite("DE", "EU")),
        ("203.0.113.0/24", geolite("FR", "EU")),
        ("192.0.2.0/24", geolite("JP", "AS")),
        ("2001:db8:1::/48", geolite("DE", "EU")),
        ("2001:db8:2::/48", geolite("PL", "EU")),
    ]));
}

#[test]
fn flat_schema_with_continents_from_the_countries() {
    check_precedence(database(&[
        ("198.51.0.0/16", flat("DE")),
        ("203.0.113.0/24", flat("FR")),
        ("192.0.2.0/24", flat("JP")),
        ("2001:db8:1::/48", flat("de")),
        ("2001:db8:2::/48", flat("PL")),
    ]));
}

#[test]
fn a_text_country_beside_the_code_does_no_harm() {
    let record = Value::Map(vec![
        ("continent_code", Value::Text("EU")),
        ("country", Value::Text("Deutschland")),
        ("country_code", Value::Text("DE")),
    ]);
    let map = map(&[GeoDatabase::new("test.mmdb", database(&[("198.51.0.0/16", record)]))]);
    assert_eq!(area(&map, "198.51.1.1"), Some(1));
}

#[test]
fn of_two_databases_the_first_that_knows_decides() {
    let first = GeoDatabase::new("first", database(&[("203.0.113.0/24", flat("JP"))]));
    let second = GeoDatabase::new("second", database(&[("203.0.0.0/16", flat("DE"))]));
    let both = map(&[first.clone(), second.clone()]);
    assert_eq!(area(&both, "203.0.113.1"), None, "Japan has no area: a hole");
    assert_eq!(area(&both, "203.0.112.1"), Some(1));
    let turned = map(&[second, first]);
    assert_eq!(area(&turned, "203.0.113.1"), Some(1));
    assert_ne!(both.digest(), turned.digest());
}

#[test]
fn a_database_without_countries_is_named() {
    let record = Value::Map(vec![("autonomous_system_number", Value::Number16(64496))]);
    let asn = GeoDatabase::new("asn.mmdb", database(&[("198.51.0.0/16", record)]));
    let error = Map::build(&topology(AREAS), &[asn]).unwrap_err();
    assert!(error.to_string().contains("`asn.mmdb` knows no countries"), "{error}");
}

#[test]
fn a_damaged_database_is_named_and_never_panics() {
    let sound = database(&[("198.51.0.0/16", flat("DE")), ("2001:db8::/32", flat("FR"))]);
    for length in (0..sound.len()).step_by(7) {
        let cut = GeoDatabase::new("cut.mmdb", sound[..length].to_vec());
        let error = Map::build(&topology(AREAS), &[cut]).unwrap_err();
        assert!(error.to_string().contains("`cut.mmdb`"), "{error}");
    }
    for place in 0..sound.len() {
        for value in [0, 1, 0x7f, 0xff] {
            let mut damaged = sound.clone();
            damaged[place] = value;
            let _ = Map::build(&topology(AREAS), &[GeoDatabase::new("damaged", damaged)]);
        }
    }
}

/// Every node points to the next one twice: 2^127 networks in 128 nodes.
#[test]
fn a_tree_that_shares_subtrees_ends() {
    let mut bytes = database(&[("2001:db8::1/128", flat("DE"))]);
    for node in 0..127_u8 {
        bytes[usize::from(node) * 6..][..6].copy_from_slice(&[0, 0, node + 1, 0, 0, node + 1]);
    }
    let error = Map::build(&topology(AREAS), &[GeoDatabase::new("b.mmdb", bytes)]).unwrap_err();
    assert!(matches!(error, MapError::Database(DatabaseError::Endless { .. })), "{error}");
}

#[test]
fn databases_are_not_read_if_no_area_needs_them() {
    let garbage = GeoDatabase::new("garbage", b"garbage".to_vec());
    let map = Map::build(&topology(&[("a", &["10.0.0.0/8"])]), &[garbage]).unwrap();
    assert_eq!(area(&map, "10.0.0.1"), Some(0));
}

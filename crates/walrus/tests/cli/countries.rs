//! Areas by country: the database, the map that is compiled from it, and where that is kept.

use std::net::Ipv4Addr;
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;

use crate::dns::{addresses_in, ask_udp, query};
use crate::running::{PATIENCE, Running, TWO_CLUSTERS, walrus_on};

// The writer with which the map's own tests make their databases.
#[path = "../../../walrus-core/src/map/tests/mmdb.rs"]
mod mmdb;

use mmdb::{Value, database};

const FAR: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 1);

/// The area `here` is Germany, wherever the database says that this is.
fn config() -> String {
    TWO_CLUSTERS.replace("[\"203.0.113.0/24\"]", "[\"country:DE\"]")
        + "[geo]\ndatabase = \"countries.mmdb\"\n"
}

fn germany_is(prefix: &str) -> Vec<u8> {
    let country = Value::Map(vec![("iso_code", Value::Text("DE"))]);
    database(&[(prefix, Value::Map(vec![("country", country)]))])
}

fn kept_maps(running: &Running) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(running.path("state")).unwrap();
    let mut maps: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    maps.retain(|path| path.extension().is_some_and(|extension| extension == "bin"));
    maps
}

fn first_for(running: &Running, client: [u8; 3]) -> Ipv4Addr {
    let query = query("www.walrus.example", 1, Some(client));
    addresses_in(&ask_udp(running.dns(), &query, PATIENCE).unwrap())[0]
}

#[test]
fn a_country_is_an_area_and_its_compiled_map_is_kept_by_digest() {
    let mut running = Running::prepared(&config());
    std::fs::write(running.path("countries.mmdb"), germany_is("203.0.113.0/24")).unwrap();
    running.up();
    assert_ne!(first_for(&running, [203, 0, 113]), FAR);
    assert_eq!(first_for(&running, [10, 0, 0]), FAR);
    let [kept] = &kept_maps(&running)[..] else { panic!("one map is kept") };
    let inode = kept.metadata().unwrap().ino();

    // The same database: taken from there, so not written again.
    running.kill();
    running.up();
    assert_ne!(first_for(&running, [203, 0, 113]), FAR);
    assert_eq!(kept.metadata().unwrap().ino(), inode);

    // Damaged: said, and compiled anew.
    running.kill();
    std::fs::write(kept, "half a ma").unwrap();
    running.up();
    assert!(running.log().contains("the kept map is compiled anew"), "{}", running.log());
    assert_ne!(first_for(&running, [203, 0, 113]), FAR);

    // Another database, by a reload: another digest, and the former map is forgotten.
    std::fs::write(running.path("countries.mmdb"), germany_is("10.0.0.0/8")).unwrap();
    assert_eq!(running.ask(&["reload"]).code, Some(0));
    assert_eq!(first_for(&running, [203, 0, 113]), FAR);
    assert_ne!(first_for(&running, [10, 0, 0]), FAR);
    let now_kept = kept_maps(&running);
    assert!(now_kept.len() == 1 && now_kept[0] != *kept, "{now_kept:?}");
}

#[test]
fn a_damaged_database_is_a_problem_that_names_it() {
    let prepared = Running::prepared(&config());
    let whole = germany_is("203.0.113.0/24");
    std::fs::write(prepared.path("countries.mmdb"), &whole[..whole.len() / 2]).unwrap();
    let ended = walrus_on("check", &prepared.path("walrus.toml"));
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.stderr.contains("countries.mmdb"), "{ended:?}");
}

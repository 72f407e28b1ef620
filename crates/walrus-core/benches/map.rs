//! Lookups in a map of half a million prefixes, at random addresses.
//!
//! `calibration` is a fixed loop (a multiplication and a load from 4 MiB at random, 1,000 times),
//! to compare machines and to see how noisy this one is. All figures are for 1,000 lookups.

use std::net::IpAddr;

use divan::{Bencher, black_box};
use walrus_core::map::{ClassTable, Map};
use walrus_core::world::{Area, ClientSpec, Nearness, Topology};

const PREFIXES: usize = 500_000;
const AREAS: usize = 200;
const LOOKUPS: usize = 1_000;

fn main() {
    divan::main();
}

/// A small generator with a fixed seed (xorshift64*).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }
}

/// Prefixes as they are announced: IPv4 /12 to /24 below 224.0.0.0, IPv6 /20 to /48 in the blocks
/// of the five registries.
fn topology(ipv6: bool) -> Topology {
    let mut random = Random(7);
    let area = |index: usize| Area {
        name: format!("area{index:03}").parse().expect("a good name"),
        home: None,
        clients: Vec::new(),
        nameservers: Vec::new(),
        nearness: Nearness::default(),
    };
    let mut areas: Vec<Area> = (0..AREAS).map(area).collect();
    for _ in 0..PREFIXES {
        let (address, length) = if ipv6 {
            (ipv6_address(&mut random), 20 + random.next() % 29)
        } else {
            (IpAddr::V4(ipv4_address(&mut random).into()), 12 + random.next() % 13)
        };
        let area = random.next() as usize % AREAS;
        areas[area].clients.push(ClientSpec::Prefix(address, length as u8));
    }
    Topology { areas, ..Topology::default() }
}

fn ipv4_address(random: &mut Random) -> u32 {
    (random.next() >> 32) as u32 % (224 << 24)
}

fn ipv6_address(random: &mut Random) -> IpAddr {
    let block = [0x2001, 0x2400, 0x2600, 0x2800, 0x2a00][random.next() as usize % 5];
    let top = block + random.next() % 16;
    IpAddr::V6(((u128::from(top) << 112) | (u128::from(random.next()) << 48)).into())
}

fn table(ipv6: bool) -> ClassTable {
    let map = Map::build(&topology(ipv6), &[]).expect("a sound topology");
    let classes: Vec<u16> = (0..AREAS as u16).collect();
    map.classes(&classes, AREAS as u16)
}

fn addresses(ipv6: bool) -> Vec<IpAddr> {
    let mut random = Random(11);
    let address = |_| match ipv6 {
        true => ipv6_address(&mut random),
        false => IpAddr::V4(ipv4_address(&mut random).into()),
    };
    (0..1_000_000).map(address).collect()
}

#[divan::bench(args = [false, true])]
fn class_and_scope(bencher: Bencher<'_, '_>, ipv6: bool) {
    let table = table(ipv6);
    let addresses = addresses(ipv6);
    let mut chunks = addresses.chunks_exact(LOOKUPS).cycle();
    bencher.bench_local(|| {
        for address in chunks.next().into_iter().flatten() {
            black_box(table.lookup(*address));
        }
    });
}

#[divan::bench]
fn calibration(bencher: Bencher<'_, '_>) {
    let table: Vec<u32> = (0..1 << 20).collect();
    bencher.bench_local(|| {
        let mut random = Random(13);
        for _ in 0..LOOKUPS {
            black_box(table[random.next() as usize % table.len()]);
        }
    });
}

#[divan::bench(sample_count = 5, sample_size = 1)]
fn build(bencher: Bencher<'_, '_>) {
    let topology = topology(false);
    bencher.bench_local(|| Map::build(&topology, &[]));
}

#[divan::bench(sample_count = 5, sample_size = 1)]
fn load_compiled(bencher: Bencher<'_, '_>) {
    let map = Map::build(&topology(false), &[]).expect("a sound topology");
    let bytes = map.to_bytes();
    bencher.bench_local(|| Map::from_bytes(&bytes, map.digest()));
}

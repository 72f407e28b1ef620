//! Random queries, sound and damaged, and who asks.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use crate::random::{names, query, types};

pub(crate) fn clients() -> impl Strategy<Value = &'static str> {
    select(vec!["203.0.113.9", "192.0.2.7", "10.0.0.1", "2001:db8:a::1", "2001:db8:ffff::1"])
}

pub(crate) fn queries() -> impl Strategy<Value = Vec<u8>> {
    let types = types();
    let class = prop_oneof![20 => Just(1_u16), 1 => any::<u16>()];
    let edns = proptest::option::of((any::<u16>(), any::<u8>(), options()));
    let asked = (names(), types, class, edns, any::<u64>(), any::<[u8; 2]>());
    let whole = asked.prop_map(|(name, record_type, class, edns, case, flags)| {
        let mut query = query(&name, record_type, class, edns);
        // RD, CD, AD and the id as they come; random case (draft-vixie-dnsext-dns0x20).
        query[2] = flags[0] & 0x07;
        query[3] = flags[1];
        for (bit, at) in (12..12 + name.as_wire().len()).enumerate() {
            if query[at].is_ascii_lowercase() && case >> (bit % 64) & 1 == 1 {
                query[at] = query[at].to_ascii_uppercase();
            }
        }
        query
    });
    (
        whole,
        vec((any::<prop::sample::Index>(), any::<u8>()), 0..3),
        0_u8..12,
        vec(any::<u8>(), 0..4),
    )
        .prop_map(|(mut query, changes, kind, tail)| {
            match kind {
                0 => changes.iter().for_each(|(at, to)| *at.get_mut(&mut query) = *to),
                1 => query.truncate(changes.first().map_or(0, |(at, _)| at.index(query.len()))),
                2 => query.extend(tail),
                _ => {}
            }
            query
        })
}

fn options() -> impl Strategy<Value = Vec<u8>> {
    let sound =
        (prop_oneof![Just([203, 0, 113, 9]), Just([192, 0, 2, 7]), any::<[u8; 4]>()], 0_u8..=32)
            .prop_map(|(address, source)| {
                let kept = u32::MAX.checked_shl(32 - u32::from(source)).unwrap_or(0);
                let address = (u32::from_be_bytes(address) & kept).to_be_bytes();
                let sent = &address[..usize::from(source.div_ceil(8))];
                let len = 4 + u8::try_from(sent.len()).expect("four bytes");
                [&[0, 8, 0, len, 0, 1, source, 0], sent].concat()
            });
    let sound_ipv6 = (0_u8..=6).prop_map(|bytes| {
        let sent = &[0x20, 0x01, 0x0d, 0xb8, 0, 0x0a][..usize::from(bytes)];
        [&[0, 8, 0, 4 + bytes, 0, 2, bytes * 8, 0], sent].concat()
    });
    let cookie = vec![0, 10, 0, 8, 1, 2, 3, 4, 5, 6, 7, 8];
    prop_oneof![
        4 => sound,
        2 => sound_ipv6,
        2 => Just(Vec::new()),
        1 => Just(cookie),
        1 => vec(any::<u8>(), 0..12),
    ]
}

//! The complete path as oracle: whatever the fast path answers, it answers byte for byte alike.

use std::sync::{Arc, LazyLock};

use proptest::prelude::*;
use walrus_dns::record_type::{
    A, AAAA, ANY, AXFR, CAA, CNAME, DS, HTTPS, MX, NS, PTR, RRSIG, SOA, SRV, TXT,
};

use super::adaptive_ttl::adapt;
use super::fixture::{Ask, both, empty_table, list, plan, table};
use super::signer::{Signer, plan_of};
use crate::answer::{AnswerTable, Outcome, Request, Transport, WorkerState, respond};
use crate::world::{AdaptiveTtl, ChoosePolicy};

const NAMES: [&str; 30] = [
    "version.bind",
    "id.server",
    "",
    "example",
    "other",
    "child.example",
    "www.example",
    "ns.example",
    "a.b.c.example",
    "b.c.example",
    "c.example",
    "mx.example",
    "txt.example",
    "srv.example",
    "mixed.example",
    "out.example",
    "in.example",
    "to.example",
    "wild.example",
    "x.y.wild.example",
    "*.wild.example",
    "del.example",
    "ns.del.example",
    "ptr.example",
    "odd.example",
    "ns.other",
    "deep.service.example",
    "service.example",
    "ns.child.example",
    "elsewhere",
];

const TYPES: [u16; 18] =
    [A, AAAA, ANY, AXFR, CAA, CNAME, DS, HTTPS, MX, NS, PTR, RRSIG, SOA, SRV, TXT, 0, 65400, 65535];

const CLIENTS: [&str; 5] =
    ["203.0.113.1", "192.0.2.1", "198.51.100.200", "8.8.8.8", "2001:db8:1::1"];

fn subnet() -> impl Strategy<Value = Option<Vec<u8>>> {
    let network = prop_oneof![
        Just(vec![203, 0, 113, 7]),
        Just(vec![192, 0, 2, 7]),
        Just(vec![198, 51, 100, 7]),
        proptest::collection::vec(any::<u8>(), 4),
        proptest::collection::vec(any::<u8>(), 16),
    ];
    let well_formed = (network, 0..=128_u8).prop_map(|(mut address, source)| {
        let source = source.min(address.len() as u8 * 8);
        let family = if address.len() == 4 { 1 } else { 2 };
        address.truncate(usize::from(source).div_ceil(8));
        if source % 8 != 0
            && let Some(last) = address.last_mut()
        {
            *last &= 0xff << (8 - source % 8);
        }
        let mut data = vec![0, family, source, 0];
        data.extend_from_slice(&address);
        data
    });
    prop_oneof![
        4 => well_formed.prop_map(Some),
        4 => Just(None),
        1 => proptest::collection::vec(0..4_u8, 0..10).prop_map(Some),
    ]
}

/// Options beside the client subnet.
fn options() -> impl Strategy<Value = Vec<(u16, Vec<u8>)>> {
    let sound = prop_oneof![
        Just((3, Vec::new())),
        Just((10, vec![7; 8])),
        proptest::collection::vec(any::<u8>(), 16..41).prop_map(|data| (10, data)),
        Just((11, Vec::new())),
        Just((12, vec![0; 20])),
    ];
    let any = (0..16_u16, proptest::collection::vec(any::<u8>(), 0..12));
    proptest::collection::vec(prop_oneof![9 => sound, 1 => any], 0..4)
}

fn ask() -> impl Strategy<Value = Ask> {
    let name = (
        proptest::sample::select(&NAMES[..]),
        prop_oneof![Just(""), Just("x."), Just("*."), Just("x.y."), Just("ns."), Just("www.")],
        any::<u32>(),
    )
        .prop_map(|(name, prefix, case)| {
            let flip = |(at, letter): (u32, char)| match case >> (at % 32) & 1 {
                1 => letter.to_ascii_uppercase(),
                _ => letter,
            };
            (0..).zip(format!("{prefix}{name}").chars()).map(flip).collect::<String>()
        });
    let edns = proptest::option::weighted(0.8, (any::<u16>(), any::<bool>()));
    let place = (
        proptest::sample::select(&CLIENTS[..]),
        prop_oneof![Just("192.0.2.53:53"), Just("192.0.2.54:53"), Just("[::1]:53")],
        0..Transport::COUNT,
        options(),
    );
    let class = prop_oneof![9 => Just(1), 1 => Just(3), 1 => Just(255)];
    (name, proptest::sample::select(&TYPES[..]), class, edns, subnet(), place).prop_map(
        |(name, record_type, class, edns, subnet, (client, local, transport, options))| {
            let ask = Ask { class, edns, subnet, options, ..Ask::new(&name, record_type) };
            let all = [Transport::Udp, Transport::Tcp, Transport::Tls, Transport::Https];
            ask.from(client).at(local).by(all[transport])
        },
    )
}

/// Made once: with a Plan, without, and with one whose TTLs are adaptive, also signed; and with Plans
/// that choose by all policies.
static TABLES: LazyLock<Vec<AnswerTable>> = LazyLock::new(|| {
    let mut plan = plan();
    plan.lists[1].groups[0].candidates[1].ramp = 0.3;
    plan.services[0].answers = None;
    plan.services[2].locate.push(crate::world::LocatePolicy::Nameserver);
    let mut adaptive = plan.clone();
    for (service, variant) in adaptive.services.iter_mut().zip(AdaptiveTtl::ALL.into_iter().rev()) {
        adapt(service, variant);
    }
    let mut signer = Signer::new();
    let mut signed = plan_of(1, Some(2), &[list(&[0, 1, 2]), list(&[3, 4])], true);
    adapt(&mut signed.services[0], AdaptiveTtl::ServerEach);
    let unsigned = signer.table.with_plan(Arc::new(signed)).unwrap();
    signer.publish(&unsigned);
    let mut tables = vec![table(plan.clone()), empty_table(), table(adaptive), signer.table];
    for policies in ChoosePolicy::ALL[3..].chunks(3) {
        let mut plan = plan.clone();
        for (service, policy) in plan.services.iter_mut().zip(policies) {
            service.choose = *policy;
        }
        tables.push(table(plan));
    }
    tables
});

/// What holds for every outcome, understood or not.
fn check_outcome(table: &AnswerTable, worker: &mut WorkerState, request: &Request<'_>) {
    let Some(reply) = both(table, worker, request) else { return };
    let (reply, query) = (reply.0, request.query);
    if reply.is_empty() {
        assert!(query.len() < 12 || query[2] & 0x80 != 0, "only these are dropped");
        return;
    }
    assert!(reply[2] & 0x80 != 0 && reply[..2] == query[..2]);
    let limit = match request.transport {
        Transport::Udp => 1232,
        Transport::Tcp | Transport::Tls | Transport::Https => 65_535,
    };
    assert!(reply.len() <= limit);
    let refused = matches!(worker.decision().rcode, 1 | 4 | 5 | 16);
    // What a client asks of the server is given with a refusal, too: NSID, a cookie, how long it waits.
    let added = if request.transport.is_encrypted() { 468 } else { 3 + 16 + 2 };
    assert!(!refused || reply.len() <= query.len() + added, "no longer than its query");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn well_formed_queries(asks in proptest::collection::vec(ask(), 1..4), seed in any::<u64>()) {
        for table in &*TABLES {
            let mut worker = WorkerState::new(seed, table);
            for ask in &asks {
                check_outcome(table, &mut worker, &ask.request(&ask.bytes()));
            }
        }
    }

    #[test]
    fn damaged_queries(
        ask in ask(),
        cut in 0..80_usize,
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
        more in proptest::collection::vec(any::<u8>(), 0..20),
    ) {
        let table = &TABLES[0];
        let mut worker = WorkerState::new(1, table);
        let mut bytes = ask.bytes();
        bytes.truncate(bytes.len().saturating_sub(cut));
        bytes.extend_from_slice(&more);
        for (at, value) in changes {
            if !bytes.is_empty() {
                let at = at.index(bytes.len());
                bytes[at] = value;
            }
        }
        check_outcome(table, &mut worker, &ask.request(&bytes));
    }

    #[test]
    fn any_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let table = &TABLES[0];
        let mut worker = WorkerState::new(1, table);
        let ask = Ask::new("example", A);
        check_outcome(table, &mut worker, &ask.request(&bytes));
        // A query's header, so that more than the first bytes are looked at.
        let mut query = vec![0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 1];
        query.extend_from_slice(&bytes);
        check_outcome(table, &mut worker, &ask.request(&query));
    }
}

#[test]
fn replies_are_never_answered() {
    let table = table(plan());
    let mut worker = WorkerState::new(1, &table);
    let ask = Ask::new("ns.example", A);
    let mut bytes = ask.bytes();
    bytes[2] |= 0x80;
    let outcome = respond(&table, &mut worker, &ask.request(&bytes), &mut [0; 1232]);
    assert_eq!(outcome, Outcome::Drop);
}

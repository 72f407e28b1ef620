//! The fast path against the complete one: over random zones and services, whatever both answer
//! they answer with the same bytes, and every draw leaves their workers in step.

use std::sync::Arc;

use proptest::collection::vec;
use proptest::prelude::*;
use walrus_core::answer::{
    AnswerTable, Outcome, Request, ServerOptions, Transport, WorkerState, respond,
    respond_completely,
};
use walrus_core::dnssec::Denial;
use walrus_core::world::Time;
use walrus_core::zone::Zone;
use walrus_dns::DomainName;
use walrus_dns::record_type::{A, AAAA, ANY, AXFR, HTTPS, MX, NSEC, RRSIG, TXT};

#[path = "random/queries.rs"]
mod queries;
mod random;

// The fuzz targets' world.
#[expect(unreachable_pub, reason = "the fuzz crate uses it too")]
#[path = "../../../fuzz/src/sample.rs"]
mod sample;
#[expect(unreachable_pub, reason = "the fuzz crate uses it too")]
#[path = "../../../fuzz/src/signed.rs"]
mod signed;

use queries::{clients, queries};
use random::{APEXES, name, names, query, zones};

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn both_paths_give_the_same_bytes(
        zones in zones(),
        services in vec(names(), 0..8),
        queries in vec((queries(), clients(), any::<bool>()), 1..40),
        denials in any::<[Option<bool>; 4]>(),
        // They take a thousand times longer than the rest.
        signed_answers in proptest::bool::weighted(0.05),
        seed in any::<u64>(),
    ) {
        let services = placed(&zones, services);
        let zones = signed::sign_all(&zones, &given(&services), |apex| {
            let place = APEXES.iter().position(|text| name(text) == *apex)?;
            denials[place].map(|hashed| if hashed { Denial::Nsec3 } else { Denial::Nsec })
        });
        let table = sample::table(&zones, &services).expect("each service has its place");
        let table = if signed_answers { signed::sign_answers(&table, &zones, 50) } else { table };
        let (mut fast, mut complete) = (WorkerState::new(seed, &table), WorkerState::new(seed, &table));
        for (query, client, tcp) in &queries {
            let request = Request {
                query,
                client: client.parse().expect("an address"),
                local: "192.0.2.53:53".parse().expect("an address"),
                transport: if *tcp { Transport::Tcp } else { Transport::Udp },
                now: Time::ZERO,
                unix_secs: 0,
                udp_size_max: 1232,
                server: ServerOptions::SILENT,
            };
            let expected = run(respond_completely, &table, &mut complete, &request);
            let got = match run(respond, &table, &mut fast, &request) {
                // Then the fast worker's state goes through the complete path, as it does live.
                None => run(respond_completely, &table, &mut fast, &request),
                got => got,
            };
            prop_assert_eq!(got, expected, "query {:02x?}", query);
            prop_assert_eq!(fast.decision().service, complete.decision().service);
            prop_assert_eq!(fast.decision().scope, complete.decision().scope);
        }
    }
}

/// As many of the services as have a place in the zones.
fn placed(zones: &[Arc<Zone>], services: Vec<DomainName>) -> Vec<DomainName> {
    let mut placed = Vec::new();
    for service in services {
        placed.push(service);
        if sample::table(zones, &placed).is_err() {
            placed.pop();
        }
    }
    placed
}

/// What most queries ask for is answered by the fast path, else the test above shows nothing.
#[test]
fn the_fast_path_answers_what_is_usual() {
    let zone = read("example.com", "www A 192.0.2.1\nout CNAME elsewhere.example.\n");
    let services = [name("svc.example.com")];
    let zones = [Arc::new(zone)];
    for denial in [None, Some(Denial::Nsec), Some(Denial::Nsec3)] {
        let zones = signed::sign_all(&zones, &given(&services), |_| denial);
        let table = sample::table(&zones, &services).expect("a table");
        let table = signed::sign_answers(&table, &zones, 50);
        let mut worker = WorkerState::new(1, &table);
        for (owner, record_type) in [
            ("www", A),
            ("WWW", A),
            ("svc", A),
            ("svc", AAAA),
            ("svc", TXT),
            ("svc", ANY),
            ("svc", RRSIG),
            ("www", TXT),
            ("www", NSEC),
            ("no", A),
            ("out", A),
            ("www", ANY),
            ("www", RRSIG),
            ("a.b.c", MX),
            ("www", AXFR),
        ] {
            for edns in [None, Some((1232, 0x80, Vec::new()))] {
                let query = query(&name(&format!("{owner}.example.com")), record_type, 1, edns);
                let request = Request {
                    query: &query,
                    client: [192, 0, 2, 1].into(),
                    local: ([192, 0, 2, 53], 53).into(),
                    transport: Transport::Udp,
                    now: Time::ZERO,
                    unix_secs: 0,
                    udp_size_max: 1232,
                    server: ServerOptions::SILENT,
                };
                let reply = run(respond, &table, &mut worker, &request);
                assert!(reply.is_some_and(|reply| !reply.is_empty()), "{owner} {record_type}");
            }
        }
    }
}

#[test]
fn any_at_a_service_of_a_signed_zone_is_a_type_that_it_promises() {
    let services = [name("one.example.com"), name("two.example.com")];
    let zones = [Arc::new(read("example.com", ""))];
    // With NSEC the chain's record at the name is what is given.
    let zones = signed::sign_all(&zones, &given(&services), |_| Some(Denial::Nsec3));
    let table = sample::table(&zones, &services).expect("a table");
    // The second gives A and AAAA, and promises HTTPS and MX alone.
    for (service, expected) in services.iter().zip([A, HTTPS]) {
        let query = query(service, ANY, 1, None);
        let request = Request {
            query: &query,
            client: [192, 0, 2, 1].into(),
            local: ([192, 0, 2, 53], 53).into(),
            transport: Transport::Tcp,
            now: Time::ZERO,
            unix_secs: 0,
            udp_size_max: 1232,
            server: ServerOptions::SILENT,
        };
        let replies = [respond, respond_completely].map(|path: Path| {
            let mut worker = WorkerState::new(1, &table);
            run(path, &table, &mut worker, &request).expect("both answer")
        });
        assert_eq!(replies[0], replies[1]);
        let behind_question = 12 + service.as_wire().len() + 4;
        assert_eq!(replies[0][behind_question..][2..4], expected.to_be_bytes(), "{service}");
    }
}

type Path = fn(&AnswerTable, &mut WorkerState, &Request<'_>, &mut [u8]) -> Outcome;

/// The reply, empty for none; `None` if the path does not understand.
fn run(
    path: Path,
    table: &AnswerTable,
    worker: &mut WorkerState,
    request: &Request<'_>,
) -> Option<Vec<u8>> {
    let mut reply = vec![0; 65_535];
    match path(table, worker, request, &mut reply) {
        Outcome::Reply(len) => Some(reply[..len].to_vec()),
        Outcome::Drop => Some(Vec::new()),
        Outcome::NotUnderstood => None,
    }
}

fn read(apex: &str, body: &str) -> Zone {
    let text = format!("@ SOA ns host 1 2 3 4 5\n@ NS ns\nns A 192.0.2.53\n{body}");
    let file = walrus_core::zone::read_zone("test", text.as_bytes(), &name(apex));
    file.expect("a sound file").zone
}

fn given(services: &[DomainName]) -> Vec<(DomainName, Vec<u16>)> {
    let types = (0..).map(|index| sample::given(index).collect());
    services.iter().cloned().zip(types).collect()
}

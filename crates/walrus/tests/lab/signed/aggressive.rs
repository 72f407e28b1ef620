//! RFC 8198: a resolver may answer from proofs that it holds. Unbound does; after it has been asked
//! for many names and types that are not there, all that is there is still found.

use super::every_answer::within;
use super::family::{Family, PROMISED};
use crate::programs::say;

/// Questions without an answer, in each of two rounds.
const NAMES: usize = 150;

/// Types that no service has.
const NEVER: &[&str] = &["TXT", "NAPTR", "TLSA", "LOC", "SVCB", "DS", "CNAME", "TYPE65400"];

pub(super) fn nothing_is_hidden(family: &Family) {
    let unbound = family.unbound("unbound-aggressive");
    let upstream = || family.walrus.metric("walrus_dns_udp_queries_total");
    // Beside, before, behind and below each service, and what it has not.
    for (service, promised) in PROMISED {
        for record_type in NEVER.iter().filter(|it| !promised.contains(it)) {
            if !(*service == "signed.test" && *record_type == "DS") {
                let reply = unbound.ask(service, record_type);
                assert!(reply.secure, "{service} {record_type}: {reply:?}\n{}", unbound.said());
            }
        }
        let below = [format!("0.{service}"), format!("zzz.{service}"), format!("-.a.{service}")];
        for name in below {
            assert_eq!(unbound.ask(&name, "A").rcode, "NXDOMAIN", "{name}");
        }
    }
    let ask_round = |round: usize| {
        let before = upstream();
        for number in 0..NAMES {
            // Spread over the zone: the first letters go through the alphabet.
            let letter = char::from(b'a' + (number % 26) as u8);
            let name = within(&format!("{letter}{}-none-{round}-{number}", number % 7));
            let reply = unbound.ask(&name, "A");
            assert_eq!((&*reply.rcode, reply.secure), ("NXDOMAIN", true), "{name}");
        }
        upstream() - before
    };
    let (first, second) = (ask_round(1), ask_round(2));
    say(&format!(
        "\n{NAMES} names that are not there took unbound {first} questions, then {second}"
    ));
    // From hashed names it concludes nothing; what it found absent it shall not hold against the rest.
    let is_concluded = second < NAMES as u64 / 10;
    assert_eq!(is_concluded, family.signing.denial == "nsec", "{first}, then {second} questions");
    for (service, promised) in PROMISED {
        for record_type in *promised {
            let reply = unbound.ask(service, record_type);
            let is_found = reply.secure && !reply.data(record_type).is_empty();
            assert!(is_found, "{service} {record_type}: {reply:?}\n{}", unbound.said());
        }
    }
    for name in ["static", "to-service", "some.wild", "host.wild"] {
        let record_type = if name == "some.wild" { "TXT" } else { "A" };
        let reply = unbound.ask(&within(name), record_type);
        assert!(reply.secure && !reply.data(record_type).is_empty(), "{name}: {reply:?}");
    }
}

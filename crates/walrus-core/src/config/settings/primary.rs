//! `primaries` of a `[[zone]]`: other name servers that it comes from.

use super::{Default, Group, Kind, Scope, Setting, dns, key};
use crate::config::findings::Findings;
use crate::config::section::Section;
use crate::config::{PrimarySettings, TsigKey};

/// More would hardly be asked before the zone is due again.
const PRIMARIES_MAX: usize = 16;

pub(in crate::config) static PRIMARY: Group = Group {
    header: "[[zone.primaries]]",
    meaning: "A name server that the zone is transferred from (AXFR, IXFR). The first one that answers \
              is believed; its NOTIFY has the zone asked for at once.",
    scope: Scope::Local,
    settings: SETTINGS,
};

pub(super) static SETTINGS: &[Setting] = &[
    Setting {
        name: "address",
        kind: Kind::Endpoint(dns::PORT),
        default: Default::Required,
        meaning: "Where it answers, by UDP and TCP. Without a port it is 53.",
        example: "\"192.0.2.1:53\"",
    },
    Setting {
        name: "key",
        kind: Kind::Domain,
        default: Default::Otherwise("none: nothing is signed"),
        meaning: "The [[key]] that signs questions and transfers (TSIG, RFC 8945).",
        example: "\"transfer\"",
    },
];

/// A zone's primaries in their order.
pub(in crate::config) fn read(
    zone: &Section,
    keys: &[TsigKey],
    findings: &Findings<'_>,
) -> Vec<PrimarySettings> {
    let mut primaries: Vec<PrimarySettings> = Vec::new();
    for section in zone.sections("primaries") {
        let key = key::named(section, keys, findings);
        let Some(address) = section.endpoint("address") else { continue };
        if primaries.iter().any(|other| other.address == address) {
            findings.problem(
                section.place_of("address"),
                format!("{address} stands twice among the zone's primaries: keep one"),
            );
            continue;
        }
        if primaries.len() == PRIMARIES_MAX {
            findings.problem(
                section.place(),
                format!("a zone may have {PRIMARIES_MAX} primaries at most"),
            );
            break;
        }
        primaries.push(PrimarySettings { address, key });
    }
    if zone.is_given("primaries") && zone.is_given("file") {
        findings.problem(
            zone.key_place("primaries"),
            "a zone comes from its `file` or from its `primaries`: leave one of them out",
        );
    }
    primaries
}

#[cfg(test)]
mod tests {
    use crate::config::{Context, SourceFile, ZoneDnssec, parse};

    fn read(zone: &str) -> Result<crate::config::Configuration, String> {
        let text = format!(
            "[dns]\nlisten = [\"127.0.0.1:5300\"]\n[[key]]\nname = \"transfer\"\nsecret_file = \"k\"\n\
             [[zone]]\nname = \"example.com\"\n{zone}"
        );
        let files = [SourceFile { name: "a.toml".into(), text }];
        let context = Context { hostname: "ns1", read: &|_| Ok(String::new()) };
        let parsed = parse(&files, &context);
        parsed
            .map(|parsed| parsed.configuration)
            .map_err(|problems| problems.iter().map(|it| format!("{it}\n")).collect())
    }

    #[test]
    fn a_zone_may_come_from_other_primaries() {
        let configuration = read(
            "primaries = [{ address = \"192.0.2.1\", key = \"transfer\" }, \
             { address = \"[2001:db8::1]:5353\" }]\ndnssec = \"keep\"\n",
        )
        .unwrap();
        let zone = &configuration.zones[0];
        let primaries: Vec<String> = zone
            .primaries
            .iter()
            .map(|it| format!("{} {:?}", it.address, it.key.as_ref().map(ToString::to_string)))
            .collect();
        assert_eq!(primaries, ["192.0.2.1:53 Some(\"transfer\")", "[2001:db8::1]:5353 None"]);
        assert_eq!(zone.dnssec, ZoneDnssec::Keep);
        let other = read("primaries = [{ address = \"192.0.2.7\" }]\ndnssec = \"keep\"\n").unwrap();
        assert_eq!(configuration.digest, other.digest, "who they are is each node's own");
    }

    #[test]
    fn what_cannot_be_meant_is_told() {
        for (zone, word) in [
            ("file = \"f\"\nprimaries = [{ address = \"192.0.2.1\" }]\n", "leave one of them out"),
            ("primaries = [{ address = \"192.0.2.1\", key = \"tranfser\" }]\n", "did you mean"),
            ("primaries = [{ key = \"transfer\" }]\n", "address"),
            ("primaries = []\n", "needs its name servers"),
            (
                "primaries = [{ address = \"192.0.2.1\" }, { address = \"192.0.2.1:53\" }]\n",
                "stands twice",
            ),
        ] {
            let problems = read(zone).unwrap_err();
            assert!(problems.contains(word), "{zone}: {problems}");
        }
    }
}

//! `updates` of a `[[zone]]`: who may change it by DNS UPDATE (RFC 2136), and what.

use domain::base::iana::Rtype;
use walrus_dns::DomainName;

use super::{Default, Group, Kind, Scope, Setting, key};
use crate::config::findings::Findings;
use crate::config::section::{Section, Value};
use crate::config::{TsigKey, ZoneUpdates};

/// What names begin with that an ACME client proves (RFC 8555 section 8.4).
const CHALLENGE: &[u8] = b"_acme-challenge";

/// Rules of one zone: each is looked at for every record of an update.
const RULES_MAX: usize = 1000;

pub(in crate::config) static UPDATES: Group = Group {
    header: "[[zone.updates]]",
    meaning: "Lets whoever signs with a key change the zone by DNS UPDATE (RFC 2136). The first update makes \
              the zone's file count no longer: from then on the zone lives in the state directory.",
    scope: Scope::Local,
    settings: &[
        Setting {
            name: "key",
            kind: Kind::Domain,
            default: Default::Required,
            meaning: "The name of a `[[key]]`.",
            example: "\"acme\"",
        },
        Setting {
            name: "names",
            kind: Kind::List(&Kind::Domain),
            default: Default::Otherwise("all, unless `below` is there"),
            meaning: "These names may be changed. With neither `names` nor `below` the whole zone may.",
            example: "[\"_acme-challenge.example.com\"]",
        },
        Setting {
            name: "below",
            kind: Kind::List(&Kind::Domain),
            default: Default::Otherwise("none, if `names` is there"),
            meaning: "These names and all below them may be changed.",
            example: "[\"dyn.example.com\"]",
        },
        Setting {
            name: "types",
            kind: Kind::List(&Kind::Text),
            default: Default::Otherwise("all types"),
            meaning: "Records of these types may be changed. What Walrus makes itself (RRSIG, NSEC, DNSKEY and \
                      the like) never may, nor anything at a service's name.",
            example: "[\"A\", \"AAAA\"]",
        },
        Setting {
            name: "acme",
            kind: Kind::Flag,
            default: Default::Value("false"),
            meaning: "Only TXT records, and of the names only those that begin with `_acme-challenge`: what an \
                      ACME client needs to prove a name (DNS-01).",
            example: "true",
        },
    ],
};

/// The rules of a zone in their order.
pub(in crate::config) fn read(
    zone: &Section,
    apex: &DomainName,
    keys: &[TsigKey],
    findings: &Findings<'_>,
) -> Vec<ZoneUpdates> {
    let sections = zone.sections("updates");
    if let Some(section) = sections.get(RULES_MAX) {
        let message = format!("a zone may have {RULES_MAX} rules for updates at most");
        findings.problem(section.place(), message);
    }
    let one = |section| rule(section, apex, keys, findings);
    sections.iter().take(RULES_MAX).filter_map(one).collect()
}

fn rule(
    section: &Section,
    apex: &DomainName,
    keys: &[TsigKey],
    findings: &Findings<'_>,
) -> Option<ZoneUpdates> {
    let (names, below) = (section.domains("names"), section.domains("below"));
    for (setting, names) in [("names", &names), ("below", &below)] {
        if let Some(name) = names.iter().find(|name| !name.is_within(apex)) {
            let message =
                format!("{name} is not in the zone {apex}: write its rule into its own zone");
            findings.problem(section.place_of(setting), message);
        }
    }
    let acme = section.flag("acme");
    let no_names = names.is_empty() && below.is_empty();
    let no_types = section.list("types").is_empty();
    for (setting, is_empty) in [("names", no_names), ("below", no_names), ("types", no_types)] {
        if is_empty && section.is_given(setting) {
            let message =
                format!("an empty list would allow all: leave `{setting}` out if that is meant");
            findings.problem(section.place_of(setting), message);
        }
    }
    let is_challenge = |name: &&DomainName| name.labels().next() == Some(CHALLENGE);
    if let Some(name) = names.iter().find(|name| acme && !is_challenge(name)) {
        let message = format!(
            "`acme = true` is for names that begin with _acme-challenge: write \"_acme-challenge.{name}\""
        );
        findings.problem(section.place_of("names"), message);
    }
    if acme && section.is_given("types") {
        findings.problem(
            section.place_of("types"),
            "`acme = true` is for TXT records alone: leave `types` out",
        );
    }
    let mut types = Vec::new();
    for (value, place) in section.list("types") {
        let Value::Text(text) = value else { continue };
        match text.to_ascii_uppercase().parse::<Rtype>() {
            Ok(number) => types.push(number.to_int()),
            Err(_) => {
                let message =
                    format!("`{text}` is no type of records: write \"TXT\" or \"TYPE99\"");
                findings.problem(*place, message);
            }
        }
    }
    let key = key::named(section, keys, findings)?;
    Some(ZoneUpdates { key, names, below, types, acme })
}

#[cfg(test)]
mod tests {
    use crate::config::{Configuration, Context, SourceFile, parse};

    fn read(zone: &str) -> Result<Configuration, String> {
        let text = format!(
            "[dns]\nlisten = [\"127.0.0.1:5300\"]\n[[key]]\nname = \"acme\"\nsecret_file = \"k\"\n\
             [[zone]]\nname = \"example.com\"\nnameservers = [\"ns.example.net\"]\n{zone}"
        );
        let files = [SourceFile { name: "a.toml".into(), text }];
        let context = Context { hostname: "ns1", read: &|_| Ok(String::new()) };
        parse(&files, &context)
            .map(|parsed| parsed.configuration)
            .map_err(|problems| problems.iter().map(|it| format!("{it}\n")).collect())
    }

    #[test]
    fn rules_are_read_and_are_each_nodes_own() {
        let configuration = read(
            "updates = [{ key = \"acme\", acme = true }, { key = \"acme\", below = \
             [\"dyn.example.com\"], names = [\"a.example.com\"], types = [\"A\", \"aaaa\", \"TYPE99\"] }]\n",
        )
        .unwrap();
        let rules = &configuration.zones[0].updates;
        assert!(rules[0].acme && rules[0].names.is_empty() && rules[0].types.is_empty());
        assert_eq!(rules[1].types, [1, 28, 99]);
        assert_eq!(rules[1].below[0].to_string(), "dyn.example.com");
        let without = read("").unwrap();
        assert_eq!(configuration.digest, without.digest, "other nodes need not have them");
    }

    #[test]
    fn what_cannot_be_meant_is_told() {
        for (zone, word) in [
            ("updates = [{ key = \"amce\" }]\n", "did you mean"),
            ("updates = [{ key = \"acme\", names = [\"a.example.org\"] }]\n", "is not in the zone"),
            ("updates = [{ key = \"acme\", types = [\"TEXT\"] }]\n", "no type of records"),
            ("updates = [{ key = \"acme\", acme = true, types = [\"A\"] }]\n", "TXT records alone"),
            ("updates = [{ acme = true }]\n", "key"),
            ("updates = [{ key = \"acme\", types = [] }]\n", "an empty list would allow all"),
            (
                "updates = [{ key = \"acme\", acme = true, names = [\"www.example.com\"] }]\n",
                "write \"_acme-challenge.www.example.com",
            ),
            (
                "file = \"f\"\ndnssec = \"keep\"\nupdates = [{ key = \"acme\" }]\n",
                "comes neither signed",
            ),
        ] {
            let problems = read(zone).unwrap_err();
            assert!(problems.contains(word), "{zone}: {problems}");
        }
    }
}

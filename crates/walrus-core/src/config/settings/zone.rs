//! `[[zone]]`: what the name server is authoritative for.

use super::{Default, Group, Kind, Scope, Setting};
use crate::config::ZoneSettings;
use crate::config::findings::{Findings, Place};
use crate::config::section::{Section, Value};

pub(in crate::config) static ZONE: Group = Group {
    header: "[[zone]]",
    meaning: "A zone that the name server is authoritative for.",
    scope: Scope::Shared,
    settings: &[
        Setting {
            name: "name",
            kind: Kind::Domain,
            default: Default::Required,
            meaning: "The zone's apex.",
            example: "\"example.com\"",
        },
        Setting {
            name: "nameservers",
            kind: Kind::List(&Kind::Domain),
            default: Default::Value("[]"),
            meaning: "The names of the zone's name servers, for its NS records. Needed for a zone \
                      without a file.",
            example: "[\"ns1.example.com\", \"ns2.example.com\"]",
        },
        Setting {
            name: "file",
            kind: Kind::Path,
            default: Default::Otherwise("none: SOA and NS records are made from `nameservers`"),
            meaning: "A standard zone file (RFC 1035) with the zone's other records, relative to \
                      the configuration.",
            example: "\"example.com.zone\"",
        },
    ],
};

/// The zones of both spellings, in the order of the file.
pub(in crate::config) fn read(root: &Section, findings: &Findings<'_>) -> Vec<ZoneSettings> {
    let mut zones: Vec<(ZoneSettings, Place)> = Vec::new();
    let nameservers = root.domains("nameservers");
    if let Some(Value::Domain(apex)) = root.value("zone") {
        let zone = ZoneSettings { apex: apex.clone(), nameservers, file: None };
        zones.push((zone, root.place_of("zone")));
    } else if root.is_given("nameservers") {
        findings.problem(
            root.key_place("nameservers"),
            "`nameservers` at the top level belongs to `zone = \"...\"`: write it into each \
             [[zone]]",
        );
    }
    for section in root.sections("zone") {
        let (nameservers, file) = (section.domains("nameservers"), section.path("file"));
        if let Some(apex) = section.domain("name") {
            zones.push((ZoneSettings { apex, nameservers, file }, section.place_of("name")));
        }
    }
    for (index, (zone, place)) in zones.iter().enumerate() {
        let apex = &zone.apex;
        if let Some((_, first)) = zones[..index].iter().find(|(other, _)| other.apex == *apex) {
            let first = findings.point(*first);
            findings.problem(*place, format!("the zone {apex} stands already at {first}"));
        }
        if zone.file.is_none() && zone.nameservers.is_empty() {
            findings.problem(
                *place,
                format!(
                    "the zone {apex} needs its name servers (nameservers = [\"ns1.{apex}\"]) or a \
                     zone file ([[zone]] with name and file)"
                ),
            );
        }
    }
    zones.into_iter().map(|(zone, _)| zone).collect()
}

//! `[[zone]]`: what the name server is authoritative for.

use super::{Default, Group, Kind, Scope, Setting, primary, zone_transfers, zone_updates};
use crate::config::findings::{Findings, Place};
use crate::config::section::{Section, Value};
use crate::config::{DnsSettings, TsigKey, ZoneDnssec, ZoneSettings, ZoneTransfers};

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
                      without a file, which has no addresses for names inside it: use names \
                      outside.",
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
        Setting {
            name: "primaries",
            kind: Kind::Sections(&primary::PRIMARY),
            default: Default::Otherwise("none: the zone is this configuration's"),
            meaning: "Other name servers that the zone comes from, by AXFR and IXFR: Walrus is their \
                      secondary, adds the services, and signs the result if it has the keys. In \
                      the place of `file`; each node may have others.",
            example: "[{ address = \"192.0.2.1:53\", key = \"transfer\" }]",
        },
        Setting {
            name: "dnssec",
            kind: Kind::OneOf(&["sign", "off", "keep"]),
            default: Default::Otherwise("\"sign\" if `sign` of [dnssec] says so, else \"off\""),
            meaning: "Whether Walrus signs the zone, leaves it unsigned, or keeps the signatures \
                      that its file or its primaries have (`keep`: then no service can live in it). \
                      A zone that comes signed from primaries is kept so unless this is \"sign\".",
            example: "\"sign\"",
        },
        Setting {
            name: "updates",
            kind: Kind::Sections(&zone_updates::UPDATES),
            default: Default::Otherwise("none: nobody may"),
            meaning: "Who may change the zone by DNS UPDATE (RFC 2136), and what. Each node's own: the node \
                      that has it is where updates are sent to.",
            example: "[{ key = \"acme\", acme = true }]",
        },
        Setting {
            name: "transfer_to",
            kind: Kind::Sections(&zone_transfers::RULE),
            default: Default::Otherwise("nobody"),
            meaning: "Who may transfer the zone (AXFR, IXFR): other name servers that serve a copy. Services \
                      are in it as `services_in_transfers` says, and its serial is Walrus' own. Of several \
                      nodes one has this setting; each node may have another.",
            example: "[{ from = \"192.0.2.0/24\", key = \"transfer\" }]",
        },
        Setting {
            name: "notify",
            kind: Kind::Sections(&zone_transfers::TARGET),
            default: Default::Otherwise("nobody"),
            meaning: "Which of them are told when it has changed (NOTIFY), at most once a minute.",
            example: "[{ address = \"192.0.2.2:53\", key = \"transfer\" }]",
        },
        Setting {
            name: "services_in_transfers",
            kind: Kind::OneOf(&["world", "none"]),
            default: Default::Otherwise("\"world\""),
            meaning: "What stands at services' names in it: the functioning servers of the area `world`, or \
                      nothing.",
            example: "\"world\"",
        },
        Setting {
            name: "serial",
            kind: Kind::OneOf(&["unixtime", "increment"]),
            default: Default::Otherwise("\"unixtime\""),
            meaning: "What its next serial is: the time in seconds, or one more; never less than before. The \
                      file's own serial is not used. A zone that comes signed keeps its own.",
            example: "\"unixtime\"",
        },
    ],
};

/// The zones of both spellings, in the order of the file.
pub(in crate::config) fn read(
    root: &Section,
    (dns, keys): (&DnsSettings, &[TsigKey]),
    sign: bool,
    findings: &Findings<'_>,
) -> Vec<ZoneSettings> {
    let mut zones: Vec<(ZoneSettings, Place)> = Vec::new();
    let nameservers = root.domains("nameservers");
    let default = if sign { ZoneDnssec::Sign } else { ZoneDnssec::Off };
    if let Some(Value::Domain(apex)) = root.value("zone") {
        let zone = ZoneSettings {
            apex: apex.clone(),
            nameservers,
            file: None,
            primaries: Vec::new(),
            dnssec: default,
            updates: Vec::new(),
            transfers: ZoneTransfers::default(),
        };
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
            let dnssec = dnssec(section, default, findings);
            let updates = zone_updates::read(section, &apex, keys, findings);
            let primaries = primary::read(section, keys, findings);
            if !updates.is_empty() && (dnssec == ZoneDnssec::Keep || !primaries.is_empty()) {
                findings.problem(
                    section.place_of("updates"),
                    "a zone that takes updates comes neither signed (dnssec = \"keep\") nor from \
                     `primaries`, which are to be updated instead: take one of both out",
                );
            }
            let transfers = zone_transfers::read(section, keys, dnssec, findings);
            let zone =
                ZoneSettings { apex, nameservers, file, primaries, dnssec, updates, transfers };
            zones.push((zone, section.place_of("name")));
        }
    }
    for (index, (zone, place)) in zones.iter().enumerate() {
        let apex = &zone.apex;
        if let Some((_, first)) = zones[..index].iter().find(|(other, _)| other.apex == *apex) {
            let first = findings.point(*first);
            findings.problem(*place, format!("the zone {apex} stands already at {first}"));
        }
        let is_local = zone.file.is_none() && zone.primaries.is_empty();
        if is_local && zone.nameservers.is_empty() {
            findings.problem(
                *place,
                format!(
                    "the zone {apex} needs its name servers (nameservers = [\"ns1.{apex}\"]) or a \
                     zone file ([[zone]] with name and file)"
                ),
            );
        }
    }
    // On loopback nobody is delegated to.
    if dns.listen.iter().any(|endpoint| !endpoint.ip().is_loopback()) {
        zones.iter().for_each(|(zone, place)| check_nameservers(zone, *place, findings));
    }
    zones.into_iter().map(|(zone, _)| zone).collect()
}

fn dnssec(section: &Section, default: ZoneDnssec, findings: &Findings<'_>) -> ZoneDnssec {
    match section.text("dnssec").as_deref() {
        Some("sign") => ZoneDnssec::Sign,
        Some("off") => ZoneDnssec::Off,
        Some("keep") => {
            if !section.is_given("file") && !section.is_given("primaries") {
                findings.problem(
                    section.place_of("dnssec"),
                    "`dnssec = \"keep\"` needs a signed zone file: write `file`, or \
                     dnssec = \"sign\"",
                );
            }
            ZoneDnssec::Keep
        }
        _ => default,
    }
}

/// The parent's glue leads resolvers here, but those that then ask for the name server's address
/// itself would be told that there is no such name, and believe it.
fn check_nameservers(zone: &ZoneSettings, place: Place, findings: &Findings<'_>) {
    let inside = zone.nameservers.iter().find(|name| name.is_within(&zone.apex));
    if let Some(name) = inside.filter(|_| zone.file.is_none() && zone.primaries.is_empty()) {
        findings.warn(
            place,
            format!(
                "the name server {name} is inside the zone, which has no address for it without a \
                 file: name one outside (zone = \"www.{apex}\" would do), or give the zone a file \
                 with its address",
                apex = zone.apex
            ),
        );
    }
}

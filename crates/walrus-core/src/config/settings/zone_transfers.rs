//! `[[zone]]`: to whom a zone is transferred, and who is told of its changes.

use walrus_dns::DomainName;

use super::{Default, Group, Kind, Scope, Setting, dns, key};
use crate::config::findings::Findings;
use crate::config::section::Section;
use crate::config::{
    NotifyTarget, SerialPolicy, TransferRule, TransferredServices, TsigKey, ZoneDnssec,
    ZoneTransfers, prefix,
};

/// Rules and targets of one zone.
const LIST_MAX: usize = 100;

pub(in crate::config) static RULE: Group = Group {
    header: "[[zone.transfer_to]]",
    meaning: "Who may transfer the zone: a rule with both settings needs both.",
    scope: Scope::Local,
    settings: &[
        Setting {
            name: "from",
            kind: Kind::Text,
            default: Default::Otherwise("anywhere; then it needs a `key`"),
            meaning: "Where the request comes from.",
            example: "\"192.0.2.0/24\"",
        },
        Setting {
            name: "key",
            kind: Kind::Domain,
            default: Default::Otherwise("none: the request need not be signed"),
            meaning: "The [[key]] that signs the request.",
            example: "\"transfer\"",
        },
    ],
};

pub(in crate::config) static TARGET: Group = Group {
    header: "[[zone.notify]]",
    meaning: "A secondary that is told when the zone has changed (NOTIFY, RFC 1996).",
    scope: Scope::Local,
    settings: &[
        Setting {
            name: "address",
            kind: Kind::Endpoint(dns::PORT),
            default: Default::Required,
            meaning: "Where it listens. Without a port it is 53.",
            example: "\"192.0.2.2:53\"",
        },
        Setting {
            name: "key",
            kind: Kind::Domain,
            default: Default::Otherwise("none: the notification is not signed"),
            meaning: "The [[key]] that signs the notification.",
            example: "\"transfer\"",
        },
        Setting {
            name: "source",
            kind: Kind::Address,
            default: Default::Otherwise(
                "the address of its family in `[dns] listen`, if there is one alone; else the system's choice",
            ),
            meaning: "The address that the notification comes from: the one that the secondary knows this server by.",
            example: "\"192.0.2.53\"",
        },
    ],
};

/// What a zone says of transfers to others.
pub(in crate::config) fn read(
    section: &Section,
    keys: &[TsigKey],
    dnssec: ZoneDnssec,
    findings: &Findings<'_>,
) -> ZoneTransfers {
    let transfer_to = section.sections("transfer_to").iter();
    let transfer_to: Vec<_> = transfer_to.filter_map(|it| rule(it, keys, findings)).collect();
    let notify = section.sections("notify").iter();
    let notify: Vec<_> = notify.filter_map(|it| target(it, keys, findings)).collect();
    let services = match section.text("services_in_transfers").as_deref() {
        Some("none") => TransferredServices::None,
        _ => TransferredServices::World,
    };
    let serial = match section.text("serial").as_deref() {
        Some("increment") => SerialPolicy::Increment,
        _ => SerialPolicy::UnixTime,
    };
    for (name, list) in [("transfer_to", transfer_to.len()), ("notify", notify.len())] {
        if list > LIST_MAX {
            let text = format!("`{name}` has {list} entries, and may have {LIST_MAX}: join some");
            findings.problem(section.place_of(name), text);
        }
    }
    if section.is_given("transfer_to") && dnssec == ZoneDnssec::Sign {
        findings.problem(
            section.place_of("transfer_to"),
            "a zone that Walrus signs is not transferred to others: its signatures are made for each answer, and \
             go on by themselves. Let the secondaries be Walrus nodes with the same configuration, or write \
             dnssec = \"off\"",
        );
    }
    if transfer_to.is_empty() {
        for name in ["notify", "services_in_transfers", "serial"] {
            if section.is_given(name) {
                findings.problem(
                    section.key_place(name),
                    format!(
                        "`{name}` goes with transfers, and nobody may have the zone: write transfer_to = \
                         [{{ from = \"192.0.2.2\", key = \"transfer\" }}]"
                    ),
                );
            }
        }
    }
    ZoneTransfers { transfer_to, notify, services, serial }
}

fn rule(section: &Section, keys: &[TsigKey], findings: &Findings<'_>) -> Option<TransferRule> {
    let key = key_of(section, keys, findings);
    let from = match section.text("from") {
        Some(text) => match prefix::parse(&text) {
            Ok(prefix) => Some(prefix),
            Err(why) => {
                let place = section.place_of("from");
                findings.problem(place, format!("`{text}` in `from` {why}"));
                return None;
            }
        },
        None => None,
    };
    if from.is_none() && !section.is_given("key") {
        findings.problem(
            section.place(),
            "this rule would give the zone to everybody: write `from`, `key` or both; \
             from = \"0.0.0.0/0\" if that is meant",
        );
        return None;
    }
    if key.is_none() && from.is_some_and(|(address, _)| !address.is_loopback()) {
        findings.warn(
            section.place(),
            "whoever sends from these addresses gets the whole zone: add a `key` to prove who it is",
        );
    }
    Some(TransferRule { from, key })
}

fn target(section: &Section, keys: &[TsigKey], findings: &Findings<'_>) -> Option<NotifyTarget> {
    let key = key_of(section, keys, findings);
    let address = section.endpoint("address")?;
    if address.ip().is_unspecified() || address.port() == 0 {
        findings.problem(
            section.place_of("address"),
            format!("{address} is nowhere to send to: write where the secondary listens"),
        );
    }
    let source = section.address("source");
    if source.is_some_and(|source| source.is_ipv4() != address.is_ipv4()) {
        findings.problem(
            section.place_of("source"),
            format!("nothing goes to {} from an address of another family", address.ip()),
        );
    }
    Some(NotifyTarget { address, key, source })
}

fn key_of(section: &Section, keys: &[TsigKey], findings: &Findings<'_>) -> Option<DomainName> {
    key::named(section, keys, findings)
}

#[cfg(test)]
#[path = "zone_transfers_tests.rs"]
mod tests;

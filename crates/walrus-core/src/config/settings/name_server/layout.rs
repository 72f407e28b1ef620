//! What follows for the configuration as a whole from name servers that are already there.

use super::Known;
use crate::config::findings::Findings;
use crate::config::section::Section;
use crate::config::{NameServerSettings, PublishedService, ZoneDnssec, ZoneSettings};
use crate::world::{Service, ServiceType};

/// What follows from the layout as a whole.
pub(super) fn check_role(
    root: &Section,
    all: &[NameServerSettings],
    known: &Known<'_>,
    findings: &Findings<'_>,
) {
    if known.roles.updater && !root.is_given("name_server") {
        findings.problem(
            root.place(),
            "the role `updater` needs name servers: write [[name_server]] with area, address, zone \
             and key",
        );
    }
    if all.is_empty() {
        return;
    }
    if !known.roles.updater {
        findings.warn(
            root.key_place("name_server"),
            "[[name_server]] is not used: add \"updater\" to [node] roles",
        );
    }
    let is_published = |service: &&Service| {
        all.iter().any(|it| it.services.iter().any(|one| one.service == service.name))
    };
    for service in known.services.iter().filter(is_published) {
        warn_of_stages(root, service, findings);
    }
    warn_of_map(root, known, findings);
    let is_signed = |zone: &&ZoneSettings| {
        let inside = |one: &PublishedService| one.service.is_within(&zone.apex);
        zone.dnssec != ZoneDnssec::Off && all.iter().any(|it| it.services.iter().any(inside))
    };
    if let Some(zone) = known.zones.iter().find(is_signed) {
        findings.warn(
            root.key_place("name_server"),
            format!(
                "{} is signed by Walrus' own name servers: copies of it in name servers that are \
                 already there differ in their CNAMEs, so each must sign its own, all with the same \
                 keys; otherwise validating resolvers refuse what some of them say",
                zone.apex
            ),
        );
    }
}

/// Where clients are plays no part in what name servers do that are told addresses.
fn warn_of_map(root: &Section, known: &Known<'_>, findings: &Findings<'_>) {
    if known.roles.director || !known.roles.updater {
        return;
    }
    let mut with_clients = root.sections("area").iter().filter(|it| it.is_given("clients"));
    if let Some(section) = with_clients.next() {
        findings.warn(
            section.place_of("clients"),
            "`clients` play no part in name servers that are already there: whoever asks one gets the \
             addresses of its area; only nodes with the role `director` look at the map",
        );
    }
}

/// A name server that is told addresses gives all of them to everybody.
fn warn_of_stages(root: &Section, service: &Service, findings: &Findings<'_>) {
    let section = root
        .sections("service")
        .iter()
        .find(|section| section.domain("name").as_ref() == Some(&service.name));
    let Some(section) = section else { return };
    let ignored: Vec<String> = ["choose", "answers", "locate"]
        .into_iter()
        .filter(|name| section.is_given(name))
        .map(|name| format!("`{name}`"))
        .collect();
    if !ignored.is_empty() {
        findings.warn(
            section.place_of("name"),
            format!(
                "where {} is published into name servers that are already there, {} not apply: they \
                 give all addresses of an area to whoever asks them",
                service.name,
                match &ignored[..] {
                    [one] => format!("{one} does"),
                    _ => format!("{} do", ignored.join(" and ")),
                }
            ),
        );
    }
    let types = service.records.types();
    let others: Vec<&str> = types
        .iter()
        .filter(|it| !matches!(it, ServiceType::A | ServiceType::Aaaa))
        .map(ServiceType::name)
        .collect();
    if !others.is_empty() {
        findings.warn(
            section.place_of("name"),
            format!(
                "of {} only addresses are published into name servers that are already there, not \
                 its {} records",
                service.name,
                others.join(" and ")
            ),
        );
    }
}

//! A study's sections to a [`Setup`]; problems leave gaps that are never used.

use std::sync::Arc;

use walrus_core::config::settings_file::{CONFIGURATION, Findings, Section};
use walrus_core::config::{Configuration, Replacement, SourceFile};

use super::super::requests::Requests;
use super::law::ServiceLaw;
use super::memory::Measured;
use super::populations::Sources;
use super::setup::{Directors, Link, Population, Queries, Reports, Setup};
use super::shares::KnownShares;
use super::timeline::Known;
use super::{configuration, happenings, offered, populations, settings, times};

/// The texts that a study is made of.
pub(super) struct Files<'a> {
    /// The study itself, and what was set from outside.
    pub(super) study: &'a [SourceFile; 2],
    /// Gives another file's content.
    pub(super) read: &'a dyn Fn(&str) -> Result<String, String>,
    /// What other variants have made.
    pub(super) shares: &'a KnownShares,
}

/// Whether a replacement is for the study and not for the Walrus configuration.
pub(super) fn is_of_study(replacement: &Replacement) -> bool {
    let first = replacement.path.split('.').next().unwrap_or_default().trim();
    let has = |settings: &[walrus_core::config::settings_file::Setting]| {
        settings.iter().any(|setting| setting.name == first)
    };
    has(settings::STUDY.settings) || !has(CONFIGURATION.settings)
}

/// Whether a text is a TOML value as it stands.
pub(super) fn is_toml_value(text: &str) -> bool {
    // A line break would end the value in a file.
    !text.contains('\n') && toml::de::DeValue::parse(text).is_ok()
}

/// One variant; `None` after a problem that leaves nothing to go on with.
pub(super) fn setup(
    name: &str,
    root: &Section,
    to_configuration: &[Replacement],
    files: &Files<'_>,
    findings: &Findings<'_>,
) -> Option<Setup> {
    let configuration = configuration::read(root, to_configuration, files, findings);
    let name_servers = configuration
        .as_ref()
        .map_or_else(Vec::new, |it| configuration::name_servers(it, root, findings));
    let pages = root.section("pages")?;
    // What stands in the study itself is told even if its configuration is bad.
    let populations = populations::read(
        root,
        pages,
        configuration.as_deref(),
        &name_servers,
        Sources { read: files.read, shares: files.shares },
        findings,
    );
    let service_law = service_law(pages, findings);
    let (discard, interval) = times::read(root, findings);
    let configuration = configuration?;
    configuration::check(&configuration, root, findings);
    let (controllers, reports) = (root.section("controllers")?, root.section("reports")?);
    let known = Known {
        topology: &configuration.topology,
        name_servers: &name_servers,
        populations: populations.iter().map(|population| population.name.as_str()).collect(),
        controllers: controllers.whole("count"),
    };
    let mut happenings = happenings::read(root, &known, files, findings);
    let again = |settings: &[Replacement]| {
        let all: Vec<Replacement> = to_configuration.iter().chain(settings).cloned().collect();
        configuration::read(root, &all, files, findings)
    };
    let reloads = happenings::reloads(&mut happenings, &configuration, &again, findings);
    let setup = Setup {
        name: name.to_owned(),
        duration: root.duration("duration"),
        discard,
        window: root.duration("window"),
        sample: root.duration("sample"),
        interval,
        service_law,
        connect_timeout: pages.duration("connect_timeout"),
        queue_max: root.section("servers")?.whole("queue_max"),
        reports: Reports {
            every: reports.duration("every"),
            link: link(reports, "delay", "loss"),
            requests: requests(reports, (&configuration, &reloads), &populations, findings),
            busy_max: reports.count("busy_max"),
        },
        queries: queries(root.section("queries")?),
        directors: directors(root.section("directors")?),
        controllers: controllers.whole("count"),
        takeover: controllers.duration("takeover"),
        timeline: happenings.into_iter().map(|(happening, _)| happening).collect(),
        reloads,
        name_servers,
        populations,
        configuration,
    };
    if let Err(why) = Measured::of(&setup).check() {
        findings.problem(root.place_of("interval"), why);
    }
    offered::check(&setup, root, findings);
    Some(setup)
}

fn service_law(pages: &Section, findings: &Findings<'_>) -> ServiceLaw {
    let law = pages.text("service").map(|text| ServiceLaw::parse(&text));
    if let Some(Err(why)) = &law {
        findings.problem(pages.place_of("service"), format!("`pages.service` {why}"));
    }
    law.and_then(Result::ok).unwrap_or(ServiceLaw::Exponential)
}

fn queries(section: &Section) -> Queries {
    Queries {
        delay: section.duration("delay"),
        jitter: section.number("jitter").unwrap_or_default(),
        loss: section.number("loss").unwrap_or_default(),
        timeout: section.duration("timeout"),
        tries: section.whole("tries"),
    }
}

fn directors(section: &Section) -> Directors {
    Directors {
        workers: section.whole("workers"),
        exchange: section.duration("exchange"),
        plans: link(section, "plan_delay", "plan_loss"),
        observations: link(section, "observation_delay", "observation_loss"),
    }
}

fn link(section: &Section, delay: &str, loss: &str) -> Link {
    Link { delay: section.duration(delay), loss: section.number(loss).unwrap_or_default() }
}

/// Whether servers count who asks.
fn requests(
    reports: &Section,
    (configuration, reloads): (&Configuration, &[Arc<Configuration>]),
    populations: &[Population],
    findings: &Findings<'_>,
) -> bool {
    /// Counts in all: of four bytes each where all domains are counted, of a hundred otherwise.
    const COUNTS_MAX: usize = 20_000_000;
    let topology = &configuration.topology;
    let all = std::iter::once(configuration).chain(reloads.iter().map(|it| &**it));
    let mut services = all.flat_map(|it| &it.topology.services);
    let wanted = services.any(walrus_core::world::Service::wants_demand);
    let counted = reports.flag_if_given("requests").unwrap_or(wanted);
    let domains: usize = populations.iter().map(|it| it.shares.shares().len()).sum();
    let counts = domains.min(Requests::COUNTED_MAX).saturating_mul(topology.servers.len());
    if counted && counts > COUNTS_MAX {
        let message = format!(
            "who asks each of {} servers is too much to count: take fewer, or write requests = false",
            topology.servers.len()
        );
        findings.problem(reports.place_of("requests"), message);
    }
    counted
}

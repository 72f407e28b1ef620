//! Many Reporters of one Controller, each with the connection that a real one has.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use walrus_core::config::ReporterSettings;
use walrus_core::message::{Envelope, Message, Role, encode_envelope};
use walrus_core::world::{
    DomainCount, Generator, Name, Report, ReportBody, RequestCounts, Statistics, TokenHash,
};
use walrus_host::clock::Clock;
use walrus_host::link::Link;
use walrus_host::shutdown::Shutdown;

use super::controller::{Controller, free};
use super::figures::Figures;
use super::nats::{Nats, Publisher};
use super::{Carrier, Wanted, topology};

/// Connections that are begun in a second: handshakes are paid for once, and not to be measured.
const BEGUN_A_SECOND: usize = 500;
/// Until all are heard.
const HEARD_WITHIN: Duration = Duration::from_secs(120);

/// The goal: a share of one core, and memory in MiB.
const GOAL: (f64, f64) = (30.0, 300.0);

pub(crate) async fn measure(wanted: &Wanted) -> Result<Figures> {
    let folder = tempfile::tempdir()?;
    let (count, every) = (wanted.count, wanted.every);
    let group = free()?;
    let nats = match wanted.over {
        Carrier::Nats => Some(Nats::start(folder.path()).await?),
        Carrier::Tcp | Carrier::Tls => None,
    };
    let carrier = match &nats {
        Some(nats) => format!("[group.nats]\nservers = [\"{}\"]\n", nats.address),
        None => format!("[group]\nlisten = [\"{group}\"]\n"),
    };
    let address = |server: usize| Ipv4Addr::from(0x0ac8_0000 + server as u32);
    let mut text = topology::of(count, address, ", reporter = true") + &carrier;
    if wanted.own_tokens {
        text += &identities(count, folder.path())?;
    }
    let starts = Instant::now();
    let controller = Controller::start(folder.path(), &text).await?;
    let started = starts.elapsed();
    let shutdown = Shutdown::new();
    let begin = Instant::now();
    match &nats {
        Some(nats) => report_over_bus(wanted, nats.address, begin).await?,
        None => report(wanted, &controller, folder.path(), group, begin, &shutdown).await?,
    }
    controller.wait_for_living(count, HEARD_WITHIN).await?;
    let heard = begin.elapsed();
    let used = controller.measure(Duration::from_secs(wanted.seconds)).await?;
    let living = controller.living().await?;
    let over = match wanted.over {
        Carrier::Tcp => "TCP",
        Carrier::Tls => "TLS",
        Carrier::Nats => "NATS",
    };
    let tokens = if wanted.own_tokens { ", with a token of its own each" } else { "" };
    let title = format!("{count} Reporters, each {every:?}, over {over}{tokens}");
    let mut figures = Figures::new(title);
    figures.tell("until the Controller answered", started.as_secs_f64(), "s");
    figures.tell("reports a second", count as f64 / every.as_secs_f64(), "");
    figures.tell("until all were heard", heard.as_secs_f64(), "s");
    figures.compare("CPU, share of a core", used.cores * 100.0, "%", GOAL.0);
    figures.compare("memory", used.memory_mib, "MiB", GOAL.1);
    figures.tell("memory at most", used.peak_mib, "MiB");
    figures.compare("servers not living at the end", (count - living) as f64, "", 0.0);
    Ok(figures)
}

/// A token for each in a file, and the lines that let it in.
fn identities(count: usize, folder: &Path) -> Result<String> {
    let mut lines = String::new();
    for number in 0..count {
        let name = topology::name(number);
        let token = format!("token-of-{name}-under-load-{number:032}");
        std::fs::write(token_file(folder, number), &token)?;
        let hash = TokenHash::of(&token).to_hex();
        lines += &format!(
            "[[identity]]\nname = \"{name}\"\nrole = \"reporter\"\ntoken_sha256 = \"{hash}\"\n"
        );
    }
    Ok(lines)
}

fn token_file(folder: &Path, number: usize) -> PathBuf {
    folder.join(format!("{}.token", topology::name(number)))
}

/// One task a Reporter, as in a Reporter's own process.
async fn report(
    wanted: &Wanted,
    controller: &Controller,
    folder: &Path,
    group: SocketAddr,
    begin: Instant,
    shutdown: &Shutdown,
) -> Result<()> {
    let fingerprint = fingerprint(folder)?;
    let clock = Clock::real();
    for number in 0..wanted.count {
        let settings = ReporterSettings {
            server: topology::name(number).parse().context("a server's name")?,
            controllers: vec![group.to_string()],
            token_file: Some(match wanted.own_tokens {
                true => token_file(folder, number),
                false => controller.state("reporter-token"),
            }),
            fingerprint: (wanted.over == Carrier::Tls).then(|| fingerprint.clone()),
            unit: wanted.every,
            source: None,
            memory_pressure_max: 1.0,
            memory_pressure_units: 1,
            bypass_file: None,
            version_file: None,
            access_log: None,
            insecure: false,
            authority: None,
            certificate: None,
            key: None,
            system: false,
        };
        let link = Link::new(&settings, 1, clock.clone(), number as u64, shutdown.clone())?;
        let (name, every, domains) = (settings.server, wanted.every, wanted.domains);
        let mut generator = Generator::new(number as u64);
        tokio::spawn(async move {
            tokio::time::sleep(every.mul_f64(generator.share())).await;
            let mut sequence = 0;
            loop {
                sequence += 1;
                link.send(report_of(name.clone(), sequence, (every, domains), &mut generator));
                tokio::time::sleep(every).await;
            }
        });
        pace(number, begin).await;
    }
    Ok(())
}

/// One connection for all: a Controller hears the same through the NATS server, whoever publishes.
async fn report_over_bus(wanted: &Wanted, server: SocketAddr, begin: Instant) -> Result<()> {
    let mut publisher = Publisher::connect(server).await?;
    let (count, every, domains) = (wanted.count, wanted.every, wanted.domains);
    tokio::spawn(async move {
        let mut generator = Generator::new(1);
        for sequence in 1.. {
            for number in 0..count {
                let Ok(name) = topology::name(number).parse::<Name>() else { return };
                let report = report_of(name.clone(), sequence, (every, domains), &mut generator);
                let subject = format!("walrus.v1.reporter.{name}.report");
                let message = Message::Report(report);
                let role = Role::Reporter;
                let envelope =
                    Envelope { role, name, session: 1, sequence, sent_unix_ms: 0, message };
                if publisher.publish(&subject, &encode_envelope(&envelope)).await.is_err() {
                    return;
                }
                if number == 0 && publisher.pong().await.is_err() {
                    return;
                }
                let place = (sequence - 1) as f64 + number as f64 / count as f64;
                let due = begin + every.mul_f64(place);
                tokio::time::sleep_until(due.into()).await;
            }
        }
    });
    Ok(())
}

/// Of the Controller's certificate, as it says in its log.
fn fingerprint(folder: &Path) -> Result<String> {
    let log = std::fs::read_to_string(folder.join("log"))?;
    let said = log.split_once("fingerprint=").context("the log tells no fingerprint")?.1;
    Ok(said.chars().take_while(char::is_ascii_hexdigit).collect())
}

fn domain_count(domain: usize, generator: &mut Generator) -> DomainCount {
    let queries = (40.0 * generator.share()) as u64;
    DomainCount { domain: format!("10.{}.{}.0/24", domain / 250, domain % 250), queries, error: 0 }
}

async fn pace(number: usize, begin: Instant) {
    if number.is_multiple_of(BEGUN_A_SECOND / 10) {
        let due = begin + Duration::from_secs_f64(number as f64 / BEGUN_A_SECOND as f64);
        tokio::time::sleep_until(due.into()).await;
    }
}

/// Statistics that a web server of some load may have.
fn report_of(
    server: Name,
    sequence: u64,
    (every, domains): (Duration, usize),
    generator: &mut Generator,
) -> Report {
    let duration_ms = every.as_millis() as u64;
    let idle = 0.4 + 0.2 * generator.share();
    let statistics = Statistics {
        duration_ms,
        cpu_user: Some(0.9 - idle),
        cpu_system: Some(0.1),
        cpu_idle: Some(idle),
        memory_free_bytes: Some(3 << 30),
        memory_total_bytes: Some(8 << 30),
        paged_out_bytes: Some(0),
        virtual_free_bytes: Some(3 << 30),
        memory_pressure: Some(0.0),
        runnable: Some(2),
        blocked: Some(0),
        processors: Some(4),
        hits: Some(500),
        busy: Some((20.0 + 20.0 * generator.share()) as u64),
        busy_max: Some(100),
    };
    let requests = (domains > 0).then(|| RequestCounts {
        duration_ms,
        domains: (0..domains).map(|domain| domain_count(domain, generator)).collect(),
        rest: 50,
    });
    Report {
        server,
        session: 1,
        sequence,
        unit_ms: duration_ms,
        sent_unix_ms: 1_800_000_000_000 + sequence * duration_ms,
        version: None,
        requests,
        body: ReportBody::Statistics(statistics),
    }
}

//! How long a death goes unnoticed: from the moment that something happens to a server until the
//! name server's answers leave it out, against the bounds that Walrus promises.
//!
//! `docs/performance.md` shows what came out; a run prints its own figures.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::time::{Duration, Instant};

use domain::base::iana::Rcode;

use crate::alone;
use crate::programs::{Process, find, say, wait_for};
use crate::questions::Resolver;
use crate::walrus::Walrus;
use crate::web_servers::{Kind, WebServer, addresses};

const REPETITIONS: u32 = 7;
const CLIENT: IpAddr = IpAddr::V4(Ipv4Addr::new(203, 0, 113, 0));

const UNIT: Duration = Duration::from_secs(1);
const MISSED_UNITS: u32 = 2;
const PROBE_EVERY: Duration = Duration::from_millis(500);
const PROBE_TIMEOUT: Duration = Duration::from_millis(250);
const PROBE_FALL: u32 = 3;
const PROBE_JITTER: f64 = 0.1;
const SECOND: Duration = Duration::from_secs(1);

/// What happens, each to a server of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mishap {
    /// The web server hangs: it takes connections and never answers. A probe finds out.
    Hangs,
    /// The web server is killed and connections are refused. A probe finds out.
    Refuses,
    /// The Reporter stands still, with its connection open.
    ReporterSilent,
    /// The web server is killed; its Reporter says PANIC.
    Panics,
    /// The Reporter is killed, and its connection closes.
    ReporterKilled,
}

use Mishap::{Hangs, Panics, Refuses, ReporterKilled, ReporterSilent};

impl Mishap {
    const ALL: [Self; 5] = [Hangs, Refuses, ReporterSilent, Panics, ReporterKilled];

    const fn name(self) -> &'static str {
        match self {
            Hangs => "hangs",
            Refuses => "refuses",
            ReporterSilent => "silent",
            Panics => "panics",
            ReporterKilled => "closed",
        }
    }

    const fn meaning(self) -> &'static str {
        match self {
            Hangs => "probe, web server hangs",
            Refuses => "probe, web server killed",
            ReporterSilent => "Reporter silent",
            Panics => "PANIC, web server killed",
            ReporterKilled => "Reporter killed",
        }
    }

    const fn is_probed(self) -> bool {
        matches!(self, Hangs | Refuses)
    }

    /// What Walrus promises.
    fn bound(self) -> Duration {
        match self {
            Hangs | Refuses => {
                PROBE_FALL * (PROBE_EVERY.mul_f64(1.0 + PROBE_JITTER) + PROBE_TIMEOUT) + SECOND
            }
            ReporterSilent => MISSED_UNITS * UNIT + SECOND,
            Panics | ReporterKilled => SECOND,
        }
    }

    /// How long a phase lasts that a mishap may fall into at any point.
    const fn period(self) -> Duration {
        if self.is_probed() { PROBE_EVERY } else { UNIT }
    }
}

#[test]
fn every_death_is_noticed_in_time() {
    let _alone = alone();
    let Some([nginx]) = find("detection times", ["nginx"]) else { return };
    let folder = tempfile::tempdir().unwrap();
    let servers = addresses([
        [127, 0, 44, 1],
        [127, 0, 44, 2],
        [127, 0, 44, 3],
        [127, 0, 44, 4],
        [127, 0, 44, 5],
    ]);
    let places: Vec<(Mishap, SocketAddr)> = Mishap::ALL.into_iter().zip(servers).collect();
    let walrus = Walrus::start(folder.path(), &configuration(&places));
    let measured: Vec<Vec<Duration>> = std::thread::scope(|scope| {
        let measure = |(mishap, address)| {
            let (walrus, nginx, folder) = (&walrus, &nginx, folder.path());
            scope.spawn(move || Subject::start(mishap, address, nginx, folder, walrus).measure())
        };
        let threads: Vec<_> = places.iter().copied().map(measure).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    say(&format!(
        "\ndetection in ms       {:>5} {:>6} {:>5} {:>6}",
        "min", "median", "max", "bound"
    ));
    for ((mishap, _), mut took) in places.into_iter().zip(measured) {
        took.sort();
        let [min, median, max] = [took[0], took[took.len() / 2], took[took.len() - 1]];
        say(&format!(
            "{:<24} {:>5} {:>6} {:>5} {:>6}",
            mishap.meaning(),
            min.as_millis(),
            median.as_millis(),
            max.as_millis(),
            mishap.bound().as_millis()
        ));
        assert!(max <= mishap.bound(), "{}: {took:?}\n{}", mishap.meaning(), walrus.said());
    }
}

/// A server in a service of its own, beside one that nothing happens to.
struct Subject<'a> {
    mishap: Mishap,
    walrus: &'a Walrus,
    web: WebServer,
    reporter: Option<Process>,
    resolver: Resolver,
}

impl<'a> Subject<'a> {
    fn start(
        mishap: Mishap,
        address: SocketAddr,
        nginx: &Path,
        folder: &Path,
        walrus: &'a Walrus,
    ) -> Self {
        let web = WebServer::start((nginx, Kind::Nginx), address, folder.join(mishap.name()));
        let resolver = Resolver::of(walrus.dns);
        let mut subject = Self { mishap, walrus, web, reporter: None, resolver };
        if !mishap.is_probed() {
            subject.start_reporter();
        }
        subject
    }

    fn start_reporter(&mut self) {
        self.reporter = Some(self.walrus.reporter(self.mishap.name(), &self.web.source()));
    }

    fn measure(mut self) -> Vec<Duration> {
        wait_for("a server that its sources have spoken for", || {
            (self.is_answered() && self.is_known()).then_some(())
        });
        (0..REPETITIONS).map(|number| self.measure_once(number)).collect()
    }

    fn measure_once(&mut self, number: u32) -> Duration {
        // Not a wait for anything: the end of the last repetition falls together with a report or
        // a probe, and this one shall fall somewhere else between two of them.
        std::thread::sleep(self.mishap.period() * number / REPETITIONS);
        let begin = Instant::now();
        self.strike();
        wait_for(self.mishap.meaning(), || (!self.is_answered()).then_some(()));
        let took = begin.elapsed();
        self.mend();
        wait_for("a server that is back", || self.is_answered().then_some(()));
        took
    }

    fn strike(&mut self) {
        match self.mishap {
            Hangs => self.web.freeze(),
            Refuses | Panics => self.web.kill(),
            ReporterSilent => self.reporter.as_ref().unwrap().freeze(),
            ReporterKilled => self.reporter.as_mut().unwrap().kill(),
        }
    }

    fn mend(&mut self) {
        match self.mishap {
            Hangs => self.web.thaw(),
            Refuses | Panics => self.web.start_again(),
            ReporterSilent => self.reporter.as_ref().unwrap().thaw(),
            ReporterKilled => self.start_reporter(),
        }
    }

    fn is_answered(&self) -> bool {
        let answer = self.resolver.ask(&service(self.mishap), CLIENT);
        assert_eq!(answer.rcode, Rcode::NOERROR);
        assert!(!answer.addresses.is_empty());
        answer.addresses.contains(&self.web.address.ip())
    }

    /// Whether what Walrus knows of it is what its source said, and for longer than the detection
    /// time after a start, before which nothing counts as dead.
    fn is_known(&self) -> bool {
        let status = self.walrus.status();
        let mut servers = status["servers"].as_array().unwrap().iter();
        let server = servers.find(|server| server["name"] == self.mishap.name()).unwrap();
        let says = &server["sources"][0]["says"];
        let detection = MISSED_UNITS * UNIT + SECOND;
        server["life"] == "living"
            && (says == "up" || says == "statistics")
            && server["life_ms"].as_u64().unwrap() > detection.as_millis() as u64
    }
}

fn service(mishap: Mishap) -> String {
    format!("{}.walrus.example", mishap.name())
}

fn configuration(places: &[(Mishap, SocketAddr)]) -> String {
    let mut text = format!(
        "zone = \"walrus.example\"\nnameservers = [\"ns1.walrus.example\"]\n\
         [control]\nround = \"1s\"\nserver_ramp = \"0s\"\nmissed_units = {MISSED_UNITS}\n\
         [[area]]\nname = \"here\"\nclients = [\"{CLIENT}/24\"]\n"
    );
    for (index, (mishap, address)) in places.iter().enumerate() {
        let (name, ip) = (mishap.name(), address.ip());
        let source = match mishap.is_probed() {
            true => format!(
                "probe = {{ http = \"http://{{address}}:{port}/healthz\", every = \"{}ms\", \
                 timeout = \"{}ms\", fall = {PROBE_FALL}, rise = 1, jitter = {PROBE_JITTER} }}",
                PROBE_EVERY.as_millis(),
                PROBE_TIMEOUT.as_millis(),
                port = address.port(),
            ),
            false => "reporter = true".to_owned(),
        };
        text.push_str(&format!(
            "[[cluster]]\nname = \"{name}\"\nservers = [\n\
             {{ name = \"{name}\", addresses = [\"{ip}\"], {source} }},\n\
             {{ name = \"{name}-other\", addresses = [\"192.0.2.{index}\"] }},\n]\n\
             [[service]]\nname = \"{}\"\nclusters = [\"{name}\"]\nanswers = \"all\"\nttl = \"5s\"\n",
            service(*mishap)
        ));
    }
    text
}

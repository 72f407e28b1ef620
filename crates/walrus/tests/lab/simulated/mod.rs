//! The proof that the simulator tells the truth: the same clients, resolvers, web servers and policies
//! once for real and once simulated, and how far the two agree.
//!
//! - [`scene`]: the numbers that both are made from, as a configuration and as a study.
//! - [`resolvers`]: Unbound and BIND, which cache for networks of clients.
//! - [`people`]: clients who ask their resolver, fetch a page, think, and ask again.
//! - [`figures`]: what is compared, and the bounds, which the simulator's own spread sets.

mod figures;
mod people;
mod resolvers;
mod scene;

use std::ops::ControlFlow;
use std::path::PathBuf;

use walrus_sim::simulation::{Study, simulate};

use self::figures::{Bounds, Figures};
use self::people::People;
use self::resolvers::CachingResolver;
use self::scene::{DOMAINS, POLICIES, SERVERS, Service, Wrong};
use crate::alone;
use crate::programs::{Process, find, say, wait_for};
use crate::questions::Resolver;
use crate::walrus::{Node, Walrus};
use crate::web_servers::{Kind, WebServer, addresses};

/// Runs of the simulator whose spread sets the bounds; fewer show that it is wrong.
const SEEDS: u64 = 24;
const SEEDS_OF_WRONG: u64 = 8;

#[test]
fn a_real_run_is_as_the_simulator_says() {
    let _alone = alone();
    let programs = ["nginx", "apache2", "unbound", "named"];
    let Some(programs) = find("the simulator against the real thing", programs) else { return };
    let mut lab = Lab::start(&programs);
    let real = lab.run();
    let configuration = lab.walrus.configuration();
    let bounds = simulated(&configuration, Wrong::Nothing);
    say(&format!("\nreal (simulated, and what may be):\n{}", bounds.table(&real)));
    let apart = bounds.disagreements(&real);
    assert!(apart.is_empty(), "{}\n{}", apart.join("\n"), lab.walrus.said());
    // A simulator that was wrong would be caught.
    for (wrong, told) in [
        (
            Wrong::Weights,
            &["weighted: share of answers", "weighted: share of pages", "mrl: share of answers"][..],
        ),
        (Wrong::Policy, &["mrl: share of answers"]),
        (
            Wrong::Ttl,
            &["weighted: seconds between", "rr2: seconds between", "mrl: seconds between"],
        ),
    ] {
        let apart = simulated(&configuration, wrong).disagreements(&real);
        for told in told {
            let is_told = apart.iter().any(|it| it.contains(told));
            assert!(is_told, "{wrong:?} passes as true in {told}: {apart:#?}");
        }
    }
}

/// What the simulator makes of it.
fn simulated(configuration: &str, wrong: Wrong) -> Bounds {
    let text = scene::study(configuration, wrong);
    let study = Study::parse("the scene", &text, &|_| Err("no files here".to_owned()), &[])
        .unwrap_or_else(|problems| panic!("{problems}\n{text}"));
    let seeds = if wrong == Wrong::Nothing { SEEDS } else { SEEDS_OF_WRONG };
    let runs = (1..=seeds).map(|seed| {
        let result = simulate(&study, 0, seed, &mut |_| ControlFlow::Continue(())).unwrap();
        Figures::simulated(&result)
    });
    Bounds::of(&runs.collect::<Vec<_>>())
}

/// All of them, running.
struct Lab {
    walrus: Walrus,
    servers: Vec<WebServer>,
    resolvers: Vec<CachingResolver>,
    folder: PathBuf,
    _reporters: Vec<Process>,
    _parent: tempfile::TempDir,
}

impl Lab {
    fn start([nginx, apache, unbound, named]: &[PathBuf; 4]) -> Self {
        let parent = tempfile::tempdir().unwrap();
        let folder = parent.path().to_owned();
        let kinds = [(nginx, Kind::Nginx), (nginx, Kind::Nginx), (apache, Kind::Apache)];
        let places = addresses(SERVERS.map(|server| server.address));
        let servers = kinds.into_iter().zip(SERVERS).zip(places).map(|((kind, server), place)| {
            let folder = folder.join(server.name);
            std::fs::create_dir_all(&folder).unwrap();
            for service in Service::all() {
                std::fs::write(folder.join(service.label()), "hello").unwrap();
            }
            WebServer::start((kind.0, kind.1), place, folder)
        });
        let servers: Vec<WebServer> = servers.collect();
        let dns_lines = scene::dns_lines(&folder.join("decisions"));
        let node = Node { dns_lines: &dns_lines, ..Node::default() };
        let walrus = Walrus::start_node(&node, &folder, &scene::configuration());
        let reporters = SERVERS.iter().zip(&servers).map(|(server, web)| {
            let log = web.access_log();
            let source = format!("{}\naccess_log = \"{}\"", web.source(), log.display());
            walrus.reporter(server.name, &source)
        });
        let reporters: Vec<Process> = reporters.collect();
        let resolvers = DOMAINS.iter().map(|domain| {
            let folder = folder.join(format!("resolver-{}", domain.network));
            let program = if domain.is_unbound() { unbound } else { named };
            CachingResolver::start(program, domain, walrus.dns, &folder)
        });
        let resolvers = resolvers.collect();
        let lab =
            Self { walrus, servers, resolvers, folder, _reporters: reporters, _parent: parent };
        lab.wait_until_all_report();
        lab
    }

    fn wait_until_all_report(&self) {
        wait_for("a load of each server", || {
            let status = self.walrus.status();
            let servers = status["servers"].as_array().unwrap();
            servers.iter().all(|server| server["load"].is_number()).then_some(())
        });
        // The Director has their Plan.
        let resolver = Resolver::of(self.walrus.dns);
        for service in Service::all() {
            let answer = resolver.ask(&service.domain_name(), [127, 0, 0, 1].into());
            assert_eq!(answer.addresses.len(), 1, "{answer:?}");
        }
    }

    /// Lets people come, and reads afterwards what web servers and name server wrote down.
    fn run(&mut self) -> Figures {
        let port = self.servers[0].address.port();
        let resolvers: Vec<_> = self.resolvers.iter().map(|it| it.address).collect();
        let people = People::come(&resolvers, port);
        for resolver in &mut self.resolvers {
            resolver.assert_running();
        }
        // They write down what they served once it is on its way.
        wait_for("logs of all that was fetched", || (self.served() == people.pages).then_some(()));
        Figures::real(&people.pages, &self.decisions(), people.began_unix_ms)
    }

    /// Pages that the web servers' logs have, by server and policy.
    fn served(&self) -> Vec<[u64; POLICIES.len()]> {
        let pages = self.servers.iter().map(|server| {
            let log = std::fs::read_to_string(server.access_log()).unwrap();
            scene::pages_by_policy(&log)
        });
        pages.collect()
    }

    /// All decisions of the name server, once they are written.
    fn decisions(&self) -> String {
        let metric = |name: &str| self.walrus.metric(&format!("walrus_dns_{name}_total"));
        let asked = metric("udp_queries") + metric("tcp_queries");
        assert_eq!(metric("decisions_lost"), 0);
        wait_for("all decisions", || {
            let text = std::fs::read_to_string(self.folder.join("decisions")).unwrap();
            let lines = text.lines().count() as u64;
            (text.ends_with('\n') && lines >= asked).then_some(text)
        })
    }
}

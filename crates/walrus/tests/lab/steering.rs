//! Real web servers are steered: three clusters of two servers each, an area at home in each, and
//! clients that ask all the while.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use domain::base::iana::Rcode;
use serde_json::Value;

use crate::alone;
use crate::programs::{Process, find, wait_for};
use crate::questions::{Answer, Resolver};
use crate::walrus::{Walrus, program};
use crate::web_servers::{Crowd, Kind, WORKERS, WebServer, addresses};
use crate::webhook::{Notice, Webhook};

const SERVICE: &str = "www.walrus.example";
/// Also the time that an area stays where it moved to.
const TTL_SECONDS: u32 = 4;
/// Draws that would miss a server of two once in a million times.
const DRAWS: usize = 20;
/// Nine tenths of a server's workers: above the threshold, and its status page still has one.
const CROWD: usize = WORKERS * 9 / 10;

#[test]
fn real_web_servers_are_steered() {
    let _alone = alone();
    let programs = ["nginx", "apache2", "haproxy"];
    let Some(programs) = find("steering of real web servers", programs) else { return };
    let mut lab = Lab::start(&programs);
    lab.clients_are_at_home();
    lab.an_overloaded_server_takes_no_new_clients();
    lab.an_overloaded_cluster_gives_its_area_away();
    lab.a_killed_web_server_is_out_and_people_are_told();
    lab.a_stopped_cluster_moves_its_area_away();
    lab.a_cluster_that_is_back_takes_its_area_home_by_and_by();
    lab.nobody_went_without_an_answer();
}

/// A cluster with the area that is at home there.
struct Cluster {
    name: &'static str,
    /// The /24 of the area's clients.
    client: IpAddr,
    servers: [WebServer; 2],
}

impl Cluster {
    fn ip(&self, server: usize) -> IpAddr {
        self.servers[server].address.ip()
    }

    fn both(&self) -> BTreeSet<IpAddr> {
        [self.ip(0), self.ip(1)].into()
    }
}

struct Lab {
    walrus: Walrus,
    nginx: Cluster,
    apache: Cluster,
    haproxy: Cluster,
    resolver: Resolver,
    watch: Watch,
    webhook: Webhook,
    _reporters: Vec<Process>,
    _origin: Process,
    _folder: tempfile::TempDir,
}

impl Lab {
    fn start([nginx, apache, haproxy]: &[PathBuf; 3]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let webhook = Webhook::start();
        let (origin, behind) = start_origin(folder.path());
        let cluster = |name, program: &Path, kind: Kind, number: u8, client: [u8; 4]| {
            let addresses = addresses([[127, 0, number, 1], [127, 0, number, 2]]);
            let servers = [0, 1].map(|index| {
                let folder = folder.path().join(format!("{name}{index}"));
                std::fs::create_dir_all(&folder).unwrap();
                std::fs::write(folder.join("healthz"), "ok").unwrap();
                WebServer::start((program, kind.clone()), addresses[index], folder)
            });
            Cluster { name, client: client.into(), servers }
        };
        let nginx = cluster("nginx", nginx, Kind::Nginx, 41, [203, 0, 113, 0]);
        let apache = cluster("apache", apache, Kind::Apache, 42, [192, 0, 2, 0]);
        let haproxy = cluster("haproxy", haproxy, Kind::Haproxy(behind), 43, [198, 51, 100, 0]);
        let clusters = [&nginx, &apache, &haproxy];
        let walrus = Walrus::start(folder.path(), &configuration(clusters, webhook.address()));
        let reporters = clusters.iter().flat_map(|cluster| {
            let reporter = |(number, server): (usize, &WebServer)| {
                walrus.reporter(&format!("{}{}", cluster.name, number + 1), &server.source())
            };
            cluster.servers.iter().enumerate().map(reporter)
        });
        let reporters = reporters.collect();
        let resolver = Resolver::of(walrus.dns);
        let watch = Watch::start(walrus.dns, clusters.map(|cluster| cluster.client));
        Self {
            nginx,
            apache,
            haproxy,
            resolver,
            watch,
            webhook,
            _reporters: reporters,
            _origin: origin,
            _folder: folder,
            walrus,
        }
    }

    fn clients_are_at_home(&self) {
        for cluster in [&self.nginx, &self.apache, &self.haproxy] {
            self.until("its clients at home", cluster, |seen, ttl| {
                *seen == cluster.both() && ttl == TTL_SECONDS
            });
            wait_for("a load that was reported", || {
                (0..2).all(|index| self.load_of(cluster, index).is_some()).then_some(())
            });
        }
    }

    /// Real connections keep real workers busy; the web server tells its Reporter.
    fn an_overloaded_server_takes_no_new_clients(&self) {
        for cluster in [&self.nginx, &self.apache, &self.haproxy] {
            let crowd = Crowd::of(CROWD, cluster.servers[0].address);
            let only_the_other = [cluster.ip(1)].into();
            self.until("only the idle server", cluster, |seen, _| *seen == only_the_other);
            assert!(self.load_of(cluster, 0).is_some_and(|load| load > 0.8), "{}", cluster.name);
            drop(crowd);
            self.until("both servers again", cluster, |seen, _| *seen == cluster.both());
        }
    }

    fn an_overloaded_cluster_gives_its_area_away(&self) {
        let home = &self.nginx;
        let crowds = [0, 1].map(|index| Crowd::of(CROWD, home.servers[index].address));
        self.until("elsewhere", home, |seen, _| seen.is_disjoint(&home.both()));
        for other in [&self.apache, &self.haproxy] {
            assert_eq!(self.draw(other).0, other.both(), "who is at home stays");
        }
        drop(crowds);
        self.until("at home again", home, |seen, _| *seen == home.both());
    }

    fn a_killed_web_server_is_out_and_people_are_told(&mut self) {
        self.apache.servers[0].kill();
        let only_the_other = [self.apache.ip(1)].into();
        self.until("only the living server", &self.apache, |seen, _| *seen == only_the_other);
        self.until_told("apache1", false);
        self.apache.servers[0].start_again();
        self.until("both servers again", &self.apache, |seen, _| *seen == self.apache.both());
        self.until_told("apache1", true);
        let told = self.webhook.told();
        assert!(told.iter().all(|notice| notice.subject == "apache1"), "{told:?}");
    }

    fn a_stopped_cluster_moves_its_area_away(&mut self) {
        for server in &mut self.haproxy.servers {
            server.kill();
        }
        let home = &self.haproxy;
        self.until("elsewhere, for half as long", home, |seen, ttl| {
            seen.is_disjoint(&home.both()) && ttl == TTL_SECONDS / 2
        });
        for other in [&self.nginx, &self.apache] {
            assert_eq!(self.draw(other).0, other.both(), "who is at home stays");
        }
        self.until_told("haproxy1", false);
        self.until_told("haproxy2", false);
    }

    fn a_cluster_that_is_back_takes_its_area_home_by_and_by(&mut self) {
        for server in &mut self.haproxy.servers {
            server.start_again();
        }
        let mut shares = Vec::new();
        wait_for("its area at home", || {
            let share = self.share_at_home(&self.haproxy);
            if shares.last() != Some(&share) {
                shares.push(share);
            }
            (share >= 1.0).then_some(())
        });
        assert!(shares.iter().any(|share| 0.0 < *share && *share < 1.0), "no ramp: {shares:?}");
        assert!(shares.is_sorted(), "there and back: {shares:?}");
        self.until("its clients at home", &self.haproxy, |seen, ttl| {
            *seen == self.haproxy.both() && ttl == TTL_SECONDS
        });
        self.until_told("haproxy1", true);
        self.until_told("haproxy2", true);
    }

    fn nobody_went_without_an_answer(self) {
        let (asked, bad) = self.watch.end();
        assert!(bad.is_empty(), "of {asked} answers {bad:?}");
        assert!(asked > 1000, "only {asked} queries were asked");
    }

    /// Which servers this area's clients are sent to, and for how long.
    fn draw(&self, cluster: &Cluster) -> (BTreeSet<IpAddr>, u32) {
        let draws: Vec<Answer> =
            (0..DRAWS).map(|_| self.resolver.ask(SERVICE, cluster.client)).collect();
        let ttl = draws.last().and_then(|answer| answer.ttl_seconds).unwrap_or_default();
        (draws.into_iter().flat_map(|answer| answer.addresses).collect(), ttl)
    }

    fn until(
        &self,
        what: &str,
        cluster: &Cluster,
        mut holds: impl FnMut(&BTreeSet<IpAddr>, u32) -> bool,
    ) {
        let mut last = Default::default();
        let found = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            wait_for(what, || {
                last = self.draw(cluster);
                holds(&last.0, last.1).then_some(())
            });
        }));
        if found.is_err() {
            panic!(
                "area {}: not {what}, but {last:?}\n{:#}\n{}",
                cluster.name,
                self.walrus.status(),
                self.walrus.said()
            );
        }
    }

    fn until_told(&self, server: &str, recovered: bool) {
        let wanted = Notice { kind: "panic".to_owned(), subject: server.to_owned(), recovered };
        wait_for("a notice", || self.webhook.told().contains(&wanted).then_some(()));
    }

    fn load_of(&self, cluster: &Cluster, server: usize) -> Option<f64> {
        let name = format!("{}{}", cluster.name, server + 1);
        let status = self.walrus.status();
        let is_it = |server: &&Value| server["name"] == name;
        status["servers"].as_array().unwrap().iter().find(is_it).unwrap()["load"].as_f64()
    }

    fn share_at_home(&self, cluster: &Cluster) -> f64 {
        let status = self.walrus.status();
        let is_it = |area: &&Value| area["area"] == cluster.name;
        let area = status["areas"].as_array().unwrap().iter().find(is_it).unwrap();
        let shares = area["clusters"].as_array().unwrap().iter();
        let at_home = shares.filter(|share| share["cluster"] == cluster.name);
        at_home.map(|share| share["share"].as_f64().unwrap()).sum()
    }
}

fn configuration(clusters: [&Cluster; 3], webhook: SocketAddr) -> String {
    let mut text = format!(
        "zone = \"walrus.example\"\nnameservers = [\"ns1.walrus.example\"]\n\
         [control]\nround = \"1s\"\nserver_ramp = \"0s\"\n\
         [notify]\nwebhook = \"http://{webhook}/\"\n\
         [[service]]\nname = \"{SERVICE}\"\nanswers = 1\nttl = \"{TTL_SECONDS}s\"\nramp = \"4s\"\n"
    );
    for Cluster { name, client, servers: [one, two] } in clusters {
        // What keeps the nginx cluster busy is a third of the load in another: worth a move.
        let weight = if *name == "nginx" { 1 } else { 3 };
        text.push_str(&format!(
            "[[cluster]]\nname = \"{name}\"\nreporter = true\n\
             probe = {{ http = \"http://{{address}}:{port}/healthz\", every = \"1s\", \
             timeout = \"500ms\", fall = 2, rise = 1 }}\n\
             servers = [{{ name = \"{name}1\", addresses = [\"{}\"], weight = {weight} }}, \
             {{ name = \"{name}2\", addresses = [\"{}\"], weight = {weight} }}]\n\
             [[area]]\nname = \"{name}\"\nhome = \"{name}\"\nclients = [\"{client}/24\"]\n",
            one.address.ip(),
            two.address.ip(),
            port = one.address.port(),
        ));
    }
    text
}

/// What HAProxy stands in front of.
fn start_origin(folder: &Path) -> (Process, SocketAddr) {
    let [listen] = addresses([[127, 0, 43, 10]]);
    let arguments =
        ["origin", "--listen", &listen.to_string(), "--name", "origin", "--cluster", "haproxy"];
    let mut origin = Process::start(program(), &arguments, &folder.join("origin.log"));
    wait_for("the origin", || {
        origin.assert_running();
        std::net::TcpStream::connect(listen).ok()
    });
    (origin, listen)
}

/// Asks for all areas all the time, and remembers what nobody should ever get.
struct Watch {
    end: Arc<AtomicBool>,
    thread: JoinHandle<(usize, Vec<Answer>)>,
}

impl Watch {
    fn start(dns: SocketAddr, clients: [IpAddr; 3]) -> Self {
        let end = Arc::new(AtomicBool::new(false));
        let ended = end.clone();
        let thread = std::thread::spawn(move || {
            let resolver = Resolver::of(dns);
            let (mut asked, mut bad) = (0, Vec::new());
            while !ended.load(Ordering::Relaxed) {
                for client in clients {
                    let answer = resolver.ask(SERVICE, client);
                    asked += 1;
                    if answer.rcode != Rcode::NOERROR || answer.addresses.is_empty() {
                        bad.push(answer);
                    }
                }
                std::thread::sleep(Duration::from_millis(5));
            }
            (asked, bad)
        });
        Self { end, thread }
    }

    fn end(self) -> (usize, Vec<Answer>) {
        self.end.store(true, Ordering::Relaxed);
        self.thread.join().unwrap()
    }
}

//! The numbers that the real run and the study are both made from.

use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;

/// How long people come and go.
pub(super) const SECONDS: u64 = 40;
/// The mean time between a page and the next click; exponential.
pub(super) const THINK_MS: u64 = 1000;

/// A web server: one of each weight.
#[derive(Clone, Copy, Debug)]
pub(super) struct Server {
    pub(super) name: &'static str,
    pub(super) address: [u8; 4],
    /// Also its capacity, in thousands of pages a second: nobody waits here.
    weight: u32,
}

pub(super) const SERVERS: [Server; 3] = [
    Server { name: "one", address: [127, 0, 60, 1], weight: 1 },
    Server { name: "two", address: [127, 0, 60, 2], weight: 2 },
    Server { name: "three", address: [127, 0, 60, 3], weight: 3 },
];

/// A policy, tried by several services so that there is more to compare.
#[derive(Clone, Copy, Debug)]
pub(super) struct Policy {
    pub(super) name: &'static str,
    ttl: u32,
    pub(super) services: usize,
}

/// Without state, with hot domains apart, and with all that is known of demand and capacity.
pub(super) const POLICIES: [Policy; 3] = [
    Policy { name: "weighted", ttl: 1, services: 3 },
    Policy { name: "rr2", ttl: 1, services: 2 },
    Policy { name: "mrl", ttl: 2, services: 3 },
];

/// One of a policy's services.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Service {
    /// Its place.
    pub(super) policy: usize,
    number: usize,
}

impl Service {
    pub(super) fn all() -> impl Iterator<Item = Self> {
        let of = |policy: usize| {
            (1..=POLICIES[policy].services).map(move |number| Self { policy, number })
        };
        (0..POLICIES.len()).flat_map(of)
    }

    pub(super) fn named(label: &str) -> Option<Self> {
        Self::all().find(|it| it.label() == label)
    }

    const fn policy(self) -> Policy {
        POLICIES[self.policy]
    }

    /// The first label of its name, and its page: `mrl2`.
    pub(super) fn label(self) -> String {
        format!("{}{}", self.policy().name, self.number)
    }

    pub(super) fn domain_name(self) -> String {
        format!("{}.{ZONE}", self.label())
    }

    /// For how many seconds a domain's resolver keeps an answer. Both look at whole seconds of the clock.
    /// To BIND an answer of the second n ends with the second n + TTL; Unbound still gives it all through
    /// that. Clients who wait for that second make it the whole time from one question to the next.
    const fn lifetime(self, domain: Domain) -> u32 {
        self.policy().ttl + if domain.is_unbound() { 1 } else { 0 }
    }
}

const ZONE: &str = "walrus.example";

/// A network of clients, 127.0.NETWORK.0/24, with its resolver, .53 in it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Domain {
    pub(super) network: u8,
    /// Of each service.
    pub(super) clients: u32,
}

impl Domain {
    /// Every second one; the others are BIND.
    pub(super) const fn is_unbound(&self) -> bool {
        self.network.is_multiple_of(2)
    }

    pub(super) fn resolver(&self) -> IpAddr {
        Ipv4Addr::new(127, 0, self.network, 53).into()
    }

    pub(super) fn client(&self) -> IpAddr {
        Ipv4Addr::new(127, 0, self.network, 1).into()
    }

    pub(super) const fn clicks_per_second(&self) -> f64 {
        self.clients as f64 * 1000.0 / THINK_MS as f64
    }
}

/// A heavy one and lighter ones.
pub(super) const DOMAINS: [Domain; 8] = [
    Domain { network: 70, clients: 12 },
    Domain { network: 71, clients: 8 },
    Domain { network: 72, clients: 6 },
    Domain { network: 73, clients: 5 },
    Domain { network: 74, clients: 4 },
    Domain { network: 75, clients: 4 },
    Domain { network: 76, clients: 3 },
    Domain { network: 77, clients: 3 },
];

/// The shared part of Walrus' configuration.
pub(super) fn configuration() -> String {
    let mut text = "zone = \"walrus.example\"\nnameservers = [\"ns1.walrus.example\"]\n\
                    [control]\nround = \"1s\"\nserver_ramp = \"0s\"\n\
                    [[cluster]]\nname = \"here\"\nreporter = true\nservers = [\n"
        .to_owned();
    for Server { name, address, weight } in SERVERS {
        let address = IpAddr::from(address);
        let _ = writeln!(
            text,
            "  {{ name = \"{name}\", addresses = [\"{address}\"], weight = {weight}, capacity = {weight}000 }},"
        );
    }
    text.push_str("]\n");
    for service in Service::all() {
        let (name, Policy { name: policy, ttl, .. }) = (service.domain_name(), service.policy());
        let _ = writeln!(
            text,
            "[[service]]\nname = \"{name}\"\nchoose = \"{policy}\"\nttl = \"{ttl}s\"\nanswers = 1"
        );
    }
    text
}

/// Lines of `[dns]`: each decision is written down.
pub(super) fn dns_lines(decisions: &Path) -> String {
    format!(
        "workers = 2\nobserve_every = \"1s\"\ndecision_log = \"{}\"\ndecision_log_sample = 1\n",
        decisions.display()
    )
}

/// What may be wrong with a study.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wrong {
    Nothing,
    /// The smallest server is taken for the largest.
    Weights,
    /// `mrl` is taken for `rr2`.
    Policy,
    /// Resolvers are taken to keep answers for twice as long.
    Ttl,
}

/// The same scene for the simulator, with the configuration that the real one ran with.
pub(super) fn study(configuration: &str, wrong: Wrong) -> String {
    let mut configuration = configuration.to_owned();
    match wrong {
        Wrong::Weights => {
            for (from, to) in [("= 1", "= X"), ("= 3", "= 1"), ("= X", "= 3")] {
                for setting in ["weight", "capacity"] {
                    configuration = configuration
                        .replace(&format!("{setting} {from}"), &format!("{setting} {to}"));
                }
            }
        }
        Wrong::Policy => {
            configuration = configuration.replace("choose = \"mrl\"", "choose = \"rr2\"");
        }
        Wrong::Nothing | Wrong::Ttl => {}
    }
    let mut text = format!(
        "configuration_text = '''\n{configuration}'''\nduration = \"{SECONDS}s\"\ninterval = \"{SECONDS}s\"\n\
         window = \"1s\"\n[pages]\nthink = \"exponential {THINK_MS}ms\"\nhits = \"constant 1\"\n\
         [reports]\nevery = \"1s\"\n[queries]\ndelay = \"1ms\"\n[directors]\nworkers = 2\n"
    );
    for domain in DOMAINS {
        for service in Service::all() {
            let Domain { network, clients } = domain;
            let name = service.domain_name();
            let family = if domain.is_unbound() { "unbound" } else { "bind" };
            let lifetime = service.lifetime(domain) * if wrong == Wrong::Ttl { 2 } else { 1 };
            let _ = writeln!(
                text,
                "[[population]]\nname = \"{}\"\nclients = {clients}\ndomains = 1\n\
                 prefix = \"127.0.{network}.0/24\"\nservice = \"{name}\"\nresolver = \"{family}\"\n\
                 ttl = \"at least {lifetime}s\"",
                population(service, domain),
            );
        }
    }
    text
}

/// A population's name.
fn population(service: Service, domain: Domain) -> String {
    format!("{}-{}", service.label(), domain.network)
}

/// A population's service, and the place of its domain.
pub(super) fn population_of(name: &str) -> (Service, usize) {
    let (service, network) = name.split_once('-').expect("as they are named");
    let is_it = |it: &Domain| it.network.to_string() == network;
    let domain = DOMAINS.iter().position(is_it).expect("a domain");
    (Service::named(service).expect("a service"), domain)
}

/// The service, and the places of the domain and the server, of a line of the decision log.
pub(super) fn decision_of(
    name: &str,
    resolver: IpAddr,
    server: &str,
) -> Option<(Service, usize, usize)> {
    let service = Service::all().find(|it| it.domain_name() == name.trim_end_matches('.'))?;
    let domain = DOMAINS.iter().position(|it| it.resolver() == resolver)?;
    Some((service, domain, SERVERS.iter().position(|it| it.name == server)?))
}

/// Counts an access log's pages that were served, by policy.
pub(super) fn pages_by_policy(log: &str) -> [u64; POLICIES.len()] {
    let mut pages = [0; POLICIES.len()];
    let requests = log.lines().filter_map(|line| line.split_once("\"GET /")?.1.split_once(' '));
    for (label, behind) in requests {
        if let Some(service) = Service::named(label).filter(|_| behind.contains("\" 200 ")) {
            pages[service.policy] += 1;
        }
    }
    pages
}

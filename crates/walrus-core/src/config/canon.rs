//! What the digests are taken over: the checked values in a fixed order and spelling.
//!
//! Comments, the order of tables and the spelling of values ("80%" or 0.8) have no part in it;
//! orders that mean something (servers of a cluster, clusters of a service) do. Paths have none
//! either: nodes may keep a file in different places, and its content has a digest of its own.

use std::fmt::Write as _;

use super::{ControlSettings, DnssecSettings, NotifySettings, ZoneDnssec, ZoneSettings};
use crate::world::{
    AssignPolicy, ClientSpec, Cluster, ClusterId, Coordinates, Denial, Digest, DownWhen, KeyLayout,
    LocatePolicy, MailExchange, Nearness, Probe, ProbeKind, Service, ServiceBinding, ServicePlace,
    ServiceRecords, Spill, Topology, TtlPolicy,
};

/// Gives every service its digest: whatever its compiled answers and stages depend on.
pub(super) fn stamp_services(topology: &mut Topology) {
    let digests: Vec<Digest> =
        topology.services.iter().map(|service| service_digest(service, topology)).collect();
    for (service, digest) in topology.services.iter_mut().zip(digests) {
        service.digest = digest;
    }
}

/// The digest of the shared part, which is the configuration's number.
pub(super) fn shared(
    zones: &[ZoneSettings],
    dnssec: &DnssecSettings,
    topology: &Topology,
    control: &ControlSettings,
    notify: &NotifySettings,
) -> Digest {
    let mut text = Canon::default();
    let mut zones: Vec<&ZoneSettings> = zones.iter().collect();
    zones.sort_by(|a, b| a.apex.cmp(&b.apex));
    for zone in zones {
        text.field("zone", &zone.apex);
        zone.nameservers.iter().for_each(|name| text.field("nameserver", name));
        // Where a zone moves by itself, nodes may have it from different places.
        text.field("file", zone.file.is_some() && zone.updates.is_empty());
        text.field(
            "dnssec",
            match zone.dnssec {
                ZoneDnssec::Off => "off",
                ZoneDnssec::Sign => "sign",
                ZoneDnssec::Keep => "keep",
            },
        );
    }
    text.dnssec(dnssec);
    for server in &topology.servers {
        text.field("server", &server.name);
        text.field("cost", server.cost);
        text.field("capacity", server.capacity.unwrap_or(-1.0));
        text.field("reporter", server.reporter);
        text.probe(server.probe.as_ref());
    }
    for cluster in &topology.clusters {
        text.cluster(cluster, topology);
        text.coordinates(cluster.coordinates);
    }
    for area in &topology.areas {
        text.field("area", &area.name);
        text.field("home", area.home.map_or("", |home| cluster_name(home, topology)));
        area.nameservers.iter().for_each(|endpoint| text.field("nameserver", endpoint));
        text.nearness(&area.nearness, topology);
    }
    topology.services.iter().for_each(|service| text.field("service", &service.digest));
    text.control(control);
    text.field("webhook", notify.webhook.as_deref().unwrap_or(""));
    notify.command.iter().flatten().for_each(|word| text.field("command", word));
    text.field("again", notify.again.as_nanos());
    text.field("dead_after", notify.dead_after.as_nanos());
    let clients = topology.areas.iter().map(|area| clients(&area.clients));
    let clients: Vec<Vec<u8>> = clients.collect();
    Digest::of(std::iter::once(text.0.as_bytes()).chain(clients.iter().map(Vec::as_slice)))
}

fn service_digest(service: &Service, topology: &Topology) -> Digest {
    let mut text = Canon::default();
    text.field("service", &service.name);
    let by_capacity = service.assign == AssignPolicy::Stable;
    let by_nearness = by_capacity || service.assign == AssignPolicy::Nearest;
    for cluster in &service.clusters {
        let cluster = &topology.clusters[cluster.index()];
        text.cluster(cluster, topology);
        text.coordinates(cluster.coordinates.filter(|_| by_nearness));
        for id in cluster.servers.iter().filter(|_| by_capacity) {
            text.field("capacity", topology.servers[id.index()].capacity.unwrap_or(-1.0));
        }
    }
    for (area, home) in topology.areas.iter().zip(&service.homes) {
        text.field("area", &area.name);
        area.nameservers.iter().for_each(|endpoint| text.field("nameserver", endpoint));
        text.field("home", home.map_or("", |home| cluster_name(home, topology)));
        if by_nearness {
            text.nearness(&area.nearness, topology);
        }
    }
    text.stages(service);
    if let Some(hot_share) = service.hot_share {
        text.field("hot_share", hot_share);
    }
    text.field("answers", service.answers.unwrap_or(0));
    text.field("threshold", service.threshold);
    text.field("hysteresis", service.hysteresis);
    text.field("home_rounds", service.home_rounds);
    text.field(
        "spill",
        match service.spill {
            Spill::Unassigned => "unassigned",
            Spill::Spare => "spare",
        },
    );
    text.field("better_ratio", service.better_ratio);
    text.field("better_by", service.better_by);
    text.field("ramp", service.ramp.as_nanos());
    text.records(&service.records);
    Digest::of([text.0.as_bytes()])
}

fn cluster_name(id: ClusterId, topology: &Topology) -> &str {
    topology.clusters[id.index()].name.as_str()
}

/// Sorted already. Binary, for there may be half a million of them.
fn clients(specs: &[ClientSpec]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(specs.len() * 18);
    for spec in specs {
        match spec {
            ClientSpec::Prefix(std::net::IpAddr::V4(address), length) => {
                bytes.push(4);
                bytes.extend(address.octets());
                bytes.push(*length);
            }
            ClientSpec::Prefix(std::net::IpAddr::V6(address), length) => {
                bytes.push(6);
                bytes.extend(address.octets());
                bytes.push(*length);
            }
            ClientSpec::Country(code) => {
                bytes.push(b'c');
                bytes.extend(code.as_bytes());
            }
            ClientSpec::Continent(code) => {
                bytes.push(b'k');
                bytes.extend(code.as_bytes());
            }
        }
    }
    bytes
}

/// Lines of `name=length:value`: the length keeps values from running into each other.
#[derive(std::default::Default)]
struct Canon(String);

impl Canon {
    fn field(&mut self, name: &str, value: impl ToString) {
        let value = value.to_string();
        // Writing to a String cannot fail.
        let _ = writeln!(self.0, "{name}={}:{value}", value.len());
    }

    /// A cluster with what answers need of its servers, in their order.
    fn cluster(&mut self, cluster: &Cluster, topology: &Topology) {
        self.field("cluster", &cluster.name);
        for id in &cluster.servers {
            let server = &topology.servers[id.index()];
            self.field("server", &server.name);
            self.field("weight", server.weight);
            if let Some(host) = &server.host {
                self.field("host", host);
            }
            server.addresses.iter().for_each(|address| self.field("address", address));
        }
    }

    /// The four stages of a service's policy, and what tunes them.
    fn stages(&mut self, service: &Service) {
        for stage in &service.locate {
            self.field(
                "locate",
                match stage {
                    LocatePolicy::Map => "map",
                    LocatePolicy::Nameserver => "nameserver",
                },
            );
        }
        self.field(
            "assign",
            match service.assign {
                AssignPolicy::Walrus => "walrus",
                AssignPolicy::Failover => "failover",
                AssignPolicy::All => "all",
                AssignPolicy::Nearest => "nearest",
                AssignPolicy::Stable => "stable",
            },
        );
        self.field("choose", service.choose.name());
        if !service.choose_parameters.is_default() {
            self.field("choose parameters", format!("{:?}", service.choose_parameters));
        }
        match service.ttl {
            TtlPolicy::Constant { seconds } => self.field("ttl constant", seconds),
            TtlPolicy::Adaptive { variant, seconds, min, max } => {
                self.field("ttl", variant.name());
                [seconds, min, max].iter().for_each(|seconds| self.field("ttl", seconds));
            }
        }
    }

    /// As configured, not as computed: trigonometry need not be the same to the last bit everywhere.
    fn nearness(&mut self, nearness: &Nearness, topology: &Topology) {
        for cluster in nearness.listed() {
            self.field("nearest", cluster_name(*cluster, topology));
        }
        for (cluster, time) in nearness.milliseconds() {
            self.field("milliseconds", format!("{} {time}", cluster_name(*cluster, topology)));
        }
        self.coordinates(nearness.coordinates());
    }

    fn coordinates(&mut self, coordinates: Option<Coordinates>) {
        if let Some(Coordinates { latitude, longitude }) = coordinates {
            self.field("coordinates", format!("{latitude} {longitude}"));
        }
    }

    /// What a service gives, so far as it is not what all give.
    fn records(&mut self, records: &ServiceRecords) {
        let ServiceRecords { a, aaaa, https, svcb, srv, mx, alias, signed: _ } = records;
        if let Some(target) = alias {
            self.field("alias", target);
        }
        if !(*a && *aaaa) {
            self.field("types", format!("{a} {aaaa}"));
        }
        for (name, binding) in [("https", https), ("svcb", svcb)] {
            let Some(binding) = binding else { continue };
            let ServiceBinding { priority, alpn, no_default_alpn, port, hints } = binding;
            self.field(name, format!("{priority} {no_default_alpn} {port:?} {hints}"));
            alpn.iter().for_each(|protocol| self.field("alpn", protocol));
        }
        if let Some(ServicePlace { priority, port }) = srv {
            self.field("srv", format!("{priority} {port}"));
        }
        if let Some(MailExchange { preference }) = mx {
            self.field("mx", preference);
        }
    }

    fn probe(&mut self, probe: Option<&Probe>) {
        let Some(probe) = probe else {
            return self.field("probe", "none");
        };
        match &probe.kind {
            ProbeKind::Tcp { port } => self.field("tcp", port),
            ProbeKind::Http { url, host, status, body, verify } => {
                self.field("http", url);
                self.field("host", host.as_deref().unwrap_or(""));
                for (first, last) in status {
                    self.field("status", format!("{first}-{last}"));
                }
                self.field("body", body.as_deref().unwrap_or(""));
                self.field("verify", verify);
            }
        }
        self.field("every", probe.interval.as_nanos());
        self.field("timeout", probe.timeout.as_nanos());
        self.field("rise", probe.rise);
        self.field("fall", probe.fall);
        self.field("jitter", probe.jitter);
        self.field("all_addresses", probe.all_addresses);
        if let DownWhen::Count(count) = probe.down_when {
            self.field("down_when", count);
        }
    }

    /// What all nodes must do alike, or the same set would have different signatures.
    fn dnssec(&mut self, dnssec: &DnssecSettings) {
        self.field("algorithm", dnssec.algorithm.number());
        self.field(
            "keys",
            match dnssec.keys {
                KeyLayout::Csk => "csk",
                KeyLayout::KskAndZsk => "ksk+zsk",
            },
        );
        self.field(
            "denial",
            match dnssec.denial {
                Denial::Nsec => "nsec",
                Denial::Nsec3 => "nsec3",
            },
        );
        self.field("dnskey_ttl", dnssec.dnskey_ttl);
        self.field("renew_every", dnssec.renew_every.as_nanos());
        self.field("valid_for", dnssec.valid_for.as_nanos());
        self.field("answer_sets_max", dnssec.answer_sets_max);
        self.field("roll_ksk_every", dnssec.roll_ksk_every.map_or(0, |every| every.as_nanos()));
        self.field("roll_zsk_every", dnssec.roll_zsk_every.as_nanos());
        self.field("roll_margin", dnssec.roll_margin.as_nanos());
        for node in &dnssec.nodes {
            self.field("node", node);
        }
    }

    fn control(&mut self, control: &ControlSettings) {
        self.field("round", control.round.as_nanos());
        self.field("missed_units", control.missed_units);
        self.field("tempfail_rounds", control.tempfail_rounds);
        self.field("busy", control.load.busy);
        self.field("cpu", control.load.cpu);
        self.field("blocked", control.load.blocked);
        self.field("memory", control.load.memory);
        self.field("server_ramp", control.server_ramp.as_nanos());
        self.field("journal_rounds", control.journal_rounds);
        control.resolvers.iter().for_each(|resolver| self.field("resolver", resolver));
        // Left out where nothing is said, so that nodes of the version before have the same digest.
        if control.detection != ControlSettings::default().detection {
            self.field("detection", control.detection.as_nanos());
        }
        if control.sights_last != ControlSettings::default().sights_last {
            self.field("sights_last", control.sights_last.as_nanos());
        }
    }
}

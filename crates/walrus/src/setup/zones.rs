//! Zone files and the parents' lines: the same for every kind of name server.

use std::fmt::Write as _;
use std::net::SocketAddr;

use walrus_dns::DomainName;

use super::{File, Ground};

/// How long resolvers keep what is not there; short, for a service may be published any moment.
const NEGATIVE_TTL: u32 = 30;
/// Of NS records and glue.
const DELEGATION_TTL: u32 = 3600;

/// `ZONE.zone`.
pub(super) fn file_name(zone: &str) -> String {
    format!("{zone}.zone")
}

pub(super) fn files(ground: &Ground<'_>) -> Vec<File> {
    let mut files = vec![own_zone(ground)];
    files.extend(ground.balanced_zones().iter().map(|zone| balanced_zone(ground, zone)));
    files.push(delegations(ground));
    files
}

/// The area's own zone, without the records that Walrus will put there.
fn own_zone(ground: &Ground<'_>) -> File {
    let (zone, host) = (&ground.server.zone, &ground.server.host);
    let mut text = format!(
        "; The zone of the area `{}`. Walrus keeps A, AAAA and TXT records in it, by DNS UPDATE.\n\
         ; Give it a secondary at another site: a resolver that kept a CNAME into it asks this zone\n\
         ; alone until that runs out, also while this name server is away.\n\
         $ORIGIN {zone}.\n$TTL {DELEGATION_TTL}\n{}@ IN NS {host}.\n",
        ground.server.area,
        start(host, zone)
    );
    text.push_str(&glue(host, zone, ground.server.address));
    File { name: file_name(&zone.to_string()), text }
}

/// The zone in which clients' names are.
fn balanced_zone(ground: &Ground<'_>, apex: &str) -> File {
    let settings = ground.configuration.zones.iter().find(|it| it.apex.to_string() == apex);
    let nameservers = settings.map(|it| it.nameservers.as_slice()).unwrap_or_default();
    let zone = settings.map_or_else(DomainName::root, |it| it.apex.clone());
    let first = nameservers.first().unwrap_or(&ground.server.host);
    let mut text = format!(
        "; What clients ask for, as the name server of the area `{}` answers: other areas' name servers\n\
         ; have other CNAMEs, so this zone is never transferred between them. If it is there already,\n\
         ; add only the CNAME lines, with no longer TTL.\n\
         $ORIGIN {zone}.\n$TTL {DELEGATION_TTL}\n{}",
        ground.server.area,
        start(first, &zone)
    );
    for name in nameservers {
        let _ = writeln!(text, "@ IN NS {name}.");
    }
    let known = |name: &DomainName| {
        let servers = &ground.configuration.name_servers;
        servers.iter().find(|server| server.host == *name).map(|server| server.address)
    };
    for name in nameservers {
        match known(name) {
            Some(address) => text.push_str(&glue(name, &zone, address)),
            None if name.is_within(&zone) => {
                let _ = writeln!(text, "; {name}. IN A ... is missing: add its address");
            }
            None => {}
        }
    }
    for published in &ground.server.services {
        if published.service.is_within(&zone) {
            let ttl = ttl(ground, &published.service);
            let _ = writeln!(text, "{}. {ttl} IN CNAME {}.", published.service, published.target);
        }
    }
    File { name: file_name(apex), text }
}

/// What the parents need, so that resolvers find both zones.
fn delegations(ground: &Ground<'_>) -> File {
    let (zone, host) = (&ground.server.zone, &ground.server.host);
    let mut text = format!(
        "; Into the zone above {zone}, with one more NS line for each secondary:\n\
         {zone}. {DELEGATION_TTL} IN NS {host}.\n"
    );
    text.push_str(&glue(host, zone, ground.server.address));
    for apex in ground.balanced_zones() {
        let _ = writeln!(text, "; Into the zone above {apex}: the name servers of all areas");
        let settings = ground.configuration.zones.iter().find(|it| it.apex.to_string() == apex);
        for name in settings.iter().flat_map(|it| &it.nameservers) {
            let _ = writeln!(text, "{apex}. {DELEGATION_TTL} IN NS {name}.");
        }
    }
    File { name: "delegations.txt".to_owned(), text }
}

fn start(first: &DomainName, zone: &DomainName) -> String {
    format!("@ IN SOA {first}. hostmaster.{zone}. 1 3600 900 1209600 {NEGATIVE_TTL}\n")
}

/// The address of a name server that is inside the zone.
fn glue(host: &DomainName, zone: &DomainName, address: SocketAddr) -> String {
    let kind = if address.is_ipv4() { "A" } else { "AAAA" };
    match host.is_within(zone) {
        true => format!("{host}. {DELEGATION_TTL} IN {kind} {}\n", address.ip()),
        false => String::new(),
    }
}

/// A CNAME is kept no longer than what it leads to.
fn ttl(ground: &Ground<'_>, service: &DomainName) -> u32 {
    let services = &ground.configuration.topology.services;
    let own = services.iter().find(|it| it.name == *service).map(|it| it.ttl.seconds_mean());
    ground.server.ttl.or(own).unwrap_or(NEGATIVE_TTL)
}

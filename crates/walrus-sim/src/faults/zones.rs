//! Name servers that were there before, as a seed has them: whose area they are for, and who keeps them up to date.

use std::net::SocketAddr;
use std::time::Duration;

use walrus_core::config::{NameServerSettings, PublishedService, UpdateTransport};
use walrus_core::world::Service;
use walrus_dns::DomainName;

use super::chance::Chance;
use super::world::{Node, node};

/// The most of them.
const ZONES_MAX: usize = 2;
/// Well below the time in which all settles: who lost its zone while nobody asked is found out by a look.
const CHECK_EVERY: Duration = Duration::from_secs(5);

/// A name server that was there before: what it has for its area, and who keeps it up to date.
#[derive(Clone, Debug)]
pub(super) struct Zone {
    pub(super) settings: NameServerSettings,
    /// Directors.
    pub(super) updaters: Vec<usize>,
}

/// In half of all worlds there are name servers that some of the Directors keep up to date, at most [`ZONES_MAX`].
pub(super) fn zones(
    chance: &mut Chance,
    (sites, directors): (&[&str], usize),
    nodes: &mut Vec<Node>,
    services: &[Service],
) -> Result<Vec<Zone>, String> {
    let count = if chance.one_in(2) { chance.between(1, ZONES_MAX) } else { 0 };
    let all: Vec<usize> = (0..directors).collect();
    let mut zones = Vec::new();
    for number in 0..count {
        let site = chance.below(sites.len());
        let name = format!("n{}", number + 1);
        nodes.push(node(chance, &name, None, site)?);
        let own = format!("{name}.example.org");
        let published = |service: &Service| {
            let target = service.name.to_string().replace(".example.net", "");
            Ok(PublishedService {
                service: service.name.clone(),
                apex: domain("example.net".to_owned())?,
                target: domain(format!("{target}.{own}"))?,
            })
        };
        let settings = NameServerSettings {
            area: format!("near-{}", sites[site]).parse().map_err(|_| "no area".to_owned())?,
            name: name.parse().map_err(|_| format!("`{name}` is no name"))?,
            address: SocketAddr::from(([203, 0, 113, 1], 53)),
            host: domain(format!("ns.{own}"))?,
            zone: domain(own.clone())?,
            transport: UpdateTransport::Tcp,
            key: None,
            ttl: None,
            check_every: CHECK_EVERY,
            owner: "walrus".parse().map_err(|_| "no owner".to_owned())?,
            adopt: false,
            services: services.iter().map(published).collect::<Result<_, String>>()?,
        };
        zones.push(Zone { settings, updaters: chance.some_of(&all) });
    }
    Ok(zones)
}

fn domain(text: String) -> Result<DomainName, String> {
    text.parse().map_err(|_| format!("`{text}` is no name"))
}

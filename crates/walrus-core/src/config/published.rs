//! What a checked configuration says of name servers that are already there (RFC 2136).

use std::net::SocketAddr;
use std::time::Duration;

use walrus_dns::DomainName;

use super::TsigKey;
use crate::world::Name;

/// A name server that somebody else runs, into which services are published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NameServerSettings {
    /// Unique among name servers.
    pub name: Name,
    /// The area whose clients ask it.
    pub area: Name,
    /// Where it takes updates and answers queries: the primary of its zone.
    pub address: SocketAddr,
    /// The area's own zone; nothing else of the name server is ever changed.
    pub zone: DomainName,
    /// Its host name, for NS records that `walrus setup` prints.
    pub host: DomainName,
    /// How messages travel.
    pub transport: UpdateTransport,
    /// What signs them; `None` is unsigned.
    pub key: Option<TsigKey>,
    /// TTL of the records in seconds; `None` is each service's own.
    pub ttl: Option<u32>,
    /// Time between two looks whether somebody else changed the zone.
    pub check_every: Duration,
    /// Who owns the records that carry its mark.
    pub owner: Name,
    /// Whether records that carry no mark are taken over.
    pub adopt: bool,
    /// What is published there, in the order of services.
    pub services: Vec<PublishedService>,
}

/// A service in an area's zone.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PublishedService {
    /// The balanced name, which the name server has as an alias of `target`.
    pub service: DomainName,
    /// The zone of that name: each name server has its own copy of it.
    pub apex: DomainName,
    /// The one name whose address records are changed.
    pub target: DomainName,
}

/// How updates travel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum UpdateTransport {
    /// A connection for each exchange.
    #[default]
    Tcp,
    /// Datagrams; what does not fit, and what is cut short, goes by TCP.
    Udp,
}

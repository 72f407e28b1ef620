//! Which records a service gives: addresses, and what names a server by its host name.

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use walrus_dns::{DomainName, record_type};

use super::{Name, Server, Service, ServiceId, Topology};

/// A type of record that a service can give.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum ServiceType {
    /// IPv4 addresses.
    A,
    /// IPv6 addresses.
    Aaaa,
    /// How to connect to a web server (RFC 9460).
    Https,
    /// How to connect to a service of any kind (RFC 9460).
    Svcb,
    /// Where a service is (RFC 2782).
    Srv,
    /// Who takes mail (RFC 1035 section 3.3.9).
    Mx,
}

impl ServiceType {
    /// All of them, in the order of [`Self::index`].
    pub const ALL: [Self; 6] = [Self::A, Self::Aaaa, Self::Https, Self::Svcb, Self::Srv, Self::Mx];

    /// The one that a question's type asks for.
    #[must_use]
    pub const fn of(record_type: u16) -> Option<Self> {
        match record_type {
            record_type::A => Some(Self::A),
            record_type::AAAA => Some(Self::Aaaa),
            record_type::HTTPS => Some(Self::Https),
            record_type::SVCB => Some(Self::Svcb),
            record_type::SRV => Some(Self::Srv),
            record_type::MX => Some(Self::Mx),
            _ => None,
        }
    }

    /// Its number among IANA's record types.
    #[must_use]
    pub const fn number(self) -> u16 {
        match self {
            Self::A => record_type::A,
            Self::Aaaa => record_type::AAAA,
            Self::Https => record_type::HTTPS,
            Self::Svcb => record_type::SVCB,
            Self::Srv => record_type::SRV,
            Self::Mx => record_type::MX,
        }
    }

    /// Its place in [`Self::ALL`].
    #[must_use]
    pub const fn index(self) -> usize {
        self as usize
    }

    /// As zone files write it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::A => "A",
            Self::Aaaa => "AAAA",
            Self::Https => "HTTPS",
            Self::Svcb => "SVCB",
            Self::Srv => "SRV",
            Self::Mx => "MX",
        }
    }
}

/// A set of [`ServiceType`]s.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ServiceTypes(u8);

impl ServiceTypes {
    /// A and AAAA.
    pub const ADDRESSES: Self = Self(0b11);

    /// With this type too.
    #[must_use]
    pub const fn with(self, service_type: ServiceType) -> Self {
        Self(self.0 | 1 << service_type as u8)
    }

    /// Whether it holds this type.
    #[must_use]
    pub const fn has(self, service_type: ServiceType) -> bool {
        self.0 & 1 << service_type as u8 != 0
    }

    /// Its types in the order of [`ServiceType::ALL`].
    pub fn iter(self) -> impl Iterator<Item = ServiceType> {
        ServiceType::ALL.into_iter().filter(move |service_type| self.has(*service_type))
    }
}

/// What a service gives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceRecords {
    /// A at the service's own name.
    pub a: bool,
    /// AAAA at the service's own name.
    pub aaaa: bool,
    /// HTTPS.
    pub https: Option<ServiceBinding>,
    /// SVCB.
    pub svcb: Option<ServiceBinding>,
    /// SRV.
    pub srv: Option<ServicePlace>,
    /// MX.
    pub mx: Option<MailExchange>,
    /// Its addresses are those of this outside name, resolved in the background.
    pub alias: Option<DomainName>,
    /// Its zone is signed: a type that it promises must never be answered as not there.
    pub signed: bool,
}

impl Default for ServiceRecords {
    /// Addresses alone.
    fn default() -> Self {
        Self {
            a: true,
            aaaa: true,
            https: None,
            svcb: None,
            srv: None,
            mx: None,
            alias: None,
            signed: false,
        }
    }
}

impl ServiceRecords {
    /// The types that the service gives: a static record of one of these is never answered at its
    /// name.
    #[must_use]
    pub fn types(&self) -> ServiceTypes {
        let mut types = ServiceTypes::default();
        let all = [
            (ServiceType::A, self.a),
            (ServiceType::Aaaa, self.aaaa),
            (ServiceType::Https, self.https.is_some()),
            (ServiceType::Svcb, self.svcb.is_some()),
            (ServiceType::Srv, self.srv.is_some()),
            (ServiceType::Mx, self.mx.is_some()),
        ];
        for (service_type, given) in all {
            if given {
                types = types.with(service_type);
            }
        }
        types
    }

    /// HTTPS or SVCB.
    #[must_use]
    pub const fn binding(&self, service_type: ServiceType) -> Option<&ServiceBinding> {
        match service_type {
            ServiceType::Https => self.https.as_ref(),
            ServiceType::Svcb => self.svcb.as_ref(),
            _ => None,
        }
    }

    /// Whether records of this type point at a name for each server.
    #[must_use]
    pub fn names_servers_by(&self, service_type: ServiceType) -> bool {
        match service_type {
            ServiceType::A | ServiceType::Aaaa => false,
            ServiceType::Https | ServiceType::Svcb => {
                self.binding(service_type).is_some_and(ServiceBinding::names_servers)
            }
            ServiceType::Srv => self.srv.is_some(),
            ServiceType::Mx => self.mx.is_some(),
        }
    }

    /// Whether any of its records points at a name for each server.
    #[must_use]
    pub fn names_servers(&self) -> bool {
        ServiceType::ALL.into_iter().any(|service_type| self.names_servers_by(service_type))
    }
}

/// An HTTPS or SVCB record in ServiceMode (RFC 9460 section 2.4.3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceBinding {
    /// SvcPriority of the server that was chosen, 1 to 65,534; the others of the answer have one
    /// more, so that clients go where they are sent.
    pub priority: u16,
    /// Protocols (section 7.1.1), each 1 to 255 bytes; none for the scheme's own.
    pub alpn: Vec<String>,
    /// The scheme's own protocol is not spoken (section 7.1.1).
    pub no_default_alpn: bool,
    /// Another port than the scheme's (section 7.2).
    pub port: Option<u16>,
    /// The server's addresses beside its name (section 7.3).
    pub hints: bool,
}

impl ServiceBinding {
    /// Whether it points at a name for each server; else at the service's own name (`.`), and is
    /// the same for all.
    #[must_use]
    pub const fn names_servers(&self) -> bool {
        self.port.is_some() || self.hints
    }
}

/// A SRV record; its weight is the server's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ServicePlace {
    /// Of all servers.
    pub priority: u16,
    /// Of all servers.
    pub port: u16,
}

/// A MX record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MailExchange {
    /// Of the server that was chosen, 0 to 65,534; the others of the answer have one more.
    pub preference: u16,
}

impl Topology {
    /// The types of records that a service always has, wherever a client is: what its NSEC record
    /// promises. A family is promised if any configured server of the service has it; of an alias, if
    /// its target has it, and both before that is known (`plan::with_found`).
    #[must_use]
    pub fn promised_types(&self, service: ServiceId) -> Vec<u16> {
        let Some(service) = self.services.get(service.index()) else { return Vec::new() };
        let has = |ipv6: bool| {
            let servers = service.clusters.iter().flat_map(|c| &self.clusters[c.index()].servers);
            let mut addresses =
                servers.flat_map(|id| &self.servers[id.index()].addresses).peekable();
            let is_unresolved = service.records.alias.is_some() && addresses.peek().is_none();
            is_unresolved || addresses.any(|address| address.is_ipv6() == ipv6)
        };
        let types = service.records.types().iter().filter(|service_type| match service_type {
            ServiceType::A => has(false),
            ServiceType::Aaaa => has(true),
            _ => true,
        });
        let mut types: Vec<u16> = types.map(ServiceType::number).collect();
        types.sort_unstable();
        types
    }

    /// All names that services' records give servers, each once, in canonical order.
    #[must_use]
    pub fn hosts(&self) -> Vec<NamedHost> {
        let mut hosts: BTreeMap<DomainName, NamedHost> = BTreeMap::new();
        for service in self.services.iter().filter(|service| service.records.names_servers()) {
            let ttl = service.ttl.seconds_mean();
            for id in service.clusters.iter().flat_map(|c| &self.clusters[c.index()].servers) {
                let server = &self.servers[id.index()];
                let Some(name) = host_of(&service.name, server) else { continue };
                let host = hosts.entry(name.clone()).or_insert_with(|| NamedHost {
                    name,
                    server: server.name.clone(),
                    addresses: server.addresses.clone(),
                    ttl,
                });
                host.ttl = host.ttl.max(ttl);
            }
        }
        hosts.into_values().collect()
    }
}

/// A name that services' records give a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamedHost {
    /// The name.
    pub name: DomainName,
    /// Whose.
    pub server: Name,
    /// The server's.
    pub addresses: Vec<IpAddr>,
    /// In seconds, the longest of the services that point at it.
    pub ttl: u32,
}

/// The name that a service's records give a server: its own `host`, else its name below the
/// service's. `None` if that is too long.
///
/// Labels that begin with `_` are left out of the service's name: they name a protocol, and hosts
/// may have none (RFC 952), so `fra1` of `_sip._tcp.example.com` is `fra1.example.com`.
#[must_use]
pub fn host_of(service: &DomainName, server: &Server) -> Option<DomainName> {
    server.host.clone().or_else(|| below_service(service, server.name.as_str()))
}

/// The name of a server that has no host name of its own.
#[must_use]
pub fn below_service(service: &DomainName, server: &str) -> Option<DomainName> {
    let protocols = service.labels().take_while(|label| label.starts_with(b"_")).count();
    let site = service.suffix(service.label_count() - protocols);
    let mut wire = vec![u8::try_from(server.len()).ok()?];
    wire.extend_from_slice(server.as_bytes());
    wire.extend_from_slice(site.as_wire());
    DomainName::from_wire(&wire).ok()
}

impl Service {
    /// Whether its name says that it is no host (RFC 8552): then it has no addresses of its own.
    #[must_use]
    pub fn is_underscored(name: &DomainName) -> bool {
        name.labels().next().is_some_and(|label| label.starts_with(b"_"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_named_below_its_service_without_the_protocols() {
        for (service, expected) in [
            ("www.example.com", "fra1.www.example.com"),
            ("example.com", "fra1.example.com"),
            ("_sip._tcp.example.com", "fra1.example.com"),
            ("_sip._tcp", "fra1"),
        ] {
            let name = below_service(&service.parse().unwrap(), "fra1").unwrap();
            assert_eq!(name.to_string(), expected);
        }
        let long = format!("{0}.{0}.{0}.{0}", "a".repeat(60));
        assert_eq!(below_service(&long.parse().unwrap(), &"b".repeat(63)), None);
    }

    #[test]
    fn types_are_numbered_by_their_place() {
        for (index, service_type) in ServiceType::ALL.into_iter().enumerate() {
            assert_eq!(service_type.index(), index);
            assert_eq!(ServiceType::of(service_type.number()), Some(service_type));
        }
        let records = ServiceRecords {
            mx: Some(MailExchange { preference: 10 }),
            ..ServiceRecords::default()
        };
        let types: Vec<_> = records.types().iter().collect();
        assert_eq!(types, [ServiceType::A, ServiceType::Aaaa, ServiceType::Mx]);
        assert!(!records.names_servers_by(ServiceType::A) && records.names_servers());
    }
}

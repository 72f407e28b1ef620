//! A service's records as bytes: what names a server, in each type.
//!
//! Owners point to the question; names in data stay whole, in MX too: a list's bytes are shared
//! between services and signed as they stand.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::net::IpAddr;

use walrus_dns::DomainName;

use super::choosing::Largest;
use crate::plan::PlannedServer;
use crate::world::{
    Name, Service, ServiceBinding, ServiceId, ServiceRecords, ServiceType, ServiceTypes, Topology,
    below_service,
};

/// Bytes of a record whose owner is a pointer, before its data.
pub(super) const RECORD_HEAD_LEN: usize = 12;

/// What the configuration says of services' records and of the servers behind them; it changes with
/// the configuration, not with the Plan.
#[derive(Clone, Debug, Default)]
pub(super) struct GivenRecords {
    /// Services that give other records than addresses alone.
    services: BTreeMap<DomainName, ServiceRecords>,
    /// What services in signed zones promise.
    owed: BTreeMap<DomainName, ServiceTypes>,
    /// Servers that have a name of their own.
    hosts: BTreeMap<Name, DomainName>,
    /// By service whose rings want to know.
    largest: BTreeMap<DomainName, Largest>,
}

impl GivenRecords {
    pub(super) fn new(topology: &Topology) -> Self {
        let usual = ServiceRecords::default();
        let services = topology.services.iter().filter(|service| service.records != usual);
        let hosts = topology.servers.iter();
        let owed = (0..).map(ServiceId).zip(&topology.services).filter(|(_, it)| it.records.signed);
        let owed = owed.map(|(id, service)| {
            let promised = topology.promised_types(id).into_iter().filter_map(ServiceType::of);
            (service.name.clone(), promised.fold(ServiceTypes::default(), ServiceTypes::with))
        });
        let of_largest = |service: &Service| {
            let largest = Largest::of(topology, service)?;
            Some((service.name.clone(), largest))
        };
        Self {
            largest: topology.services.iter().filter_map(of_largest).collect(),
            services: services.map(|it| (it.name.clone(), it.records.clone())).collect(),
            owed: owed.collect(),
            hosts: hosts.filter_map(|it| Some((it.name.clone(), it.host.clone()?))).collect(),
        }
    }

    /// The same with what zones in force promise of services; nothing of those that are not named.
    pub(super) fn promising(&self, promised: &BTreeMap<DomainName, Vec<u16>>) -> Self {
        let owed = promised.iter().map(|(service, types)| {
            let types = types.iter().filter_map(|number| ServiceType::of(*number));
            (service.clone(), types.fold(ServiceTypes::default(), ServiceTypes::with))
        });
        Self { owed: owed.collect(), ..self.clone() }
    }

    /// The outside name whose addresses the service has.
    pub(super) fn alias_of(&self, service: &DomainName) -> Option<&DomainName> {
        self.services.get(service)?.alias.as_ref()
    }

    /// What a service gives; addresses if the configuration does not know it.
    pub(super) fn of(&self, service: &DomainName) -> Cow<'_, ServiceRecords> {
        self.services.get(service).map_or_else(Cow::default, Cow::Borrowed)
    }

    /// The most that any of a service's servers bears.
    pub(super) fn largest(&self, service: &DomainName) -> Largest {
        self.largest.get(service).copied().unwrap_or_default()
    }

    /// The types of which a service never says that it has none: what a signed zone promises.
    pub(super) fn owed_by(&self, service: &DomainName) -> ServiceTypes {
        self.owed.get(service).copied().unwrap_or_default()
    }

    pub(super) fn types_of(&self, service: &DomainName) -> ServiceTypes {
        self.services.get(service).map_or(ServiceTypes::ADDRESSES, ServiceRecords::types)
    }

    /// The name that a service's records give a server; `None` if that is too long for a name.
    pub(super) fn host(&self, service: &DomainName, server: &Name) -> Option<Cow<'_, DomainName>> {
        match self.hosts.get(server) {
            Some(host) => Some(Cow::Borrowed(host)),
            None => below_service(service, server.as_str()).map(Cow::Owned),
        }
    }
}

/// What a server's records of one type are made of.
#[derive(Clone, Copy, Debug)]
pub(super) struct RecordMaker<'a> {
    pub(super) service_type: ServiceType,
    /// Seconds.
    pub(super) ttl: u32,
    pub(super) records: &'a ServiceRecords,
    pub(super) service: &'a DomainName,
    pub(super) given: &'a GivenRecords,
}

impl RecordMaker<'_> {
    /// Whether the record is the same whichever server is chosen: it names none.
    pub(super) fn is_constant(&self) -> bool {
        self.records.binding(self.service_type).is_some_and(|binding| !binding.names_servers())
    }

    /// Whether the record says which server was chosen.
    pub(super) const fn tells_first(&self) -> bool {
        tells_first(self.service_type)
    }

    /// Appends the constant record; how many.
    pub(super) fn write_constant(&self, out: &mut Vec<u8>) -> u32 {
        let Some(binding) = self.records.binding(self.service_type) else { return 0 };
        let data = binding_data(binding, binding.priority, &[0], &[]);
        self.write(&data, out)
    }

    /// Appends a server's records; how many. `is_first` is the server that was chosen.
    pub(super) fn write_server(
        &self,
        server: &PlannedServer,
        weight: u32,
        is_first: bool,
        out: &mut Vec<u8>,
    ) -> u32 {
        let host = || self.given.host(self.service, &server.name);
        let behind = u16::from(!is_first);
        match self.service_type {
            ServiceType::A | ServiceType::Aaaa => {
                server.addresses.iter().map(|address| self.write_address(*address, out)).sum()
            }
            ServiceType::Https | ServiceType::Svcb => {
                let (Some(binding), Some(host)) = (self.records.binding(self.service_type), host())
                else {
                    return 0;
                };
                let hints = if binding.hints { &server.addresses[..] } else { &[] };
                let priority = binding.priority.saturating_add(behind);
                self.write(&binding_data(binding, priority, host.as_wire(), hints), out)
            }
            ServiceType::Srv => {
                let (Some(place), Some(host)) = (self.records.srv, host()) else { return 0 };
                let weight = u16::try_from(weight).unwrap_or(u16::MAX);
                let mut data = Vec::new();
                for number in [place.priority, weight, place.port] {
                    data.extend_from_slice(&number.to_be_bytes());
                }
                data.extend_from_slice(host.as_wire());
                self.write(&data, out)
            }
            ServiceType::Mx => {
                let (Some(exchange), Some(host)) = (self.records.mx, host()) else { return 0 };
                let preference = exchange.preference.saturating_add(behind);
                self.write(&[&preference.to_be_bytes(), host.as_wire()].concat(), out)
            }
        }
    }

    /// Whether a server has any record of this type.
    pub(super) fn has(&self, server: &PlannedServer) -> bool {
        match self.service_type {
            ServiceType::A => server.addresses.iter().any(IpAddr::is_ipv4),
            ServiceType::Aaaa => server.addresses.iter().any(IpAddr::is_ipv6),
            _ => self.given.host(self.service, &server.name).is_some(),
        }
    }

    fn write_address(&self, address: IpAddr, out: &mut Vec<u8>) -> u32 {
        match (self.service_type, address) {
            (ServiceType::A, IpAddr::V4(address)) => self.write(&address.octets(), out),
            (ServiceType::Aaaa, IpAddr::V6(address)) => self.write(&address.octets(), out),
            _ => 0,
        }
    }

    /// The owner is the question's name: a pointer to byte 12.
    fn write(&self, data: &[u8], out: &mut Vec<u8>) -> u32 {
        let Ok(len) = u16::try_from(data.len()) else { return 0 };
        out.extend_from_slice(&[0xc0, 12]);
        out.extend_from_slice(&self.service_type.number().to_be_bytes());
        out.extend_from_slice(&[0, 1]);
        out.extend_from_slice(&self.ttl.to_be_bytes());
        out.extend_from_slice(&len.to_be_bytes());
        out.extend_from_slice(data);
        1
    }
}

/// Whether records of a type say which server was chosen: by a better priority than the others'.
pub(super) const fn tells_first(service_type: ServiceType) -> bool {
    matches!(service_type, ServiceType::Https | ServiceType::Svcb | ServiceType::Mx)
}

/// RFC 9460 section 2.2: priority, target, and parameters in the order of their keys.
fn binding_data(
    binding: &ServiceBinding,
    priority: u16,
    target: &[u8],
    hints: &[IpAddr],
) -> Vec<u8> {
    let mut data = priority.to_be_bytes().to_vec();
    data.extend_from_slice(target);
    let mut parameter = |key: u16, value: &[u8]| {
        let Ok(len) = u16::try_from(value.len()) else { return };
        data.extend_from_slice(&key.to_be_bytes());
        data.extend_from_slice(&len.to_be_bytes());
        data.extend_from_slice(value);
    };
    if !binding.alpn.is_empty() {
        let mut protocols = Vec::new();
        for protocol in &binding.alpn {
            protocols.push(u8::try_from(protocol.len()).unwrap_or(u8::MAX));
            protocols.extend(protocol.bytes().take(usize::from(u8::MAX)));
        }
        parameter(1, &protocols);
        if binding.no_default_alpn {
            parameter(2, &[]);
        }
    }
    if let Some(port) = binding.port {
        parameter(3, &port.to_be_bytes());
    }
    let mut addresses = (Vec::new(), Vec::new());
    for hint in hints {
        match hint {
            IpAddr::V4(address) => addresses.0.extend_from_slice(&address.octets()),
            IpAddr::V6(address) => addresses.1.extend_from_slice(&address.octets()),
        }
    }
    for (key, addresses) in [(4, addresses.0), (6, addresses.1)] {
        if !addresses.is_empty() {
            parameter(key, &addresses);
        }
    }
    data
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_stand_in_the_order_of_their_keys() {
        let binding = ServiceBinding {
            priority: 1,
            alpn: vec!["h2".into(), "h3".into()],
            no_default_alpn: true,
            port: Some(8443),
            hints: true,
        };
        let hints = ["2001:db8::1", "192.0.2.1"].map(|text| text.parse().unwrap());
        let data = binding_data(&binding, 2, b"\x01s\x00", &hints);
        let expected = [
            &b"\x00\x02\x01s\x00"[..],
            b"\x00\x01\x00\x06\x02h2\x02h3",
            b"\x00\x02\x00\x00",
            b"\x00\x03\x00\x02\x20\xfb",
            b"\x00\x04\x00\x04\xc0\x00\x02\x01",
            b"\x00\x06\x00\x10\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01",
        ];
        assert_eq!(data, expected.concat());
    }
}

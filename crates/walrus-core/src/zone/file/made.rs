//! A zone without a file: SOA and NS records from the names of its name servers.

use walrus_dns::{DomainName, record_type};

use crate::zone::{RecordSet, Zone};

/// Also the NS records' TTL: a day is usual for data that hardly changes.
const TTL: u32 = 86_400;
/// Nobody transfers a made zone, so its serial never needs to rise.
const SERIAL: u32 = 1;
/// Two hours, fifteen minutes, two weeks (RFC 1912 section 2.2); read by no one without transfers.
const REFRESH: u32 = 7200;
const RETRY: u32 = 900;
const EXPIRE: u32 = 1_209_600;
/// How long "no such name" is remembered (RFC 2308): five minutes, so that a new service is soon
/// seen by those who asked too early.
const MINIMUM: u32 = 300;

/// The zone of a configuration that names no file: its first name server is the SOA's primary, and
/// `hostmaster` at the apex its mailbox.
///
/// Without any name server, which the configuration refuses, the apex stands for one.
#[must_use]
pub fn zone_of_nameservers(apex: &DomainName, nameservers: &[DomainName]) -> Zone {
    let own = std::slice::from_ref(apex);
    let nameservers = if nameservers.is_empty() { own } else { nameservers };
    let mut soa = nameservers[0].as_wire().to_vec();
    soa.extend_from_slice(mailbox(apex).as_wire());
    for number in [SERIAL, REFRESH, RETRY, EXPIRE, MINIMUM] {
        soa.extend_from_slice(&number.to_be_bytes());
    }
    let mut data: Vec<Box<[u8]>> = Vec::new();
    for nameserver in nameservers {
        if !data.iter().any(|known| **known == *nameserver.as_wire()) {
            data.push(nameserver.as_wire().into());
        }
    }
    let set = |record_type, data| {
        (apex.clone(), RecordSet { record_type, ttl: TTL, data, ..RecordSet::default() })
    };
    let soa = set(record_type::SOA, vec![soa.into()]);
    Zone::from_sets(apex.clone(), [soa, set(record_type::NS, data)])
}

fn mailbox(apex: &DomainName) -> DomainName {
    let mut wire = b"\x0ahostmaster".to_vec();
    wire.extend_from_slice(apex.as_wire());
    // An apex of more than 244 bytes leaves no room: then the root, "no mailbox".
    DomainName::from_wire(&wire).unwrap_or_else(|_| DomainName::root())
}

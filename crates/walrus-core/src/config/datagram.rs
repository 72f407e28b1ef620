//! Whether a service's answers fit a datagram (papers 3.7).
//!
//! A longer answer is not lost: the client is told to ask again over TCP. That costs it two round
//! trips, so it is worth a warning; what does not even fit a TCP message is a problem.

use super::findings::{Findings, Place};
use super::settings::service::Known;
use crate::world::{
    AssignPolicy, ClusterId, Server, ServerId, Service, ServiceBinding, ServiceType, host_of,
};

/// Header, type and class of the question, and an OPT record with a whole IPv6 client subnet.
const FRAME: usize = 12 + 4 + 11 + 24;
/// The most that a TCP message may hold.
const MESSAGE_MAX: usize = 65_535;
/// Name (compressed), type, class, TTL and length of a record.
const RECORD: usize = 12;

pub(super) fn check(service: &Service, place: Place, known: &Known<'_>, findings: &Findings<'_>) {
    let name = service.name.as_wire().len();
    let of_type = |service_type: ServiceType| {
        let Answer { records, bytes } = longest_answer(service, known, service_type);
        (FRAME + name + bytes, records, service_type)
    };
    let longest = service.records.types().iter().map(of_type).max();
    let Some((longest, count, service_type)) = longest else { return };
    let what = match service_type {
        ServiceType::A | ServiceType::Aaaa => "addresses".to_owned(),
        other => format!("{} records", other.name()),
    };
    let limit = usize::from(known.udp_size_max);
    if longest > MESSAGE_MAX {
        findings.problem(
            place,
            format!(
                "an answer of {count} {what} fits no DNS message: write for example answers = 4"
            ),
        );
    } else if limit > 0 && longest > limit {
        findings.warn(
            place,
            format!(
                "an answer of {count} {what} may take {longest} bytes, more than a UDP answer \
                 may have ({limit}): clients will ask again over TCP; fewer `answers` avoid it"
            ),
        );
    }
}

/// What an answer holds.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Answer {
    bytes: usize,
    records: usize,
}

/// The longest answer of a type: the servers that take most.
fn longest_answer(service: &Service, known: &Known<'_>, service_type: ServiceType) -> Answer {
    let binding = service.records.binding(service_type);
    if let Some(binding) = binding.filter(|binding| !binding.names_servers()) {
        return Answer { bytes: RECORD + binding_len(binding, 1, None), records: 1 };
    }
    let of_server = |id: &ServerId| of_server(service, &known.servers[id.index()], service_type);
    let of_servers = |mut each: Vec<Answer>| -> Answer {
        each.sort_unstable_by(|a, b| b.cmp(a));
        let answers = service.answers.map_or(usize::MAX, |answers| answers as usize);
        each.into_iter().take(answers).fold(Answer::default(), |sum, one| Answer {
            bytes: sum.bytes + one.bytes,
            records: sum.records + one.records,
        })
    };
    let servers =
        |cluster: &ClusterId| known.clusters[cluster.index()].servers.iter().map(of_server);
    if service.assign == AssignPolicy::All {
        return of_servers(service.clusters.iter().flat_map(servers).collect());
    }
    let each = service.clusters.iter().map(|cluster| of_servers(servers(cluster).collect()));
    each.max().unwrap_or_default()
}

fn of_server(service: &Service, server: &Server, service_type: ServiceType) -> Answer {
    let addresses = |ipv4: bool, len: usize| {
        let records = server.addresses.iter().filter(|address| address.is_ipv4() == ipv4).count();
        Answer { bytes: records * (RECORD + len), records }
    };
    let host = host_of(&service.name, server).map_or(0, |host| host.as_wire().len());
    let bytes = match service_type {
        ServiceType::A => return addresses(true, 4),
        ServiceType::Aaaa => return addresses(false, 16),
        ServiceType::Https | ServiceType::Svcb => service
            .records
            .binding(service_type)
            .map_or(0, |binding| binding_len(binding, host, Some(server))),
        ServiceType::Srv => 6 + host,
        ServiceType::Mx => 2 + host,
    };
    Answer { bytes: RECORD + bytes, records: 1 }
}

/// RFC 9460 section 2.2: a parameter has a key and a length of two bytes each.
fn binding_len(binding: &ServiceBinding, target: usize, server: Option<&Server>) -> usize {
    const PARAMETER: usize = 4;
    let alpn: usize = binding.alpn.iter().map(|protocol| 1 + protocol.len()).sum();
    let mut len = 2 + target;
    len += if alpn > 0 { PARAMETER + alpn } else { 0 };
    len += if binding.no_default_alpn { PARAMETER } else { 0 };
    len += if binding.port.is_some() { PARAMETER + 2 } else { 0 };
    if let Some(server) = server.filter(|_| binding.hints) {
        for (ipv4, address) in [(true, 4), (false, 16)] {
            let hints = server.addresses.iter().filter(|it| it.is_ipv4() == ipv4).count();
            len += if hints > 0 { PARAMETER + hints * address } else { 0 };
        }
    }
    len
}

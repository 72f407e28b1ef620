//! Whether a service's answers fit a datagram (papers 3.7).
//!
//! A longer answer is not lost: the client is told to ask again over TCP. That costs it two round
//! trips, so it is worth a warning; what does not even fit a TCP message is a problem.

use super::findings::{Findings, Place};
use super::settings::service::Known;
use crate::world::{AssignPolicy, ClusterId, ServerId, Service};

/// Header, type and class of the question, and an OPT record with a whole IPv6 client subnet.
const FRAME: usize = 12 + 4 + 11 + 24;
/// The most that a TCP message may hold.
const MESSAGE_MAX: usize = 65_535;
/// Name (compressed), type, class, TTL and length of a record.
const RECORD: usize = 12;

pub(super) fn check(service: &Service, place: Place, known: &Known<'_>, findings: &Findings<'_>) {
    let name = service.name.as_wire().len();
    let records = |ipv4: bool| most_addresses(service, known, ipv4);
    let bytes = |ipv4, address: usize| FRAME + name + records(ipv4) * (RECORD + address);
    let (longest, count) = (bytes(true, 4), records(true)).max((bytes(false, 16), records(false)));
    let limit = usize::from(known.udp_size_max);
    if longest > MESSAGE_MAX {
        findings.problem(
            place,
            format!(
                "an answer of {count} addresses fits no DNS message: write for example answers = 4"
            ),
        );
    } else if limit > 0 && longest > limit {
        findings.warn(
            place,
            format!(
                "an answer of {count} addresses may take {longest} bytes, more than a UDP answer \
                 may have ({limit}): clients will ask again over TCP; fewer `answers` avoid it"
            ),
        );
    }
}

/// The most addresses of a family that an answer can hold: the servers with the most of them.
fn most_addresses(service: &Service, known: &Known<'_>, ipv4: bool) -> usize {
    let of_server = |id: &ServerId| {
        let addresses = &known.servers[id.index()].addresses;
        addresses.iter().filter(|address| address.is_ipv4() == ipv4).count()
    };
    let of_servers = |mut counts: Vec<usize>| -> usize {
        counts.sort_unstable_by(|a, b| b.cmp(a));
        let answers = service.answers.map_or(usize::MAX, |answers| answers as usize);
        counts.into_iter().take(answers).sum()
    };
    let servers =
        |cluster: &ClusterId| known.clusters[cluster.index()].servers.iter().map(of_server);
    if service.assign == AssignPolicy::All {
        return of_servers(service.clusters.iter().flat_map(servers).collect());
    }
    let each = service.clusters.iter().map(|cluster| of_servers(servers(cluster).collect()));
    each.max().unwrap_or_default()
}

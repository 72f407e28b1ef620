//! Whether a service's answers fit a datagram (papers 3.7).
//!
//! A longer answer is not lost: the client is told to ask again over TCP. That costs it two round
//! trips, so it is worth a warning; what does not even fit a TCP message is a problem.

use super::findings::{Findings, Place};
use super::settings::service::Known;
use crate::world::{AssignPolicy, Service};

/// Header, type and class of the question, and an OPT record with a whole IPv6 client subnet.
const FRAME: usize = 12 + 4 + 11 + 24;
/// The most that a TCP message may hold.
const MESSAGE_MAX: usize = 65_535;
/// Name (compressed), type, class, TTL and length of a record.
const RECORD: usize = 12;

pub(super) fn check(service: &Service, place: Place, known: &Known<'_>, findings: &Findings<'_>) {
    let name = service.name.as_wire().len();
    let records = |ipv4: bool| {
        let of_cluster = |cluster: &crate::world::ClusterId| -> usize {
            let servers = &known.clusters[cluster.index()].servers;
            let addresses = servers.iter().flat_map(|id| &known.servers[id.index()].addresses);
            addresses.filter(|address| address.is_ipv4() == ipv4).count()
        };
        let all = service.clusters.iter().map(of_cluster);
        let most = if service.assign == AssignPolicy::All {
            all.sum()
        } else {
            all.max().unwrap_or_default()
        };
        service.answers.map_or(most, |answers| most.min(answers as usize))
    };
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
                "an answer of {count} addresses may take {longest} bytes, more than a UDP answer may \
                 have ({limit}): clients will ask again over TCP; fewer `answers` avoid it"
            ),
        );
    }
}

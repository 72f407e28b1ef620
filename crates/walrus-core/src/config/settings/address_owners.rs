//! Which servers have which address, and where one address may stand twice.
//!
//! Inside a cluster an address belongs to one server. Over clusters it may belong to several, so
//! that services can group and weigh the same machines differently; but never within one service,
//! whose answers would name it twice (RFC 2181 section 5) and whose weights would count it twice.

use std::collections::BTreeMap;
use std::net::IpAddr;

use crate::config::findings::{Findings, Place};
use crate::world::{ClusterId, Name};

/// The servers of each address, in the order of the files.
#[derive(Default)]
pub(super) struct AddressOwners(BTreeMap<IpAddr, Vec<Owner>>);

struct Owner {
    server: Name,
    /// Its cluster's place, for comparing only: that of a cluster with a problem is no id.
    cluster: usize,
    place: Place,
}

/// An address that several clusters have.
pub(in crate::config) struct SharedAddress {
    address: IpAddr,
    servers: Vec<(ClusterId, Name)>,
}

impl AddressOwners {
    /// One more address of a server; tells what is wrong with it.
    pub(super) fn add(
        &mut self,
        address: IpAddr,
        (server, cluster, place): (&Name, usize, Place),
        findings: &Findings<'_>,
    ) {
        let owners = self.0.entry(address).or_default();
        if let Some(other) = owners.iter().find(|other| other.cluster == cluster) {
            let (other, first) = (&other.server, findings.point(other.place));
            findings.problem(
                place,
                format!(
                    "{address} is already an address of `{other}` ({first}): in a cluster, an \
                     address belongs to one server"
                ),
            );
            return;
        }
        if let Some(other) = owners.first() {
            let (other, first) = (&other.server, findings.point(other.place));
            findings.warn(
                place,
                format!(
                    "{address} is also an address of `{other}` ({first}), in another cluster: it \
                     is probed once for both, but Reporters, drains and weights are each server's \
                     own"
                ),
            );
        }
        owners.push(Owner { server: server.clone(), cluster, place });
    }

    /// The addresses that stand in several of the clusters that have an id.
    pub(super) fn into_shared(self, clusters: usize) -> Vec<SharedAddress> {
        let standing = |owner: Owner| {
            let id = u32::try_from(owner.cluster).ok().filter(|_| owner.cluster < clusters)?;
            Some((ClusterId(id), owner.server))
        };
        self.0
            .into_iter()
            .filter(|(_, owners)| owners.len() > 1)
            .map(|(address, owners)| {
                let servers = owners.into_iter().filter_map(standing).collect();
                SharedAddress { address, servers }
            })
            .collect()
    }
}

/// Tells if the clusters of a service have an address twice.
pub(super) fn check_service(
    clusters: &[ClusterId],
    shared: &[SharedAddress],
    place: Place,
    findings: &Findings<'_>,
) {
    for SharedAddress { address, servers } in shared {
        let mut ours = servers.iter().filter(|(cluster, _)| clusters.contains(cluster));
        if let (Some((_, one)), Some((_, two))) = (ours.next(), ours.next()) {
            return findings.problem(
                place,
                format!(
                    "the service would have {address} twice, by `{one}` and by `{two}`: leave the \
                     cluster of one of them out of its `clusters`"
                ),
            );
        }
    }
}

//! Configurations of many servers.

use std::fmt::Write as _;
use std::net::Ipv4Addr;

/// Servers of one cluster.
const CLUSTER: usize = 100;
/// Areas; the clusters are their homes in turn.
const AREAS: usize = 20;

/// Zone, clusters, areas and one service over all servers. Each server has these further keys.
pub(crate) fn of(servers: usize, address: impl Fn(usize) -> Ipv4Addr, keys: &str) -> String {
    let mut text = String::from(
        "zone = \"load.example\"\nnameservers = [\"ns1.load.example\", \"ns2.load.example\"]\n",
    );
    let clusters = servers.div_ceil(CLUSTER);
    for cluster in 0..clusters {
        let _ = writeln!(text, "[[cluster]]\nname = \"c{cluster}\"\nservers = [");
        for server in cluster * CLUSTER..servers.min((cluster + 1) * CLUSTER) {
            let (name, address) = (name(server), address(server));
            let _ = writeln!(text, "  {{ name = \"{name}\", addresses = [\"{address}\"]{keys} }},");
        }
        text.push_str("]\n");
    }
    for area in 0..AREAS {
        let home = area % clusters;
        let _ = writeln!(
            text,
            "[[area]]\nname = \"a{area}\"\nhome = \"c{home}\"\nclients = [\"10.{area}.0.0/16\"]"
        );
    }
    text.push_str("[[service]]\nname = \"www.load.example\"\nanswers = 4\nttl = \"30s\"\n");
    text
}

/// The name of a server.
pub(crate) fn name(server: usize) -> String {
    format!("s{server}")
}

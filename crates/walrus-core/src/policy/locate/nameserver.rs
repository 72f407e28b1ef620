//! `locate nameserver`: the area whose name server was asked.
//!
//! **Problem.** Without a map nobody knows where a client is, and maps tell places, not delays.
//!
//! **Rule.** Give each area a name server of its own, near its clients, and name all of them in the
//! zone's NS records. Resolvers try all, remember how fast each answered and soon ask the fastest
//! nearly always: so the address that was asked tells the area. Nothing is measured by us.
//!
//! **Source.** The DNS Round Trip Times method of the Walrus thesis (seed 004, section 7.2).
//!
//! **When it is wrong.** How strongly resolvers favour the fastest differs: BIND mostly does, Knot
//! Resolver in 19 of 20 queries, Unbound asks any that is at most 400 ms slower, which on Earth is
//! nearly all (papers.md, section 10). A resolver that has just started tries far ones first. If a
//! name server is down its clients count for the area of the next fastest. Clients far from their
//! resolver are taken to be near it. Behind one anycast address it knows nothing.
//!
//! **Example.** Area `asia` has the name server 192.0.2.53:53, `europe` 198.51.100.53:53. A
//! resolver in Berlin asks both once (180 ms, 12 ms) and then 198.51.100.53: its clients are in
//! `europe`. A query to 127.0.0.1:53, which no area names, finds none: the next policy is asked.

use std::net::SocketAddr;

use crate::world::{AreaId, Topology};

/// Which area expects its clients at which address.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Nameservers {
    /// Sorted by address; few, so that a binary search is as good as anything.
    areas: Box<[(SocketAddr, AreaId)]>,
}

impl Nameservers {
    /// Collects the areas' name servers. Of two areas that name one address the first counts (the
    /// configuration's checks refuse this).
    #[must_use]
    pub fn new(topology: &Topology) -> Self {
        let mut areas: Vec<(SocketAddr, AreaId)> = (0_u32..)
            .zip(&topology.areas)
            .flat_map(|(index, area)| {
                area.nameservers.iter().map(move |address| (canonical(*address), AreaId(index)))
            })
            .collect();
        areas.sort();
        areas.dedup_by_key(|entry| entry.0);
        Self { areas: areas.into() }
    }

    /// The area that expects its clients at this address.
    #[must_use]
    pub fn lookup(&self, asked: SocketAddr) -> Option<AreaId> {
        let asked = canonical(asked);
        let found = self.areas.binary_search_by_key(&asked, |entry| entry.0).ok()?;
        Some(self.areas[found].1)
    }
}

/// Without flow label and scope, which say nothing about who was asked.
fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

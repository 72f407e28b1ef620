//! `locate map`: the area that the client's prefix belongs to.
//!
//! **Problem.** A name server sees who asks, not who will come: mostly a resolver, with luck a part
//! of the client's address (RFC 7871). Whoever is far from all servers of the answer waits longer.
//!
//! **Rule.** Take the client subnet's address if the query has one with a source length above 0,
//! else the resolver's, and look it up in the map: explicit prefix beats country beats continent,
//! the longest prefix within a kind.
//!
//! **Source.** Client subnets from RFC 7871; that a resolver stands for the clients behind it, and
//! how much is gained where it need not, from seed 003 (mapping system and end-user mapping;
//! papers.md has the figures: the mean distance to the server fell from 2,000 miles to 250).
//!
//! **When it is wrong.** Clients of a public resolver that sends no client subnet are taken to be
//! where that resolver is. Near on the map is not near on the network: two networks of one city may
//! meet only on another continent. Databases are wrong about a few percent of all prefixes, and
//! more for mobile networks and tunnels.
//!
//! **Example.** Areas `germany` = {country:DE}, `europe` = {continent:EU}, `lab` =
//! {198.51.100.0/24}, and a database that puts 198.51.0.0/16 into Germany and 203.0.113.0/24 into
//! France: 198.51.100.9 is in `lab`, 198.51.7.1 in `germany`, 203.0.113.5 in `europe`, and 8.8.8.8,
//! which the database has elsewhere, in a hole: the next policy is asked.

use std::net::IpAddr;

use crate::map::Map;
use crate::world::AreaId;

/// The area of a client's address; `None` is a hole.
pub(super) fn locate(map: &Map, client: IpAddr) -> Option<AreaId> {
    map.lookup(client)
}

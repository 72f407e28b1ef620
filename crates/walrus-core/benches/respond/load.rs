//! What is asked, how it is answered, and the least that any answer costs.

use std::net::IpAddr;

use walrus_core::answer::{Outcome, Request, ServerOptions, Transport, WorkerState, respond};
use walrus_core::world::{Generator, Time};
use walrus_dns::query;

use crate::world::{self, World};

/// Static names in most worlds.
pub(crate) const NAMES: usize = 10_000;
/// Queries in a round; a power of two.
pub(crate) const QUERIES: usize = 1 << 16;

/// Queries one behind the other, so that they come as from a socket: already in the cache.
pub(crate) struct Queries {
    bytes: Vec<u8>,
    /// Where each begins; all have a successor.
    starts: Vec<u32>,
}

impl Queries {
    pub(crate) fn new(mut query: impl FnMut() -> Vec<u8>) -> Self {
        let mut queries = Self { bytes: Vec::new(), starts: vec![0] };
        for _ in 0..QUERIES {
            queries.bytes.extend(query());
            queries.starts.push(u32::try_from(queries.bytes.len()).expect("a few megabytes"));
        }
        queries
    }

    /// So many static names in random order, EDNS.
    pub(crate) fn of_names(names: usize) -> Self {
        let mut generator = Generator::new(1);
        Self::new(|| world::query(&world::static_name(generator.index(names as u32).0), None))
    }

    /// Names that do not exist, EDNS.
    pub(crate) fn missing() -> Self {
        let mut generator = Generator::new(2);
        let mut name = || world::static_name(generator.index(1 << 30).0 + NAMES as u32);
        Self::new(|| world::query(&name(), None))
    }

    /// The service for a random client subnet of 24 bits.
    pub(crate) fn of_service() -> Self {
        let mut generator = Generator::new(3);
        let name = world::wire("www.example.com");
        Self::new(|| world::query(&name, Some(generator.draw().to_be_bytes())))
    }

    /// So many static names in random order, DO.
    pub(crate) fn of_signed_names(names: usize) -> Self {
        let mut generator = Generator::new(1);
        Self::new(|| world::signed_query(&world::static_name(generator.index(names as u32).0), 1))
    }

    /// Names that do not exist, DO.
    pub(crate) fn missing_signed() -> Self {
        let mut generator = Generator::new(2);
        let mut name = || world::static_name(generator.index(1 << 30).0 + NAMES as u32);
        Self::new(|| world::signed_query(&name(), 1))
    }

    /// The service, DO.
    pub(crate) fn of_signed_service() -> Self {
        Self::new(|| world::signed_query(&world::wire("www.example.com"), 1))
    }

    /// The query of this number, round and round.
    pub(crate) fn get(&self, number: usize) -> &[u8] {
        let at = number & (QUERIES - 1);
        &self.bytes[self.starts[at] as usize..self.starts[at + 1] as usize]
    }
}

/// Answers a query; the reply's length.
pub(crate) fn respond_to(world: &World) -> impl FnMut(&[u8]) -> usize {
    let mut reply = [0; 1232];
    let mut respond = respond_as(world, ServerOptions::SILENT);
    move |query| respond(query, &mut reply)
}

/// The same of a server that presents itself so.
pub(crate) fn respond_as<'w>(
    world: &'w World,
    server: &'w ServerOptions,
) -> impl FnMut(&[u8], &mut [u8]) -> usize + 'w {
    let mut worker = WorkerState::new(1, &world.table);
    move |query, reply| {
        let request = Request {
            query,
            client: IpAddr::from([192, 0, 2, 1]),
            local: ([192, 0, 2, 53], 53).into(),
            transport: Transport::Udp,
            now: Time::ZERO,
            unix_secs: 0,
            udp_size_max: 1232,
            server,
        };
        match respond(&world.table, &mut worker, &request, reply) {
            Outcome::Reply(len) => len,
            other => panic!("{other:?}"),
        }
    }
}

/// The calibration loop: parses a query, folds and hashes its name once, copies 90 bytes.
pub(crate) fn calibrate() -> impl FnMut(&[u8]) -> usize {
    let mut reply = [0; 1232];
    let source = [7; 90];
    let secrets = rapidhash::v3::RapidSecrets::seed(1);
    move |bytes| {
        let parsed = query::parse(bytes).expect("a query");
        let mut folded = [0; 256];
        let name = parsed.fold_name(&mut folded);
        let hash = rapidhash::v3::rapidhash_v3_nano_inline::<true, false>(name, &secrets);
        reply[..90].copy_from_slice(std::hint::black_box(&source));
        std::hint::black_box(&mut reply);
        hash as usize
    }
}

//! Clients that bring back the cookie that they were given (RFC 7873).

use walrus_core::answer::ServerOptions;
use walrus_core::world::Generator;
use walrus_dns::{CookieSecret, CookieSecrets};

use crate::load::{NAMES, Queries, respond_as};
use crate::world::{self, World};

/// The option's data: the client's part and the server's.
const COOKIE_LEN: usize = 24;

/// A server that gives cookies.
pub(crate) fn giver() -> ServerOptions {
    let current = CookieSecret::new([7; 16]);
    ServerOptions {
        cookies: Some(CookieSecrets { current, other: None }),
        ..ServerOptions::default()
    }
}

/// Static names in random order, each with a cookie that this server gave.
pub(crate) fn queries(world: &World, server: &ServerOptions) -> Queries {
    let (mut respond, mut reply) = (respond_as(world, server), [0; 1232]);
    let first = query(&world::static_name(0), &[1; 8]);
    let len = respond(&first, &mut reply);
    let given = reply[len - COOKIE_LEN..len].to_vec();
    assert_eq!(given[..8], [1; 8], "the option is the last of the reply");
    let mut generator = Generator::new(1);
    Queries::new(|| query(&world::static_name(generator.index(NAMES as u32).0), &given))
}

fn query(name: &[u8], cookie: &[u8]) -> Vec<u8> {
    let mut query = world::query(name, None);
    query.pop();
    query.extend_from_slice(&[cookie.len() as u8 + 4, 0, 10, 0, cookie.len() as u8]);
    query.extend_from_slice(cookie);
    query
}

//! What comes in with a query, and what becomes of it.

use std::net::{IpAddr, SocketAddr};

use walrus_dns::ClientSubnet;

use super::server_options::ServerOptions;
use crate::world::{AreaId, Time};

/// A query with what the socket knows about it.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// The message's bytes.
    pub query: &'a [u8],
    /// Who sent it: a resolver, mostly.
    pub client: IpAddr,
    /// The address that was asked (for `locate = ["nameserver"]`).
    pub local: SocketAddr,
    /// How it came.
    pub transport: Transport,
    /// When it came.
    pub now: Time,
    /// When it came, for cookies: seconds since 1970, modulo 2^32.
    pub unix_secs: u32,
    /// The most bytes that a reply by UDP may have; 512 at least.
    pub udp_size_max: u16,
    /// How the server presents itself.
    pub server: &'a ServerOptions,
}

/// How a query came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// One datagram; a longer reply is cut.
    Udp,
    /// A stream; a reply has up to 65,535 bytes.
    Tcp,
    /// The same within TLS (RFC 7858).
    Tls,
    /// One exchange of HTTP within TLS (RFC 8484).
    Https,
}

impl Transport {
    /// How many there are.
    pub const COUNT: usize = 4;

    /// As it is written in logs and metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Udp => "udp",
            Self::Tcp => "tcp",
            Self::Tls => "tls",
            Self::Https => "https",
        }
    }

    /// Nobody on the way can read it.
    #[must_use]
    pub const fn is_encrypted(self) -> bool {
        matches!(self, Self::Tls | Self::Https)
    }
}

/// What a client showed by its cookie (RFC 7873).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ClientCookie {
    /// Nothing: it has none, or the server gives none.
    #[default]
    None,
    /// It is given one: it asks for the first time, or its own is too old or not ours.
    New,
    /// It brought back what it was given: its address is its own.
    Known,
}

/// What becomes of a query.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Outcome {
    /// The reply stands in the first so many bytes of the buffer.
    Reply(usize),
    /// No reply is sent.
    Drop,
    /// The fast path does not understand it: the complete path answers.
    NotUnderstood,
}

/// What decided the last reply, for logs, observations and `explain`.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Decision {
    /// The reply's code, all twelve bits.
    pub rcode: u16,
    /// The type that was asked for; 0 if the query could not be read.
    pub record_type: u16,
    /// The reply was cut.
    pub truncated: bool,
    /// The query carried EDNS.
    pub edns: bool,
    /// The query wants signatures (DO, RFC 3225).
    pub dnssec_ok: bool,
    /// The query's client subnet.
    pub client_subnet: Option<ClientSubnet>,
    /// Our scope in bits for it.
    pub scope: u8,
    /// What its cookie showed.
    pub cookie: ClientCookie,
    /// What a service decided, if the name is one.
    pub service: Option<ServiceDecision>,
}

/// What decided a service's answer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ServiceDecision {
    /// Its place among the answer table's services.
    pub service: u32,
    /// Where the client is; `None` before the first Plan.
    pub area: Option<AreaId>,
    /// Seconds; 0 if there was no address to give.
    pub ttl: u32,
    /// The first server of the answer: its place in the Plan's servers. `None` without addresses.
    pub first: Option<u32>,
    /// Servers in the answer.
    pub servers: u32,
}

//! What comes in with a query, and what becomes of it.

use std::net::{IpAddr, SocketAddr};

use walrus_dns::ClientSubnet;

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
    /// The most bytes that a reply by UDP may have; 512 at least.
    pub udp_size_max: u16,
}

/// How a query came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// One datagram; a longer reply is cut.
    Udp,
    /// A stream; a reply has up to 65,535 bytes.
    Tcp,
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

//! What a checked configuration says of zones whose content moves by itself.

use std::net::SocketAddr;

use walrus_dns::DomainName;

/// A list of zones that other name servers have (RFC 9432).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CatalogSettings {
    /// The catalog zone.
    pub apex: DomainName,
    /// Where it and its zones come from, in the order in which they are asked.
    pub primaries: Vec<PrimarySettings>,
}

/// Another name server that a zone comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PrimarySettings {
    /// Where it answers.
    pub address: SocketAddr,
    /// The name of the `[[key]]` that signs what is said; `None` is unsigned.
    pub key: Option<DomainName>,
}

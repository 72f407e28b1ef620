//! What a checked configuration says of zones whose content moves by itself.

use std::net::SocketAddr;

use walrus_dns::DomainName;

/// Another name server that a zone comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PrimarySettings {
    /// Where it answers.
    pub address: SocketAddr,
    /// The name of the `[[key]]` that signs what is said; `None` is unsigned.
    pub key: Option<DomainName>,
}

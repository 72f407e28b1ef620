//! What a checked configuration says of those who may speak: by which tokens and certificates they
//! are known. Tokens themselves stand in files alone.

use std::path::PathBuf;

use walrus_dns::DomainName;

use crate::world::{IdentityRole, Name, OperatorRight, TokenHash};

/// One that may speak under its own name, and under no other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdentitySettings {
    /// A server's name for a Reporter, a node's for nodes; unique within its role.
    pub name: Name,
    /// What it speaks as.
    pub role: IdentityRole,
    /// What an operator may do.
    pub may: OperatorRight,
    /// Hashes of its tokens: two while one takes the other's place.
    pub token_sha256: Vec<TokenHash>,
    /// Holds one of its tokens.
    pub token_file: Option<PathBuf>,
    /// Domain names in its certificate, any of which will do.
    pub certificate: Vec<DomainName>,
}

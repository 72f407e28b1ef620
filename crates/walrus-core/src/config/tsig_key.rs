//! What a checked configuration says of keys that two name servers share (TSIG, RFC 8945).

use std::path::PathBuf;

use walrus_dns::DomainName;

/// A key that another name server, or a client, knows as well.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TsigKey {
    /// The same there and here.
    pub name: DomainName,
    /// How it signs.
    pub algorithm: TsigAlgorithm,
    /// Holds the secret: base64 alone, or a key clause as `tsig-keygen` or `keymgr -t` print it.
    pub secret_file: PathBuf,
}

/// Algorithms of RFC 8945 section 6 that are not broken and that all name servers know.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TsigAlgorithm {
    /// `hmac-sha256`.
    #[default]
    HmacSha256,
    /// `hmac-sha384`.
    HmacSha384,
    /// `hmac-sha512`.
    HmacSha512,
}

impl TsigAlgorithm {
    /// As it is written.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::HmacSha256 => "hmac-sha256",
            Self::HmacSha384 => "hmac-sha384",
            Self::HmacSha512 => "hmac-sha512",
        }
    }
}

//! Who may speak for whom: roles of identities, what operators may do, and hashes of tokens.

use std::fmt;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// What an identity is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IdentityRole {
    /// A Reporter: its name is its server's.
    Reporter,
    /// A Controller or Director: its name is the node's.
    Node,
    /// Somebody, or a program, who uses the API.
    Operator,
}

impl IdentityRole {
    /// In a word, as it stands in configurations and certificates.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Reporter => "reporter",
            Self::Node => "node",
            Self::Operator => "operator",
        }
    }
}

impl fmt::Display for IdentityRole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Reporter => "Reporter",
            Self::Node => "node",
            Self::Operator => "operator",
        })
    }
}

/// What an operator may do; each includes those before it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OperatorRight {
    /// See everything, who asks for what included; no private key is ever shown.
    Read,
    /// Drain, reload, and whatever else changes state.
    #[default]
    Steer,
}

impl OperatorRight {
    /// In a word, as it stands in configurations.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Steer => "steer",
        }
    }
}

/// SHA-256 of a token: enough to know it by, and of no use to whoever reads it, since tokens are
/// random and long.
#[derive(Clone, Copy)]
pub struct TokenHash([u8; 32]);

impl TokenHash {
    /// Of a token.
    #[must_use]
    pub fn of(token: &str) -> Self {
        Self(Sha256::digest(token).into())
    }

    /// 64 hex digits in either case; `None` if the text is something else.
    #[must_use]
    pub fn from_hex(text: &str) -> Option<Self> {
        let digits = text.as_bytes();
        if digits.len() != 64 {
            return None;
        }
        let mut bytes = [0; 32];
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
            let high = char::from(pair[0]).to_digit(16)?;
            let low = char::from(pair[1]).to_digit(16)?;
            *byte = u8::try_from(high << 4 | low).ok()?;
        }
        Some(Self(bytes))
    }

    /// As 64 hex digits.
    #[must_use]
    pub fn to_hex(&self) -> String {
        self.0.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    pub(crate) const fn bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Whether both are of one token, in the same time however many bytes agree.
    #[must_use]
    pub fn matches(&self, other: &Self) -> bool {
        let difference = self.0.iter().zip(other.0).fold(0, |sum, (a, b)| sum | (a ^ b));
        std::hint::black_box(difference) == 0
    }
}

impl PartialEq for TokenHash {
    fn eq(&self, other: &Self) -> bool {
        self.matches(other)
    }
}

impl Eq for TokenHash {}

/// Not the whole: what is no secret need not stand in every log either.
impl fmt::Debug for TokenHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TokenHash({:02x}{:02x}..)", self.0[0], self.0[1])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_read_as_they_are_written() {
        let hash = TokenHash::of("abc");
        let hex = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(hash.to_hex(), hex);
        for text in [hex.to_owned(), hex.to_uppercase()] {
            assert_eq!(TokenHash::from_hex(&text), Some(hash));
        }
        assert_ne!(TokenHash::of("abd"), hash);
        for bad in ["", "ba", &hex[1..], &format!("+{}", &hex[1..]), &"é".repeat(32)] {
            assert!(TokenHash::from_hex(bad).is_none(), "{bad}");
        }
        assert_eq!(format!("{hash:?}"), "TokenHash(ba78..)");
    }
}

//! How a zone is signed, as far as an operator chooses it.

/// How a key signs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Algorithm {
    /// 13, the default: validated everywhere (RFC 8624).
    #[default]
    EcdsaP256Sha256,
    /// 15: smaller keys, quicker to check.
    Ed25519,
}

impl Algorithm {
    /// The number in DNSKEY, DS and RRSIG records.
    #[must_use]
    pub const fn number(self) -> u8 {
        match self {
            Self::EcdsaP256Sha256 => 13,
            Self::Ed25519 => 15,
        }
    }

    /// The algorithm of a number.
    #[must_use]
    pub const fn of_number(number: u8) -> Option<Self> {
        match number {
            13 => Some(Self::EcdsaP256Sha256),
            15 => Some(Self::Ed25519),
            _ => None,
        }
    }

    /// Bytes of a public key in a DNSKEY record (RFC 6605 section 4, RFC 8080 section 3).
    #[must_use]
    pub const fn public_len(self) -> usize {
        match self {
            Self::EcdsaP256Sha256 => 64,
            Self::Ed25519 => 32,
        }
    }
}

/// Which keys a zone has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum KeyLayout {
    /// One key that signs everything, and that the parent's DS names.
    #[default]
    Csk,
    /// A key signing key that the parent's DS names, and a zone signing key that signs the rest.
    KskAndZsk,
}

/// How a zone proves that a name or type is not there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Denial {
    /// NSEC (RFC 4034): the smallest and quickest; the zone's names can be listed.
    #[default]
    Nsec,
    /// NSEC3 (RFC 5155) without iterations, salt and opt-out (RFC 9276): listing the names takes
    /// guessing their hashes.
    Nsec3,
}

//! Why an update is refused, with the code that says so (RFC 2136 section 2.2).

use domain::base::iana::Rtype;
use walrus_dns::{DomainName, rcode};

/// An update that changes nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UpdateRefused {
    /// Bytes that are no update.
    #[error("the message is damaged: {0}")]
    Malformed(&'static str),
    /// A class other than IN, or a zone that is not updated here.
    #[error("the zone {0} is not updated here")]
    OtherZone(DomainName),
    /// A name outside of the zone.
    #[error("{0} is not in the zone")]
    Outside(DomainName),
    /// A prerequisite wants a name in use.
    #[error("{0} was to have records, and has none")]
    NameMissing(DomainName),
    /// A prerequisite wants a name not in use.
    #[error("{0} was to have no records, and has some")]
    NamePresent(DomainName),
    /// A prerequisite wants a set, or these records of it.
    #[error("{name} was to have other {kind} records", kind = Rtype::from_int(*record_type))]
    SetMissing {
        /// Where.
        name: DomainName,
        /// Of which type.
        record_type: u16,
    },
    /// A prerequisite wants no such set.
    #[error("{name} was to have no {kind} records, and has some", kind = Rtype::from_int(*record_type))]
    SetPresent {
        /// Where.
        name: DomainName,
        /// Of which type.
        record_type: u16,
    },
    /// The key may change nothing here.
    #[error("no rule lets this key change the zone: see `updates` in its [[zone]]")]
    NoRule,
    /// The key may not change this.
    #[error(
        "no rule lets this key change {kind} records at {name}: see `updates` in the [[zone]]",
        kind = Rtype::from_int(*record_type)
    )]
    NotAllowed {
        /// Where.
        name: DomainName,
        /// Of which type; 255 is all of them.
        record_type: u16,
    },
    /// A service has this name.
    #[error("{0} is a service: what it answers is decided by Walrus, not by updates")]
    Service(DomainName),
    /// Above a service it would give the service away.
    #[error("{0} lies above a service, which would be delegated away or renamed by this")]
    AboveService(DomainName),
    /// A server has this name.
    #[error("{0} is the name of a server: Walrus has put its addresses there")]
    Host(DomainName),
    /// Walrus makes such records.
    #[error("{} records are made by Walrus alone", Rtype::from_int(*.0))]
    OwnType(u16),
    /// It has no meaning (RFC 4592 section 4.2).
    #[error("{0} would delegate or rename by a wildcard, which has no meaning")]
    WildcardCut(DomainName),
    /// It differs in too much at once.
    #[error(
        "it changes more than 4 MiB of records at once, or names that have more than 16 MiB: send it in parts"
    )]
    TooMuch,
    /// It would take too much memory.
    #[error("the zone would take more memory than `[dns] zone_memory_max` allows")]
    TooLarge,
    /// No reply could hold it.
    #[error("{0} would have more records than a reply holds")]
    TooMany(DomainName),
}

impl UpdateRefused {
    /// For the reply.
    #[must_use]
    pub const fn rcode(&self) -> u16 {
        match self {
            Self::Malformed(_) => rcode::FORMERR,
            Self::OtherZone(_) => rcode::NOTAUTH,
            Self::Outside(_) => rcode::NOTZONE,
            Self::NameMissing(_) => rcode::NXDOMAIN,
            Self::NamePresent(_) => rcode::YXDOMAIN,
            Self::SetMissing { .. } => rcode::NXRRSET,
            Self::SetPresent { .. } => rcode::YXRRSET,
            Self::NoRule
            | Self::NotAllowed { .. }
            | Self::Service(_)
            | Self::AboveService(_)
            | Self::Host(_)
            | Self::OwnType(_)
            | Self::WildcardCut(_)
            | Self::TooMuch
            | Self::TooLarge
            | Self::TooMany(_) => rcode::REFUSED,
        }
    }

    /// Whether it was a prerequisite that did not hold: nothing to worry about.
    #[must_use]
    pub const fn is_prerequisite(&self) -> bool {
        matches!(self.rcode(), rcode::NXDOMAIN | rcode::YXDOMAIN | rcode::NXRRSET | rcode::YXRRSET)
    }
}

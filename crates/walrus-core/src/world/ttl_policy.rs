//! How long answers may be cached: what a service can be told to do.

use serde::{Deserialize, Serialize};

/// How long may an answer be cached?
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "policy")]
pub enum TtlPolicy {
    /// Always the same; halved while degraded.
    Constant {
        /// Seconds.
        seconds: u32,
    },
    /// By the domain that asks and the server that it is given; halved while degraded.
    Adaptive {
        /// By what.
        variant: AdaptiveTtl,
        /// Seconds: domains ask as often, in the mean over all of them, as with this constant TTL.
        seconds: u32,
        /// No shorter, in seconds; at least 1 and at most `seconds`.
        min: u32,
        /// No longer, in seconds; at least `seconds`.
        max: u32,
    },
}

impl TtlPolicy {
    /// The TTL in the mean over all domains, in seconds, where nothing is degraded.
    #[must_use]
    pub const fn seconds_mean(self) -> u32 {
        match self {
            Self::Constant { seconds } | Self::Adaptive { seconds, .. } => seconds,
        }
    }

    /// The shortest TTL that this policy gives out where nothing is degraded, in seconds.
    #[must_use]
    pub const fn seconds_min(self) -> u32 {
        match self {
            Self::Constant { seconds } => seconds,
            Self::Adaptive { min, .. } => min,
        }
    }

    /// The longest TTL that this policy ever gives out, in seconds.
    #[must_use]
    pub const fn seconds_max(self) -> u32 {
        match self {
            Self::Constant { seconds } => seconds,
            Self::Adaptive { max, .. } => max,
        }
    }

    /// Whether the TTL depends on who asks, so that demand by domain is wanted.
    #[must_use]
    pub const fn looks_at_domains(self) -> bool {
        match self {
            Self::Constant { .. } => false,
            Self::Adaptive { variant, .. } => {
                !matches!(variant.domain_classes(), DomainClasses::One)
            }
        }
    }
}

/// By what an adaptive TTL is chosen, in the words of its papers (Colajanni, Yu, Cardellini 1998).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum AdaptiveTtl {
    /// By nothing: as a constant TTL.
    #[serde(rename = "TTL/1")]
    One,
    /// By domain, hot or normal.
    #[serde(rename = "TTL/2")]
    Two,
    /// By domain, each by itself.
    #[serde(rename = "TTL/K")]
    Each,
    /// By server.
    #[serde(rename = "TTL/S_1")]
    ServerOne,
    /// By server, and domain, hot or normal.
    #[serde(rename = "TTL/S_2")]
    ServerTwo,
    /// By server, and domain, each by itself.
    #[serde(rename = "TTL/S_K")]
    ServerEach,
}

/// Which domains an adaptive TTL treats alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DomainClasses {
    /// All.
    One,
    /// The hot ones, and the others.
    Two,
    /// None of those that the Plan names; those that it does not name.
    Each,
}

impl AdaptiveTtl {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::One, Self::Two, Self::Each, Self::ServerOne, Self::ServerTwo, Self::ServerEach];

    /// As the papers and the configuration write it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::One => "TTL/1",
            Self::Two => "TTL/2",
            Self::Each => "TTL/K",
            Self::ServerOne => "TTL/S_1",
            Self::ServerTwo => "TTL/S_2",
            Self::ServerEach => "TTL/S_K",
        }
    }

    /// Which domains have the same TTL.
    #[must_use]
    pub const fn domain_classes(self) -> DomainClasses {
        match self {
            Self::One | Self::ServerOne => DomainClasses::One,
            Self::Two | Self::ServerTwo => DomainClasses::Two,
            Self::Each | Self::ServerEach => DomainClasses::Each,
        }
    }

    /// Whether a server of greater capacity is given out with a longer TTL.
    #[must_use]
    pub const fn looks_at_servers(self) -> bool {
        matches!(self, Self::ServerOne | Self::ServerTwo | Self::ServerEach)
    }
}

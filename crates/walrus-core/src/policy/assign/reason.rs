//! Which phase or rule decided where a (service, area) points.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::world::Distance;

/// Which phase or rule decided. Displayed, it is a sentence for people.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// Points at its home, which has a server below the threshold (phase two) or is all that it
    /// knew at first.
    Home,
    /// Came home in this round, or is on its way by shares (phase two).
    GoesHome,
    /// Its cluster stopped functioning; home had room.
    ForcedHome,
    /// Its cluster stopped functioning; the next best in turn (phase three).
    Forced,
    /// Pointed nowhere yet and has no home that functions (phase three).
    First,
    /// A significantly better cluster was found (phase four).
    Balanced,
    /// Its cluster was above the threshold for long, and another far less busy, though the area's load
    /// should come along: it was sent there to see whether it does (phase four).
    OnTrial,
    /// Away from home, and nothing is better enough, or a move was too recent.
    Stays,
    /// Only what must move moves between two rounds.
    Unmoved,
    /// The first functioning cluster of the service's order (`assign = "failover"`).
    Failover,
    /// Every functioning cluster (`assign = "all"`).
    All,
    /// The nearest cluster that functions (`assign = "nearest"`).
    Nearest(Distance),
    /// Nearer clusters function too, but have no server below the threshold.
    PassedOver(Distance),
    /// Came back to a nearer cluster in this round, or is on its way by shares.
    GoesNearer(Distance),
    /// Its cluster stopped functioning; the nearest of the others with room.
    ForcedNearest(Distance),
    /// Where a stable allocation puts it (`assign = "stable"`).
    Allocated(Allocated),
    /// A cluster of its shares stopped functioning; where there was room.
    ForcedAllocated(Allocated),
    /// No server lives, but some with weight 0, unseen or drained ones are left.
    LastResort,
    /// No server is heard, and they fell silent together: as it was before.
    Unseen,
    /// No server of the service functions: the last usable answer is kept.
    LastUsable,
    /// No server of the service functions and none ever did: what the configuration says.
    Configured,
}

impl Reason {
    /// Whether death, BYPASS, PANIC or drain forced a move.
    #[must_use]
    pub const fn is_forced(self) -> bool {
        matches!(
            self,
            Self::Forced | Self::ForcedHome | Self::ForcedNearest(_) | Self::ForcedAllocated(_)
        )
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Nearest(distance) => return write!(f, "nearest: {distance}"),
            Self::PassedOver(distance) => {
                return write!(f, "nearest: nearer ones are above the threshold; {distance}");
            }
            Self::GoesNearer(distance) => return write!(f, "nearest: goes nearer; {distance}"),
            Self::ForcedNearest(distance) => {
                return write!(f, "forced: its cluster takes no clients; nearest: {distance}");
            }
            Self::Allocated(allocated) => return write!(f, "stable: {allocated}"),
            Self::ForcedAllocated(allocated) => {
                return write!(f, "forced: a cluster takes no clients; stable: {allocated}");
            }
            Self::Home => "phase two: home has a server below the threshold",
            Self::GoesHome => "phase two: goes home",
            Self::ForcedHome => "forced: its cluster takes no clients; home has room",
            Self::Forced => "forced: its cluster takes no clients; phase three: next best cluster",
            Self::First => "phase three: no home that functions",
            Self::Balanced => "phase four: a significantly better cluster",
            Self::OnTrial => {
                "on trial: its cluster was above the threshold for long; this one was not, and it is to be \
                 seen whether the load comes along"
            }
            Self::Stays => "stays: nothing is worth a move",
            Self::Unmoved => "unmoved: between two rounds only what must move moves",
            Self::Failover => "failover: the first functioning cluster in order",
            Self::All => "all: every functioning cluster",
            Self::LastResort => "last resort: no server lives",
            Self::Unseen => "nobody is heard, all fell silent together: as before",
            Self::LastUsable => "nobody functions: the last usable answer",
            Self::Configured => "nobody functions: the servers of the configuration",
        })
    }
}

/// What a stable allocation found for an area.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Allocated {
    /// How far the first of its clusters is.
    pub distance: Distance,
    /// What it asks for: requests a second.
    pub demand: u32,
    /// Clusters that it would have liked better and that were full.
    pub full: u32,
    /// What the nearest of these can serve: requests a second.
    pub full_capacity: u32,
    /// How much of it fits nowhere.
    pub overflow_percent: u32,
}

impl fmt::Display for Allocated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.demand {
            0 => f.write_str("less than a request/s")?,
            demand => write!(f, "{demand} requests/s")?,
        }
        write!(f, ", {}", self.distance)?;
        match self.full {
            0 => {}
            1 => write!(f, "; one of its order ({} requests/s) is full", self.full_capacity)?,
            full => write!(
                f,
                "; {full} of its order are full, the nearest has {} requests/s",
                self.full_capacity
            )?,
        }
        match self.overflow_percent {
            0 => Ok(()),
            percent => {
                write!(f, "; {percent} % fits nowhere and goes where servers have most left")
            }
        }
    }
}

//! How long may an answer be cached?

mod adaptive;
mod constant;
mod normalised;

pub(crate) use adaptive::{AdaptedTtl, AdaptiveTtls, AlikeDomains, RECKONED, class_of};
pub(crate) use normalised::{Bounds, ServerShare};

use crate::world::TtlPolicy;

/// What a service's records in an area are made with, in seconds: their TTL, at least 1 unless the
/// policy says 0; if the policy adapts it the longest that there is, whatever the area's state.
#[must_use]
pub const fn compiled_seconds(policy: TtlPolicy, degraded: bool) -> u32 {
    match policy {
        TtlPolicy::Constant { seconds } => constant::seconds(seconds, degraded),
        TtlPolicy::Adaptive { max, .. } => max,
    }
}

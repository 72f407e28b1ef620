//! How long may an answer be cached?

mod constant;

use crate::world::TtlPolicy;

/// The TTL of a service's answers in an area, in seconds; at least 1 unless the policy says 0.
#[must_use]
pub const fn seconds(policy: TtlPolicy, degraded: bool) -> u32 {
    match policy {
        TtlPolicy::Constant { seconds } | TtlPolicy::Adaptive { seconds, .. } => {
            constant::seconds(seconds, degraded)
        }
    }
}

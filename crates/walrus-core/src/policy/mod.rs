//! The four stages of a service's policy, a file each policy; the sets are closed enums.

pub mod assign;
pub mod choose;
pub mod locate;
pub mod ttl;

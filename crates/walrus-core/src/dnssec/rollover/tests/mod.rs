//! Roll-overs, step by step and against a model of resolvers.

mod lost_keys;
mod late_parent;
mod nodes;
mod properties;
mod resolvers;
mod system;
mod transcripts;

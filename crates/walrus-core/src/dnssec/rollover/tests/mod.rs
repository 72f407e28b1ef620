//! Roll-overs, step by step and against a model of resolvers.

mod late_parent;
mod lost_keys;
mod nodes;
mod properties;
mod resolvers;
mod system;
mod transcripts;

//! Roll-overs, step by step and against a model of resolvers.

mod nodes;
mod properties;
mod resolvers;
mod system;

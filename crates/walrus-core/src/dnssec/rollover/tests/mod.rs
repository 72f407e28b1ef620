//! Roll-overs, step by step and against a model of resolvers.

mod properties;
mod resolvers;
mod system;

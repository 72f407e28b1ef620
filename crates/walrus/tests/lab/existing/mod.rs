//! Name servers that are already there, kept up to date by DNS UPDATE (RFC 2136): each is started from what
//! `walrus setup` prints, and what clients get is asked with dig.

mod bad_input;
mod every_kind;
mod far;
mod in_a_group;
mod moves;
mod programs;
mod resolver;
mod scene;
mod trouble;

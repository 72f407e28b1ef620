//! The Controller in virtual time.

mod aliases;
mod demand;
mod detection;
mod group;
mod harness;
mod moves;
mod operators;
mod people;
mod plans;
mod properties;
mod silence;
mod start;
mod vantage;
mod waiting;

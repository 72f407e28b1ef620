//! The real program, as its users and their scripts meet it.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on should say where")]

mod alias;
mod bad_queries;
mod bad_reporters;
mod changes;
mod commands;
mod confined;
mod countries;
mod decisions;
mod demand;
mod demo;
mod dns;
mod dnstap;
mod fail_static;
mod full_disk;
mod http_api;
mod identities;
mod keys;
mod notices;
mod paths;
mod reload;
mod replay;
mod reporter_command;
mod revocations;
mod running;
mod schema;
mod schemas;
mod signing;
mod sim;
mod sim_interrupted;
mod top;

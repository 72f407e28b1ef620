//! Every decision of Walrus, as pure functions.
//!
//! Time, randomness and bytes come in as arguments; effects go out as values. There is no clock,
//! socket, file, thread or logger here, so that the live roles, the simulator, `walrus explain`,
//! replay and the tests all call the same code and get the same result.
//!
//! The modules are floors: each may use those before it in this list, never those after it.
//!
//! 1. [`world`]: the nouns (servers, clusters, areas, services, reports, conditions)
//! 2. [`config`]: text in; a checked [`config::Configuration`] and *all* problems out
//! 3. [`zone`]: zone files in; record sets by name
//! 4. [`dnssec`]: what is to be signed, with which keys and when; denial of existence
//! 5. [`map`]: client prefix to area
//! 6. [`policy`]: the four stages: locate, assign, choose, ttl
//! 7. [`plan`]: the World of a round to the Plan that Directors carry out
//! 8. [`message`]: what the roles say to each other (Plans among it)
//! 9. [`control`]: failure detection, rounds, notices: the Controller without its sockets
//! 10. [`answer`]: a Plan compiled into a table; query bytes in, reply bytes out
//! 11. [`update`]: Plans into name servers that are already there, by DNS UPDATE
//! 12. [`transfer`]: zones from and to other name servers: AXFR, IXFR, when to ask
//! 13. [`dynamic`]: DNS UPDATE taken in: a message and a zone to a difference or a refusal

pub mod answer;
pub mod config;
pub mod control;
pub mod dnssec;
pub mod dynamic;
pub mod map;
pub mod message;
pub mod plan;
pub mod policy;
pub mod transfer;
pub mod update;
pub mod world;
pub mod zone;

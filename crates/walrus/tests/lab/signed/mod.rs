//! Signed zones, judged by validators that others wrote: `delv` and a validating Unbound, with Knot
//! as parent and as child.
//!
//! - [`every_answer`]: all kinds of static answers, and each set of servers that a service gives.
//! - [`adaptive`]: answers whose TTLs depend on who asks.
//! - [`aggressive`]: what Unbound concludes from our proofs hides nothing (RFC 8198).
//! - [`rollover`]: a resolver with caches of its own asks all the while keys and health change.
//! - [`two_nodes`]: the same while it asks two nodes in turn, a signer and its follower.
//! - [`client_areas`]: each answer that clients' subnets lead to.
//! - [`referrals`]: resolvers that know but the root come by Walrus' own referrals to its zones.
//! - [`signed_primary`]: a zone that comes signed from another name server, signed anew or kept as it is.
//! - [`bad_input`]: keys that are gone or damaged, bounds that are passed.

mod adaptive;
mod aggressive;
mod bad_input;
mod client;
mod client_areas;
mod every_answer;
mod family;
mod knot;
mod referrals;
mod replay;
mod resolvers;
mod rollover;
mod signed_primary;
mod two_nodes;
mod validators;

//! Signed zones, judged by validators that others wrote: `delv` and a validating Unbound, with Knot
//! as parent and as child.
//!
//! - [`every_answer`]: all kinds of static answers, and each set of servers that a service gives.
//! - [`aggressive`]: what Unbound concludes from our proofs hides nothing (RFC 8198).
//! - [`rollover`]: a resolver with caches of its own asks all the while keys and health change.
//! - [`bad_input`]: keys that are gone or damaged, bounds that are passed.

mod aggressive;
mod bad_input;
mod every_answer;
mod family;
mod replay;
mod rollover;
mod validators;

//! Problem: whoever caches an answer sends its clients to one server for as long as it caches it. A
//! resolver with many clients then binds more of a server's capacity by one answer than a small one
//! (its *hidden load*), and a weak server is bound as long as a strong one.
//!
//! Rule: the heavier a domain, the shorter the TTL that it gets (variants `TTL/n`), and the stronger
//! the server, the longer the TTL that it is given out with (variants `TTL/S_n`). With W(j) the mean
//! demand of the domains in j's class, W the mean of all domains, C(i) a server's capacity (its
//! weight), and T the configured `ttl`:
//!
//! ```text
//! TTL(i, j) = T * W / W(j)                   TTL/n:    one class, two (hot and normal), or each domain
//! TTL(i, j) = T * W / W(j) * C(i) / C        TTL/S_n:  the same by server
//! ```
//!
//! where C is the mean capacity of the first servers of the answers that a list gives. Bounded
//! by `ttl_min` and `ttl_max`, and halved while the area is degraded, as a constant TTL is.
//!
//! **What is kept** (the papers' fairness rule: compare no policies that ask name servers more often
//! than others): domains ask as often as with the constant TTL T, in the mean over all K of them:
//!
//! ```text
//! K / T = sum over j of 1 / E[TTL(i, j)]       E over the servers of j's answers
//! ```
//!
//! The papers' texts let this be read with E[1/TTL] as well. We use 1/E[TTL] throughout: a domain that
//! always has clients waiting asks anew when its answer ends, and by the theorem of renewals that
//! happens once in the *mean* of the times between, whatever their spread. E[1/TTL] is higher (two
//! servers at 20 s and 40 s: one query in 30 s, not in 26.7), so that TTLs normalised by it would be
//! longer than they need be. Without an influence of servers, the two are the same.
//!
//! The closed form above keeps it: the mean over servers of C(i)/C is 1 by its definition, and the sum
//! of W(j)/(T*W) over all j is K/T by that of W. It holds in each area by itself, since C belongs to
//! a list. Where bounds cut TTLs off, all of a list are scaled until it holds again: with `ttl_min` <=
//! T <= `ttl_max` there is always such a scale, as all are T at most at one end, and at least at the
//! other. TTLs are whole seconds in an answer: 12.4 s is 12 or 13, drawn so that the mean stays.
//!
//! Example: T = 240, domains of 8, 1, 1 requests a second: W is 10/3, so they get 100, 800 and 800
//! seconds (1/100 + 2/800 = 3/240). With `ttl_max = 600` the light ones are cut off, and the heavy one
//! gets 109.1: 1/109.1 + 2/600 = 3/240. Servers of capacity 3 and 1 that come first alike: the first
//! is given out with 1.5 times that, the other with half of it.
//!
//! Domains that are not named are one class; how many they are is not known, but not less than the
//! lightest named one allows (see the table of demand), and so many count. Without any demand, all are
//! one class, and what is left is the servers' part.
//!
//! Source: Colajanni, Yu, Cardellini: Dynamic load balancing in geographically distributed
//! heterogeneous web servers (ICDCS 1998); papers.md 2.2. The papers divide by C of the weakest
//! server; the scale is ours, so that it is no matter. Whole seconds by chance are ours.
//!
//! When it is wrong: `TTL/S_n` with a chooser that gives stronger servers more answers counts capacity
//! twice: it wants `round-robin`, `random` or `rr2`, and `TTL/n` wants `weighted` or `prr2`. A domain
//! that asks more seldom than its TTL ends asks no more often for a shorter one: then fewer queries
//! come than are counted on. Resolvers that keep answers for a least time of their own undo the short
//! TTLs, that is those of the domains that matter most: `ttl_min` is to tell the policy of it.

use crate::world::{AdaptiveTtl, DomainClasses};

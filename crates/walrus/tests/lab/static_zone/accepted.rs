//! Where name servers may differ, and by which RFC. Everything else is a fault of one of them.

use super::reply::Reply;

/// What differs between our reply and another's that should not.
///
/// An alias that leads back to itself has no right answer. RFC 1034, section 3.6.2, wants loops
/// "signalled as an error", by which it means the resolver: BIND says SERVFAIL beside the records,
/// Knot and we say NOERROR.
pub(super) fn difference(ours: &Reply, theirs: &Reply) -> Option<&'static str> {
    if ours.rcode != theirs.rcode && !ours.is_loop() {
        return Some("RCODE");
    }
    if ours.authoritative != theirs.authoritative {
        return Some("AA");
    }
    if ours.truncated != theirs.truncated {
        return Some("TC");
    }
    if ours.edns != theirs.edns {
        return Some("OPT");
    }
    // The client asks again over TCP and must not use what is there (RFC 2181, section 9).
    if ours.truncated {
        return None;
    }
    // Knot repeats the record of an alias of itself; a set holds it once (RFC 2181, section 5).
    if ours.answer != theirs.answer && !(ours.is_loop() && ours.answer == theirs.distinct()) {
        return Some("answer");
    }
    if ours.authority != theirs.authority {
        return Some("authority");
    }
    additional(ours, theirs)
}

/// Addresses beside an answer are a help (RFC 1034, section 4.3.2, step 6), and left out where
/// answers are kept short: whoever adds some adds the right ones. In a referral the addresses of
/// name servers below the cut must be there (RFC 9471, section 3.1); those of others in the zone
/// may be (3.2), and of these each adds what it likes: Knot also what a wildcard gives, BIND only
/// what stands below some cut.
fn additional(ours: &Reply, theirs: &Reply) -> Option<&'static str> {
    if ours.is_referral() {
        return (ours.glue() != theirs.glue()).then_some("glue");
    }
    let wrong = !ours.additional.iter().all(|line| theirs.additional.contains(line));
    (wrong && !theirs.additional.is_empty()).then_some("additional")
}

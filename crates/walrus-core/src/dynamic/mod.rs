//! DNS UPDATE as a server takes it (RFC 2136): a message and a zone in, a difference or a refusal out.
//!
//! Who signed the message is known already, and every update is signed: [`UpdateRules`] say what that
//! key may change. What Walrus makes itself, a service's records and all of DNSSEC, nobody changes so.

mod change;
mod draft;
mod draft_set;
mod journal;
mod message;
mod prerequisite;
mod refused;
mod rules;
#[cfg(test)]
mod tests;

pub use draft::PendingSets;
pub use journal::{
    JournalBegin, JournalChange, JournalContent, JournalDamaged, JournalEntry, read_journal,
    write_base, write_change,
};
pub use message::{UpdateMessage, UpdateRecord};
pub use refused::UpdateRefused;
pub use rules::{UpdateRule, UpdateRules};

use walrus_dns::DomainName;

use crate::zone::{Zone, ZoneDifference};
use change::Changing;
use draft::{Draft, Held};

/// What an update meets.
#[derive(Clone, Copy, Debug)]
pub struct UpdateGround<'a> {
    /// The zone as it is, unsigned, without what services give.
    pub zone: &'a Zone,
    /// Names of services, in any zone.
    pub services: &'a [DomainName],
    /// Names of servers that Walrus has added to the zone with their addresses, beside `zone`.
    pub hosts: &'a [DomainName],
}

/// What a message comes to (RFC 2136 sections 3.2 to 3.6): nothing is changed here. A difference
/// without records is an update that leaves everything as it is.
///
/// # Errors
/// If it is refused as a whole, with the code for its reply and why.
pub fn decide(
    ground: &UpdateGround<'_>,
    message: &UpdateMessage,
    rules: &UpdateRules,
) -> Result<ZoneDifference, UpdateRefused> {
    let pending = &mut PendingSets::default();
    decide_next(ground, pending, (message, rules), usize::MAX)
}

/// The same after other updates, whose sets are not in the zone yet; those of this one are put to them. The zone may
/// grow to so many bytes.
///
/// # Errors
/// As [`decide`]; then nothing is put to them.
pub fn decide_next(
    ground: &UpdateGround<'_>,
    pending: &mut PendingSets,
    (message, rules): (&UpdateMessage, &UpdateRules),
    memory_max: usize,
) -> Result<ZoneDifference, UpdateRefused> {
    let apex = ground.zone.apex();
    if message.zone != *apex {
        return Err(UpdateRefused::OtherZone(message.zone.clone()));
    }
    // Before anything is told about the zone: section 3.3 leaves the order free.
    if rules.is_empty() {
        return Err(UpdateRefused::NoRule);
    }
    let held = Held { zone: ground.zone, pending };
    prerequisite::check(held, &message.prerequisites)?;
    // All of it is looked at before anything is done (section 3.4.1).
    for record in &message.changes {
        change::prescan(apex, record)?;
    }
    let mut changing = Changing { ground, rules, draft: Draft::new(held) };
    for record in &message.changes {
        changing.take(record)?;
        if changing.draft.is_too_much() {
            return Err(UpdateRefused::TooMuch);
        }
    }
    let (difference, changed) = changing.draft.finish()?;
    if pending.is_beyond(ground.zone, &difference, memory_max) {
        return Err(UpdateRefused::TooLarge);
    }
    changed.put(&difference, pending);
    Ok(difference)
}

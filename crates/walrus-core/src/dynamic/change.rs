//! The update section, record by record (RFC 2136 section 3.4).

use walrus_dns::{DomainName, record_type};

use super::draft::{Draft, is_after, serial_of};
use super::draft_set::DraftSet;
use super::message::{CLASS_ANY, CLASS_NONE, is_meta};
use super::{UpdateGround, UpdateRecord, UpdateRefused, UpdateRules};
use crate::zone::RecordSet;

/// TTLs above this are read as 0 (RFC 2181 section 8).
const TTL_MAX: u32 = i32::MAX as u32;
const ZONEMD: u16 = 63;

/// What Walrus makes itself where a zone is signed, or digests of all of it. What stands in an
/// unsigned zone all the same would be false in a signed one.
const OWN_TYPES: [u16; 8] = [
    record_type::RRSIG,
    record_type::NSEC,
    record_type::NSEC3,
    record_type::NSEC3PARAM,
    record_type::DNSKEY,
    record_type::CDS,
    record_type::CDNSKEY,
    ZONEMD,
];

/// Section 3.4.1: whether a record can be a change at all.
///
/// # Errors
/// NOTZONE and FORMERR.
pub(super) fn prescan(apex: &DomainName, record: &UpdateRecord) -> Result<(), UpdateRefused> {
    let malformed = |what| Err(UpdateRefused::Malformed(what));
    if !record.name.is_within(apex) {
        return Err(UpdateRefused::Outside(record.name.clone()));
    }
    let is_whole_name = record.class == CLASS_ANY && record.record_type == record_type::ANY;
    if is_meta(record.record_type) && !is_whole_name {
        return malformed("a change has a type that no zone has");
    }
    match record.class {
        record_type::CLASS_IN if record.data.is_empty() && needs_data(record.record_type) => {
            malformed("a record that is added has no data")
        }
        record_type::CLASS_IN => Ok(()),
        CLASS_ANY if record.ttl != 0 || !record.data.is_empty() => {
            malformed("a deletion of a set has a TTL or data")
        }
        CLASS_NONE if record.ttl != 0 => malformed("a deletion has a TTL"),
        CLASS_ANY | CLASS_NONE => Ok(()),
        _ => malformed("a change has an unknown class"),
    }
}

/// Only some types may be empty: APL, NULL, and those that nobody here knows.
fn needs_data(record_type: u16) -> bool {
    const NULL: u16 = 10;
    const APL: u16 = 42;
    !matches!(record_type, NULL | APL) && canonical_is_known(record_type)
}

fn canonical_is_known(record_type: u16) -> bool {
    use domain::base::iana::Rtype;
    use domain::base::name::ParsedName;
    use domain::base::rdata::ParseRecordData as _;
    let mut parser = domain::dep::octseq::Parser::from_ref(&[][..]);
    let number = Rtype::from_int(record_type);
    domain::rdata::ZoneRecordData::<&[u8], ParsedName<&[u8]>>::parse_rdata(number, &mut parser)
        .is_err()
}

/// Carries out one change after the other.
pub(super) struct Changing<'a, 'z> {
    pub(super) ground: &'a UpdateGround<'z>,
    pub(super) rules: &'a UpdateRules,
    pub(super) draft: Draft<'z>,
}

impl Changing<'_, '_> {
    /// One record of the update section.
    ///
    /// # Errors
    /// If that is not allowed.
    pub(super) fn take(&mut self, record: &UpdateRecord) -> Result<(), UpdateRefused> {
        self.check(record)?;
        match record.class {
            CLASS_ANY => self.delete_sets(record),
            CLASS_NONE => self.delete_record(record),
            _ => self.add(record),
        }
        Ok(())
    }

    fn check(&mut self, record: &UpdateRecord) -> Result<(), UpdateRefused> {
        let (name, record_type) = (&record.name, record.record_type);
        if OWN_TYPES.contains(&record_type) {
            return Err(UpdateRefused::OwnType(record_type));
        }
        self.check_rules(name, record_type)?;
        let hides = [record_type::CNAME, record_type::NS];
        if self.ground.services.contains(name) && !self.is_way_out(record, &hides) {
            return Err(UpdateRefused::Service(name.clone()));
        }
        let hides = [record_type::CNAME, record_type::A, record_type::AAAA];
        if self.ground.hosts.contains(name) && !self.is_way_out(record, &hides) {
            return Err(UpdateRefused::Host(name.clone()));
        }
        if record.class != record_type::CLASS_IN {
            return Ok(());
        }
        let is_dname = record_type == record_type::DNAME;
        let is_cut = is_dname || (record_type == record_type::NS && name != self.draft.apex());
        if is_cut && name.is_wildcard() {
            return Err(UpdateRefused::WildcardCut(name.clone()));
        }
        let mut ours = self.ground.services.iter().chain(self.ground.hosts);
        // A DNAME leaves its own name alone (RFC 6672 section 2.4).
        let is_hidden = |other: &DomainName| other.is_within(name) && !(is_dname && other == name);
        if is_cut && ours.any(is_hidden) {
            return Err(UpdateRefused::AboveService(name.clone()));
        }
        Ok(())
    }

    /// Whether it deletes what an earlier update put where Walrus has a name of its own by now, and what is
    /// not served since.
    fn is_way_out(&self, record: &UpdateRecord, hiding: &[u16]) -> bool {
        let held = self.ground.zone.sets(&record.name);
        let is_held = |number: &u16| held.of_type(*number).is_some();
        record.class != record_type::CLASS_IN
            && if record.record_type == record_type::ANY {
                hiding.iter().any(is_held)
            } else {
                hiding.contains(&record.record_type) && is_held(&record.record_type)
            }
    }

    /// A deletion of whatever a name has is as allowed as that of each set that it has.
    fn check_rules(&mut self, name: &DomainName, record_type: u16) -> Result<(), UpdateRefused> {
        let is_allowed = if record_type == record_type::ANY {
            let is_apex = name == self.draft.apex();
            let mut held = self.draft.at(name).values().filter(|set| !set.is_empty());
            self.rules.allow_some(name)
                && held.all(|set| {
                    is_kept_at_apex(is_apex, set.record_type())
                        || self.rules.allow(name, set.record_type())
                })
        } else {
            self.rules.allow(name, record_type)
        };
        if is_allowed {
            Ok(())
        } else {
            Err(UpdateRefused::NotAllowed { name: name.clone(), record_type })
        }
    }

    fn delete_sets(&mut self, record: &UpdateRecord) {
        let is_apex = record.name == *self.draft.apex();
        let wanted =
            |number| record.record_type == record_type::ANY || record.record_type == number;
        for set in self.draft.at(&record.name).values_mut() {
            if wanted(set.record_type())
                && !is_kept_at_apex(is_apex, set.record_type())
                && !OWN_TYPES.contains(&set.record_type())
            {
                set.clear();
            }
        }
    }

    fn delete_record(&mut self, record: &UpdateRecord) {
        let is_apex = record.name == *self.draft.apex();
        let record_type = record.record_type;
        let Some(set) = self.draft.at(&record.name).get_mut(&record_type) else { return };
        // Of NS records at the apex one stays (section 3.4.2.4).
        let is_kept = is_apex && record_type == record_type::NS;
        if record_type == record_type::SOA || is_kept && !set.has_others_than(&record.data) {
            return;
        }
        set.remove(&record.data);
    }

    fn add(&mut self, record: &UpdateRecord) {
        let record_type = record.record_type;
        let begun = self.draft.begun_serial();
        let sets = self.draft.at(&record.name);
        let mut held = sets.values().filter(|set| !set.is_empty());
        let is_alias = record_type == record_type::CNAME;
        // A CNAME stands alone (section 3.4.2.2).
        if held.any(|set| (set.record_type() == record_type::CNAME) != is_alias) {
            return;
        }
        let ttl = if record.ttl > TTL_MAX { 0 } else { record.ttl };
        let set = sets
            .entry(record_type)
            .or_insert_with(|| DraftSet::of(RecordSet { record_type, ..RecordSet::default() }));
        if record_type == record_type::SOA {
            let held = set.first().and_then(serial_of);
            let (Some(held), Some(serial)) = (held, serial_of(&record.data)) else { return };
            // Two steps forward in one message may be one back.
            if !is_after(serial, held) || !is_after(serial, begun) {
                return;
            }
        }
        set.set_ttl(ttl);
        // There is one of these (section 3.4.2.2; RFC 6672 section 2.4).
        let is_single = [record_type::SOA, record_type::CNAME, record_type::DNAME];
        if is_single.contains(&record_type) {
            set.clear();
        }
        set.add(&record.data);
    }
}

/// What no deletion of sets takes from an apex (section 3.4.2.3).
const fn is_kept_at_apex(is_apex: bool, record_type: u16) -> bool {
    is_apex && matches!(record_type, record_type::SOA | record_type::NS)
}

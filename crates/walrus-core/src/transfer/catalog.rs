//! Catalog zones (RFC 9432): a zone that lists other zones, which whoever reads it serves as well.
//!
//! What is broken is not used at all, and the members stay as they are (section 5.1): half a list would take
//! zones away that nobody meant to.

use std::collections::BTreeMap;

use walrus_dns::{DomainName, record_type};

use crate::zone::{SetView, Zone};

/// The one version there is (section 4.2.1), as TXT data.
const VERSION: &[u8] = b"\x012";

/// A zone that a catalog lists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CatalogMember {
    /// The zone.
    pub zone: DomainName,
    /// The name of its entry: with another one it is another zone of the same name, of which nothing that was here
    /// holds (section 5.4).
    pub entry: DomainName,
    /// The catalog that it goes over to (section 4.3.1): until that lists it, it stays.
    pub change_of_ownership: Option<DomainName>,
}

/// Why a catalog is not used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CatalogError {
    /// No version 2.
    #[error("it has no TXT record \"2\" at version.{0}: it is no catalog, or of another version")]
    Version(DomainName),
    /// An entry with several PTR records, or one that is damaged.
    #[error("{0} has not exactly one PTR record that names a zone")]
    Entry(DomainName),
    /// A zone twice.
    #[error("{zone} is listed twice, at {first} and {second}")]
    Twice {
        /// The zone.
        zone: DomainName,
        /// One entry.
        first: DomainName,
        /// The other.
        second: DomainName,
    },
    /// More than may be.
    #[error("it lists more than {0} zones")]
    TooMany(usize),
}

/// The zones that a catalog lists, by name; at most so many.
///
/// # Errors
/// If it is broken in any way that RFC 9432 section 5.1 tells of, or lists more.
pub fn catalog_members(
    catalog: &Zone,
    members_max: usize,
) -> Result<BTreeMap<DomainName, CatalogMember>, CatalogError> {
    let apex = catalog.apex();
    let version = child("version", apex).and_then(|name| catalog.set(&name, record_type::TXT));
    let is_ours = |set: &SetView<'_>| set.data().eq([VERSION]);
    if !version.is_some_and(|set| is_ours(&set)) {
        return Err(CatalogError::Version(apex.clone()));
    }
    let mut members: BTreeMap<DomainName, CatalogMember> = BTreeMap::new();
    let Some(entries) = child("zones", apex) else { return Ok(members) };
    let depth = entries.label_count() + 1;
    for (entry, sets) in catalog.iter() {
        if entry.label_count() != depth || !entry.is_within(&entries) {
            continue;
        }
        let Some(pointer) = sets.of_type(record_type::PTR) else { continue };
        let zone = target(pointer).ok_or_else(|| CatalogError::Entry(entry.clone()))?;
        if let Some(other) = members.get(&zone) {
            let (first, second) = (other.entry.clone(), entry.clone());
            return Err(CatalogError::Twice { zone, first, second });
        }
        if members.len() == members_max {
            return Err(CatalogError::TooMany(members_max));
        }
        let owner = child("coo", &entry).and_then(|name| catalog.set(&name, record_type::PTR));
        let change_of_ownership = owner.and_then(target);
        members.insert(zone.clone(), CatalogMember { zone, entry, change_of_ownership });
    }
    Ok(members)
}

fn child(label: &str, of: &DomainName) -> Option<DomainName> {
    let wire = [&[label.len() as u8], label.as_bytes(), of.as_wire()].concat();
    DomainName::from_wire(&wire).ok()
}

/// The name of the one PTR record.
fn target(set: SetView<'_>) -> Option<DomainName> {
    let mut data = set.data();
    let (first, others) = (data.next()?, data.next());
    if others.is_some() { None } else { DomainName::from_wire(first).ok() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::zone::read_zone;

    fn read(body: &str) -> Result<Vec<(String, Option<String>)>, CatalogError> {
        let text = format!("@ 0 SOA invalid. invalid. 1 2 3 4 5\n@ 0 NS invalid.\n{body}");
        let zone = read_zone("test", text.as_bytes(), &"catz.example".parse().unwrap()).unwrap();
        let members = catalog_members(&zone.zone, 3)?;
        let one = |member: CatalogMember| {
            (member.zone.to_string(), member.change_of_ownership.map(|it| it.to_string()))
        };
        Ok(members.into_values().map(one).collect())
    }

    #[test]
    fn a_catalog_lists_its_members() {
        let version = "version 0 TXT 2\n";
        assert_eq!(read(version).unwrap(), []);
        let body = format!(
            "{version}a.zones 0 PTR One.example.\ngroup.a.zones 0 TXT x\nb.zones 0 PTR two.example.\n\
             coo.b.zones 0 PTR other.example.\nx.ext.c.zones 0 TXT y\nversion.a.zones 0 TXT 9\n\
             deep.x.zones 0 PTR no.example.\nelse 0 PTR no.example.\n"
        );
        let expected = [("one.example", None), ("two.example", Some("other.example"))]
            .map(|(zone, coo)| (zone.to_owned(), coo.map(ToOwned::to_owned)));
        assert_eq!(read(&body).unwrap(), expected);
    }

    #[test]
    fn what_is_broken_is_not_used() {
        let version = "version 0 TXT 2\n";
        for body in
            ["", "version 0 TXT 1\n", "version 0 TXT 2\nversion 0 TXT 3\n", "version 0 TXT 2 2\n"]
        {
            assert!(matches!(read(body), Err(CatalogError::Version(_))), "{body}");
        }
        let several = format!("{version}a.zones 0 PTR one.example.\na.zones 0 PTR two.example.\n");
        assert!(matches!(read(&several), Err(CatalogError::Entry(_))));
        let twice = format!("{version}a.zones 0 PTR one.example.\nb.zones 0 PTR ONE.example.\n");
        assert!(matches!(read(&twice), Err(CatalogError::Twice { .. })));
        let many: String = (0..4).map(|it| format!("a{it}.zones 0 PTR z{it}.example.\n")).collect();
        assert_eq!(read(&format!("{version}{many}")), Err(CatalogError::TooMany(3)));
    }
}

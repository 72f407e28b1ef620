//! What is odd about signing zones, as far as configuration and zone files tell.

use std::sync::Arc;

use walrus_core::answer::{AnswerTable, ZoneTable};
use walrus_core::config::{Configuration, ZoneDnssec};
use walrus_core::zone::{Zone, zone_of_nameservers};
use walrus_dns::{DomainName, record_type};

use crate::load::{Loaded, first_plan};

/// Bytes that a signed answer set takes, about.
const SET_BYTES: usize = 200;

/// One sentence each.
pub(crate) fn warnings(loaded: &Loaded) -> Vec<String> {
    let signed: Vec<&Zone> = of_kind(loaded, ZoneDnssec::Sign).collect();
    let mut warnings = Vec::new();
    for zone in &signed {
        warnings.extend(long_ttl(zone, &loaded.configuration));
    }
    // A zone that a primary signs is taken to be signed anew: nobody could take its keys out there.
    let has_file = |apex: &DomainName| {
        let settings = loaded.configuration.zones.iter().find(|it| it.apex == *apex);
        settings.is_none_or(|it| it.primaries.is_empty())
    };
    warnings
        .extend(signed.iter().filter(|it| has_file(it.apex())).filter_map(|it| foreign_keys(it)));
    for zone in signed.iter().copied().chain(of_kind(loaded, ZoneDnssec::Keep)) {
        warnings.extend(undelegated(zone, &loaded.zones));
    }
    for zone in of_kind(loaded, ZoneDnssec::Keep) {
        let soa = zone.set(zone.apex(), record_type::SOA);
        if soa.is_none_or(|soa| soa.signatures().next().is_none()) {
            warnings.push(format!(
                "the zone {} is to keep its signatures (dnssec = \"keep\"), but its file has none: \
                 sign the file, or write dnssec = \"sign\"",
                zone.apex()
            ));
        }
    }
    if !signed.is_empty() {
        warnings.extend(too_many_sets(loaded, &signed));
    }
    warnings
}

fn of_kind(loaded: &Loaded, kind: ZoneDnssec) -> impl Iterator<Item = &Zone> {
    let settings = loaded.configuration.zones.iter().zip(&loaded.zones);
    settings.filter(move |(zone, _)| zone.dnssec == kind).map(|(_, zone)| &**zone)
}

/// RFC 6781 section 4.4.2: what is cached should not outlive its signature.
fn long_ttl(zone: &Zone, configuration: &Configuration) -> Option<String> {
    let dnssec = &configuration.dnssec;
    let left = dnssec.valid_for.saturating_sub(dnssec.renew_every).as_secs();
    let sets = zone.iter().flat_map(|(name, sets)| sets.iter().map(move |set| (name.clone(), set)));
    let (name, set) = sets.max_by_key(|(_, set)| set.ttl())?;
    (u64::from(set.ttl()) > left).then(|| {
        format!(
            "{name} has a TTL of {} s, longer than signatures are still valid when they are renewed \
             ({left} s, `valid_for` less `renew_every` of [dnssec]): resolvers may keep it longer \
             than its signature; lower the TTL, or raise valid_for",
            set.ttl()
        )
    })
}

fn foreign_keys(zone: &Zone) -> Option<String> {
    let types = [record_type::DNSKEY, record_type::CDS, record_type::CDNSKEY];
    let has = types.iter().any(|number| zone.set(zone.apex(), *number).is_some());
    has.then(|| {
        format!(
            "DNSKEY, CDS and CDNSKEY records in the file of {} are left out, for Walrus signs the zone \
             with keys of its own: `walrus keys import` takes others in",
            zone.apex()
        )
    })
}

/// A signed zone proves that what it does not delegate is not there, even where another zone of
/// ours begins.
fn undelegated(zone: &Zone, zones: &[Arc<Zone>]) -> Vec<String> {
    let is_below = |other: &DomainName, apex: &DomainName| other != apex && other.is_within(apex);
    let below = zones.iter().map(|other| other.apex()).filter(|it| is_below(it, zone.apex()));
    let mut warnings = Vec::new();
    for apex in below {
        // A zone in between answers for it, and so does a delegation above it.
        let is_between =
            |other: &Arc<Zone>| is_below(apex, other.apex()) && is_below(other.apex(), zone.apex());
        let mut above = std::iter::successors(Some(apex.clone()), DomainName::parent)
            .take_while(|above| above != zone.apex());
        if !zones.iter().any(is_between)
            && !above.any(|above| zone.set(&above, record_type::NS).is_some())
        {
            warnings.push(format!(
                "the signed zone {} does not delegate the zone {apex}, so validating resolvers take \
                 all of that for absent: write NS records for {apex} into the file of {0} (and DS \
                 records if it is signed too)",
                zone.apex()
            ));
        }
    }
    warnings
}

fn too_many_sets(loaded: &Loaded, signed: &[&Zone]) -> Option<String> {
    let most = loaded.configuration.dnssec.answer_sets_max;
    // Only services count, so the zones may be empty ones.
    let names: Vec<DomainName> =
        loaded.topology.services.iter().map(|service| service.name.clone()).collect();
    let bare = |zone: &Arc<Zone>| Arc::new(zone_of_nameservers(zone.apex(), &[]));
    let zones: Vec<Arc<Zone>> = loaded.zones.iter().map(bare).collect();
    // What does not compile is told of elsewhere.
    let zones = Arc::new(ZoneTable::compile(&zones, &names).ok()?);
    let table = AnswerTable::new(Arc::clone(&zones), loaded.map.clone(), &loaded.topology);
    let table = table.with_plan(first_plan(loaded)).ok()?;
    let is_signed = |name: &DomainName| {
        let zone = zones.zone_of(name);
        zone.is_some_and(|zone| signed.iter().any(|signed| signed.apex() == zone.apex()))
    };
    let counted = (0..).zip(&names).filter(|(_, name)| is_signed(name));
    let sets: usize = counted.map(|(service, _)| table.answer_sets(service)).sum();
    (sets > most).then(|| {
        format!(
            "the services of signed zones have {sets} answer sets, more than `answer_sets_max` of \
             [dnssec] ({most}): beyond it single servers are answered; write answer_sets_max = {sets} \
             (about {} MB), or lower `answers` or the number of areas with candidates of their own",
            (sets * SET_BYTES).div_ceil(1_000_000)
        )
    })
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use crate::load::check_text;

    fn warnings(text: &str) -> Vec<String> {
        check_text("a.toml", text).unwrap().load(None).unwrap().warnings
    }

    const START: &str = "dns.listen = [\"127.0.0.1\"]\n";

    #[test]
    fn more_answer_sets_than_allowed_are_told_with_their_number() {
        let mut text = format!(
            "{START}zone = \"example.com\"\nnameservers = [\"ns.example.net\"]\n[dnssec]\n\
             sign = true\nanswer_sets_max = 30\n[[cluster]]\nname = \"east\"\nservers = [\n"
        );
        for server in 1..=20 {
            let _ =
                writeln!(text, "{{ name = \"e{server}\", addresses = [\"192.0.2.{server}\"] }},");
        }
        text.push_str("]\n[[service]]\nname = \"www.example.com\"\n");
        assert!(warnings(&text).is_empty());
        text.push_str("[[service]]\nname = \"web.example.com\"\n");
        let found = warnings(&text);
        assert!(found.len() == 1 && found[0].contains("have 40 answer sets"), "{found:?}");
        text.push_str("[[service]]\nname = \"all.example.com\"\nanswers = \"all\"\n");
        let found = warnings(&text);
        assert!(found[0].contains("have 41 answer sets"), "all servers are one: {found:?}");
        assert!(warnings(&text.replace("sign = true", "sign = false")).is_empty());
    }

    #[test]
    fn a_zone_inside_a_signed_one_is_delegated() {
        let zone = |name: &str, more: &str| {
            format!("[[zone]]\nname = \"{name}\"\nnameservers = [\"ns.example.net\"]\n{more}")
        };
        let text = format!(
            "{START}{}{}",
            zone("example.com", "dnssec = \"sign\"\n"),
            zone("www.example.com", "")
        );
        let found = warnings(&text);
        assert!(found.len() == 1 && found[0].contains("does not delegate"), "{found:?}");
        assert!(warnings(&text.replace("dnssec = \"sign\"\n", "")).is_empty());
    }
}

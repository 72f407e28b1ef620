//! Signed zones against a model that is made another way: by looking at each name alone.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;
use crate::dnssec::{DnsKey, FLAG_SEP, FLAG_ZONE, types_of_bitmap};
use crate::world::Algorithm;
use crate::zone::read_zone;

const NOW: u64 = 1_800_000_000;

fn name(text: &str) -> DomainName {
    text.parse().unwrap()
}

fn key(flags: u16, byte: u8) -> DnsKey {
    DnsKey::new(FLAG_ZONE | flags, Algorithm::Ed25519, &[byte; 32]).unwrap()
}

fn signing(denial: Denial) -> ZoneSigning {
    let csk = key(FLAG_SEP, 1);
    let keys = ZoneKeys {
        published: vec![csk.clone()],
        sign_keys: vec![csk.clone()],
        sign_zone: vec![csk.clone()],
        wanted_at_parent: vec![csk],
        ..ZoneKeys::default()
    };
    let validity = ValidityPolicy::default();
    ZoneSigning { apex: name("example"), keys, dnskey_ttl: 1200, denial, validity }
}

/// Says what was asked for: a signature that names its request.
fn sign_all(asked: &mut usize) -> impl FnMut(&[SignRequest], &mut [Signature]) -> Result<(), ()> {
    |requests, made| {
        *asked += requests.len();
        for (request, made) in requests.iter().zip(made) {
            *made = signature_of(request.id);
        }
        Ok(())
    }
}

fn signature_of(id: crate::dnssec::SignatureId) -> Signature {
    let mut signature = [0; 64];
    signature[..16].copy_from_slice(&id.0);
    signature
}

fn sign(zone: &Zone, services: &[SignedService], signing: &ZoneSigning) -> SignedZone {
    sign_zone_by(zone, services, signing, NOW, None, &mut sign_all(&mut 0)).unwrap()
}

/// A service that gives what it promises, and AAAA beside A though no server has one.
fn service(owner: &str, promised: &[u16]) -> SignedService {
    let mut given = promised.to_vec();
    if promised.contains(&1) && !promised.contains(&28) {
        given.push(28);
    }
    SignedService { name: name(owner), promised: promised.to_vec(), given }
}

const ZONE: &str = "\
@ 3600 SOA ns1 hostmaster 1 7200 3600 1209600 300
@ 3600 NS ns1
@ 3600 MX 10 mail
ns1 3600 A 192.0.2.1
mail 3600 A 192.0.2.2
*.wild 600 TXT \"any\"
a.b.c 600 A 192.0.2.3
sub 600 NS ns.sub
sub 600 A 192.0.2.4
ns.sub 600 A 192.0.2.5
safe 600 NS ns1
safe 600 DS 1 13 2 0000000000000000000000000000000000000000000000000000000000000000
www 600 A 192.0.2.6
www 600 TXT \"here\"
";

fn zone(text: &str) -> Zone {
    let read = read_zone("example.zone", text.as_bytes(), &name("example"));
    read.unwrap_or_else(|problems| panic!("{problems:?}")).zone
}

#[test]
fn an_nsec_chain_links_names_delegations_wildcards_and_services() {
    let services = [
        service("www.example", &[1, 28]),
        service("b.c.example", &[1, 65]),
        service("mail.example", &[15]),
    ];
    let signed = sign(&zone(ZONE), &services, &signing(Denial::Nsec));
    let chain: Vec<_> = signed
        .zone
        .iter()
        .filter_map(|(owner, sets)| {
            let nsec = sets.of_type(record_type::NSEC)?;
            assert_eq!(nsec.ttl(), 300, "RFC 9077");
            let data = nsec.data().next()?;
            let next = DomainName::from_wire(data).unwrap();
            let bitmap = &data[next.as_wire().len()..];
            Some((owner.to_string(), next.to_string(), types_of_bitmap(bitmap)))
        })
        .collect();
    let link = |owner: &str, next: &str, numbers: &[u16]| {
        (owner.to_owned(), next.to_owned(), numbers.to_vec())
    };
    assert_eq!(
        chain,
        [
            link("example", "b.c.example", &[2, 6, 15, 46, 47, 48, 59, 60]),
            link("b.c.example", "a.b.c.example", &[1, 46, 47, 65]),
            link("a.b.c.example", "mail.example", &[1, 46, 47]),
            link("mail.example", "ns1.example", &[1, 15, 46, 47]),
            link("ns1.example", "safe.example", &[1, 46, 47]),
            link("safe.example", "sub.example", &[2, 43, 46, 47]),
            link("sub.example", "*.wild.example", &[2, 46, 47]),
            link("*.wild.example", "www.example", &[16, 46, 47]),
            link("www.example", "example", &[1, 16, 28, 46, 47]),
        ]
    );
    // Whatever the file says of a service's addresses, the service answers.
    assert!(signed.zone.set(&name("www.example"), record_type::A).is_none());
    let has = |owner: &str, number: u16| {
        signed.zone.set(&name(owner), number).unwrap().signatures().count()
    };
    assert_eq!(has("sub.example", record_type::NS), 0);
    assert_eq!(has("sub.example", record_type::A), 0);
    assert_eq!(has("ns.sub.example", record_type::A), 0);
    assert_eq!(has("sub.example", record_type::NSEC), 1);
    assert_eq!(has("safe.example", record_type::DS), 1);
    assert_eq!(has("example", record_type::NS), 1);
    assert_eq!(has("example", record_type::DNSKEY), 1);
    let wildcard = signed.zone.set(&name("*.wild.example"), record_type::TXT).unwrap();
    let rrsig = wildcard.signatures().next().unwrap();
    assert_eq!(rrsig[..8], [0, 16, 15, 2, 0, 0, 2, 88], "type, algorithm, labels, TTL");
    assert_eq!(
        signed.signatures,
        7 + 1 + 2 + 2 + 2 + 2 + 1 + 2 + 2,
        "as in the chain, name by name"
    );
    assert!(signed.next_renewal > NOW && signed.next_renewal <= NOW + 7 * 86_400);
}

#[test]
fn what_a_service_does_not_give_is_signed_and_shown_as_it_stands() {
    let zone = zone(&format!("{ZONE}www 600 AAAA 2001:db8::6\n"));
    let www = name("www.example");
    for (given, shown, counts) in [
        (&[1_u16][..], &[1, 16, 28, 46, 47][..], [0, 1]),
        (&[1, 28], &[1, 16, 46, 47], [0, 0]),
        (&[28], &[1, 16, 46, 47], [1, 0]),
    ] {
        // No server has an IPv6 address.
        let promised = given.iter().copied().filter(|number| *number == 1).collect();
        let service = SignedService { name: www.clone(), promised, given: given.to_vec() };
        let signed = sign(&zone, &[service], &signing(Denial::Nsec)).zone;
        let nsec = signed.set(&www, record_type::NSEC).unwrap();
        let data = nsec.data().next().unwrap();
        let next = DomainName::from_wire(data).unwrap();
        assert_eq!(types_of_bitmap(&data[next.as_wire().len()..]), shown, "{given:?}");
        let signatures =
            |number| signed.set(&www, number).map_or(0, |set| set.signatures().count());
        assert_eq!([record_type::A, record_type::AAAA].map(signatures), counts, "{given:?}");
    }
}

#[test]
fn an_nsec3_chain_has_empty_non_terminals_too() {
    let services = [service("www.example", &[1, 28]), service("x.svc.example", &[1])];
    let signed = sign(&zone(ZONE), &services, &signing(Denial::Nsec3));
    let chain = signed.zone.nsec3().unwrap();
    let apex = name("example");
    let parameters = signed.zone.set(&apex, record_type::NSEC3PARAM).unwrap();
    assert_eq!(parameters.data().next().unwrap(), [1, 0, 0, 0, 0]);
    assert_eq!(parameters.signatures().count(), 1);
    assert!(signed.zone.iter().all(|(_, sets)| sets.of_type(record_type::NSEC).is_none()));
    for (owner, expected) in [
        ("example", &[2, 6, 15, 46, 48, 51, 59, 60][..]),
        ("c.example", &[]),
        ("b.c.example", &[]),
        ("a.b.c.example", &[1, 46]),
        ("wild.example", &[]),
        ("*.wild.example", &[16, 46]),
        ("svc.example", &[]),
        ("x.svc.example", &[1, 46]),
        ("sub.example", &[2]),
        ("safe.example", &[2, 43, 46]),
        ("www.example", &[1, 16, 28, 46]),
        ("mail.example", &[1, 46]),
        ("ns1.example", &[1, 46]),
    ] {
        let record = chain.matching(&chain.parameters().hash(name(owner).as_wire()));
        let record = record.unwrap_or_else(|| panic!("{owner} is missing"));
        assert_eq!(types_of_bitmap(record.bitmap()), expected, "{owner}");
        let rrsig = record.signatures().next().unwrap();
        assert_eq!(rrsig[..8], [0, 50, 15, 2, 0, 0, 1, 44], "{owner}");
        assert_eq!(rrsig.len(), 18 + apex.as_wire().len() + 64);
    }
    assert_eq!(chain.len(), 13);
}

#[test]
fn signatures_are_taken_over_from_before_and_only_what_changed_is_asked_for() {
    for denial in [Denial::Nsec, Denial::Nsec3] {
        let (zone, mut signing) = (zone(ZONE), signing(denial));
        let first = sign(&zone, &[], &signing);
        let again = |zone: &Zone, signing: &ZoneSigning, keys: &ZoneKeys, now| {
            let before = Some(SignedBefore { zone: &first.zone, keys });
            let mut asked = 0;
            let made =
                sign_zone_by(zone, &[], signing, now, before, &mut sign_all(&mut asked)).unwrap();
            assert_eq!(made.made, asked);
            assert_eq!(made.zone, sign_at(zone, signing, now), "as if signed anew");
            asked
        };
        let keys = signing.keys.clone();
        assert_eq!(again(&zone, &signing, &keys, NOW), 0);
        assert_eq!(again(&zone, &signing, &keys, first.next_renewal - 1), 0);
        assert!(again(&zone, &signing, &keys, first.next_renewal) > 0);
        assert_eq!(again(&zone, &signing, &keys, NOW + 7 * 86_400), first.signatures);
        let longer = RecordSet {
            record_type: record_type::TXT,
            ttl: 60,
            data: vec![b"\x02hi".as_slice().into()],
            signatures: Vec::new(),
        };
        let changed = zone.with_sets([(name("www.example"), longer)]);
        assert_eq!(again(&changed, &signing, &keys, NOW), 1);
        // Signatures of a key that only shares another's tag are none of ours.
        assert_eq!(again(&zone, &signing, &ZoneKeys::default(), NOW), first.signatures);
        signing.keys.sign_zone = vec![key(0, 2)];
        signing.keys.published.push(key(0, 2));
        let all = first.signatures;
        assert_eq!(again(&zone, &signing, &keys, NOW), all - 2, "CDS and CDNSKEY stay");
    }
}

#[test]
fn signatures_of_a_key_that_is_not_published_yet_are_taken_over_too() {
    let (zone, mut signing) = (zone(ZONE), signing(Denial::Nsec));
    let ahead = DnsKey::new(FLAG_ZONE, Algorithm::EcdsaP256Sha256, &[2; 64]).unwrap();
    signing.keys.sign_zone.push(ahead);
    let first = sign(&zone, &[], &signing);
    let before = Some(SignedBefore { zone: &first.zone, keys: &signing.keys });
    let mut asked = 0;
    let again = sign_zone_by(&zone, &[], &signing, NOW, before, &mut sign_all(&mut asked)).unwrap();
    assert_eq!((again.made, &again.zone), (0, &first.zone));
}

fn sign_at(zone: &Zone, signing: &ZoneSigning, now: u64) -> Zone {
    sign_zone_by(zone, &[], signing, now, None, &mut sign_all(&mut 0)).unwrap().zone
}

#[test]
fn what_is_missing_is_told_and_then_found() {
    let (zone, signing) = (zone(ZONE), signing(Denial::Nsec));
    let (mut signatures, mut missing) = (Signatures::default(), Vec::new());
    assert!(sign_zone(&zone, &[], &signing, NOW, &signatures, &mut missing).is_none());
    for request in missing.drain(..) {
        signatures.insert(request.id, signature_of(request.id));
    }
    let signed = sign_zone(&zone, &[], &signing, NOW, &signatures, &mut missing).unwrap();
    assert!(missing.is_empty());
    assert_eq!(signed.zone, sign_at(&zone, &signing, NOW));
    assert_eq!(signed.signatures, signatures.len());
}

#[test]
fn a_signer_that_fails_signs_nothing() {
    let mut fail = |_: &[SignRequest], _: &mut [Signature]| Err("the key is gone");
    let signed = sign_zone_by(&zone(ZONE), &[], &signing(Denial::Nsec), NOW, None, &mut fail);
    assert_eq!(signed.unwrap_err(), "the key is gone");
}

#[test]
fn a_zone_without_keys_stays_as_it_is() {
    let none = ZoneSigning { keys: ZoneKeys::default(), ..signing(Denial::Nsec) };
    let signed = sign(&zone(ZONE), &[], &none);
    assert_eq!((signed.zone, signed.signatures), (zone(ZONE), 0));
}

#[test]
fn a_signed_zone_can_be_stripped_again() {
    for denial in [Denial::Nsec, Denial::Nsec3] {
        let signed = sign(&zone(ZONE), &[], &signing(denial)).zone;
        assert_eq!(crate::dnssec::unsigned(&signed), zone(ZONE));
    }
}

/// Random zones: short names from few labels, so that they meet.
fn any_zone() -> impl Strategy<Value = (Zone, Vec<SignedService>)> {
    let label = prop_oneof![Just("a"), Just("b"), Just("*"), Just("c\\000"), Just("zz")];
    let owner = proptest::collection::vec(label, 1..5)
        .prop_map(|labels| name(&format!("{}.example", labels.join("."))));
    let number =
        prop_oneof![Just(1_u16), Just(2), Just(16), Just(28), Just(39), Just(43), Just(257)];
    let sets = proptest::collection::vec((owner.clone(), number), 0..30);
    let types = prop_oneof![
        Just((vec![1_u16, 65], vec![1, 28, 65])),
        Just((vec![1], vec![1])),
        Just((vec![16, 28], vec![16, 28])),
    ];
    let services = proptest::collection::btree_map(owner, types, 0..4);
    (sets, services).prop_map(|(sets, services)| {
        let set = |record_type: u16| RecordSet {
            record_type,
            ttl: 60,
            data: vec![[1, 2, 3, 4].into()],
            signatures: Vec::new(),
        };
        let sets = sets.into_iter().map(|(owner, number)| (owner, set(number)));
        let zone = zone(&ZONE[..ZONE.find("\nns1 ").unwrap()]).with_sets(sets);
        // A service below a delegation is refused long before.
        let cut = |owner: &DomainName| is_below(&zone, owner) || delegates(&zone, owner);
        let services = services.into_iter().filter(|(owner, _)| !cut(owner));
        let services = services
            .map(|(name, (promised, given))| SignedService { name, promised, given })
            .collect();
        (zone, services)
    })
}

fn delegates(zone: &Zone, owner: &DomainName) -> bool {
    *owner != *zone.apex() && zone.set(owner, record_type::NS).is_some()
}

/// Whether a delegation or a DNAME record above a name takes it away.
fn is_below(zone: &Zone, owner: &DomainName) -> bool {
    let above = std::iter::successors(owner.parent(), DomainName::parent);
    let mut above = above.take_while(|above| above.is_within(zone.apex()));
    above.any(|above| delegates(zone, &above) || zone.set(&above, record_type::DNAME).is_some())
}

/// What a chain must hold, by name: the types that it shows, without those of the chain itself.
fn model(zone: &Zone, services: &[SignedService]) -> BTreeMap<DomainName, BTreeSet<u16>> {
    let mut model: BTreeMap<DomainName, BTreeSet<u16>> = BTreeMap::new();
    for (owner, sets) in zone.iter().filter(|(owner, _)| !is_below(zone, owner)) {
        let numbers = sets.iter().map(|set| set.record_type());
        let at_cut = |number: &u16| !delegates(zone, &owner) || matches!(number, 2 | 43);
        let service = services.iter().find(|service| service.name == owner);
        let not_replaced =
            |number: &u16| service.is_none_or(|service| !service.given.contains(number));
        model.insert(owner.clone(), numbers.filter(at_cut).filter(not_replaced).collect());
    }
    for service in services {
        model.entry(service.name.clone()).or_default().extend(&service.promised);
    }
    model.entry(zone.apex().clone()).or_default().extend([48, 59, 60]);
    model
}

proptest! {
    #[test]
    fn nsec_chains_are_closed_sorted_and_complete((zone, services) in any_zone()) {
        let signed = sign(&zone, &services, &signing(Denial::Nsec)).zone;
        let model = model(&zone, &services);
        let mut at = zone.apex().clone();
        let mut seen = BTreeMap::new();
        loop {
            let nsec = signed.set(&at, record_type::NSEC).expect("the chain leads to a record");
            prop_assert_eq!(nsec.signatures().count(), 1);
            let data = nsec.data().next().unwrap();
            let next = DomainName::from_wire(data).unwrap();
            let shown: BTreeSet<u16> =
                types_of_bitmap(&data[next.as_wire().len()..]).into_iter().collect();
            prop_assert!(shown.is_superset(&[46, 47].into()));
            seen.insert(at.clone(), shown.into_iter().filter(|it| !matches!(it, 46 | 47)).collect());
            if next == *zone.apex() {
                break;
            }
            prop_assert!(next > at, "sorted");
            at = next;
        }
        prop_assert_eq!(&seen, &model);
        for (owner, sets) in signed.iter() {
            let below = is_below(&zone, &owner);
            prop_assert!(!below || sets.of_type(record_type::NSEC).is_none());
            for set in sets.iter() {
                let at_cut = delegates(&zone, &owner) && !matches!(set.record_type(), 43 | 47);
                prop_assert_eq!(set.signatures().count(), usize::from(!below && !at_cut));
            }
        }
    }

    #[test]
    fn nsec3_chains_are_closed_sorted_and_complete((zone, services) in any_zone()) {
        let signed = sign(&zone, &services, &signing(Denial::Nsec3)).zone;
        let mut model = model(&zone, &services);
        for owner in model.clone().into_keys() {
            for labels in 1..owner.label_count() {
                model.entry(owner.suffix(labels)).or_default();
            }
        }
        model.get_mut(zone.apex()).unwrap().insert(51);
        let chain = signed.nsec3().unwrap();
        prop_assert_eq!(chain.len(), model.len());
        let mut hashes = BTreeSet::new();
        for (owner, mut shown) in model {
            let hash = chain.parameters().hash(owner.as_wire());
            hashes.insert(hash);
            let record = chain.matching(&hash).expect("every name has a record");
            if shown.iter().any(|it| !delegates(&zone, &owner) || *it == 43) {
                shown.insert(46);
            }
            prop_assert_eq!(types_of_bitmap(record.bitmap()), Vec::from_iter(shown), "{}", owner);
            prop_assert_eq!(record.signatures().count(), 1);
        }
        let hashes = Vec::from_iter(hashes);
        for (record, (hash, next)) in chain.iter().zip(hashes.iter().zip(hashes.iter().cycle().skip(1))) {
            prop_assert_eq!(record.hash(), hash);
            prop_assert_eq!(record.next_hash(), next);
        }
    }
}

/// What a parent tells newer CDS records by: the inception of each set's signature, and the serial.
fn inceptions_and_serial(signed: &SignedZone) -> ([u32; 3], u32) {
    let number = |data: &[u8], at: usize| {
        u32::from_be_bytes([data[at], data[at + 1], data[at + 2], data[at + 3]])
    };
    let set = |of_type| signed.zone.set(&name("example"), of_type).unwrap();
    let inception = |of_type| number(set(of_type).signatures().next().unwrap(), 12);
    let soa = set(record_type::SOA).data().next().unwrap().to_vec();
    let inceptions = [record_type::CDS, record_type::CDNSKEY, record_type::DNSKEY].map(inception);
    (inceptions, number(&soa, soa.len() - 20))
}

#[test]
fn cds_records_that_changed_within_one_period_of_signatures_are_told_apart() {
    let zone = zone(ZONE);
    let mut signing = signing(Denial::Nsec);
    let (at_first, serial) = inceptions_and_serial(&sign(&zone, &[], &signing));
    assert_eq!(serial, 1);
    let mut before: Option<SignedZone> = None;
    let mut told_keys = signing.keys.clone();
    for changes in 1..4 {
        let now = NOW + u64::from(changes);
        signing.keys.changes = changes;
        signing.keys.wanted_since = now;
        let over = before.as_ref().map(|it| SignedBefore { zone: &it.zone, keys: &told_keys });
        let mut asked = 0;
        let signed =
            sign_zone_by(&zone, &[], &signing, now, over, &mut sign_all(&mut asked)).unwrap();
        let ([cds, cdnskey, dnskey], serial) = inceptions_and_serial(&signed);
        assert_eq!((u64::from(cds), u64::from(cdnskey)), (now, now));
        assert_eq!((dnskey, serial), (at_first[2], 1 + changes));
        if over.is_some() {
            assert_eq!(asked, 3, "CDS, CDNSKEY and SOA, and nothing else");
        }
        before = Some(signed);
        told_keys = signing.keys.clone();
    }
    // Renewed later, they begin as late as all others.
    let later = NOW + 30 * 86_400;
    let mut asked = 0;
    let signed =
        sign_zone_by(&zone, &[], &signing, later, None, &mut sign_all(&mut asked)).unwrap();
    let ([cds, ..], _) = inceptions_and_serial(&signed);
    let phase = crate::dnssec::phase(&name("example"), record_type::CDS);
    assert_eq!(cds, signing.validity.at(later, phase).inception);
}

#[test]
fn serials_go_round_and_what_is_no_soa_is_left_alone() {
    let soa = |serial: u32| [&[0; 2][..], &serial.to_be_bytes(), &[7; 16]].concat();
    let mut data = soa(u32::MAX - 1);
    raise_serial(&mut data, 3);
    assert_eq!(data, soa(1));
    let mut short = vec![1; 19];
    raise_serial(&mut short, 3);
    assert_eq!(short, [1; 19]);
}

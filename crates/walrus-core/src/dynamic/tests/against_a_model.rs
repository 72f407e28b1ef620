//! Any changes, against section 3.4.2 carried out word by word on a plain list; and any bytes.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use super::*;

/// A zone as the RFC sees it: owner, type, TTL, data. Data in lower case counts as the same.
type Model = Vec<(DomainName, u16, u32, Vec<u8>)>;

fn model_of(zone: &Zone) -> Model {
    let records = zone.iter().flat_map(|(name, sets)| {
        let sets: Vec<_> = sets.iter().map(crate::zone::SetView::to_set).collect();
        sets.into_iter().flat_map(move |set| {
            let (name, set_type, ttl) = (name.clone(), set.record_type, set.ttl);
            set.data.into_iter().map(move |data| (name.clone(), set_type, ttl, data.to_vec()))
        })
    });
    let mut model: Model = records.filter(|record| record.1 != 6).collect();
    model.sort();
    model
}

/// Section 3.4.2.7's pseudocode, without SOA records.
fn apply_naively(model: &mut Model, apex: &DomainName, changes: &[UpdateRecord]) {
    for change in changes {
        let at_apex = change.name == *apex;
        let kept = |kind: u16| at_apex && (kind == 6 || kind == 2);
        match change.class {
            255 => model.retain(|(name, kind, ..)| {
                *name != change.name
                    || (change.record_type != 255 && *kind != change.record_type)
                    || kept(*kind)
            }),
            254 => {
                let name_servers = model.iter().filter(|it| it.0 == *apex && it.1 == 2).count();
                if at_apex && change.record_type == 2 && name_servers == 1 {
                    continue;
                }
                model.retain(|(name, kind, _, data)| {
                    *name != change.name || *kind != change.record_type || **data != *change.data
                });
            }
            _ => {
                let alias = model.iter().any(|it| it.0 == change.name && it.1 == 5);
                let other = model.iter().any(|it| it.0 == change.name && it.1 != 5)
                    // What the model leaves out.
                    || at_apex;
                let is_alias = change.record_type == 5;
                if (is_alias && other) || (!is_alias && alias) {
                    continue;
                }
                if is_alias {
                    model.retain(|it| it.0 != change.name);
                }
                for it in model.iter_mut() {
                    if it.0 == change.name && it.1 == change.record_type {
                        it.2 = change.ttl;
                    }
                }
                let new =
                    (change.name.clone(), change.record_type, change.ttl, change.data.to_vec());
                if !model.contains(&new) {
                    model.push(new);
                }
            }
        }
    }
    model.sort();
}

fn change() -> impl Strategy<Value = UpdateRecord> {
    let names = select(vec!["@", "a", "b", "alias", "mail", "x.a"]);
    let kinds = select(vec![1_u16, 16, 5, 2, 15]);
    let classes = select(vec![1_u16, 1, 254, 255]);
    let ttls = select(vec![60_u32, 77, 0]);
    (names, kinds, classes, ttls, 1_u8..4, any::<bool>()).prop_map(
        |(owner, record_type, class, ttl, number, all)| {
            let target = format!("t{number}.example.net").parse::<DomainName>().unwrap();
            let data = match record_type {
                1 => vec![192, 0, 2, number],
                16 => vec![1, b'0' + number],
                15 => [&[0, number][..], target.as_wire()].concat(),
                _ => target.as_wire().to_vec(),
            };
            let data: Box<[u8]> = if class == 255 { [].into() } else { data.into() };
            let record_type = if class == 255 && all { 255 } else { record_type };
            let ttl = if class == 1 { ttl } else { 0 };
            UpdateRecord { name: name(owner), record_type, class, ttl, data }
        },
    )
}

proptest! {
    /// The difference brings the zone to where the RFC's words bring it.
    #[test]
    fn a_difference_does_what_the_changes_say(rounds in vec(vec(change(), 0..8), 1..4)) {
        let mut zone = zone();
        let mut model = model_of(&zone);
        for changes in rounds {
            let message =
                UpdateMessage { zone: name("@"), prerequisites: Vec::new(), changes };
            let difference = decide(&zone, &message, &everything()).unwrap();
            let next = zone.with_difference(&difference).unwrap();
            apply_naively(&mut model, zone.apex(), &message.changes);
            prop_assert_eq!(model_of(&next), model.clone(), "{:?}", message.changes);
            let is_same = model_of(&zone) == model;
            prop_assert_eq!(is_same, next.serial() == zone.serial());
            prop_assert_eq!(is_same, difference.is_empty());
            zone = next;
        }
    }

    #[test]
    fn any_bytes_are_a_message_or_none(
        mut bytes in vec(any::<u8>(), 0..120),
        counts in vec(0_u8..3, 3),
    ) {
        let _ = UpdateMessage::read(&bytes);
        // Nearer to one.
        if bytes.len() > 30 {
            bytes[2..12].copy_from_slice(
                &[0x28, 0, 0, 1, 0, counts[0], 0, counts[1], 0, counts[2]],
            );
            bytes[12..25].copy_from_slice(b"\x07example\x00\0\x06\0\x01");
            if let Ok(message) = UpdateMessage::read(&bytes) {
                let _ = decide(&zone(), &message, &everything());
            }
        }
    }
}

#[test]
fn a_message_is_read_as_its_sender_meant_it() {
    let update = b"\x12\x34\x28\0\0\x01\0\x01\0\x02\0\0\
        \x07example\0\0\x06\0\x01\
        \x01A\xc0\x0c\0\xff\0\xff\0\0\0\0\0\0\
        \x01b\xc0\x0c\0\x0f\0\x01\0\0\0\x4d\0\x06\0\x0a\x01m\xc0\x0c\
        \xc0\x19\0\x01\0\xff\0\0\0\0\0\0";
    let read = UpdateMessage::read(update).unwrap();
    assert_eq!(read, message(&["*a ANY"], &["b MX 10 m", "*a A"]));
    for (at, with, code) in [(2, 0xa8, 1), (2, 0, 1), (5, 2, 1), (22, 1, 1), (24, 3, 9)] {
        let mut other = update.to_vec();
        other[at] = with;
        let refused = UpdateMessage::read(&other).unwrap_err();
        assert_eq!(refused.rcode(), code, "{at} {refused}");
    }
    for len in 0..update.len() {
        assert!(UpdateMessage::read(&update[..len]).is_err(), "{len}");
    }
}

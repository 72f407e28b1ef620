//! Transfers as primaries send them, as broken ones do, and when they are asked for.

use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::*;
use walrus_dns::DomainName;

use super::{
    Asked, Attempt, Held, Notify, Refresh, SoaTimers, Step, Transfer, TransferError,
    TransferLimits, TransferReader, is_newer, read_notify,
};
use crate::world::Time;
use crate::zone::{Record, Zone, read_zone};

const ID: u16 = 4711;
const LIMITS: TransferLimits = TransferLimits { memory_max: 10_000, bytes_max: 40_000 };

fn name(text: &str) -> DomainName {
    text.parse().unwrap()
}

fn zone(serial: u32, body: &str) -> Zone {
    let text = format!("@ 60 SOA ns host {serial} 10 20 30 5\n@ 60 NS ns.x.\n{body}");
    read_zone("test", text.as_bytes(), &name("z")).unwrap().zone
}

/// A reply with these records, without compression.
fn message(records: &[Record]) -> Vec<u8> {
    let mut message = ID.to_be_bytes().to_vec();
    message.extend_from_slice(&[0x84, 0, 0, 0]);
    message.extend_from_slice(&(records.len() as u16).to_be_bytes());
    message.extend_from_slice(&[0; 4]);
    for record in records {
        message.extend_from_slice(record.name.as_wire());
        message.extend_from_slice(&record.record_type.to_be_bytes());
        message.extend_from_slice(&[0, 1]);
        message.extend_from_slice(&record.ttl.to_be_bytes());
        message.extend_from_slice(&(record.data.len() as u16).to_be_bytes());
        message.extend_from_slice(&record.data);
    }
    message
}

fn soa(serial: u32) -> Record {
    zone(serial, "").records().next().unwrap()
}

/// All of a zone as AXFR sends it.
fn whole(zone: &Zone) -> Vec<Record> {
    let records: Vec<Record> = zone.records().collect();
    records.iter().chain(&records[..1]).cloned().collect()
}

/// Contents one after the other as IXFR sends them.
fn steps(contents: &[Zone]) -> Vec<Record> {
    let newest = soa(contents.last().unwrap().serial());
    let mut records = vec![newest.clone()];
    for pair in contents.windows(2) {
        let difference = pair[0].difference_to(&pair[1]);
        records.extend(difference.removed);
        records.extend(difference.added);
    }
    records.push(newest);
    records
}

fn reader(asked: Asked) -> TransferReader {
    TransferReader::new(name("z"), asked, ID, false, LIMITS)
}

/// The records in messages of so many each.
fn read(asked: Asked, records: &[Record], each: usize) -> Result<Transfer, TransferError> {
    let mut reader = reader(asked);
    let mut done = None;
    for records in records.chunks(each) {
        assert!(done.is_none(), "it ended before its last message");
        match reader.read(&message(records))? {
            Step::More => {}
            Step::Done(transfer) => done = Some(transfer),
        }
    }
    Ok(done.expect("it ends with its last message"))
}

const NEW: Asked = Asked::Whole { held: None };

#[test]
fn a_whole_zone_comes_in_one_message_or_in_many() {
    let sent = zone(7, "a A 192.0.2.1\na A 192.0.2.2\nb.c TXT x\n* MX 5 a\n");
    for each in [1, 2, 3, 100] {
        let Transfer::Whole { zone, warnings } = read(NEW, &whole(&sent), each).unwrap() else {
            panic!("a whole zone");
        };
        assert_eq!((*zone, warnings), (sent.clone(), vec![]));
        // A primary may answer so, too.
        let asked = Asked::Since(5);
        let Transfer::Whole { zone, .. } = read(asked, &whole(&sent), each).unwrap() else {
            panic!("a whole zone");
        };
        assert_eq!(*zone, sent);
    }
    let held = Asked::Whole { held: Some(7) };
    assert_eq!(read(held, &whole(&sent), 2), Ok(Transfer::Unchanged));
}

#[test]
fn several_differences_are_one() {
    let contents = [
        zone(u32::MAX, "a A 192.0.2.1\nb A 192.0.2.1\n"),
        zone(3, "a A 192.0.2.2\nb A 192.0.2.1\nc TXT x\n"),
        zone(4, "a A 192.0.2.1\nd TXT y\n"),
    ];
    for each in [1, 2, 100] {
        let came = read(Asked::Since(u32::MAX), &steps(&contents), each).unwrap();
        let Transfer::Difference(difference) = came else { panic!("{came:?}") };
        assert_eq!(difference, contents[0].difference_to(&contents[2]));
        let made = contents[0].with_difference(&difference).unwrap();
        assert!(made.difference_to(&contents[2]).is_empty());
    }
    let unchanged = read(Asked::Since(4), &[soa(4)], 1);
    assert_eq!(unchanged, Ok(Transfer::Unchanged));
}

#[test]
fn what_a_signer_put_there_is_left_out_unless_it_is_kept() {
    let signature: &[u8] = &[
        0, 16, 13, 2, 0, 0, 0, 60, 112, 219, 216, 128, 94, 11, 225, 0, 0, 1, 1, b'z', 0, 4, 16, 65,
    ];
    let rrsig = Record { name: name("a.z"), record_type: 46, ttl: 60, data: signature.into() };
    let mut records = whole(&zone(7, "a TXT x\n"));
    records.insert(1, rrsig.clone());
    for keeps in [false, true] {
        let mut reader = TransferReader::new(name("z"), NEW, ID, keeps, LIMITS);
        let Ok(Step::Done(Transfer::Whole { zone, warnings })) = reader.read(&message(&records))
        else {
            panic!("a zone");
        };
        assert!(keeps || warnings.is_empty(), "{warnings:?}");
        let set = zone.set(&name("a.z"), 16).unwrap();
        assert_eq!(set.signatures().count(), usize::from(keeps));
        let mut steps =
            steps(&[crate::transfer::tests::zone(1, ""), crate::transfer::tests::zone(2, "")]);
        steps.insert(3, rrsig.clone());
        let mut reader = TransferReader::new(name("z"), Asked::Since(1), ID, keeps, LIMITS);
        let Ok(Step::Done(Transfer::Difference(it))) = reader.read(&message(&steps)) else {
            panic!("a difference");
        };
        assert_eq!(it.added.len(), 1 + usize::from(keeps));
    }
}

#[test]
fn what_is_no_transfer_is_refused() {
    let good = whole(&zone(7, "a A 192.0.2.1\n"));
    let with = |at: usize, record: Record| {
        let mut records = good.clone();
        records.insert(at, record);
        read(NEW, &records, 100).unwrap_err()
    };
    let record = |owner: &str, record_type, data: &[u8]| Record {
        name: name(owner),
        record_type,
        ttl: 60,
        data: data.into(),
    };
    let a = record("a.z", 1, &[192, 0, 2, 1]);
    assert_eq!(with(0, a.clone()), TransferError::NoSoa);
    assert_eq!(with(4, a.clone()), TransferError::Trailing);
    let damaged =
        |owner: &str, record_type| TransferError::Damaged { name: name(owner), record_type };
    assert_eq!(with(1, record("a.z", 1, &[1; 5])), damaged("a.z", 1));
    assert_eq!(with(1, record("z", 41, &[])), damaged("z", 41));
    assert_eq!(with(1, record("z", 250, &[0; 4])), damaged("z", 250));
    let wrong_end = read(NEW, &[good[0].clone(), good[1].clone(), soa(8)], 9).unwrap_err();
    assert!(matches!(wrong_end, TransferError::Steps { from: 7, to: 8, .. }));
    let no_ns = read(NEW, &[soa(7), soa(7)], 9).unwrap_err();
    assert!(matches!(no_ns, TransferError::NoZone(_)), "{no_ns}");
    let cname = record("a.z", 5, &[1, b'z', 0]);
    assert!(matches!(with(2, cname), TransferError::NoZone(_)));
    for held in [8, 7 + (1 << 31) - 1] {
        let shrinks = read(Asked::Whole { held: Some(held) }, &good, 9).unwrap_err();
        assert_eq!(shrinks, TransferError::Shrinks { held, came: 7 });
        assert_eq!(read(Asked::Since(held), &[soa(7)], 9).unwrap_err(), shrinks);
    }
    let (one, two, three) = (zone(1, ""), zone(2, ""), zone(3, ""));
    let other_start = read(Asked::Since(1), &steps(&[two.clone(), three.clone()]), 9);
    assert_eq!(other_start, Err(TransferError::Steps { from: 2, to: 3, expected: 1 }));
    let gap = [soa(4), soa(1), soa(2), soa(3), soa(4), soa(4)];
    assert_eq!(
        read(Asked::Since(1), &gap, 9),
        Err(TransferError::Steps { from: 3, to: 4, expected: 2 })
    );
    let round = [soa(3), soa(1), soa(1), soa(3)];
    assert!(matches!(read(Asked::Since(1), &round, 9), Err(TransferError::Steps { .. })));
    let mut trailing = steps(&[one, two, three]);
    trailing.push(a);
    assert_eq!(read(Asked::Since(1), &trailing, 99), Err(TransferError::Trailing));
}

#[test]
fn messages_that_answer_something_else_are_refused() {
    let good = message(&whole(&zone(7, "")));
    let changed = |at: usize, byte: u8| {
        let mut bytes = good.clone();
        bytes[at] = byte;
        reader(NEW).read(&bytes).unwrap_err()
    };
    assert_eq!(changed(0, 0), TransferError::Malformed, "another number");
    assert_eq!(changed(2, 0x04), TransferError::Malformed, "a question");
    assert_eq!(changed(2, 0x86), TransferError::Malformed, "cut short");
    assert_eq!(changed(2, 0xa4), TransferError::Malformed, "NOTIFY");
    assert_eq!(changed(3, 5), TransferError::Refused(5));
    assert_eq!(changed(3, 9), TransferError::Refused(9));
    assert_eq!(changed(7, 0), TransferError::Empty);
    assert_eq!(changed(7, 99), TransferError::Trailing, "more records than there are");
    assert_eq!(changed(5, 1), TransferError::Malformed, "a question that is none");
    for len in 0..good.len() {
        assert!(reader(NEW).read(&good[..len]).is_err(), "{len}");
    }
    let of_other = message(&whole(&zone(7, "")));
    let mut other = TransferReader::new(name("y"), NEW, ID, false, LIMITS);
    assert_eq!(other.read(&of_other).unwrap_err(), TransferError::NoSoa);
}

#[test]
fn an_endless_transfer_ends_at_its_bound() {
    let filler = |number: u32| Record {
        name: name(&format!("n{number}.z")),
        record_type: 1,
        ttl: 60,
        data: Box::new([192, 0, 2, 1]),
    };
    for (asked, head) in [
        (NEW, vec![soa(7)]),
        (Asked::Since(1), vec![soa(7), soa(1)]),
        (Asked::Since(1), vec![soa(7), soa(1), soa(7)]),
    ] {
        let mut reader = reader(asked);
        assert_eq!(reader.read(&message(&head)), Ok(Step::More));
        let ended = (0..100_000).find_map(|number| reader.read(&message(&[filler(number)])).err());
        assert_eq!(ended, Some(TransferError::TooLarge));
    }
    // The same record again and again takes no memory in a difference, but bytes.
    let mut reader = reader(Asked::Since(1));
    reader.read(&message(&[soa(7), soa(1)])).unwrap();
    let again = message(&[filler(1)]);
    assert!((0..100_000).any(|_| reader.read(&again) == Err(TransferError::TooLarge)));
}

proptest! {
    #[test]
    fn whatever_comes_nothing_panics(
        garbage in vec(any::<u8>(), 0..200),
        changes in vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
        is_ixfr in any::<bool>(),
    ) {
        let contents = [zone(1, "a A 192.0.2.1\n"), zone(7, "a MX 5 b\nb A 192.0.2.1\n")];
        let (asked, records) = match is_ixfr {
            false => (NEW, whole(&contents[1])),
            true => (Asked::Since(1), steps(&contents)),
        };
        let mut bytes = message(&records);
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        let _ = reader(asked).read(&bytes);
        let _ = reader(asked).read(&garbage);
        let mut headed = bytes[..12].to_vec();
        headed.extend_from_slice(&garbage);
        let _ = reader(asked).read(&headed);
    }
}

#[test]
fn names_in_data_are_uncompressed() {
    // SOA and MX whose names point into the message.
    let mut bytes = ID.to_be_bytes().to_vec();
    bytes.extend_from_slice(&[0x84, 0, 0, 1, 0, 4, 0, 0, 0, 0]);
    bytes.extend_from_slice(&[1, b'z', 0, 0, 252, 0, 1]);
    let soa: &[&[u8]] = &[
        &[0xc0, 12, 0, 6, 0, 1, 0, 0, 0, 60, 0, 30],
        &[2, b'n', b's', 0xc0, 12, 2, b'h', b'o', 0xc0, 12],
        &[0, 0, 0, 7, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1],
    ];
    bytes.extend(soa.concat());
    bytes.extend_from_slice(&[0xc0, 12, 0, 15, 0, 1, 0, 0, 0, 60, 0, 6, 0, 5, 1, b'M', 0xc0, 31]);
    // "ns.z" stands at 31.
    bytes.extend_from_slice(&[0xc0, 12, 0, 2, 0, 1, 0, 0, 0, 60, 0, 2, 0xc0, 31]);
    bytes.extend(soa.concat());
    let Ok(Step::Done(Transfer::Whole { zone, .. })) = reader(NEW).read(&bytes) else {
        panic!("{:?}", reader(NEW).read(&bytes));
    };
    let mx = zone.set(&name("z"), 15).unwrap().data().next().unwrap().to_vec();
    assert_eq!(mx, [&[0, 5, 1, b'M', 2, b'n', b's', 1, b'z', 0][..]].concat());
    assert_eq!(zone.serial(), 7);
}

#[test]
fn a_notify_names_its_zone_and_perhaps_its_serial() {
    let question = [1, b'z', 0, 0, 6, 0, 1];
    let head = |answers| [0, 7, 0x24, 0, 0, 1, 0, answers, 0, 0, 0, 0];
    let bare = [&head(0)[..], &question].concat();
    let told = Notify { apex: name("z"), serial: None, question_end: 19 };
    assert_eq!(read_notify(&bare), Some(told.clone()));
    let with_soa = [&head(1)[..], &question, &message(&[soa(9)])[12..]].concat();
    assert_eq!(read_notify(&with_soa), Some(Notify { serial: Some(9), ..told }));
    for (at, byte) in [(2, 0xa4), (2, 0x28), (5, 0), (5, 2), (16, 1), (18, 3)] {
        let mut other = bare.clone();
        other[at] = byte;
        assert_eq!(read_notify(&other), None, "{at}");
    }
    (0..bare.len()).for_each(|len| assert_eq!(read_notify(&bare[..len]), None));
}

fn timers(serial: u32) -> SoaTimers {
    let secs = Duration::from_secs;
    SoaTimers { serial, refresh: secs(1000), retry: secs(100), expire: secs(5000) }
}

fn at(secs: u64) -> Time {
    Time::from_secs(secs)
}

#[test]
fn a_new_secondary_takes_the_zone_whole_and_then_asks_for_serials() {
    let mut refresh = Refresh::new(2, None, at(0), 1);
    assert_eq!(refresh.next(at(0)), Some(Attempt::Whole { primary: 0, held: None }));
    assert_eq!((refresh.next(at(0)), refresh.due()), (None, None));
    refresh.failed(at(1));
    assert_eq!(refresh.attempt(), Some(Attempt::Whole { primary: 1, held: None }));
    refresh.failed(at(2));
    assert_eq!(refresh.attempt(), None);
    let due = refresh.due().unwrap();
    assert!(at(3) < due && due <= at(4), "{due:?}");
    // Waits double, up to five minutes.
    for _ in 0..20 {
        let now = refresh.due().unwrap();
        refresh.next(now);
        refresh.failed(now);
        refresh.failed(now);
        assert!(refresh.due().unwrap() <= now + Duration::from_secs(300));
    }
    let now = refresh.due().unwrap();
    refresh.next(now);
    refresh.arrived(Some(timers(7)), now);
    let due = refresh.due().unwrap().since(now).as_secs();
    assert!((900..=1000).contains(&due), "{due}");
    assert_eq!(refresh.expires(), Some(now + Duration::from_secs(5000)));
    let now = refresh.due().unwrap();
    assert_eq!(refresh.next(now), Some(Attempt::Serial { primary: 0 }));
    refresh.serial_is(7, now);
    assert_eq!(refresh.expires(), Some(now + Duration::from_secs(5000)));
    let now = refresh.due().unwrap();
    refresh.next(now);
    refresh.serial_is(8, now);
    assert_eq!(refresh.attempt(), Some(Attempt::Since { primary: 0, serial: 7 }));
    refresh.does_not_fit();
    assert_eq!(refresh.attempt(), Some(Attempt::Whole { primary: 0, held: Some(7) }));
    refresh.arrived(Some(timers(8)), now);
    assert_eq!(refresh.held().unwrap().timers.serial, 8);
}

#[test]
fn an_older_serial_is_a_failure_and_the_zone_expires_in_the_end() {
    let held = Held { timers: timers(7), checked: at(100) };
    let mut refresh = Refresh::new(1, Some(held), at(200), 1);
    let mut now = at(200);
    while !refresh.expire(now) {
        assert_eq!(refresh.next(now), Some(Attempt::Serial { primary: 0 }));
        refresh.serial_is(6, now);
        let wait = refresh.due().unwrap().since(now).as_secs();
        assert!((90..=100).contains(&wait), "{wait}");
        now = refresh.due().unwrap();
    }
    assert!(now >= at(5100) && now < at(5250));
    // Then any serial will do.
    assert_eq!(refresh.next(now), Some(Attempt::Whole { primary: 0, held: None }));
}

#[test]
fn a_zone_lives_until_it_was_asked_for_again_and_is_asked_for_when_it_expired() {
    let secs = Duration::from_secs;
    let short =
        SoaTimers { refresh: secs(86_400), retry: secs(7200), expire: secs(300), ..timers(7) };
    assert_eq!(short.lifetime(), secs(93_600));
    let mut refresh = Refresh::new(1, Some(Held { timers: short, checked: at(0) }), at(0), 1);
    refresh.next(at(0));
    refresh.failed(at(0));
    assert!(!refresh.expire(at(93_599)));
    refresh.next(at(93_599));
    refresh.failed(at(93_599));
    assert!(refresh.due().unwrap() > at(99_000), "the retry time");
    assert!(refresh.expire(at(93_600)));
    assert_eq!(refresh.next(at(93_600)), Some(Attempt::Whole { primary: 0, held: None }));
}

#[test]
fn what_others_may_serve_below_delegations_is_taken() {
    let mut records = whole(&zone(7, "a A 192.0.2.1\n"));
    let record = |owner: &str, record_type, data: &[u8]| Record {
        name: name(owner),
        record_type,
        ttl: 60,
        data: data.into(),
    };
    let occluded = [
        record("sub.z", 2, name("ns.x").as_wire()),
        record("a.sub.z", 16, b"\x01x"),
        record("*.w.z", 2, name("ns.x").as_wire()),
    ];
    records.splice(2..2, occluded);
    let Ok(Transfer::Whole { zone, warnings }) = read(NEW, &records, 100) else {
        panic!("{:?}", read(NEW, &records, 100));
    };
    assert!(!warnings.is_empty() && zone.set(&name("a.sub.z"), 16).is_some());
}

#[test]
fn a_notify_is_followed_at_once_but_not_more_than_once_a_second() {
    let held = Held { timers: timers(7), checked: at(0) };
    let mut refresh = Refresh::new(2, Some(held), at(0), 1);
    refresh.next(at(0));
    refresh.serial_is(7, at(0));
    refresh.notified(1, Some(7), at(10));
    refresh.notified(2, Some(9), at(10));
    assert!(refresh.due().unwrap() > at(800), "nothing new, and none of the primaries");
    refresh.notified(1, Some(8), at(10));
    assert_eq!(refresh.next(at(10)), Some(Attempt::Serial { primary: 1 }));
    refresh.notified(0, None, at(10));
    assert_eq!(refresh.due(), None);
    refresh.serial_is(7, at(10));
    let mut asked = 0;
    for millis in 10_000..20_000 {
        let now = Time::from_millis(millis);
        refresh.notified(0, None, now);
        if refresh.next(now).is_some() {
            asked += 1;
            refresh.serial_is(7, now);
        }
    }
    assert!((8..=11).contains(&asked), "{asked}");
}

#[test]
fn a_soa_record_of_zeros_does_not_have_us_ask_without_end() {
    let none = Duration::ZERO;
    let zeros = SoaTimers { serial: 0, refresh: none, retry: none, expire: none };
    let held = Held { timers: zeros, checked: at(0) };
    let mut refresh = Refresh::new(1, Some(held), at(0), 1);
    refresh.next(at(0));
    refresh.failed(at(0));
    assert!(refresh.due().unwrap() >= Time::from_millis(900));
    let soa = super::tests::soa(9);
    let read = SoaTimers::read(&soa.data).unwrap();
    assert_eq!((read.serial, read.refresh.as_secs(), read.expire.as_secs()), (9, 10, 30));
    assert_eq!(SoaTimers::read(&[0; 19]), None);
}

#[test]
fn serials_are_a_circle() {
    assert!(is_newer(1, 0) && is_newer(0, u32::MAX) && is_newer(1 << 31, 1));
    assert!(!is_newer(0, 0) && !is_newer(0, 1) && !is_newer(1 << 31, 0) && !is_newer(0, 1 << 31));
}

#[test]
fn records_outside_the_zone_are_left_out_and_told_of() {
    let outside = |last| Record {
        name: name(&format!("n{last}.elsewhere")),
        record_type: 1,
        ttl: 60,
        data: [192, 0, 2, last].into(),
    };
    let mut records = whole(&zone(7, "a A 192.0.2.1\n"));
    for (last, at) in [(1, 1), (2, 3)] {
        records.insert(at, outside(last));
    }
    for (asked, per_message) in [(NEW, 100), (Asked::Since(1), 100), (Asked::Since(1), 1)] {
        let came = read(asked, &records, per_message).unwrap();
        let Transfer::Whole { zone: came, warnings } = came else { panic!("{came:?}") };
        assert_eq!(*came, zone(7, "a A 192.0.2.1\n"));
        let told = warnings.last().unwrap();
        assert!(told.starts_with("2 records") && told.ends_with("n1.elsewhere"), "{told}");
    }
    let (one, two) = (zone(1, ""), zone(2, "a A 192.0.2.1\n"));
    let good = steps(&[one.clone(), two.clone()]);
    for at in 2..good.len() {
        let mut records = good.clone();
        records.insert(at, outside(1));
        let Ok(Transfer::Difference(it)) = read(Asked::Since(1), &records, 100) else {
            panic!("a difference, {at}");
        };
        let came = one.with_difference(&it).unwrap();
        let [came, wanted] = [&came, &two].map(|zone| zone.records().collect::<Vec<_>>());
        assert!(came.len() == wanted.len() && came.iter().all(|it| wanted.contains(it)));
    }
    records.insert(0, outside(1));
    assert_eq!(read(NEW, &records, 100), Err(TransferError::NoSoa));
}

//! The target `transfer`: what a primary sends, to a zone or a difference.

use std::sync::Arc;

use walrus_core::answer::ZoneTable;
use walrus_core::transfer::{
    Asked, Step, Transfer, TransferLimits, TransferReader, read_notify, read_serial,
};
use walrus_core::zone::{Zone, read_zone};
use walrus_dns::DomainName;

/// What is here already, at serial 1.
const HELD: &str = "@ 60 SOA ns host 1 2 3 4 5\n@ 60 NS ns\nns 60 A 192.0.2.53\n\
                    a 60 A 192.0.2.1\na 60 A 192.0.2.2\nb 60 CNAME a\n* 60 TXT \"x\"\n";
/// The number of the question.
const ID: u16 = 0x0909;

/// Messages of a transfer, each behind its length in two bytes, behind a byte that says what was asked: no
/// panic, no more than its bounds, and whatever comes out is a zone of its apex that can be served and
/// from which a difference leads to the next.
pub fn transfer(data: &[u8]) {
    let Some((how, mut rest)) = data.split_first() else { return };
    let apex: DomainName = "example.com".parse().expect("a name");
    let held = read_zone("held", HELD.as_bytes(), &apex).expect("a zone").zone;
    let asked = match how & 3 {
        0 => Asked::Since(1),
        1 => Asked::Whole { held: Some(1) },
        _ => Asked::Whole { held: None },
    };
    let limits = TransferLimits { memory_max: 1 << 16, bytes_max: 1 << 18 };
    let mut reader = TransferReader::new(apex.clone(), asked, ID, how & 4 != 0, limits);
    while let Some((len, behind)) = rest.split_first_chunk::<2>() {
        let len = usize::from(u16::from_be_bytes(*len)).min(behind.len());
        let (message, behind) = behind.split_at(len);
        rest = behind;
        let _ = (read_serial(message, ID, &apex), read_notify(message));
        match reader.read(message) {
            Ok(Step::More) => {}
            Ok(Step::Done(transfer)) => return served(&held, transfer),
            Err(_) => return,
        }
    }
}

fn served(held: &Zone, transfer: Transfer) {
    let zone = match transfer {
        Transfer::Unchanged => return,
        Transfer::Whole { zone, .. } => *zone,
        Transfer::Difference(difference) => match held.with_difference(&difference) {
            Ok(zone) => zone,
            Err(_) => return,
        },
    };
    assert!(zone.iter().all(|(name, _)| name.is_within(zone.apex())), "outside");
    let difference = held.difference_to(&zone);
    if zone.nsec3().is_none() {
        let made = held.with_difference(&difference).expect("what differs leads there");
        assert!(made.difference_to(&zone).is_empty(), "it leads elsewhere");
    }
    ZoneTable::compile(&[Arc::new(zone)], &[]).expect("it can be served");
}

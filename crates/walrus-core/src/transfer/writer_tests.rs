//! Transfers as `domain` reads them, against the zone that they were written from.

use domain::base::{Message, ParsedName, Rtype};
use domain::rdata::AllRecordData;
use walrus_dns::{DomainName, record_type};

use super::*;
use crate::zone::read_zone;

fn zone(text: &str) -> Zone {
    let apex = "example.com".parse().expect("a name");
    read_zone("test", text.as_bytes(), &apex).expect("a zone").zone
}

fn large(serial: u32, names: usize) -> Zone {
    let mut text =
        format!("@ 60 SOA ns.example.com. host {serial} 2 3 4 5\n@ 60 NS ns.example.com.\n");
    text += "ns 60 A 192.0.2.1\n@ 60 MX 10 mail.Example.com.\nalias 60 CNAME name1\n";
    for index in 0..names {
        text += &format!("name{index} 60 TXT \"{}\"\nname{index} 30 A 192.0.2.7\n", "x".repeat(90));
    }
    zone(&text)
}

fn head(record_type: u16, reserved: usize) -> TransferHead {
    TransferHead { id: 4711, apex: "example.com".parse().expect("a name"), record_type, reserved }
}

/// What `domain` reads, as text; each message has this id, no error, and is no longer than allowed.
fn read(messages: &[Vec<u8>], reserved: usize) -> Vec<String> {
    let mut records = Vec::new();
    for (number, bytes) in messages.iter().enumerate() {
        assert!(bytes.len() + reserved <= 65_535, "{}", bytes.len());
        let message = Message::from_slice(bytes).expect("a message");
        assert_eq!(message.header().id(), 4711);
        assert!(message.header().qr() && message.header().aa());
        assert_eq!(usize::from(message.header_counts().qdcount()), usize::from(number == 0));
        for record in message.answer().expect("answers") {
            let record = record.expect("a record");
            let owner: DomainName =
                DomainName::from_wire(&record.owner().to_vec_name()).expect("a name");
            let parsed = record
                .to_any_record::<AllRecordData<&[u8], ParsedName<&[u8]>>>()
                .expect("its data can be read");
            records.push(format!("{owner} {} {}", record.ttl().as_secs(), parsed.data()));
        }
    }
    records
}

trait ToVecName {
    fn to_vec_name(&self) -> Vec<u8>;
}

impl ToVecName for ParsedName<&[u8]> {
    fn to_vec_name(&self) -> Vec<u8> {
        use domain::base::name::ToName as _;
        self.to_vec().into_octets()
    }
}

#[test]
fn a_zone_of_many_messages_reads_back_as_it_is() {
    for (names, reserved) in [(0, 0), (1, 100), (3000, 100)] {
        let zone = large(7, names);
        let messages: Vec<Vec<u8>> =
            TransferWriter::new(head(record_type::AXFR, reserved), whole(&zone)).collect();
        assert_eq!(messages.len() > 1, names > 100);
        let records = read(&messages, reserved);
        assert_eq!(records.len(), zone.records().count() + 1);
        assert_eq!(records.first(), records.last(), "it ends as it began");
        assert!(records[0].contains(" 7 2 3 4 5"), "{}", records[0]);
        let question = Message::from_slice(&messages[0]).expect("a message");
        let question = question.sole_question().expect("one question");
        assert_eq!(question.qtype(), Rtype::AXFR);
        for one in ["mail.Example.com", "name1.example.com"] {
            assert!(records.iter().any(|record| record.contains(one)), "{one}");
        }
    }
}

#[test]
fn names_are_written_once_where_they_can_be() {
    let zone = large(7, 500);
    let messages: Vec<Vec<u8>> =
        TransferWriter::new(head(record_type::AXFR, 0), whole(&zone)).collect();
    let size: usize = messages.iter().map(Vec::len).sum();
    let plain: usize = whole(&zone).map(|it| it.name.as_wire().len() + 10 + it.data.len()).sum();
    assert!(size + 500 * 24 < plain, "{size} bytes for {plain}");
}

#[test]
fn differences_stand_between_two_soa_records_of_the_new_zone() {
    let (one, two) = (large(7, 3), large(8, 5));
    let three = large(11, 4);
    let chain = [one.difference_to(&two), two.difference_to(&three)];
    let messages: Vec<Vec<u8>> =
        TransferWriter::new(head(record_type::IXFR, 0), differences(&three, &chain)).collect();
    let records = read(&messages, 0);
    let serials: Vec<&str> = records
        .iter()
        .filter(|record| record.contains("host"))
        .map(|record| record.split_whitespace().nth(4).expect("a serial"))
        .collect();
    assert_eq!(serials, ["11", "7", "8", "8", "11", "11"]);
    // Up to date.
    let none: [&ZoneDifference; 0] = [];
    let messages: Vec<Vec<u8>> =
        TransferWriter::new(head(record_type::IXFR, 0), differences(&three, none)).collect();
    assert_eq!((messages.len(), read(&messages, 0).len()), (1, 1));
}

#[test]
fn serials_go_round() {
    use crate::transfer::is_newer;
    assert!(is_newer(1, 0) && is_newer(0, u32::MAX) && is_newer(0x7fff_ffff, 0));
    assert!(!is_newer(0, 0) && !is_newer(0, 1) && !is_newer(0x8000_0000, 0));
}

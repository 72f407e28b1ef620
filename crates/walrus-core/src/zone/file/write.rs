//! A [`Zone`] as a standard zone file (RFC 1035 section 5): one record a line, names absolute,
//! owners in canonical order. What [`super::read_zone`] reads back, and others' tools too.

use std::fmt::{self, Write};

use domain::base::iana::Rtype;
use domain::base::name::ParsedName;
use domain::base::rdata::ParseRecordData as _;
use domain::base::zonefile_fmt::{DisplayKind, ZonefileFmt as _};
use domain::dep::octseq::Parser;
use domain::rdata::ZoneRecordData;
use domain::utils::base64;
use walrus_dns::{DomainName, record_type};

use super::{Notes, scan};
use crate::zone::{SetView, Zone, hashed_owner};

/// Writes all records; of a signed zone each set's signatures behind it, and the NSEC3 records at
/// the end. The SOA record comes first, for some readers want it there.
///
/// # Errors
/// Only those of `out`.
pub fn write_zone(zone: &Zone, out: &mut impl Write) -> fmt::Result {
    for (owner, sets) in zone.iter() {
        let mut sets: Vec<SetView<'_>> = sets.iter().collect();
        sets.sort_by_key(|set| (set.record_type() != record_type::SOA, set.record_type()));
        for set in sets {
            let mut data: Vec<&[u8]> = set.data().collect();
            data.sort_unstable();
            for data in data {
                write_record(&owner, set.ttl(), set.record_type(), data, out)?;
            }
            for data in set.signatures() {
                write_record(&owner, set.ttl(), record_type::RRSIG, data, out)?;
            }
        }
    }
    for record in zone.nsec3().into_iter().flat_map(|chain| chain.iter()) {
        let Some(owner) = hashed_owner(record.hash(), zone.apex()) else { continue };
        let data = record.data().concat();
        write_record(&owner, record.ttl(), record_type::NSEC3, &data, out)?;
        for data in record.signatures() {
            write_record(&owner, record.ttl(), record_type::RRSIG, data, out)?;
        }
    }
    Ok(())
}

/// Writes one record as a line; `data` is uncompressed.
///
/// # Errors
/// Only those of `out`.
pub fn write_record(
    owner: &DomainName,
    ttl: u32,
    record_type: u16,
    data: &[u8],
    out: &mut impl Write,
) -> fmt::Result {
    write_name(owner, out)?;
    write!(out, "\t{ttl}\tIN\t{}\t", Rtype::from_int(record_type))?;
    if record_type == record_type::RRSIG {
        return match Rrsig::read(data) {
            Some(rrsig) => writeln!(out, "{rrsig}"),
            None => write_unknown(data, out),
        };
    }
    match data_text(record_type, data) {
        Some(text) => writeln!(out, "{text}"),
        None => write_unknown(data, out),
    }
}

/// Data as its type's RFC writes it, if it can be read back from that.
fn data_text(record_type: u16, data: &[u8]) -> Option<String> {
    let mut parser = Parser::from_ref(data);
    let number = Rtype::from_int(record_type);
    let parsed = ZoneRecordData::<_, ParsedName<_>>::parse_rdata(number, &mut parser).ok()??;
    if parser.remaining() > 0 || matches!(parsed, ZoneRecordData::Unknown(_)) {
        return None;
    }
    let text = parsed.display_zonefile(DisplayKind::Simple).to_string();
    // In texts, and in names with unusual letters, there may be what means something else to
    // whoever reads it: then it is looked at.
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b" .-_*+/=:".contains(&byte);
    let is_plain = !text.is_empty() && text.bytes().all(is_plain);
    (is_plain || is_read_back(record_type, data, &text)).then_some(text)
}

fn is_read_back(record_type: u16, data: &[u8], text: &str) -> bool {
    let line = format!("a. 1 IN {} {text}\n", Rtype::from_int(record_type));
    let mut notes = Notes::new("");
    let scanned = scan::scan(line.as_bytes(), &DomainName::root(), &mut notes);
    let records: Vec<_> = scanned.iter().collect();
    matches!(&records[..], [record] if *record.data == *data && record.ttl == 1)
        && !notes.has_errors()
}

/// RFC 3597 section 5.
fn write_unknown(data: &[u8], out: &mut impl Write) -> fmt::Result {
    write!(out, "\\# {}", data.len())?;
    if !data.is_empty() {
        out.write_char(' ')?;
    }
    data.iter().try_for_each(|byte| write!(out, "{byte:02x}"))?;
    out.write_char('\n')
}

/// A name with its last dot; what means something in a zone file is escaped.
fn write_name(name: &DomainName, out: &mut impl Write) -> fmt::Result {
    for label in name.labels() {
        for &byte in label {
            match byte {
                b'.' | b'\\' | b'"' | b';' | b'(' | b')' | b'@' | b'$' => {
                    write!(out, "\\{}", char::from(byte))?;
                }
                0x21..=0x7e => out.write_char(char::from(byte))?,
                _ => write!(out, "\\{byte:03}")?,
            }
        }
        out.write_char('.')?;
    }
    if name.label_count() == 0 { out.write_char('.') } else { Ok(()) }
}

/// A signature's parts (RFC 4034 section 3.1).
struct Rrsig<'a> {
    covered: u16,
    algorithm: u8,
    labels: u8,
    ttl: u32,
    expiry: u32,
    inception: u32,
    tag: u16,
    signer: DomainName,
    signature: &'a [u8],
}

impl<'a> Rrsig<'a> {
    fn read(data: &'a [u8]) -> Option<Self> {
        let (head, rest) = data.split_first_chunk::<18>()?;
        let long = |at: usize| {
            let bytes = head[at..].first_chunk::<4>();
            bytes.map(|bytes| u32::from_be_bytes(*bytes))
        };
        let signer = DomainName::from_wire(rest).ok()?;
        Some(Self {
            covered: u16::from_be_bytes([head[0], head[1]]),
            algorithm: head[2],
            labels: head[3],
            ttl: long(4)?,
            expiry: long(8)?,
            inception: long(12)?,
            tag: u16::from_be_bytes([head[16], head[17]]),
            signature: &rest[signer.as_wire().len()..],
            signer,
        })
    }
}

impl fmt::Display for Rrsig<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { algorithm, labels, ttl, tag, .. } = self;
        write!(f, "{} {algorithm} {labels} {ttl} ", Rtype::from_int(self.covered))?;
        write!(f, "{} {} {tag} ", calendar(self.expiry), calendar(self.inception))?;
        write_name(&self.signer, f)?;
        f.write_char(' ')?;
        base64::display(self.signature, f)
    }
}

/// Seconds since 1970 as YYYYMMDDHHmmSS (RFC 4034 section 3.2). The day from its number as Howard
/// Hinnant's "chrono-compatible low-level date algorithms" have it, years beginning in March.
pub(crate) fn calendar(seconds: u32) -> String {
    let (day, second) = (seconds / 86_400 + 719_468, seconds % 86_400);
    let (era, day_of_era) = (day / 146_097, day % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day_of_month = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = (month_from_march + 2) % 12 + 1;
    let year = era * 400 + year_of_era + u32::from(month <= 2);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!("{year:04}{month:02}{day_of_month:02}{hour:02}{minute:02}{second:02}")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::zone::{RecordSet, read_zone};

    const TEXT: &str = r#"
@ 3600 SOA ns1 host\.master 1 7200 3600 1209600 300
@ 3600 NS ns1
@ 3600 NS ns2.example.net.
@ 3600 MX 10 mail
@ 60 DNSKEY 257 3 15 AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=
@ 60 CDS 1 15 2 0000000000000000000000000000000000000000000000000000000000000000
@ 60 CAA 0 issue "ca.example; a=b"
ns1 60 A 192.0.2.1
ns1 60 AAAA 2001:db8::1
mail 60 A 192.0.2.2
www 60 HTTPS 1 . alpn="h2,h3" port=8443 ipv4hint=192.0.2.3
txt 60 TXT "a b" "semi;colon" "quo\"te" "\200\000" ""
_sip._tcp 60 SRV 1 2 5060 ns1
odd\;name 60 CNAME with\@at\"
odd\$name 60 PTR a\040b.example.
other 60 TYPE65280 \# 3 010203
empty 60 TYPE65281 \# 0
_443._tcp 60 TLSA 3 1 1 0102
key 60 SSHFP 1 1 0102
naptr 60 NAPTR 1 2 "s" "x+y" "!a!b!" .
loc 60 LOC \# 16 00000000000000000000000000000000
"#;

    fn name(text: &str) -> DomainName {
        text.parse().unwrap()
    }

    fn read(text: &str) -> Zone {
        let zone = read_zone("zone", text.as_bytes(), &name("example"));
        zone.unwrap_or_else(|problems| panic!("{problems:?}")).zone
    }

    fn written(zone: &Zone) -> String {
        let mut text = String::new();
        write_zone(zone, &mut text).unwrap();
        text
    }

    #[test]
    fn what_is_written_is_read_back() {
        let zone = read(TEXT);
        let text = written(&zone);
        assert_eq!(read(&text), zone_sorted(&zone), "{text}");
        assert!(text.starts_with("example.\t3600\tIN\tSOA\tns1.example. "), "{text}");
        for line in [
            "example.\t3600\tIN\tMX\t10 mail.example.\n",
            "odd\\;name.example.\t60\tIN\tCNAME\t",
            "other.example.\t60\tIN\tTYPE65280\t\\# 3 010203\n",
            "empty.example.\t60\tIN\tTYPE65281\t\\# 0\n",
            "txt.example.\t60\tIN\tTXT\t\"a b\" \"semi;colon\"",
        ] {
            assert!(text.contains(line), "{line}\n{text}");
        }
    }

    /// The order of a set's records is no part of it.
    fn zone_sorted(zone: &Zone) -> Zone {
        let sets: Vec<(DomainName, RecordSet)> = zone
            .iter()
            .flat_map(|(owner, sets)| {
                let mut sets: Vec<RecordSet> = sets.iter().map(SetView::to_set).collect();
                sets.sort_by_key(|set| (set.record_type != 6, set.record_type));
                sets.iter_mut().for_each(|set| set.data.sort());
                sets.into_iter().map(move |set| (owner.clone(), set))
            })
            .collect();
        Zone::from_sets(zone.apex().clone(), sets)
    }

    #[test]
    fn signatures_follow_what_they_cover() {
        let signature =
            [
                &[
                    0, 1, 13, 2, 0, 0, 0, 60, 0x6b, 0x49, 0xd2, 0, 0x6b, 0x25, 0xa5, 0x90, 0x12,
                    0x34,
                ][..],
                name("example").as_wire(),
                &[0xff; 6],
            ]
            .concat();
        let set = RecordSet {
            record_type: 1,
            ttl: 60,
            data: vec![[192, 0, 2, 1].into()],
            signatures: vec![signature.into()],
        };
        let zone =
            read(&TEXT[..TEXT.find("ns1 60").unwrap()]).with_sets([(name("a.example"), set)]);
        let expected = "a.example.\t60\tIN\tA\t192.0.2.1\n\
            a.example.\t60\tIN\tRRSIG\tA 13 2 60 20270115080000 20261218212848 4660 example. ////////\n";
        let text = written(&zone);
        assert!(text.ends_with(expected), "{text}");
    }

    #[test]
    fn days_of_the_calendar() {
        for (seconds, expected) in [
            (0, "19700101000000"),
            (951_782_399, "20000228235959"),
            (951_782_400, "20000229000000"),
            (1_709_251_199, "20240229235959"),
            (1_800_000_000, "20270115080000"),
            (u32::MAX, "21060207062815"),
        ] {
            assert_eq!(calendar(seconds), expected);
        }
    }

    proptest! {
        #[test]
        fn any_data_of_any_type_is_read_back(
            label in proptest::collection::vec(any::<u8>(), 1..20),
            number in prop_oneof![Just(16_u16), Just(2), Just(13), Just(257), Just(65), 1_u16..300],
            data in proptest::collection::vec(any::<u8>(), 0..60),
        ) {
            // Whether the data fits its type or not: then it is written as unknown.
            let mut wire = vec![label.len() as u8];
            wire.extend(label);
            wire.extend(name("example").as_wire());
            let owner = DomainName::from_wire(&wire).unwrap();
            let mut text = String::new();
            write_record(&owner, 7, number, &data, &mut text).unwrap();
            let mut notes = Notes::new("");
            let scanned = scan::scan(text.as_bytes(), &name("example"), &mut notes);
            let records: Vec<_> = scanned.iter().collect();
            if let [record] = &records[..] {
                prop_assert_eq!([record.owner, name("example").as_wire()].concat(), owner.as_wire());
                prop_assert_eq!(record.data, &data[..]);
                prop_assert_eq!(record.record_type, number);
            } else {
                // Data of a known type that does not fit it is refused, not misread.
                prop_assert!(notes.has_errors() && text.contains("\\#"), "{}", text);
            }
        }

        #[test]
        fn texts_and_names_are_read_back(
            words in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..30), 1..4),
            label in proptest::collection::vec(any::<u8>(), 1..20),
        ) {
            let mut data = Vec::new();
            for word in words {
                data.push(word.len() as u8);
                data.extend(word);
            }
            let mut target = vec![label.len() as u8];
            target.extend(label);
            target.push(0);
            for (number, data) in [(16, data), (5, target.to_ascii_lowercase())] {
                let mut text = String::new();
                write_record(&name("example"), 7, number, &data, &mut text).unwrap();
                let mut notes = Notes::new("");
                let scanned = scan::scan(text.as_bytes(), &name("example"), &mut notes);
                let records: Vec<_> = scanned.iter().collect();
                prop_assert_eq!(records.len(), 1, "{}", text);
                prop_assert_eq!(records[0].data, &data[..]);
            }
        }
    }
}

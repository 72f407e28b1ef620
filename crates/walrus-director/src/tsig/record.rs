//! The TSIG record in a message: found, taken off, put behind; and what is signed (RFC 8945 section 4).

use domain::base::name::ToName as _;
use domain::base::record::ParsedRecord;
use domain::dep::octseq::Parser;
use domain::rdata::Tsig;
use ring::hmac;
use walrus_core::config::TsigAlgorithm;
use walrus_dns::DomainName;

use super::{FUDGE, SharedKey};
use crate::message_walk::AdditionalRecords;

/// Where the header's count of additional records is.
const ADDITIONAL_COUNT: std::ops::Range<usize> = 10..12;
const TYPE_TSIG: u16 = 250;
const CLASS_ANY: u16 = 255;

/// What `error` of a record says (RFC 8945 section 3).
pub(super) const NO_ERROR: u16 = 0;
pub(super) const BAD_SIGNATURE: u16 = 16;
pub(super) const BAD_KEY: u16 = 17;
pub(super) const BAD_TIME: u16 = 18;
pub(super) const BAD_TRUNCATION: u16 = 22;

/// The algorithm's name in a record.
pub(super) const fn algorithm_name(algorithm: TsigAlgorithm) -> &'static [u8] {
    match algorithm {
        TsigAlgorithm::HmacSha256 => b"\x0bhmac-sha256\x00",
        TsigAlgorithm::HmacSha384 => b"\x0bhmac-sha384\x00",
        TsigAlgorithm::HmacSha512 => b"\x0bhmac-sha512\x00",
    }
}

/// The variable part of a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Variables {
    /// Seconds since 1970, of which 48 bits travel.
    pub(super) time_signed: u64,
    pub(super) fudge: u16,
    pub(super) error: u16,
    pub(super) other: Vec<u8>,
}

/// A record that stood at the end of a message.
#[derive(Clone, Debug)]
pub(super) struct Found {
    /// Where it began.
    pub(super) start: usize,
    pub(super) key: DomainName,
    /// Its wire form in small letters.
    pub(super) algorithm: Vec<u8>,
    pub(super) mac: Vec<u8>,
    pub(super) original_id: u16,
    pub(super) variables: Variables,
}

/// There is a record that cannot be read, or not at the end, or the message itself cannot be read.
#[derive(Debug)]
pub(super) struct Malformed;

impl Found {
    /// The message's TSIG record; `None` if it has none.
    pub(super) fn in_message(message: &[u8]) -> Result<Option<Self>, Malformed> {
        let mut records = AdditionalRecords::of(message).ok_or(Malformed)?;
        let start = loop {
            match records.next() {
                None => return Ok(None),
                Some(None) => return Err(Malformed),
                Some(Some(record)) if record.record_type == TYPE_TSIG => break record.start,
                Some(Some(_)) => {}
            }
        };
        // RFC 8945 section 5.1: it is the last record, and there is one alone.
        if records.next().is_some() {
            return Err(Malformed);
        }
        let mut parser = Parser::from_ref(message);
        parser.advance(start).map_err(|_| Malformed)?;
        let record = ParsedRecord::parse(&mut parser).map_err(|_| Malformed)?;
        let class = record.class().to_int();
        let record = record.into_record::<Tsig<_, _>>().map_err(|_| Malformed)?;
        let record = record.ok_or(Malformed)?;
        if class != CLASS_ANY || record.ttl().as_secs() != 0 {
            return Err(Malformed);
        }
        let data = record.data();
        let wire = |name: Vec<u8>| DomainName::from_wire(&name).map_err(|_| Malformed);
        let algorithm = wire(data.algorithm().to_vec().into_octets())?;
        Ok(Some(Self {
            start,
            key: wire(record.owner().to_vec().into_octets())?,
            algorithm: algorithm.as_wire().to_ascii_lowercase(),
            mac: data.mac().to_vec(),
            original_id: data.original_id(),
            variables: Variables {
                time_signed: data.time_signed().into(),
                fudge: data.fudge(),
                error: data.error().to_int(),
                other: data.other().to_vec(),
            },
        }))
    }

    /// The message as it was signed: without the record, and with the id that it had.
    pub(super) fn take_off(&self, message: &mut Vec<u8>) {
        message.truncate(self.start);
        message[..2].copy_from_slice(&self.original_id.to_be_bytes());
        change_additional_count(message, |count| count.saturating_sub(1));
    }
}

impl Variables {
    /// What is signed behind a request, or the first reply.
    pub(super) fn sign(&self, key: &SharedKey, digest: &mut hmac::Context) {
        digest.update(&key.0.name.as_wire().to_ascii_lowercase());
        digest.update(&CLASS_ANY.to_be_bytes());
        digest.update(&[0; 4]);
        digest.update(algorithm_name(key.0.algorithm));
        self.sign_timers(digest);
        digest.update(&self.error.to_be_bytes());
        // Other data is written here alone, with six bytes, or read with a length of 16 bits.
        digest.update(&(self.other.len() as u16).to_be_bytes());
        digest.update(&self.other);
    }

    /// What is signed behind all further replies (RFC 8945 section 5.3.1).
    pub(super) fn sign_timers(&self, digest: &mut hmac::Context) {
        digest.update(&self.time_signed.to_be_bytes()[2..]);
        digest.update(&self.fudge.to_be_bytes());
    }

    /// Whether the clocks agree as far as the sender wants it, and no further than we do: what was recorded could be
    /// repeated for so long.
    pub(super) fn are_of(&self, now: u64) -> bool {
        self.time_signed.abs_diff(now) <= u64::from(self.fudge.min(FUDGE))
    }

    /// Puts a record behind a message.
    pub(super) fn put_behind(
        &self,
        message: &mut Vec<u8>,
        (name, algorithm): (&[u8], &[u8]),
        mac: &[u8],
    ) {
        let id = [message[0], message[1]];
        message.extend_from_slice(name);
        message.extend_from_slice(&TYPE_TSIG.to_be_bytes());
        message.extend_from_slice(&CLASS_ANY.to_be_bytes());
        message.extend_from_slice(&[0; 4]);
        // All parts are short: names, MACs of 64 bytes at most, a time.
        let size = algorithm.len() + 8 + 2 + mac.len() + 6 + self.other.len();
        message.extend_from_slice(&(size as u16).to_be_bytes());
        message.extend_from_slice(algorithm);
        message.extend_from_slice(&self.time_signed.to_be_bytes()[2..]);
        message.extend_from_slice(&self.fudge.to_be_bytes());
        message.extend_from_slice(&(mac.len() as u16).to_be_bytes());
        message.extend_from_slice(mac);
        message.extend_from_slice(&id);
        message.extend_from_slice(&self.error.to_be_bytes());
        message.extend_from_slice(&(self.other.len() as u16).to_be_bytes());
        message.extend_from_slice(&self.other);
        change_additional_count(message, |count| count.saturating_add(1));
    }
}

/// Signs a MAC as the next message has it in front (RFC 8945 section 4.3.1).
pub(super) fn sign_mac(mac: &[u8], digest: &mut hmac::Context) {
    digest.update(&(mac.len() as u16).to_be_bytes());
    digest.update(mac);
}

/// Whether both are the same, in a time that does not tell where they differ.
pub(super) fn are_same(ours: &[u8], theirs: &[u8]) -> bool {
    let differing = ours.iter().zip(theirs).fold(0, |all, (a, b)| all | (a ^ b));
    ours.len() == theirs.len() && std::hint::black_box(differing) == 0
}

fn change_additional_count(message: &mut [u8], change: impl Fn(u16) -> u16) {
    let count = &mut message[ADDITIONAL_COUNT];
    let changed = change(u16::from_be_bytes([count[0], count[1]]));
    count.copy_from_slice(&changed.to_be_bytes());
}

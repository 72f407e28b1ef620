//! The sampled decision log: one JSON object a line, for whoever wants to know afterwards why a
//! client was sent where it was.
//!
//! An answering thread copies what it needs into a record of fixed size and offers it to a bounded
//! channel; a thread of its own turns records into text. If it cannot keep up, records are lost and
//! counted, never waited for.

use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

use serde::Serialize;
use walrus_core::answer::Decision;
use walrus_core::policy::choose::Generator;
use walrus_core::world::Time;
use walrus_dns::query::HEADER_LEN;
use walrus_dns::{DomainName, query, record_type};
use walrus_host::clock::Clock;

use crate::answering::Incoming;
use crate::observe::service_name;
use crate::serving::Serving;

/// Records that wait for the writer: about 256 KiB.
const WAITING: usize = 256;

/// Bytes of a reply that are kept to tell its addresses: enough for thirty.
const REPLY_KEPT: usize = 512;

/// One thread's choice of what is told.
pub(crate) struct Sampler {
    worker: usize,
    /// One in so many on average.
    weight: u32,
    /// Queries to pass over until the next.
    gap: u32,
    generator: Generator,
    sender: SyncSender<Record>,
}

impl Sampler {
    /// Whether this query is told: gaps are drawn evenly from 0 to twice their mean, so that no
    /// rhythm of the queries can hide from it.
    #[inline]
    pub(crate) fn takes_this(&mut self) -> bool {
        if let Some(gap) = self.gap.checked_sub(1) {
            self.gap = gap;
            return false;
        }
        self.gap = self.generator.index(2 * self.weight - 1).0;
        true
    }

    /// Offers a record; false if it is lost.
    pub(crate) fn tell(
        &self,
        serving: &Arc<Serving>,
        decision: &Decision,
        incoming: &Incoming<'_>,
        is_udp: bool,
        now: Time,
        reply: &[u8],
    ) -> bool {
        let mut record = Record {
            serving: Arc::clone(serving),
            decision: *decision,
            worker: self.worker,
            weight: self.weight,
            now,
            resolver: incoming.client,
            is_udp,
            dnssec_ok: false,
            name: [0; 255],
            name_length: 0,
            reply: [0; REPLY_KEPT],
            reply_length: reply.len().min(REPLY_KEPT),
        };
        if let Ok(query) = query::parse(incoming.query) {
            record.dnssec_ok = query.edns.is_some_and(|edns| edns.dnssec_ok);
            record.name_length = query.name().len().min(record.name.len());
            record.name[..record.name_length].copy_from_slice(&query.name()[..record.name_length]);
        }
        record.reply[..record.reply_length].copy_from_slice(&reply[..record.reply_length]);
        self.sender.try_send(record).is_ok()
    }
}

/// What is known about one answer, without a pointer to anything that changes.
struct Record {
    /// Names what the decision numbers.
    serving: Arc<Serving>,
    decision: Decision,
    worker: usize,
    weight: u32,
    now: Time,
    resolver: IpAddr,
    is_udp: bool,
    dnssec_ok: bool,
    name: [u8; 255],
    name_length: usize,
    reply: [u8; REPLY_KEPT],
    reply_length: usize,
}

/// One line.
#[derive(Serialize)]
struct Line {
    walrus: u32,
    kind: &'static str,
    time_unix_ms: u64,
    weight: u32,
    worker: usize,
    resolver: IpAddr,
    subnet: Option<String>,
    transport: &'static str,
    #[serde(rename = "do")]
    dnssec_ok: bool,
    name: String,
    #[serde(rename = "type")]
    record_type: u16,
    rcode: u16,
    area: Option<String>,
    cluster: Option<String>,
    server: Option<String>,
    answered: Vec<IpAddr>,
    scope: u8,
    ttl: Option<u32>,
    plan: Option<String>,
}

impl Record {
    fn line(&self, unix_ms_at_zero: u64) -> Line {
        let table = &self.serving.table;
        let service = self.decision.service;
        let plan = table.plan();
        let server = service
            .and_then(|service| plan?.servers.get(service.first? as usize))
            .map(|server| (server.name.to_string(), server.cluster.to_string()));
        let (server, cluster) = server.unzip();
        let area = service.and_then(|service| table.area_name(service.area?));
        let subnet = self.decision.client_subnet;
        let name = DomainName::from_wire(&self.name[..self.name_length]);
        Line {
            walrus: 1,
            kind: "decision",
            time_unix_ms: unix_ms_at_zero + self.now.as_nanos() / 1_000_000,
            weight: self.weight,
            worker: self.worker,
            resolver: self.resolver,
            subnet: subnet.map(|subnet| match subnet.address() {
                Some(address) => format!("{address}/{}", subnet.source()),
                None => "0/0".to_owned(),
            }),
            transport: if self.is_udp { "udp" } else { "tcp" },
            dnssec_ok: self.dnssec_ok,
            name: name.as_ref().map(service_name).unwrap_or_default(),
            record_type: self.decision.record_type,
            rcode: self.decision.rcode,
            area: area.map(ToString::to_string),
            cluster,
            server,
            answered: addresses(&self.reply[..self.reply_length]),
            scope: self.decision.scope,
            ttl: service.map(|service| service.ttl),
            plan: plan.map(|plan| plan.number.to_string()),
        }
    }
}

/// The addresses in a reply's answer section, as far as it was kept.
fn addresses(reply: &[u8]) -> Vec<IpAddr> {
    let mut addresses = Vec::new();
    let _ = read_addresses(reply, &mut addresses);
    addresses
}

fn read_addresses(reply: &[u8], addresses: &mut Vec<IpAddr>) -> Option<()> {
    let answers = u16::from_be_bytes(*reply.get(6..)?.first_chunk()?);
    let mut rest = skip_name(reply.get(HEADER_LEN..)?)?.get(4..)?;
    for _ in 0..answers {
        let record = skip_name(rest)?;
        let kind = u16::from_be_bytes(*record.first_chunk()?);
        let length = usize::from(u16::from_be_bytes(*record.get(8..)?.first_chunk()?));
        let data = record.get(10..10 + length)?;
        rest = record.get(10 + length..)?;
        match kind {
            record_type::A => addresses.push(Ipv4Addr::from(*data.first_chunk()?).into()),
            record_type::AAAA => {
                addresses.push(Ipv6Addr::from(*data.first_chunk::<16>()?).into());
            }
            _ => {}
        }
    }
    Some(())
}

/// What follows a name: its labels up to the root or a pointer.
fn skip_name(mut bytes: &[u8]) -> Option<&[u8]> {
    loop {
        match *bytes.first()? {
            0 => return bytes.get(1..),
            0xc0.. => return bytes.get(2..),
            length => bytes = bytes.get(1 + usize::from(length)..)?,
        }
    }
}

/// The writer's end.
pub(crate) struct DecisionLog {
    sender: SyncSender<Record>,
    thread: JoinHandle<()>,
}

impl DecisionLog {
    /// Appends to this file (made with mode 0640 by the usual mask) until all samplers are gone.
    ///
    /// # Errors
    /// If the file cannot be opened or the thread not be started.
    pub(crate) fn start(path: &Path, clock: &Clock) -> io::Result<Self> {
        let file = OpenOptions::new().create(true).append(true).open(path)?;
        let (sender, receiver) = sync_channel(WAITING);
        let unix_ms_at_zero = clock.unix_ms().saturating_sub(clock.now().as_nanos() / 1_000_000);
        let path = path.to_owned();
        let thread = std::thread::Builder::new().name("decision-log".into()).spawn(move || {
            if let Err(error) = write(&receiver, file, unix_ms_at_zero) {
                tracing::warn!(path = %path.display(), %error, "the decision log ends here");
            }
        })?;
        Ok(Self { sender, thread })
    }

    /// A sampler for one thread: one query in `weight`.
    pub(crate) fn sampler(&self, worker: usize, weight: u32, seed: u64) -> Sampler {
        let weight = weight.clamp(1, u32::MAX / 2);
        let mut generator = Generator::new(seed);
        let gap = generator.index(2 * weight - 1).0;
        Sampler { worker, weight, gap, generator, sender: self.sender.clone() }
    }

    /// Waits until all is written; all samplers must be gone.
    pub(crate) fn finish(self) {
        drop(self.sender);
        // A panic of the writer has been told already.
        let _ = self.thread.join();
    }
}

fn write(receiver: &Receiver<Record>, file: File, unix_ms_at_zero: u64) -> io::Result<()> {
    let mut out = BufWriter::new(file);
    while let Ok(first) = receiver.recv() {
        let mut next = Some(first);
        while let Some(record) = next {
            serde_json::to_writer(&mut out, &record.line(unix_ms_at_zero))?;
            out.write_all(b"\n")?;
            next = receiver.try_recv().ok();
        }
        // Nothing is waiting: whoever reads along sees it now.
        out.flush()?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_a_reply() {
        let mut reply = vec![0, 1, 0x84, 0, 0, 1, 0, 2, 0, 0, 0, 0];
        reply.extend_from_slice(b"\x03www\x06walrus\x07example\0\0\x01\0\x01");
        reply.extend_from_slice(b"\xc0\x0c\0\x01\0\x01\0\0\0\x05\0\x04\x7f\0\x0b\x01");
        reply.extend_from_slice(b"\xc0\x0c\0\x01\0\x01\0\0\0\x05\0\x04\x7f\0\x0b\x02");
        let expected: Vec<IpAddr> =
            ["127.0.11.1", "127.0.11.2"].map(|address| address.parse().unwrap()).into();
        assert_eq!(addresses(&reply), expected);
        for length in 0..reply.len() {
            assert!(addresses(&reply[..length]).len() < 2);
        }
    }

    #[test]
    fn samples_are_one_in_weight() {
        let (sender, _receiver) = sync_channel(1);
        for weight in [1, 7, 100] {
            let generator = Generator::new(5);
            let sender = sender.clone();
            let mut sampler = Sampler { worker: 0, weight, gap: 0, generator, sender };
            let taken = (0..100_000).filter(|_| sampler.takes_this()).count();
            let expected = 100_000 / weight as usize;
            assert!(taken.abs_diff(expected) <= expected / 10, "{taken} of {expected}");
        }
    }
}

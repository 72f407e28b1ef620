//! The sampled decision log: one JSON object a line, for whoever wants to know afterwards why a
//! client was sent where it was.
//!
//! An answering thread copies what it needs into a record of fixed size and offers it to a bounded
//! channel; a thread of its own turns records into text. If it cannot keep up, records are lost and
//! counted, never waited for. A sampled query thus costs what the channel does when its reader
//! sleeps: a short lock and one system call to wake it. Those passed over cost one subtraction.

use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

use serde::Serialize;
use walrus_core::answer::{Decision, Transport};
use walrus_core::world::{Generator, Time};
use walrus_dns::query::HEADER_LEN;
use walrus_dns::{DomainName, query, record_type};
use walrus_host::clock::Clock;

use crate::answering::Incoming;
use crate::serving::Serving;

/// Records that wait for the writer: about 256 KiB.
const WAITING: usize = 256;

/// Text is written once it has so many bytes, even if more records wait.
const TEXT_MAX: usize = 64 * 1024;

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
            transport: incoming.transport,
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
    transport: Transport,
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
            transport: self.transport.name(),
            dnssec_ok: self.dnssec_ok,
            name: name.map(|name| name.to_string()).unwrap_or_default(),
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
        let mut output = Output::open(path)?;
        let (sender, receiver) = sync_channel(WAITING);
        let clock = clock.clone();
        let write = move || write(&receiver, &mut output, &clock);
        let thread = std::thread::Builder::new().name("decision-log".into()).spawn(write)?;
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

fn write(receiver: &Receiver<Record>, output: &mut Output, clock: &Clock) {
    let mut text = Vec::with_capacity(TEXT_MAX);
    while let Ok(first) = receiver.recv() {
        // Anew each time: the system's clock may have been set meanwhile.
        let unix_ms_at_zero = clock.unix_ms().saturating_sub(clock.now().as_nanos() / 1_000_000);
        let (mut next, mut lines) = (Some(first), 0);
        while let Some(record) = next {
            // Lines have no keys that could fail, and a vector takes everything.
            let _ = serde_json::to_writer(&mut text, &record.line(unix_ms_at_zero));
            text.push(b'\n');
            lines += 1;
            next = if text.len() < TEXT_MAX { receiver.try_recv().ok() } else { None };
        }
        // Nothing is waiting: whoever reads along sees it now.
        output.append(&text, lines);
        text.clear();
    }
}

/// The file. It may be moved away (by logrotate, say) and made anew at any time, and the disk may
/// be full for a while: what cannot be written then is lost, and told once.
struct Output {
    path: PathBuf,
    file: Option<File>,
    /// Lines lost since the last that was written.
    lost: u64,
    /// The file may end in half a line.
    is_torn: bool,
}

impl Output {
    fn open(path: &Path) -> io::Result<Self> {
        Ok(Self { path: path.to_owned(), file: Some(open(path)?), lost: 0, is_torn: false })
    }

    fn append(&mut self, text: &[u8], lines: u64) {
        match self.try_append(text) {
            Ok(()) if self.lost > 0 => {
                let (path, lost) = (self.path.display(), self.lost);
                tracing::info!(%path, lost, "the decision log is written again");
                self.lost = 0;
            }
            Ok(()) => {}
            Err(error) => {
                if self.lost == 0 {
                    let path = self.path.display();
                    tracing::warn!(%path, %error, "decisions are lost: the log cannot be written");
                }
                self.lost += lines;
                self.file = None;
            }
        }
    }

    fn try_append(&mut self, text: &[u8]) -> io::Result<()> {
        self.file = self.file.take().filter(|file| is_at(file, &self.path));
        let file = match &mut self.file {
            Some(file) => file,
            None => self.file.insert(open(&self.path)?),
        };
        if self.is_torn {
            file.write_all(b"\n")?;
        }
        self.is_torn = true;
        file.write_all(text)?;
        self.is_torn = false;
        Ok(())
    }
}

fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).append(true).open(path)
}

/// Whether the path still leads to this file.
fn is_at(file: &File, path: &Path) -> bool {
    let identity = |metadata: Metadata| (metadata.dev(), metadata.ino());
    match (file.metadata(), path.metadata()) {
        (Ok(open), Ok(there)) => identity(open) == identity(there),
        _ => false,
    }
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

    #[test]
    fn a_file_that_is_moved_away_is_made_anew() {
        let directory = tempfile::tempdir().unwrap();
        let (path, moved) = (directory.path().join("log"), directory.path().join("log.1"));
        let mut output = Output::open(&path).unwrap();
        output.append(b"one\n", 1);
        std::fs::rename(&path, &moved).unwrap();
        output.append(b"two\n", 1);
        output.append(b"three\n", 1);
        assert_eq!(std::fs::read(&moved).unwrap(), b"one\n");
        assert_eq!(std::fs::read(&path).unwrap(), b"two\nthree\n");
    }

    #[test]
    fn the_log_goes_on_when_it_can_be_written_again() {
        let directory = tempfile::tempdir().unwrap();
        let (inner, away) = (directory.path().join("inner"), directory.path().join("away"));
        std::fs::create_dir(&inner).unwrap();
        let path = inner.join("log");
        let mut output = Output::open(&path).unwrap();
        std::fs::rename(&inner, &away).unwrap();
        output.append(b"lost\n", 1);
        output.append(b"lost too\n", 1);
        assert_eq!(output.lost, 2);
        std::fs::create_dir(&inner).unwrap();
        output.append(b"kept\n", 1);
        assert_eq!((output.lost, std::fs::read(&path).unwrap()), (0, b"kept\n".to_vec()));
        // A disk that is full: half a line may stand there, so the next begins on a new one.
        let mut full = Output { path: "/dev/full".into(), file: None, lost: 0, is_torn: false };
        full.append(b"never\n", 1);
        assert_eq!((full.lost, full.is_torn), (1, true));
        full.path = path.clone();
        full.append(b"after\n", 1);
        assert_eq!(std::fs::read(&path).unwrap(), b"kept\n\nafter\n");
    }
}

//! One request: checked, admitted, and answered in as many messages as it takes, each signed.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;
use std::thread;

use tokio::sync::mpsc::{Receiver, channel};
use walrus_core::answer::{
    Outcome, Request, ServerOptions, Transport, WorkerState, respond_completely,
};
use walrus_core::transfer::{TransferHead, TransferWriter, differences, is_newer, whole};
use walrus_core::zone::Record;
use walrus_dns::record_type;

use super::request::Asked;
use super::{Outbound, Snapshot};
use crate::signing::give_way;
use crate::tsig::ReplySigner;

/// Requests that are answered at once: each has a thread and two messages of up to 64 KiB.
const REQUESTS_MAX: usize = 64;
/// Transfers among them.
const TRANSFERS_MAX: usize = 10;
/// Messages that wait for the client to read.
const MESSAGES_AHEAD: usize = 1;
/// No datagram that must not be cut into pieces is longer.
const DATAGRAM_SIZE: usize = 1232;
/// Extended errors (RFC 8914 section 4).
const EDE_NOT_READY: u16 = 14;
const EDE_PROHIBITED: u16 = 18;
const EDE_NOT_AUTHORITATIVE: u16 = 20;
const EDE_OTHER: u16 = 0;
const RCODE_FORMERR: u8 = 1;
const RCODE_SERVFAIL: u8 = 2;
const RCODE_REFUSED: u8 = 5;

/// A request and where it comes from.
#[derive(Clone, Debug)]
pub(crate) struct Incoming {
    pub(crate) message: Vec<u8>,
    pub(crate) client: IpAddr,
    pub(crate) local: SocketAddr,
    pub(crate) transport: Transport,
}

/// One more at work, until it is dropped.
struct AtWork<'c>(&'c AtomicUsize);

impl<'c> AtWork<'c> {
    fn begin(count: &'c AtomicUsize, max: usize) -> Option<Self> {
        let at_work = Self(count);
        (count.fetch_add(1, Relaxed) < max).then_some(at_work)
    }
}

impl Drop for AtWork<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

/// How a transfer ended.
enum Sent {
    All,
    Broken,
}

impl Outbound {
    /// Answers a request on a thread of its own, which ends when the receiver is dropped. `None` if there are too
    /// many already.
    pub(crate) fn begin(self: &Arc<Self>, incoming: Incoming) -> Option<Receiver<Vec<u8>>> {
        let (sender, receiver) = channel(MESSAGES_AHEAD);
        let outbound = Arc::clone(self);
        if AtWork::begin(&self.requests, REQUESTS_MAX).map(std::mem::forget).is_none() {
            self.counts.too_many.fetch_add(1, Relaxed);
            return None;
        }
        let serve = move || {
            let _at_work = AtWork(&outbound.requests);
            give_way();
            outbound.serve(incoming, &mut |message| sender.blocking_send(message).is_ok());
        };
        let thread = thread::Builder::new().name("transfer".to_owned()).spawn(serve);
        if thread.is_err() {
            self.requests.fetch_sub(1, Relaxed);
            return None;
        }
        Some(receiver)
    }

    /// Answers a request with any number of messages; `send` says whether more are wanted.
    pub(crate) fn serve(&self, incoming: Incoming, send: &mut dyn FnMut(Vec<u8>) -> bool) {
        let mut message = incoming.message.clone();
        let signer = match self.keys.load().verify(&mut message, self.unix_secs()) {
            Ok(signer) => signer,
            Err(refusal) => {
                let reply = refusal.reply(&incoming.message, self.unix_secs());
                reply.map(send);
                return;
            }
        };
        let Some(asked) = Asked::read(&message) else { return };
        let mut answer = Answer { outbound: self, request: &message, asked, signer, send };
        if !answer.asked.is_transfer() || answer.asked.class != record_type::CLASS_IN {
            answer.plain(&incoming);
        } else {
            answer.transfer(&incoming);
        }
    }
}

/// The answer to one request in the making.
struct Answer<'a> {
    outbound: &'a Outbound,
    /// Without its signature.
    request: &'a [u8],
    asked: Asked,
    signer: Option<ReplySigner>,
    send: &'a mut dyn FnMut(Vec<u8>) -> bool,
}

impl Answer<'_> {
    /// A query that is signed, and has an ordinary answer.
    fn plain(&mut self, incoming: &Incoming) {
        let serving = self.outbound.current.load();
        let table = &serving.table;
        let now = self.outbound.clock.now();
        let unix_secs = self.outbound.unix_secs();
        // Not the worker's own: where round robin stands there plays no part here.
        let mut worker = WorkerState::new(unix_secs, table);
        let request = Request {
            query: self.request,
            client: incoming.client,
            local: incoming.local,
            transport: incoming.transport,
            now,
            unix_secs: unix_secs as u32,
            udp_size_max: DATAGRAM_SIZE as u16,
            server: ServerOptions::SILENT,
        };
        let most = match incoming.transport {
            Transport::Udp => DATAGRAM_SIZE,
            Transport::Tcp | Transport::Tls | Transport::Https => usize::from(u16::MAX),
        };
        let mut reply = vec![0; most - self.signer.as_ref().map_or(0, ReplySigner::size)];
        let outcome = respond_completely(table, &mut worker, &request, &mut reply);
        if let Outcome::Reply(length) = outcome {
            reply.truncate(length);
            self.send(reply);
        }
    }

    fn transfer(&mut self, incoming: &Incoming) {
        let settings = self.outbound.settings.load_full();
        let counts = &self.outbound.counts;
        let key = self.signer.as_ref().map(ReplySigner::key);
        let Some(rules) = settings.zones.get(&self.asked.apex) else {
            return self.refuse(RCODE_REFUSED, EDE_NOT_AUTHORITATIVE);
        };
        if !rules.admits(incoming.client, key) {
            counts.refused.fetch_add(1, Relaxed);
            tracing::debug!(zone = %self.asked.apex, client = %incoming.client, "no transfer: no rule admits it");
            return self.refuse(RCODE_REFUSED, EDE_PROHIBITED);
        }
        let Some(snapshot) = self.outbound.snapshots.load().get(&self.asked.apex).cloned() else {
            return self.refuse(RCODE_SERVFAIL, EDE_NOT_READY);
        };
        let is_by_udp = incoming.transport == Transport::Udp;
        match (self.asked.record_type, self.asked.serial) {
            (record_type::IXFR, None) => self.refuse(RCODE_FORMERR, EDE_OTHER),
            // RFC 5936 section 4.2: there is none by UDP.
            (record_type::AXFR, _) if is_by_udp => self.refuse(RCODE_REFUSED, EDE_PROHIBITED),
            (record_type::IXFR, Some(serial))
                // RFC 1995 section 2: what may not fit a datagram is the SOA record alone, and the client comes by TCP.
                if is_by_udp || !is_newer(snapshot.zone.serial(), serial) =>
            {
                let records = differences(&snapshot.zone, []);
                let _ = self.write(records);
            }
            _ => self.changes(incoming, &snapshot),
        }
    }

    /// A whole zone, or what changed in it.
    fn changes(&mut self, incoming: &Incoming, snapshot: &Snapshot) {
        let outbound = self.outbound;
        let Some(_at_work) = AtWork::begin(&outbound.transfers, TRANSFERS_MAX) else {
            outbound.counts.too_many.fetch_add(1, Relaxed);
            return self.refuse(RCODE_SERVFAIL, EDE_OTHER);
        };
        let zone = &snapshot.zone;
        let chain = self.asked.serial.and_then(|serial| snapshot.since(serial));
        let sent = match chain {
            Some(chain) => self.write(differences(zone, chain.iter().map(|it| &**it))),
            None => self.write(whole(zone)),
        };
        let counter = match (&sent, chain) {
            (Sent::Broken, _) => &outbound.counts.broken,
            (Sent::All, Some(_)) => &outbound.counts.differences,
            (Sent::All, None) => &outbound.counts.whole,
        };
        counter.fetch_add(1, Relaxed);
        tracing::info!(
            zone = %zone.apex(), serial = zone.serial(), client = %incoming.client,
            from = chain.and(self.asked.serial),
            "{}", match sent { Sent::All => "transferred", Sent::Broken => "transfer broken off" }
        );
    }

    fn write(&mut self, records: impl Iterator<Item = Record>) -> Sent {
        let head = TransferHead {
            id: self.asked.id,
            apex: self.asked.apex.clone(),
            record_type: self.asked.record_type,
            reserved: self.signer.as_ref().map_or(0, ReplySigner::size),
        };
        for message in TransferWriter::new(head, records) {
            if !self.send(message) {
                return Sent::Broken;
            }
        }
        Sent::All
    }

    /// Header and question, and why.
    fn refuse(&mut self, rcode: u8, extended: u16) {
        const QR: u8 = 0x80;
        const KEPT: u8 = 0x79;
        let Some(question) = self.request.get(..self.asked.question_end) else { return };
        let mut reply = question.to_vec();
        reply[2] = QR | (reply[2] & KEPT);
        reply[3] = rcode;
        reply[4..12].copy_from_slice(&[0, 1, 0, 0, 0, 0, 0, u8::from(self.asked.has_edns)]);
        if self.asked.has_edns {
            // Root, OPT, size, TTL, and one option: the extended error (RFC 8914 section 2).
            reply.extend_from_slice(&[0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 6, 0, 15, 0, 2]);
            reply.extend_from_slice(&extended.to_be_bytes());
        }
        self.send(reply);
    }

    /// Signs and sends; false if no more is wanted.
    fn send(&mut self, mut message: Vec<u8>) -> bool {
        if let Some(signer) = &mut self.signer {
            signer.sign(&mut message, self.outbound.unix_secs());
        }
        (self.send)(message)
    }
}

//! One request: checked, admitted, and answered in as many messages as it takes, each signed.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::thread;
use std::time::{Duration, Instant};

use tokio::sync::mpsc::{Receiver, channel};
use walrus_core::answer::{
    Outcome, Request, ServerOptions, Transport, WorkerState, respond_completely,
};
use walrus_core::transfer::{TransferHead, TransferWriter, differences, is_newer, whole};
use walrus_core::zone::Record;
use walrus_dns::{DomainName, record_type};

use super::places::Place;
use super::request::Asked;
use super::{Outbound, Snapshot};
use crate::signing::give_way;
use crate::tsig::{ReplySigner, Signed, TsigRefusal};

/// So long a transfer waits for a zone that is not ready yet, as at a start: who was told SERVFAIL may not come again
/// for minutes.
const READY_WITHIN: Duration = Duration::from_secs(5);
/// Between two looks whether it is.
const READY_LOOK_EVERY: Duration = Duration::from_millis(20);
/// Messages that wait for the client to read.
const MESSAGES_AHEAD: usize = 1;
/// No datagram that must not be cut into pieces is longer.
const DATAGRAM_SIZE: u16 = 1232;
/// What a client takes that says nothing of it (RFC 1035 section 4.2.1).
const PLAIN_SIZE: u16 = 512;
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

/// How a transfer ended.
enum Sent {
    All,
    Broken,
}

/// What a request comes to.
enum Work {
    /// One message, or silence: nothing has to wait for it.
    Reply(Option<Vec<u8>>),
    /// More than that, for somebody who was admitted.
    Task(Box<Answer>, Task),
}

/// What is to be done in a thread of its own; the place is given back when that is over.
enum Task {
    /// The ordinary answer.
    Plain(Place),
    /// A whole zone, or what changed in it.
    Transfer(Arc<Snapshot>, Place),
    /// The same, once there is something to send, and a place for it.
    Wait(Place),
}

/// Why a transfer waited in vain.
#[derive(Debug, PartialEq, Eq)]
enum InVain {
    NotReady,
    TooMany,
    /// Other settings came meanwhile, and admit it no longer.
    NotAdmitted,
    /// The client went away.
    Gone,
}

/// The way back to who asked.
struct Way<'a> {
    /// Sends a message; false if no more are wanted.
    send: &'a mut dyn FnMut(Vec<u8>) -> bool,
    is_gone: &'a dyn Fn() -> bool,
}

impl Outbound {
    /// Answers a request: at once, or on a thread of its own, which ends when the receiver is dropped. Only who was
    /// admitted gets one. `None` if there are no more threads.
    pub(crate) fn begin(self: &Arc<Self>, incoming: Incoming) -> Option<Receiver<Vec<u8>>> {
        let (sender, receiver) = channel(MESSAGES_AHEAD);
        match self.look_at(incoming, None) {
            Work::Reply(reply) => {
                // There is room for one.
                reply.into_iter().for_each(|reply| drop(sender.try_send(reply)));
            }
            Work::Task(answer, task) => {
                let outbound = Arc::clone(self);
                let serve = move || {
                    give_way();
                    let send = &mut |message| sender.blocking_send(message).is_ok();
                    let is_gone = &|| sender.is_closed();
                    outbound.carry_out(*answer, task, Way { send, is_gone });
                };
                thread::Builder::new().name("transfer".to_owned()).spawn(serve).ok()?;
            }
        }
        Some(receiver)
    }

    /// Answers a request, whose signature may have been found right already, with any number of messages; `send` says
    /// whether more are wanted.
    pub(crate) fn serve(
        &self,
        incoming: Incoming,
        signed: Option<Signed>,
        send: &mut dyn FnMut(Vec<u8>) -> bool,
    ) {
        match self.look_at(incoming, signed) {
            Work::Reply(reply) => {
                reply.map(send);
            }
            Work::Task(answer, task) => {
                self.carry_out(*answer, task, Way { send, is_gone: &|| false });
            }
        }
    }

    /// Checks who asks, and whether that is to be had.
    fn look_at(&self, incoming: Incoming, signed: Option<Signed>) -> Work {
        let now = self.unix_secs();
        let mut request = incoming.message.clone();
        let signer = match self.keys.load().verify_once(signed, &mut request, now) {
            Ok(signer) => signer,
            Err(refusal) => return Work::Reply(refusal.reply(&incoming.message, now)),
        };
        let asked = Asked::read(&request).filter(|it| it.is_transfer() || signer.is_some());
        let Some(asked) = asked else {
            let mut reply = TsigRefusal::Malformed.reply(&request, now);
            if let (Some(reply), Some(mut signer)) = (&mut reply, signer) {
                signer.sign(reply, now);
            }
            return Work::Reply(reply);
        };
        let mut answer = Box::new(Answer { incoming, request, asked, signer });
        if answer.asked.is_transfer() {
            return self.admit(answer);
        }
        self.note_look(&answer);
        match self.queries.take(answer.incoming.client, answer.key()) {
            Some(place) => Work::Task(answer, Task::Plain(place)),
            None => self.too_many(&mut answer),
        }
    }

    /// A secondary that looks whether there is anything new.
    fn note_look(&self, answer: &Answer) {
        let settings = self.settings.load();
        let Asked { apex, record_type, .. } = &answer.asked;
        let rules = settings.zones.get(apex).filter(|_| *record_type == record_type::SOA);
        let client = answer.incoming.client;
        if rules.is_some_and(|rules| rules.admits(client, answer.key())) {
            self.note(answer, None);
        }
    }

    /// Whoever is admitted; by a datagram, whose address may be forged, only with a signature.
    fn note(&self, answer: &Answer, serial: Option<u32>) {
        let (apex, who) = (&answer.asked.apex, (answer.incoming.client, answer.key()));
        if answer.incoming.transport != Transport::Udp {
            self.recipients.asked(apex, who, serial, self.unix_secs());
        } else if answer.signer.is_some() {
            self.recipients.seen(apex, who, self.unix_secs());
        }
    }

    /// A transfer for whom the rules admit.
    fn admit(&self, mut answer: Box<Answer>) -> Work {
        let settings = self.settings.load_full();
        let (client, apex) = (answer.incoming.client, answer.asked.apex.clone());
        let rules = settings.zones.get(&apex);
        let Some(rules) = rules.filter(|_| answer.asked.class == record_type::CLASS_IN) else {
            return self.refuse(&mut answer, RCODE_REFUSED, EDE_NOT_AUTHORITATIVE);
        };
        if !rules.admits(client, answer.key()) {
            self.counts.refused.fetch_add(1, Relaxed);
            tracing::debug!(zone = %apex, %client, "no transfer: no rule admits it");
            return self.refuse(&mut answer, RCODE_REFUSED, EDE_PROHIBITED);
        }
        let snapshot = self.snapshots.load().get(&apex).cloned();
        let is_by_udp = answer.incoming.transport == Transport::Udp;
        self.note(&answer, answer.asked.serial);
        match (answer.asked.record_type, answer.asked.serial, snapshot) {
            (record_type::IXFR, None, _) => self.refuse(&mut answer, RCODE_FORMERR, EDE_OTHER),
            // RFC 5936 section 4.2: there is none by UDP.
            (record_type::AXFR, ..) if is_by_udp => {
                self.refuse(&mut answer, RCODE_REFUSED, EDE_PROHIBITED)
            }
            (_, _, None) if is_by_udp => self.refuse(&mut answer, RCODE_SERVFAIL, EDE_NOT_READY),
            // RFC 1995 section 2: what may not fit a datagram is the SOA record alone, and the client comes by TCP.
            (_, _, Some(snapshot)) if is_by_udp || answer.is_up_to_date(&snapshot) => {
                let soa =
                    TransferWriter::new(answer.head(), differences(&snapshot.zone, [])).next();
                Work::Reply(soa.map(|soa| answer.signed(soa, self.unix_secs())))
            }
            (_, _, Some(snapshot)) => match self.transfers.take(client, answer.key()) {
                Some(place) => Work::Task(answer, Task::Transfer(snapshot, place)),
                None => self.too_many(&mut answer),
            },
            (_, _, None) => match self.waiting.take(client, answer.key()) {
                Some(place) => Work::Task(answer, Task::Wait(place)),
                None => self.too_many(&mut answer),
            },
        }
    }

    /// Waits a little for a zone that is not ready yet, and for a place: who waits holds none of those who are sent
    /// others meanwhile. It is as admitted in the end as at the beginning.
    fn wait(
        &self,
        answer: &Answer,
        is_gone: &dyn Fn() -> bool,
    ) -> Result<(Arc<Snapshot>, Place), InVain> {
        let (began, apex) = (Instant::now(), &answer.asked.apex);
        loop {
            if is_gone() {
                return Err(InVain::Gone);
            }
            let settings = self.settings.load();
            let rules = settings.zones.get(apex);
            if !rules.is_some_and(|rules| rules.admits(answer.incoming.client, answer.key())) {
                return Err(InVain::NotAdmitted);
            }
            let in_vain = match self.snapshots.load().get(apex) {
                Some(snapshot) => {
                    let place = self.transfers.take(answer.incoming.client, answer.key());
                    if let Some(place) = place {
                        return Ok((Arc::clone(snapshot), place));
                    }
                    InVain::TooMany
                }
                None => InVain::NotReady,
            };
            if began.elapsed() >= READY_WITHIN {
                return Err(in_vain);
            }
            thread::sleep(READY_LOOK_EVERY);
        }
    }

    fn too_many(&self, answer: &mut Answer) -> Work {
        Work::Reply(self.refused_in_vain(answer, &InVain::TooMany))
    }

    fn refused_in_vain(&self, answer: &mut Answer, in_vain: &InVain) -> Option<Vec<u8>> {
        let (rcode, extended) = match in_vain {
            InVain::NotReady => (RCODE_SERVFAIL, EDE_NOT_READY),
            InVain::TooMany => {
                self.counts.too_many.fetch_add(1, Relaxed);
                (RCODE_SERVFAIL, EDE_OTHER)
            }
            InVain::NotAdmitted => {
                self.counts.refused.fetch_add(1, Relaxed);
                (RCODE_REFUSED, EDE_PROHIBITED)
            }
            InVain::Gone => return None,
        };
        let reply = answer.refusal(rcode, extended)?;
        Some(answer.signed(reply, self.unix_secs()))
    }

    fn refuse(&self, answer: &mut Answer, rcode: u8, extended: u16) -> Work {
        let reply = answer.refusal(rcode, extended);
        Work::Reply(reply.map(|reply| answer.signed(reply, self.unix_secs())))
    }

    fn carry_out(&self, mut answer: Answer, task: Task, Way { send, is_gone }: Way<'_>) {
        match task {
            Task::Plain(_place) => {
                if let Some(reply) = self.plain(&answer) {
                    send(answer.signed(reply, self.unix_secs()));
                }
            }
            Task::Transfer(snapshot, _place) => self.transfer(&mut answer, &snapshot, send),
            Task::Wait(place) => match self.wait(&answer, is_gone) {
                Ok((snapshot, _place)) => {
                    drop(place);
                    self.transfer(&mut answer, &snapshot, send);
                }
                Err(in_vain) => {
                    self.refused_in_vain(&mut answer, &in_vain).map(send);
                }
            },
        }
    }

    /// A query that is signed, and has an ordinary answer.
    fn plain(&self, answer: &Answer) -> Option<Vec<u8>> {
        let serving = self.current.load();
        let table = &serving.table;
        let unix_secs = self.unix_secs();
        // Not the worker's own: where round robin stands there plays no part here.
        let mut worker = WorkerState::new(unix_secs, table);
        let request = Request {
            query: &answer.request,
            client: answer.incoming.client,
            local: answer.incoming.local,
            transport: answer.incoming.transport,
            now: self.clock.now(),
            unix_secs: unix_secs as u32,
            udp_size_max: DATAGRAM_SIZE,
            server: ServerOptions::SILENT,
        };
        let most = match answer.incoming.transport {
            Transport::Udp => {
                answer.asked.udp_size.unwrap_or(PLAIN_SIZE).clamp(PLAIN_SIZE, DATAGRAM_SIZE)
            }
            Transport::Tcp | Transport::Tls | Transport::Https => u16::MAX,
        };
        // What does not fit beside the signature is cut, and the client comes by TCP (RFC 8945 section 5.3).
        let mut reply = vec![0; usize::from(most) - answer.signature_size()];
        match respond_completely(table, &mut worker, &request, &mut reply) {
            Outcome::Reply(length) => {
                reply.truncate(length);
                Some(reply)
            }
            _ => None,
        }
    }

    /// A whole zone, or what changed in it.
    fn transfer(
        &self,
        answer: &mut Answer,
        snapshot: &Snapshot,
        send: &mut dyn FnMut(Vec<u8>) -> bool,
    ) {
        let zone = &snapshot.zone;
        let chain = match answer.is_up_to_date(snapshot) {
            true => Some(&[][..]),
            false => answer.asked.serial.and_then(|serial| snapshot.since(serial)),
        };
        let sent = match chain {
            Some(chain) => {
                self.write(answer, differences(zone, chain.iter().map(|it| &**it)), send)
            }
            None => self.write(answer, whole(zone), send),
        };
        let counter = match (&sent, chain) {
            (Sent::Broken, _) => &self.counts.broken,
            (Sent::All, Some(_)) => &self.counts.differences,
            (Sent::All, None) => &self.counts.whole,
        };
        counter.fetch_add(1, Relaxed);
        if matches!(sent, Sent::All) {
            self.recipients.sent(zone.apex(), answer.incoming.client, zone.serial());
        }
        tracing::info!(
            zone = %zone.apex(), serial = zone.serial(), client = %answer.incoming.client,
            from = chain.and(answer.asked.serial),
            "{}", match sent { Sent::All => "transferred", Sent::Broken => "transfer broken off" }
        );
    }

    fn write(
        &self,
        answer: &mut Answer,
        records: impl Iterator<Item = Record>,
        send: &mut dyn FnMut(Vec<u8>) -> bool,
    ) -> Sent {
        for message in TransferWriter::new(answer.head(), records) {
            if !send(answer.signed(message, self.unix_secs())) {
                return Sent::Broken;
            }
        }
        Sent::All
    }
}

/// The answer to one request in the making.
struct Answer {
    incoming: Incoming,
    /// Without its signature.
    request: Vec<u8>,
    asked: Asked,
    signer: Option<ReplySigner>,
}

impl Answer {
    /// What signed the request.
    fn key(&self) -> Option<&DomainName> {
        self.signer.as_ref().map(ReplySigner::key)
    }

    /// Whether the client of an IXFR has this serial, or a newer one.
    fn is_up_to_date(&self, snapshot: &Snapshot) -> bool {
        self.asked.serial.is_some_and(|serial| !is_newer(snapshot.zone.serial(), serial))
    }

    fn signature_size(&self) -> usize {
        self.signer.as_ref().map_or(0, ReplySigner::size)
    }

    fn head(&self) -> TransferHead {
        TransferHead {
            id: self.asked.id,
            apex: self.asked.apex.clone(),
            record_type: self.asked.record_type,
            reserved: self.signature_size(),
        }
    }

    /// The next message as it is sent.
    fn signed(&mut self, mut message: Vec<u8>, now: u64) -> Vec<u8> {
        // A request that was passed on may have been signed under another id, which is what its signature is of.
        if let Some(id) = self.incoming.message.first_chunk::<2>() {
            message[..2].copy_from_slice(id);
        }
        if let Some(signer) = &mut self.signer {
            signer.sign(&mut message, now);
        }
        message
    }

    /// Header and question, and why.
    fn refusal(&self, rcode: u8, extended: u16) -> Option<Vec<u8>> {
        const QR: u8 = 0x80;
        const KEPT: u8 = 0x79;
        let mut reply = self.request.get(..self.asked.question_end)?.to_vec();
        reply[2] = QR | (reply[2] & KEPT);
        reply[3] = rcode;
        reply[4..12].copy_from_slice(&[0, 1, 0, 0, 0, 0, 0, u8::from(self.asked.has_edns())]);
        if self.asked.has_edns() {
            // Root, OPT, size, TTL, and one option: the extended error (RFC 8914 section 2).
            reply.extend_from_slice(&[0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 6, 0, 15, 0, 2]);
            reply.extend_from_slice(&extended.to_be_bytes());
        }
        Some(reply)
    }
}

#[cfg(test)]
#[path = "serve_tests.rs"]
mod tests;

//! One exchange with a name server: requests out, signed; replies in, believed only if the key says so.

use std::collections::BTreeSet;
use std::io;
use std::time::Duration;

use domain::base::Message;
use domain::base::iana::TsigRcode;
use domain::base::message_builder::PushError;
use domain::base::name::ParsedName;
use domain::rdata::Tsig;
use domain::rdata::tsig::Time48;
use domain::tsig::{ClientTransaction, Key, ValidationError};
use tokio::time::timeout;
use walrus_core::config::{NameServerSettings, UpdateTransport};
use walrus_core::update::{Exchange, Failure, Reply, ReplyError, Request};
use walrus_host::clock::Clock;
use walrus_host::seed::secret_bytes;

use super::secret_files::SecretFiles;
use super::{connections, datagrams};

/// How long a name server may take.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patience {
    /// For the secret, a connection, and each reply by TCP.
    pub(super) reply: Duration,
    /// For all datagrams; what is not answered by then goes by TCP.
    pub(super) datagrams: Duration,
    /// For all but the secret: meanwhile nothing else is said there, be it that somebody died.
    pub(super) whole: Duration,
}

impl Patience {
    pub(super) const USUAL: Self = Self {
        reply: Duration::from_secs(5),
        datagrams: Duration::from_secs(6),
        whole: Duration::from_secs(15),
    };
}

/// What became of one request; `None` as long as it has no reply.
type Answer = Option<Result<Reply, Failure>>;

/// Carries an exchange out: what became of each request, in their order. An error is one of all: none was answered.
pub(super) async fn carry_out(
    settings: &NameServerSettings,
    exchange: &Exchange,
    (clock, secrets, patience): (&Clock, &SecretFiles, Patience),
) -> Result<Vec<Result<Reply, Failure>>, Failure> {
    let key = match &settings.key {
        // Read each time, so that a secret that was replaced is used without a reload.
        Some(key) => Some(secrets.load(key, patience.reply).await?),
        None => None,
    };
    let mut ids = BTreeSet::new();
    let mut calls = Vec::with_capacity(exchange.requests.len());
    for request in &exchange.requests {
        let mut id = random_id()?;
        while !ids.insert(id) {
            id = id.wrapping_add(1);
        }
        calls.push(Call::new(request, id, key.as_ref(), clock));
    }
    let speak = speak(settings, &mut calls, (clock, patience));
    let outcome = timeout(patience.whole, speak).await.unwrap_or(Err(Failure::Silent));
    match outcome {
        Err(failure) if !calls.iter().any(Call::is_heard) => Err(failure),
        outcome => {
            let lacking = || Err(outcome.clone().err().unwrap_or(Failure::Malformed));
            Ok(calls.into_iter().map(|call| call.answer.unwrap_or_else(lacking)).collect())
        }
    }
}

async fn speak(
    settings: &NameServerSettings,
    calls: &mut [Call<'_>],
    (clock, patience): (&Clock, Patience),
) -> Result<(), Failure> {
    if settings.transport == UpdateTransport::Udp {
        let by_udp = datagrams::carry_out(settings.address, calls, clock);
        let _ = timeout(patience.datagrams, by_udp).await;
        for call in calls.iter_mut() {
            // Its records do not fit a datagram.
            if matches!(&call.answer, Some(Ok(reply)) if reply.is_truncated) {
                call.answer = None;
            }
        }
    }
    connections::carry_out(settings.address, calls, (clock, patience.reply)).await
}

fn random_id() -> Result<u16, Failure> {
    let bytes = secret_bytes::<2>().map_err(|error| Failure::Unreachable(error.to_string()))?;
    Ok(u16::from_be_bytes(bytes))
}

/// A request as it travels, and what became of it.
pub(super) struct Call<'r> {
    request: &'r Request,
    id: u16,
    pub(super) bytes: Vec<u8>,
    transaction: Option<ClientTransaction<Key>>,
    pub(super) answer: Answer,
}

impl<'r> Call<'r> {
    fn new(request: &'r Request, id: u16, key: Option<&Key>, clock: &Clock) -> Self {
        let signed = || -> Result<_, PushError> {
            let mut message = request.compose(id)?;
            let sign =
                |key: &Key| ClientTransaction::request(key.clone(), &mut message, now(clock));
            let transaction = key.map(sign).transpose()?;
            Ok((message.finish(), transaction))
        };
        match signed() {
            Ok((bytes, transaction)) => Self { request, id, bytes, transaction, answer: None },
            // It concerns this one alone.
            Err(_) => {
                let answer = Some(Err(Failure::TooLong));
                Self { request, id, bytes: Vec::new(), transaction: None, answer }
            }
        }
    }

    /// Whether the name server said something to it.
    pub(super) fn is_heard(&self) -> bool {
        self.answer.is_some() && !self.bytes.is_empty()
    }

    /// What the reply says, if it is one and its signature is good; `None` if it is for somebody else.
    fn read(&self, bytes: Vec<u8>, clock: &Clock) -> Answer {
        let mut message = Message::from_octets(bytes).ok()?;
        if let Some(transaction) = &self.transaction {
            let code = message.header().rcode().to_int();
            let clock_differs = clock_said(&message, now(clock));
            if let Err(error) = transaction.answer(&mut message, now(clock)) {
                return Some(Err(match (error, clock_differs) {
                    // Name servers do not agree on what is signed then. It is only told, and by how much.
                    (ValidationError::BadSig, Some(seconds)) => Failure::Clock(seconds),
                    _ => distrusted(error, code),
                }));
            }
        }
        match Reply::read(message.as_slice(), self.id, self.request) {
            Ok(reply) => Some(Ok(reply)),
            Err(ReplyError::Stranger) => None,
            Err(ReplyError::Malformed) => Some(Err(Failure::Malformed)),
        }
    }
}

/// Gives a reply to the call that waits for it; `false` if there is none.
pub(super) fn deliver(calls: &mut [Call<'_>], bytes: Vec<u8>, clock: &Clock) -> bool {
    let Ok(message) = Message::from_slice(&bytes) else { return false };
    let header = message.header();
    let id = header.id();
    let waiting = calls.iter_mut().find(|call| call.id == id && call.answer.is_none());
    let Some(call) = waiting.filter(|_| header.qr()) else { return false };
    call.answer = call.read(bytes, clock);
    call.answer.is_some()
}

fn now(clock: &Clock) -> Time48 {
    Time48::from_u64(clock.unix_ms() / 1000)
}

/// By how many seconds the name server says that its clock is ahead, if that is why it refuses.
fn clock_said(message: &Message<Vec<u8>>, now: Time48) -> Option<i64> {
    let last = message.additional().ok()?.last()?.ok()?;
    let record = last.to_record::<Tsig<_, ParsedName<_>>>().ok()??;
    if record.data().error() != TsigRcode::BADTIME {
        return None;
    }
    Some(ahead(record.data().other_time()?, now))
}

fn ahead(server: Time48, client: Time48) -> i64 {
    let seconds = |time: Time48| i64::try_from(u64::from(time)).unwrap_or(i64::MAX);
    seconds(server).saturating_sub(seconds(client))
}

/// Why a reply is not believed, or what the name server has against our signature.
fn distrusted(error: ValidationError, code: u8) -> Failure {
    match error {
        ValidationError::ServerUnsigned | ValidationError::TooManyUnsigned => {
            Failure::Unsigned(code)
        }
        ValidationError::ServerBadKey => Failure::KeyUnknown,
        ValidationError::ServerBadSig => Failure::SignatureRefused,
        ValidationError::ServerBadTime { client, server } => Failure::Clock(ahead(server, client)),
        ValidationError::BadTime => Failure::AnswerLate,
        ValidationError::BadSig
        | ValidationError::BadTrunc
        | ValidationError::BadKey
        | ValidationError::BadAlg => Failure::AnswerForged,
        ValidationError::FormErr | ValidationError::BadOther => Failure::Malformed,
    }
}

pub(super) fn failed(error: &io::Error) -> Failure {
    match error.kind() {
        io::ErrorKind::UnexpectedEof
        | io::ErrorKind::ConnectionReset
        | io::ErrorKind::BrokenPipe => Failure::Closed,
        _ => Failure::Unreachable(error.to_string()),
    }
}

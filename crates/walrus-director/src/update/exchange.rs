//! One exchange with a name server: requests out, signed; replies in, believed only if the key says so.

use std::collections::BTreeSet;
use std::io;
use std::time::Duration;

use domain::base::Message;
use domain::base::iana::TsigRcode;
use domain::base::message_builder::PushError;
use domain::base::name::{Name, ParsedName, ToName as _};
use domain::rdata::Tsig;
use domain::rdata::tsig::Time48;
use domain::tsig::{Algorithm, ClientTransaction, Key, KeyName, ValidationError};
use tokio::time::timeout;
use walrus_core::config::{NameServerSettings, UpdateAlgorithm, UpdateKey, UpdateTransport};
use walrus_core::update::{Exchange, Failure, Reply, ReplyError, Request};
use walrus_host::clock::Clock;
use walrus_host::seed::secret_bytes;

use super::secret::read_secret;
use super::{connections, datagrams};

/// For the secret, a connection, and each reply.
pub(super) const WAIT: Duration = Duration::from_secs(5);

/// What became of one request; `None` as long as it has no reply.
type Answer = Option<Result<Reply, Failure>>;

/// Carries an exchange out: what became of each request, in their order.
pub(super) async fn carry_out(
    settings: &NameServerSettings,
    exchange: &Exchange,
    clock: &Clock,
) -> Result<Vec<Result<Reply, Failure>>, Failure> {
    let key = match settings.key.clone() {
        // Read each time, so that a secret that was replaced is used without a reload.
        Some(key) => {
            let read = timeout(WAIT, tokio::task::spawn_blocking(move || load_key(&key))).await;
            let interrupted = || Failure::Secret("its file cannot be read in time".to_owned());
            Some(read.map_err(|_| interrupted())?.map_err(|_| interrupted())??)
        }
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
    if settings.transport == UpdateTransport::Udp {
        datagrams::carry_out(settings.address, &mut calls, clock).await?;
    }
    connections::carry_out(settings.address, &mut calls, clock).await?;
    Ok(calls.into_iter().map(|call| call.answer.unwrap_or(Err(Failure::Malformed))).collect())
}

fn random_id() -> Result<u16, Failure> {
    let bytes = secret_bytes::<2>().map_err(|error| Failure::Unreachable(error.to_string()))?;
    Ok(u16::from_be_bytes(bytes))
}

fn load_key(key: &UpdateKey) -> Result<Key, Failure> {
    let secret = read_secret(key).map_err(|error| Failure::Secret(error.to_string()))?;
    let algorithm = match key.algorithm {
        UpdateAlgorithm::HmacSha256 => Algorithm::Sha256,
        UpdateAlgorithm::HmacSha384 => Algorithm::Sha384,
        UpdateAlgorithm::HmacSha512 => Algorithm::Sha512,
    };
    let unusable = |why: &str| Failure::Secret(why.to_owned());
    let name: KeyName = Name::from_octets(key.name.as_wire())
        .ok()
        .and_then(|name| name.try_to_name().ok())
        .ok_or_else(|| unusable("its name is too long"))?;
    Key::new(algorithm, &secret, name, None, None).map_err(|error| unusable(&error.to_string()))
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

//! Connects to the first Controller that can be reached, again and again.

use std::net::SocketAddr;
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, lookup_host};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsConnector;
use walrus_core::message::{DecodeError, Hello, Message};
use walrus_core::world::Generator;

use super::credentials::Credentials;
use super::{LinkStatus, Newest, lock};
use crate::clock::Clock;
use crate::frame::{self, FRAME_MAX, FrameError};
use crate::log::{Limited, chain};
use crate::tls::server_name;

/// For each of: a connection, a TLS handshake, the answer to the hello.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// For a report to be taken in or refused; a connection without an answer is given up.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);
/// The wait after the first failure; doubled with each further one.
const BACKOFF_MIN: Duration = Duration::from_millis(200);
/// The longest wait between two attempts.
const BACKOFF_MAX: Duration = Duration::from_secs(30);

/// Whom to connect to and how.
pub(super) struct Dialer {
    pub(super) controllers: Vec<String>,
    pub(super) insecure: bool,
    pub(super) credentials: Credentials,
    pub(super) hello: Hello,
    pub(super) clock: Clock,
    pub(super) status: Arc<Mutex<LinkStatus>>,
}

impl Dialer {
    /// Runs until the [`super::Link`] is gone.
    pub(super) async fn run(self, mut newest: Newest, seed: u64) {
        let mut generator = Generator::new(seed);
        let lines = Limited::new(Duration::from_secs(60));
        let mut backoff = BACKOFF_MIN;
        let mut sequence = 0;
        loop {
            for controller in &self.controllers {
                let before = lock(&self.status).taken_at;
                let Err(problem) = self.converse(controller, &mut newest, &mut sequence).await
                else {
                    return;
                };
                if let Some(left_out) = lines.pass() {
                    tracing::warn!(
                        controller,
                        problem,
                        left_out,
                        "no connection to the Controller"
                    );
                }
                let mut status = lock(&self.status);
                status.controller = None;
                status.problem = Some(format!("{controller}: {problem}"));
                // Only a Controller that took something in shows that trying soon is worth it.
                if status.taken_at != before {
                    backoff = BACKOFF_MIN;
                    break;
                }
            }
            // Half to all of it, so that a thousand Reporters do not return in the same moment.
            sleep(backoff.mul_f64(0.5 + 0.5 * generator.share())).await;
            backoff = (backoff * 2).min(BACKOFF_MAX);
        }
    }

    /// One connection from its beginning to its end; `Ok` if the link itself is gone.
    async fn converse(
        &self,
        controller: &str,
        newest: &mut Newest,
        sequence: &mut u64,
    ) -> Result<(), String> {
        let (stream, address) = connect(controller).await?;
        let _ = stream.set_nodelay(true);
        let plaintext =
            !self.credentials.tls_wanted && (self.insecure || address.ip().is_loopback());
        if plaintext {
            return self.speak(stream, controller, newest, sequence).await;
        }
        let host = controller.rsplit_once(':').map_or(controller, |(host, _)| host);
        let name = server_name(host).map_err(|error| error.to_string())?;
        let handshake = TlsConnector::from(self.credentials.tls().await?).connect(name, stream);
        let stream = timeout(CONNECT_TIMEOUT, handshake)
            .await
            .map_err(|_| "no TLS handshake within 5 s".to_owned())?
            .map_err(|error| format!("TLS: {error}"))?;
        self.speak(stream, controller, newest, sequence).await
    }

    async fn speak<S: AsyncRead + AsyncWrite + Unpin>(
        &self,
        mut stream: S,
        controller: &str,
        newest: &mut Newest,
        sequence: &mut u64,
    ) -> Result<(), String> {
        let hello = Hello { token: self.credentials.token().await?, ..self.hello.clone() };
        let greeted = timeout(CONNECT_TIMEOUT, async {
            frame::write(&mut stream, &Message::Hello(hello)).await?;
            frame::read(&mut stream, FRAME_MAX).await
        });
        match greeted.await {
            Ok(Ok(Some(Message::Hello(_)))) => {}
            Ok(Ok(Some(Message::Refused { reason }))) => return Err(format!("refused: {reason}")),
            Ok(Ok(Some(_))) => return Err("it did not say hello; is it a Controller?".to_owned()),
            Ok(Ok(None)) => return Err("it closed the connection".to_owned()),
            Ok(Err(error)) => return Err(chain(&error)),
            Err(_) => return Err("no answer to the hello within 5 s".to_owned()),
        }
        tracing::info!(controller, "connected to the Controller");
        {
            let mut status = lock(&self.status);
            status.controller = Some(controller.to_owned());
            status.connections += 1;
        }
        let (mut reader, mut writer) = tokio::io::split(stream);
        let (taken, answers) = watch::channel(0);
        tokio::select! {
            problem = self.receive(&mut reader, &taken) => Err(problem),
            ended = self.transmit(&mut writer, newest, sequence, answers) => ended,
        }
    }

    /// Takes in what the Controller says, until it ends.
    async fn receive<R: AsyncRead + Unpin>(
        &self,
        reader: &mut R,
        answered: &watch::Sender<u64>,
    ) -> String {
        loop {
            match frame::read(reader, FRAME_MAX).await {
                Ok(Some(Message::Taken { session, sequence })) => {
                    let mut status = lock(&self.status);
                    status.taken = Some((session, sequence));
                    status.taken_at = Some(self.clock.now());
                    status.problem = None;
                    answered.send_replace(sequence);
                }
                Ok(Some(Message::Refused { reason })) => return format!("refused: {reason}"),
                // Kinds that a Reporter has no use for, or that are from the future.
                Ok(Some(_)) | Err(FrameError::Decode(DecodeError::UnknownKind(_))) => {}
                Ok(None) => return "it closed the connection".to_owned(),
                Err(error) => return chain(&error),
            }
        }
    }

    /// Sends the newest report whenever there is one; `Ok` when the link is gone.
    async fn transmit<W: AsyncWrite + Unpin>(
        &self,
        writer: &mut W,
        newest: &mut Newest,
        sequence: &mut u64,
        mut answers: watch::Receiver<u64>,
    ) -> Result<(), String> {
        // What was there before the connection goes out again, if it is still current.
        let now = self.clock.now();
        let current = |at, unit| now.since(at) <= unit;
        if newest.borrow().as_ref().is_some_and(|q| current(q.at, q.report.unit())) {
            newest.mark_changed();
        }
        let mut waiting_since = None;
        loop {
            let answer_missing = async {
                match waiting_since {
                    Some(since) => tokio::time::sleep_until(since + ANSWER_TIMEOUT).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                changed = newest.changed() => if changed.is_err() { return Ok(()) },
                _ = answers.changed() => {
                    if *answers.borrow_and_update() >= *sequence {
                        waiting_since = None;
                    }
                    continue;
                }
                () = answer_missing => return Err("reports are not answered".to_owned()),
            }
            let Some(queued) = newest.borrow_and_update().clone() else { continue };
            let mut report = queued.report.clone();
            *sequence = report.sequence.max(*sequence + 1);
            report.sequence = *sequence;
            let message = Message::Report(report);
            let write = pin!(frame::write(writer, &message));
            match timeout(ANSWER_TIMEOUT, write).await {
                Ok(Ok(())) => waiting_since = waiting_since.or(Some(tokio::time::Instant::now())),
                Ok(Err(error)) => return Err(chain(&error)),
                Err(_) => return Err("it does not read what it is sent".to_owned()),
            }
        }
    }
}

/// To the first address of `host:port` that accepts.
pub(super) async fn connect(controller: &str) -> Result<(TcpStream, SocketAddr), String> {
    let addresses = timeout(CONNECT_TIMEOUT, lookup_host(controller))
        .await
        .map_err(|_| "its name was not resolved within 5 s".to_owned())?
        .map_err(|error| format!("cannot resolve its name: {error}"))?;
    let mut problem = "its name has no address".to_owned();
    for address in addresses {
        match timeout(CONNECT_TIMEOUT, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => return Ok((stream, address)),
            Ok(Err(error)) => problem = format!("{address}: {error}"),
            Err(_) => problem = format!("{address}: no connection within 5 s"),
        }
    }
    Err(problem)
}

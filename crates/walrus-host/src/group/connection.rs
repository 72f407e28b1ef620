//! One peer's connection, from its first byte to its end.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_rustls::TlsAcceptor;
use walrus_core::message::{DecodeError, Hello, KEY_ZONES_MAX, Message, Role, VERSION, is_read};
use walrus_core::world::{Name, TokenHash, legible};

use super::listener::{REASON_MAX, Served};
use super::security::{Brought, GroupSecurity};
use super::{GroupEvent, GroupEventKind, Outgoing, Reply};
use crate::frame::{self, FRAME_MAX, FrameError};
use crate::log::chain;
use crate::tls::PeerCertificate;

/// From the first byte to the end of the hello.
const HELLO_TIMEOUT: Duration = Duration::from_secs(5);
/// A peer that does not read for so long is cut off.
const WRITE_TIMEOUT: Duration = Duration::from_secs(10);
/// Silence of so many reporting units closes a connection.
const SILENT_UNITS: u32 = 4;
/// The reporting unit until the first report tells it, and the longest that is believed.
const UNIT_MAX: Duration = Duration::from_secs(300);
/// Certificates of those who stay connected: they expire, and lists of revocations do.
const LOOKED_AT_AGAIN: Duration =
    if cfg!(test) { Duration::from_millis(200) } else { Duration::from_secs(3600) };
/// The first byte of a TLS handshake.
const TLS_HANDSHAKE: u8 = 22;

/// One connection and what it shares with all others.
pub(super) struct Connection {
    served: Arc<Served>,
    peer: SocketAddr,
}

impl Connection {
    pub(super) const fn new(served: Arc<Served>, peer: SocketAddr) -> Self {
        Self { served, peer }
    }

    pub(super) async fn run(self, stream: TcpStream) {
        let shutdown = self.served.shutdown.clone();
        tokio::select! {
            () = self.speak(stream) => {}
            () = shutdown.requested() => {}
        }
    }

    /// Tells TLS from plaintext by the first byte, so that one port takes both on loopback.
    async fn speak(&self, stream: TcpStream) {
        let security = self.served.security.borrow().clone();
        let mut first = [0];
        match timeout(HELLO_TIMEOUT, stream.peek(&mut first)).await {
            Ok(Ok(1)) => {}
            Ok(_) => return,
            Err(_) => return self.served.refused(Some(self.peer), "no hello within 5 s"),
        }
        // Boxed, so that a connection holds what it is at and not room for all that it might be.
        if first[0] == TLS_HANDSHAKE {
            let acceptor = TlsAcceptor::from(security.identity.config.clone());
            match Box::pin(timeout(HELLO_TIMEOUT, acceptor.accept(stream))).await {
                Ok(Ok(stream)) => {
                    let certificate = stream.get_ref().1.peer_certificates();
                    let certificate = certificate
                        .map(|chain| chain.iter().map(|it| it.clone().into_owned()).collect());
                    let stream = Box::new(stream);
                    Box::pin(self.greet(stream, security, certificate, true)).await;
                }
                Ok(Err(error)) => {
                    self.served.refused(Some(self.peer), &format!("TLS handshake: {error}"));
                }
                Err(_) => self.served.refused(Some(self.peer), "no TLS handshake within 5 s"),
            }
        } else {
            let allowed = security.insecure || self.peer.ip().to_canonical().is_loopback();
            Box::pin(self.greet(stream, security, None, allowed)).await;
        }
    }

    async fn greet<S: AsyncRead + AsyncWrite + Unpin>(
        &self,
        mut stream: S,
        security: Arc<GroupSecurity>,
        certificate: Option<PeerCertificate>,
        allowed: bool,
    ) {
        let hello = if allowed {
            self.hello(&mut stream, &security, certificate).await
        } else {
            // Nothing is read that should not have been sent in the clear.
            Err("plaintext is taken from loopback only: use TLS, or set `insecure = true` on both \
                 sides"
                .to_owned())
        };
        // Another one may hold long before this connection ends.
        drop(security);
        match hello {
            Ok(Some((hello, brought))) => Box::pin(self.converse(stream, hello, brought)).await,
            Ok(None) => {}
            Err(reason) => {
                let reason = legible(&reason, REASON_MAX);
                self.served.refused(Some(self.peer), &reason);
                let refused = Message::Refused { reason };
                let written = timeout(WRITE_TIMEOUT, frame::write(&mut stream, &refused)).await;
                if matches!(written, Ok(Ok(()))) {
                    linger(&mut stream).await;
                }
            }
        }
    }

    /// The first message; `None` if there is none.
    async fn hello<S: AsyncRead + Unpin>(
        &self,
        stream: &mut S,
        security: &Arc<GroupSecurity>,
        certificate: Option<PeerCertificate>,
    ) -> Result<Option<(Hello, Brought)>, String> {
        match timeout(HELLO_TIMEOUT, frame::read(stream, FRAME_MAX)).await {
            Ok(Ok(Some(Message::Hello(mut hello)))) => {
                // The token itself goes no further than here.
                let token = hello.token.take().filter(|token| !token.is_empty());
                let token = token.map(|token| TokenHash::of(&token));
                let brought = Brought { token, certificate, admitted_by: Arc::downgrade(security) };
                self.check(&hello, security, &brought).map(|()| Some((hello, brought)))
            }
            Ok(Ok(Some(_))) => Err("the first message must be a hello".to_owned()),
            Ok(Ok(None)) => Ok(None),
            Ok(Err(error)) => Err(chain(&error)),
            Err(_) => Err("no hello within 5 s".to_owned()),
        }
    }

    /// The proof comes first: who has none learns nothing else.
    fn check(
        &self,
        hello: &Hello,
        security: &GroupSecurity,
        brought: &Brought,
    ) -> Result<(), String> {
        security.admit(hello.role, &hello.name, brought)?;
        if !hello.versions.iter().any(|version| is_read(u64::from(*version))) {
            return Err(format!(
                "message versions {:?} are not understood here, only {VERSION}: update the older \
                 program",
                hello.versions.iter().take(8).collect::<Vec<_>>()
            ));
        }
        match hello.role {
            Role::Reporter => Ok(()),
            Role::Director if self.served.nodes.is_some() => Ok(()),
            Role::Director | Role::Controller => Err("only Reporters may connect here".to_owned()),
        }
    }

    async fn converse<S: AsyncRead + AsyncWrite + Unpin>(
        &self,
        mut stream: S,
        hello: Hello,
        brought: Brought,
    ) {
        let own_name = self.served.security.borrow().name.clone();
        let answer = Message::Hello(Hello {
            role: Role::Controller,
            name: own_name,
            session: self.served.session,
            versions: vec![VERSION],
            token: None,
            plan: None,
            refused: None,
            marks: None,
            program: env!("CARGO_PKG_VERSION").to_owned(),
        });
        if !matches!(timeout(WRITE_TIMEOUT, frame::write(&mut stream, &answer)).await, Ok(Ok(()))) {
            return;
        }
        let (reply, outgoing) = Reply::new(self.served.clock.activity().clone());
        let Hello { role, name, session, plan, .. } = hello;
        let joined = GroupEventKind::Hello {
            role,
            name: name.clone(),
            session,
            plan,
            peer: Some(self.peer),
        };
        if !self.tell(role, joined, &reply).await {
            return;
        }
        if role == Role::Reporter {
            self.served.counters.joined();
        }
        let (mut reader, mut writer) = tokio::io::split(stream);
        tokio::select! {
            () = self.hear(&mut reader, (role, &name), session, &reply, &brought) => {}
            () = write(&mut writer, outgoing) => {}
        }
        if role == Role::Reporter {
            self.served.counters.left();
        }
        self.tell(role, GroupEventKind::Gone { role, name, session }, &reply).await;
        // At once, and not when the reader's half has been drained as well: `Gone` is urgent.
        linger(&mut reader.unsplit(writer)).await;
    }

    /// Reads until it ends, or until whoever speaks may no longer.
    async fn hear<R: AsyncRead + Unpin>(
        &self,
        reader: &mut R,
        (role, name): (Role, &Name),
        session: u64,
        reply: &Reply,
        brought: &Brought,
    ) {
        let reason = tokio::select! {
            () = self.read(reader, (role, name), session, reply) => return,
            reason = self.withdrawn(role, name, brought) => reason,
        };
        self.end(reply, reason).await;
    }

    /// Waits until others are let in than before, and this one is not among them.
    async fn withdrawn(&self, role: Role, name: &Name, brought: &Brought) -> String {
        let mut security = self.served.security.clone();
        // What changed between the hello and here is looked at as well.
        security.mark_changed();
        let mut before = brought.admitted_by.upgrade();
        // Kept over changes: whoever reloads often would never find an expired one.
        let mut look_at = Instant::now() + LOOKED_AT_AGAIN;
        loop {
            let expires = async {
                match brought.certificate {
                    Some(_) => sleep_until(look_at).await,
                    None => std::future::pending().await,
                }
            };
            let is_due = tokio::select! {
                changed = security.changed() => match changed {
                    Ok(()) => false,
                    // Nobody is left who could change it.
                    Err(_) => return std::future::pending().await,
                },
                () = expires => true,
            };
            if is_due {
                look_at = Instant::now() + LOOKED_AT_AGAIN;
            }
            let now = security.borrow_and_update().clone();
            let same = before.is_some_and(|before| now.lets_in_the_same(&before));
            if (is_due || !same)
                && let Err(reason) = now.admit(role, name, brought)
            {
                return format!("no longer admitted: {reason}");
            }
            before = Some(now);
        }
    }

    /// Says why the connection ends. The writer ends it once that is out.
    async fn end(&self, reply: &Reply, refusal: String) {
        let refusal = legible(&refusal, REASON_MAX);
        self.served.refused(Some(self.peer), &refusal);
        reply.refuse(refusal);
        tokio::time::sleep(WRITE_TIMEOUT).await;
    }

    /// Reads until the peer closes, is silent for too long, or says something that is refused.
    async fn read<R: AsyncRead + Unpin>(
        &self,
        reader: &mut R,
        (role, name): (Role, &Name),
        session: u64,
        reply: &Reply,
    ) {
        let mut unit = UNIT_MAX;
        loop {
            let silence = self.served.clock.sleep(unit * SILENT_UNITS);
            let read = tokio::select! {
                read = frame::read(reader, FRAME_MAX) => read,
                _ = silence => return,
            };
            let refusal = match read {
                Ok(None) => return,
                Ok(Some(message)) => match may_say(role, name, &message) {
                    Ok(()) => {
                        if let Message::Report(report) = &message {
                            unit = report.unit().clamp(Duration::from_secs(1), UNIT_MAX);
                        }
                        let name = name.clone();
                        let kind = GroupEventKind::Message { role, name, session, message };
                        if !self.tell(role, kind, reply).await {
                            return;
                        }
                        continue;
                    }
                    Err(refusal) => refusal,
                },
                Err(FrameError::Decode(DecodeError::UnknownKind(_))) => {
                    self.served.counters.skipped_unknown_kind();
                    continue;
                }
                Err(FrameError::Io(_)) => return,
                Err(error) => chain(&error),
            };
            return self.end(reply, refusal).await;
        }
    }

    /// Waits while whoever hears this role is behind; tells whether it still listens.
    async fn tell(&self, role: Role, kind: GroupEventKind, reply: &Reply) -> bool {
        let busy = self.served.clock.activity().begin();
        let event = GroupEvent { kind, reply: reply.clone(), busy };
        let events = match (&self.served.nodes, role) {
            (Some(nodes), Role::Director) => nodes,
            _ => &self.served.events,
        };
        events.send(event).await.is_ok()
    }
}

/// What each role may say after its hello, or why not.
fn may_say(role: Role, name: &Name, message: &Message) -> Result<(), String> {
    match (role, message) {
        (Role::Reporter, Message::Report(report)) if report.server == *name => Ok(()),
        (Role::Reporter, Message::Report(report)) => {
            Err(format!("a report about {} on the connection of {name}", report.server))
        }
        (Role::Reporter, _) => Err("a Reporter sends reports only".to_owned()),
        (Role::Director, Message::KeysHeld { zones }) if zones.len() <= KEY_ZONES_MAX => Ok(()),
        (Role::Director, Message::KeysHeld { .. }) => {
            Err(format!("keys of more than {KEY_ZONES_MAX} zones in one message"))
        }
        (Role::Director | Role::Controller, _) => {
            Err("a name server tells here which keys it holds, and nothing else".to_owned())
        }
    }
}

/// Writes what is to be said until a refusal has been said.
async fn write<W: AsyncWrite + Unpin>(writer: &mut W, mut outgoing: mpsc::Receiver<Outgoing>) {
    while let Some(out) = outgoing.recv().await {
        let written = timeout(WRITE_TIMEOUT, frame::write(writer, &out.message)).await;
        if !matches!(written, Ok(Ok(()))) || matches!(*out.message, Message::Refused { .. }) {
            return;
        }
    }
}

/// Closes so that what was written last arrives: closing with unread bytes would reset.
async fn linger<S: AsyncRead + AsyncWrite + Unpin>(stream: &mut S) {
    let _ = timeout(Duration::from_secs(1), async {
        let _ = stream.shutdown().await;
        let mut rest = vec![0; 4096];
        let mut left = FRAME_MAX;
        while let Ok(read @ 1..) = stream.read(&mut rest).await {
            left = left.saturating_sub(read);
            if left == 0 {
                break;
            }
        }
    })
    .await;
}

//! A name server's connection to the group of another node: asks, and is answered.

use std::path::PathBuf;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use walrus_core::config::GroupSettings;
use walrus_core::message::{DecodeError, Hello, Message, Role, VERSION};
use walrus_core::world::Name;

use super::credentials::Credentials;
use super::dialer::connect;
use crate::frame::{self, FRAME_MAX, FrameError};
use crate::log::chain;
use crate::tls::{TlsError, server_name};

/// For each of: a TLS handshake, the answer to the hello.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// For the answer to a question.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

/// Whom a node follows, and how it gets there.
#[derive(Debug)]
pub struct NodeLink {
    peer: String,
    insecure: bool,
    credentials: Credentials,
    hello: Hello,
}

impl NodeLink {
    /// As configured; `None` if nobody is joined. The token is `token_file` unless one is named, or a
    /// certificate.
    ///
    /// # Errors
    /// If an authority or fingerprint will not do.
    pub fn new(
        settings: &GroupSettings,
        token_file: PathBuf,
        name: Name,
        session: u64,
    ) -> Result<Option<Self>, TlsError> {
        let Some(peer) = settings.join.clone() else { return Ok(None) };
        let shared = || settings.join_certificate.is_none().then_some(token_file);
        let credentials = Credentials::new(
            settings.fingerprint.as_ref(),
            settings.authority.as_ref(),
            settings.node_token_file.clone().or_else(shared),
            (settings.join_certificate.as_ref(), settings.join_key.as_ref()),
        )?;
        let hello = Hello {
            role: Role::Director,
            name,
            session,
            versions: vec![VERSION],
            token: None,
            plan: None,
            refused: None,
            marks: None,
            program: env!("CARGO_PKG_VERSION").to_owned(),
        };
        Ok(Some(Self { peer, insecure: settings.insecure, credentials, hello }))
    }

    /// `host:port` of the other node.
    #[must_use]
    pub fn peer(&self) -> &str {
        &self.peer
    }

    /// Connects and says hello.
    ///
    /// # Errors
    /// In words: what is wrong and what to do.
    pub async fn connect(&self) -> Result<NodeConnection, String> {
        let (stream, address) = connect(&self.peer).await?;
        let _ = stream.set_nodelay(true);
        if !self.credentials.tls_wanted && (self.insecure || address.ip().is_loopback()) {
            return self.greet(Box::new(stream)).await;
        }
        let host = self.peer.rsplit_once(':').map_or(self.peer.as_str(), |(host, _)| host);
        let name = server_name(host).map_err(|error| error.to_string())?;
        let handshake = TlsConnector::from(self.credentials.tls().await?).connect(name, stream);
        let stream = timeout(CONNECT_TIMEOUT, handshake)
            .await
            .map_err(|_| "no TLS handshake within 5 s".to_owned())?
            .map_err(|error| format!("TLS: {error}"))?;
        self.greet(Box::new(stream)).await
    }

    async fn greet(&self, stream: Box<dyn Stream>) -> Result<NodeConnection, String> {
        let hello = Hello { token: self.credentials.token().await?, ..self.hello.clone() };
        let mut connection = NodeConnection { stream };
        match connection.ask(&Message::Hello(hello)).await? {
            Message::Hello(_) => Ok(connection),
            _ => Err("it did not say hello; is it a node of Walrus?".to_owned()),
        }
    }
}

trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

/// A connection that is open.
pub struct NodeConnection {
    stream: Box<dyn Stream>,
}

impl NodeConnection {
    /// Asks and waits for the answer. After an error the connection is of no use.
    ///
    /// # Errors
    /// If it is refused, or nothing comes within ten seconds.
    pub async fn ask(&mut self, question: &Message) -> Result<Message, String> {
        let asked = timeout(ANSWER_TIMEOUT, async {
            frame::write(&mut self.stream, question).await?;
            loop {
                match frame::read(&mut self.stream, FRAME_MAX).await {
                    Err(FrameError::Decode(DecodeError::UnknownKind(_))) => {}
                    read => return read,
                }
            }
        });
        match asked.await {
            Ok(Ok(Some(Message::Refused { reason }))) => Err(format!("refused: {reason}")),
            Ok(Ok(Some(answer))) => Ok(answer),
            Ok(Ok(None)) => Err("it closed the connection".to_owned()),
            Ok(Err(error)) => Err(chain(&error)),
            Err(_) => Err("no answer within 10 s".to_owned()),
        }
    }
}

impl std::fmt::Debug for NodeConnection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NodeConnection").finish_non_exhaustive()
    }
}

//! Connections that a proxy in front passes on: whom its PROXY header names is the client.
//!
//! Nobody knows whose share of the places such a connection is until the header has come. Until then it waits
//! in a bound of its own, and takes nobody's place.

use std::io;
use std::net::IpAddr;
use std::rc::Rc;

use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::server::TlsStream;
use walrus_core::answer::Transport;
use walrus_dns::{ProxiedAddresses, ProxyHeader, ProxyHeaderError};

use super::handshakes::HANDSHAKE;
use super::{Connection, Server};
use crate::answering::Answering;
use crate::counters::Count;

/// The longest header that is read: proxies that tell of certificates write some hundred bytes.
const SIZE_MAX: usize = 4096;

/// A connection whose client is known.
enum Opened {
    /// By a header before anything else.
    Before(TcpStream),
    /// By one behind the handshake.
    Behind(Box<TlsStream<TcpStream>>),
}

/// What a connection that was not opened counts as; `None` is a proxy that only looked whether somebody listens.
type Failure = Option<Count>;

impl<A: Answering + 'static> Server<A> {
    /// Serves a proxy's connection for its client, once that is known.
    pub(super) fn begin_proxied(
        self: Rc<Self>,
        stream: TcpStream,
        proxy: IpAddr,
        transport: Transport,
    ) {
        let Some(nameless) = self.places.take_nameless() else {
            self.answers.count(Count::TcpRefused);
            return;
        };
        tokio::task::spawn_local(async move {
            // A header, and a handshake before it, have as long as a query has.
            let opened = timeout(self.limits.idle, self.open(stream, proxy, transport)).await;
            drop(nameless);
            let (stream, connection) = match opened.unwrap_or(Err(Some(Count::ProxyFailures))) {
                Ok(opened) => opened,
                Err(failure) => {
                    failure.into_iter().for_each(|count| self.answers.count(count));
                    return;
                }
            };
            let Some(place) = self.place_for(connection.client) else { return };
            let serving = async {
                match stream {
                    Opened::Before(stream) => {
                        self.serve_connection(stream, connection, &place).await
                    }
                    Opened::Behind(stream) => {
                        self.serve_encrypted(*stream, connection, &place).await
                    }
                }
            };
            self.until_lost(&place, serving).await;
        });
    }

    /// Reads the header: HAProxy writes it before the handshake, dnsdist behind it.
    async fn open(
        &self,
        mut stream: TcpStream,
        proxy: IpAddr,
        transport: Transport,
    ) -> Result<(Opened, Connection), Failure> {
        let failed = |_| Some(Count::ProxyFailures);
        let local = stream.local_addr().map_err(failed)?;
        // Replies are whole; waiting for more to send with them would only delay them.
        stream.set_nodelay(true).map_err(failed)?;
        let own = Connection { client: proxy, local, transport };
        let mut first = [0];
        stream.peek(&mut first).await.map_err(failed)?;
        let for_tls = self.for_tls(transport).filter(|_| first[0] == HANDSHAKE);
        let Some((handshakes, config)) = for_tls else {
            let connection = own.passed_on(&mut stream).await?;
            return Ok((Opened::Before(stream), connection));
        };
        let agreed = handshakes.agree_with_proxy(stream, config).await;
        let mut stream = agreed.map_err(|why| Some(why.count())).map(Box::new)?;
        let connection = own.passed_on(&mut *stream).await?;
        Ok((Opened::Behind(stream), connection))
    }
}

impl Connection {
    /// The same for whom the header names.
    async fn passed_on(self, stream: &mut (impl AsyncRead + Unpin)) -> Result<Self, Failure> {
        let mut bytes = Vec::new();
        match read_header(stream, &mut bytes).await {
            Ok(Some(ProxiedAddresses { client, server })) => {
                Ok(Self { client: client.ip(), local: server, ..self })
            }
            Ok(None) => Ok(self),
            Err(error) if bytes.is_empty() && error.kind() == io::ErrorKind::UnexpectedEof => {
                Err(None)
            }
            Err(_) => Err(Some(Count::ProxyFailures)),
        }
    }
}

/// Reads the header into `bytes`, and nothing behind it; `None` if the proxy asks for itself.
///
/// # Errors
/// If there is none that can be read, or the connection ends before.
async fn read_header(
    stream: &mut (impl AsyncRead + Unpin),
    bytes: &mut Vec<u8>,
) -> io::Result<Option<ProxiedAddresses>> {
    loop {
        let needed = match ProxyHeader::read(bytes) {
            Ok(header) => return Ok(header.asked),
            Err(ProxyHeaderError::Cut(needed)) if needed <= SIZE_MAX => needed,
            Err(error) => return Err(io::Error::new(io::ErrorKind::InvalidData, error)),
        };
        // Whatever came is looked at: who writes something else is not waited for.
        let lacks = (needed - bytes.len()) as u64;
        if (&mut *stream).take(lacks).read_buf(bytes).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
}

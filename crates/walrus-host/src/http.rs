//! A small HTTP/1.1 client: one request, one answer, bounds on everything.
//!
//! For probes, the webhook, the Reporter's sources and the command line. It follows no redirect
//! and keeps no connection: a probe that reuses one would not notice that no new one opens.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::header::{CONTENT_TYPE, HOST, HeaderName, HeaderValue, USER_AGENT};
use hyper::{Method, Uri};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, lookup_host};
use tokio_rustls::TlsConnector;

use crate::tls::{TlsError, Trust, client_config, server_name};

/// One request.
#[derive(Clone, Debug)]
pub struct Request {
    /// `GET`, `POST` ...
    pub method: Method,
    /// `http://` or `https://`, an IPv6 address in brackets.
    pub url: String,
    /// Beyond Host, User-Agent and Content-Length.
    pub headers: Vec<(String, String)>,
    /// Sent as it is.
    pub body: Vec<u8>,
    /// For all of it: name, connection, handshake, answer.
    pub timeout: Duration,
    /// So much of the answer's body is read; what follows is left ([`Response::truncated`]).
    pub body_max: usize,
    /// Connect here instead of where the URL's host resolves to.
    pub connect_to: Option<IpAddr>,
    /// The Host header and the name in the certificate, if not the URL's host.
    pub host: Option<String>,
    /// Whom to believe (HTTPS).
    pub trust: Trust,
}

impl Request {
    /// A `GET` with 5 s of time and room for 1 MiB.
    #[must_use]
    pub fn get(url: impl Into<String>) -> Self {
        Self {
            method: Method::GET,
            url: url.into(),
            headers: Vec::new(),
            body: Vec::new(),
            timeout: Duration::from_secs(5),
            body_max: 1 << 20,
            connect_to: None,
            host: None,
            trust: Trust::Public,
        }
    }

    /// A `POST` of a JSON document, else as [`Request::get`].
    #[must_use]
    pub fn post_json(url: impl Into<String>, body: Vec<u8>) -> Self {
        let json = (CONTENT_TYPE.to_string(), "application/json".to_owned());
        Self { method: Method::POST, body, headers: vec![json], ..Self::get(url) }
    }
}

/// What was answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// The status code.
    pub status: u16,
    /// At most [`Request::body_max`] bytes.
    pub body: Vec<u8>,
    /// The body went on.
    pub truncated: bool,
}

/// Carries out one request.
///
/// # Errors
/// If the URL is none, nobody answers in time, or what is answered is not HTTP.
pub async fn fetch(request: Request) -> Result<Response, FetchError> {
    let limit = request.timeout;
    tokio::time::timeout(limit, exchange(request)).await.unwrap_or(Err(FetchError::Timeout(limit)))
}

async fn exchange(request: Request) -> Result<Response, FetchError> {
    let target = Target::parse(&request)?;
    let stream = target.connect(request.connect_to).await?;
    // Small requests should not wait for more.
    let _ = stream.set_nodelay(true);
    if !target.tls {
        return talk(stream, request, target).await;
    }
    let name = server_name(request.host.as_deref().unwrap_or(&target.host))?;
    let connector = TlsConnector::from(client_config(&request.trust)?);
    let stream = connector.connect(name, stream).await.map_err(FetchError::Handshake)?;
    talk(stream, request, target).await
}

async fn talk<S>(stream: S, request: Request, target: Target) -> Result<Response, FetchError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let message = target.message(&request)?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .map_err(FetchError::Http)?;
    let exchange = async {
        let response = sender.send_request(message).await.map_err(FetchError::Http)?;
        let status = response.status().as_u16();
        let mut incoming = response.into_body();
        let (mut body, mut truncated) = (Vec::new(), false);
        while let Some(frame) = incoming.frame().await {
            let frame = frame.map_err(FetchError::Http)?;
            let Some(data) = frame.data_ref() else { continue };
            let room = request.body_max - body.len();
            body.extend_from_slice(&data[..data.len().min(room)]);
            if data.len() > room {
                truncated = true;
                break;
            }
        }
        Ok(Response { status, body, truncated })
    };
    // The connection's driver runs beside the exchange and ends with it; both are dropped here.
    tokio::pin!(exchange, connection);
    tokio::select! {
        done = &mut exchange => done,
        // The peer closed or broke off; what was read before is still to be taken in, and only if
        // it is not all is the end a failure.
        ended = &mut connection => match (exchange.await, ended) {
            (Err(_), Err(error)) => Err(FetchError::Http(error)),
            (done, _) => done,
        },
    }
}

/// Where a request goes.
#[derive(Debug)]
struct Target {
    tls: bool,
    /// Without brackets.
    host: String,
    port: u16,
    /// For the Host header.
    authority: String,
    path: String,
}

impl Target {
    fn parse(request: &Request) -> Result<Self, FetchError> {
        let wrong =
            |reason: &str| FetchError::Url { url: request.url.clone(), reason: reason.into() };
        let uri: Uri = request.url.parse().map_err(|_| wrong("it is no URL"))?;
        let tls = match uri.scheme_str() {
            Some("http") => false,
            Some("https") => true,
            _ => return Err(wrong("it must begin with http:// or https://")),
        };
        let authority = uri.authority().ok_or_else(|| wrong("it has no host"))?;
        if authority.as_str().contains('@') {
            return Err(wrong("a user name in it is not supported"));
        }
        let host = authority.host().trim_start_matches('[').trim_end_matches(']').to_owned();
        let port = authority.port_u16().unwrap_or(if tls { 443 } else { 80 });
        let path = uri.path_and_query().map_or("/", |path| path.as_str());
        let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
        Ok(Self { tls, host, port, authority: authority.as_str().to_owned(), path })
    }

    async fn connect(&self, to: Option<IpAddr>) -> Result<TcpStream, FetchError> {
        let literal = to.or_else(|| self.host.parse().ok());
        if let Some(ip) = literal {
            let address = SocketAddr::new(ip, self.port);
            return TcpStream::connect(address).await.map_err(FetchError::Connect);
        }
        let addresses =
            lookup_host((self.host.as_str(), self.port)).await.map_err(FetchError::Resolve)?;
        let mut last = std::io::Error::other("the name has no address");
        for address in addresses {
            match TcpStream::connect(address).await {
                Ok(stream) => return Ok(stream),
                Err(error) => last = error,
            }
        }
        Err(FetchError::Connect(last))
    }

    /// With the port unless it is the scheme's own (RFC 9110, section 7.2), whoever names the host.
    fn host_header(&self, request: &Request) -> String {
        match &request.host {
            None => self.authority.clone(),
            Some(host) if self.port == self.own_port() => host.clone(),
            Some(host) => format!("{host}:{}", self.port),
        }
    }

    const fn own_port(&self) -> u16 {
        if self.tls { 443 } else { 80 }
    }

    fn message(&self, request: &Request) -> Result<hyper::Request<Full<Bytes>>, FetchError> {
        let wrong = |error: &dyn std::fmt::Display| FetchError::Header(error.to_string());
        let host = self.host_header(request);
        let mut message = hyper::Request::builder()
            .method(request.method.clone())
            .uri(&self.path)
            .header(HOST, host)
            .header(USER_AGENT, concat!("walrus/", env!("CARGO_PKG_VERSION")))
            .body(Full::new(Bytes::from(request.body.clone())))
            .map_err(|error| wrong(&error))?;
        for (name, value) in &request.headers {
            let name: HeaderName = name.parse().map_err(|error| wrong(&error))?;
            let value: HeaderValue = value.parse().map_err(|error| wrong(&error))?;
            message.headers_mut().insert(name, value);
        }
        Ok(message)
    }
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// The URL cannot be used.
    #[error("`{url}` cannot be fetched: {reason}")]
    Url {
        /// As given.
        url: String,
        /// What is wrong.
        reason: String,
    },
    /// A header that cannot be sent.
    #[error("a header cannot be sent: {0}")]
    Header(String),
    /// The host's name.
    #[error("cannot resolve the name")]
    Resolve(#[source] std::io::Error),
    /// The connection.
    #[error("cannot connect")]
    Connect(#[source] std::io::Error),
    /// The authority, fingerprint or name to check by.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The handshake.
    #[error("TLS failed")]
    Handshake(#[source] std::io::Error),
    /// The answer.
    #[error("no valid HTTP answer")]
    Http(#[source] hyper::Error),
    /// No (complete) answer in time.
    #[error("no answer within {0:?}")]
    Timeout(Duration),
}

impl FetchError {
    /// In a few words, for a probe's reason.
    #[must_use]
    pub fn short(&self) -> String {
        match self {
            Self::Connect(error) if error.kind() == std::io::ErrorKind::ConnectionRefused => {
                "connection refused".to_owned()
            }
            Self::Resolve(error) | Self::Connect(error) => format!("{self}: {error}"),
            Self::Handshake(error) => format!("TLS: {error}"),
            Self::Http(error) => format!("{self}: {error}"),
            Self::Timeout(_) | Self::Url { .. } | Self::Header(_) | Self::Tls(_) => {
                self.to_string()
            }
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    use super::*;

    /// Answers every connection with these bytes, after having read a request's head and as much
    /// body as its length says; gives the address and what was asked.
    pub(crate) async fn origin(
        answer: impl Into<Vec<u8>>,
    ) -> (SocketAddr, tokio::sync::mpsc::UnboundedReceiver<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (sender, receiver) = tokio::sync::mpsc::unbounded_channel();
        let answer = answer.into();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut asked = String::new();
                let mut buffer = [0; 4096];
                while let Ok(read @ 1..) = stream.read(&mut buffer).await {
                    asked.push_str(&String::from_utf8_lossy(&buffer[..read]));
                    let Some((head, body)) = asked.split_once("\r\n\r\n") else { continue };
                    let length = head.lines().find_map(|line| {
                        line.to_lowercase().strip_prefix("content-length: ").map(str::to_owned)
                    });
                    if body.len() >= length.map_or(0, |text| text.parse().unwrap()) {
                        break;
                    }
                }
                let _ = sender.send(asked);
                let _ = stream.write_all(&answer).await;
            }
        });
        (address, receiver)
    }

    #[tokio::test]
    async fn asks_and_reads_up_to_its_bound() {
        let (address, mut asked) =
            origin("HTTP/1.1 404 Not Found\r\nConnection: close\r\n\r\nnothing here").await;
        let url = format!("http://{address}?full");
        let response = fetch(Request { body_max: 7, ..Request::get(url) }).await.unwrap();
        assert_eq!((response.status, response.truncated), (404, true));
        assert_eq!(response.body, b"nothing");
        let asked = asked.recv().await.unwrap();
        assert!(asked.starts_with("GET /?full HTTP/1.1\r\n"), "{asked}");
        assert!(asked.contains(&format!("host: {address}\r\n")), "{asked}");
    }

    #[tokio::test]
    async fn connects_where_it_is_told_with_the_host_of_the_url() {
        let (address, mut asked) = origin("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await;
        let url = format!("http://nowhere.invalid:{}/a", address.port());
        let request =
            Request { connect_to: Some(address.ip()), ..Request::post_json(url, b"{}".to_vec()) };
        let response = fetch(request).await.unwrap();
        assert_eq!((response.status, &response.body[..]), (200, &b"ok"[..]));
        let asked = asked.recv().await.unwrap();
        assert!(asked.contains("host: nowhere.invalid:"), "{asked}");
        assert!(asked.ends_with("\r\n\r\n{}"), "{asked}");
    }

    #[test]
    fn the_host_header_has_the_port_unless_it_is_the_schemes_own() {
        for (url, host, expected) in [
            ("http://192.0.2.1:8080/", Some("www.example.com"), "www.example.com:8080"),
            ("http://192.0.2.1:80/", Some("www.example.com"), "www.example.com"),
            ("https://[2001:db8::1]/", Some("www.example.com"), "www.example.com"),
            ("https://[2001:db8::1]:8443/", None, "[2001:db8::1]:8443"),
        ] {
            let request = Request { host: host.map(str::to_owned), ..Request::get(url) };
            assert_eq!(Target::parse(&request).unwrap().host_header(&request), expected, "{url}");
        }
    }

    #[tokio::test]
    async fn what_goes_wrong_is_said_shortly() {
        let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let silent = (silent.local_addr().unwrap(), silent);
        let (garbage, _asked) = origin("SSH-2.0-nothing\r\n").await;
        let (cut, _asked_cut) = origin("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nok").await;
        let cases = [
            ("http://127.0.0.1:1/".to_owned(), "connection refused"),
            (format!("http://{}/", silent.0), "no answer within"),
            (format!("http://{garbage}/"), "no valid HTTP answer"),
            (format!("http://{cut}/"), "no valid HTTP answer"),
            (format!("https://{garbage}/"), "no answer within"),
            ("ftp://127.0.0.1/".to_owned(), "http:// or https://"),
            ("http://a b/".to_owned(), "no URL"),
            ("http://u:p@127.0.0.1/".to_owned(), "user name"),
        ];
        for (url, expected) in cases {
            let request = Request { timeout: Duration::from_millis(500), ..Request::get(&url) };
            let error = fetch(request).await.unwrap_err().short();
            assert!(error.contains(expected), "{url}: {error}");
        }
    }
}

//! HTTPS with an echo behind it, as a client sees it that writes its requests by hand: what is refused and
//! why, bounds, and TLS that does not come about.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, ClientConnection, DigitallySignedStruct, SignatureScheme, StreamOwned};
use walrus_host::clock::Clock;
use walrus_host::tls::{new_authority, server_config};

use super::*;
use crate::answering::Echo;
use crate::counters::{CounterSnapshot, Counters};

const LONG: Duration = Duration::from_secs(30);
const SHORT: Duration = Duration::from_millis(300);

struct Running {
    address: SocketAddr,
    shutdown: Shutdown,
    counters: Arc<Counters>,
    thread: Option<std::thread::JoinHandle<io::Result<()>>>,
}

impl Running {
    fn start(idle: Duration, total: Duration) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let issued = new_authority(1_800_000_000).unwrap();
        let [certificate, key] = ["cert.pem", "key.pem"].map(|name| folder.path().join(name));
        std::fs::write(&certificate, issued.certificate).unwrap();
        std::fs::write(&key, issued.key).unwrap();
        let certificates = Certificates::default();
        certificates.show_https(server_config(&certificate, &key, &[b"http/1.1"]).unwrap());
        let listener = listen("127.0.0.1:0".parse().unwrap()).unwrap();
        let address = listener.local_addr().unwrap();
        let (shutdown, counters) = (Shutdown::new(), Arc::new(Counters::new()));
        let (stop, echo) = (shutdown.clone(), Echo(counters.clone()));
        let limits = Limits { connections_max: 100, idle, total, proxies: Networks::default() };
        let listening = Listening { socket: listener, transport: Transport::Https };
        let thread = std::thread::spawn(move || {
            let steering = (stop, Arc::new(Notify::new()));
            let shared = (Arc::new(certificates), super::tests::outbound());
            run(
                vec![listening],
                shared,
                limits,
                steering,
                (echo, HandOff::new(None, Arc::default(), Clock::real()).0),
            )
        });
        Self { address, shutdown, counters, thread: Some(thread) }
    }

    fn connect(&self) -> StreamOwned<ClientConnection, TcpStream> {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(LONG)).unwrap();
        connect(stream)
    }

    /// The status and the body of what a request on a connection of its own gets.
    fn ask(&self, head: &str, body: &[u8]) -> (u16, String) {
        let mut stream = self.connect();
        let len = body.len();
        let head =
            format!("{head}\r\nHost: a\r\nContent-Length: {len}\r\nConnection: close\r\n\r\n");
        // Whoever is refused early need not hear all of it.
        let _ = stream.write_all(&[head.as_bytes(), body].concat());
        read(&mut stream)
    }

    fn counted(&self) -> CounterSnapshot {
        let mut snapshot = CounterSnapshot::default();
        snapshot.add(&self.counters);
        snapshot
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.shutdown.request();
        self.thread.take().unwrap().join().unwrap().unwrap();
    }
}

/// A client by TLS that takes any certificate.
pub(super) fn connect(stream: TcpStream) -> StreamOwned<ClientConnection, TcpStream> {
    let config = ClientConfig::builder()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Anybody))
        .with_no_client_auth();
    let name = ServerName::try_from("ns1.walrus.example").unwrap();
    StreamOwned::new(ClientConnection::new(Arc::new(config), name).unwrap(), stream)
}

/// All that comes, up to the connection's end.
fn read(stream: &mut StreamOwned<ClientConnection, TcpStream>) -> (u16, String) {
    let mut said = Vec::new();
    let _ = stream.read_to_end(&mut said);
    let said = String::from_utf8_lossy(&said).into_owned();
    let status = said.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
    (status, said.split_once("\r\n\r\n").map_or("", |(_, body)| body).to_owned())
}

/// Who it is plays no part here.
#[derive(Debug)]
struct Anybody;

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ECDSA_NISTP256_SHA256, SignatureScheme::ED25519]
    }
}

#[test]
fn requests_are_answered_or_told_what_is_wrong() {
    let server = Running::start(LONG, LONG);
    let post = |media_type: &str| format!("POST /dns-query HTTP/1.1\r\nContent-Type: {media_type}");
    let right = post("application/dns-message");
    let long = vec![b'a'; QUERY_SIZE_MAX];
    let longer = vec![b'a'; QUERY_SIZE_MAX + 1];
    let too_long = format!("GET /dns-query?dns={} HTTP/1.1", "YQ".repeat(QUERY_SIZE_MAX));
    let cases: &[(&str, &[u8], u16)] = &[
        // "query" in base64url.
        ("GET /dns-query?dns=cXVlcnk HTTP/1.1", b"", 200),
        ("GET /dns-query?ct=x&dns=cXVlcnk&more HTTP/1.1", b"", 200),
        ("GET /dns-query?dns=cXVlcnk= HTTP/1.1", b"", 400),
        ("GET /dns-query?dns=cXV$cnk HTTP/1.1", b"", 400),
        ("GET /dns-query?dns=c HTTP/1.1", b"", 400),
        ("GET /dns-query?dns= HTTP/1.1", b"", 200),
        ("GET /dns-query?DNS=cXVlcnk HTTP/1.1", b"", 400),
        ("GET /dns-query HTTP/1.1", b"", 400),
        (&too_long, b"", 400),
        ("GET / HTTP/1.1", b"", 404),
        ("GET /dns-query/ HTTP/1.1", b"", 404),
        (&right, b"query", 200),
        (&post("Application/DNS-Message; charset=x"), b"query", 200),
        (&post("application/dns-json"), b"query", 415),
        ("POST /dns-query HTTP/1.1", b"query", 415),
        (&right, &long, 200),
        (&right, &longer, 413),
        // The echo says nothing to it.
        (&right, b"quiet", 400),
        ("PUT /dns-query HTTP/1.1", b"query", 405),
        ("HEAD /dns-query?dns=cXVlcnk HTTP/1.1", b"", 405),
        ("GARBAGE", b"", 400),
    ];
    for (head, body, expected) in cases {
        let (status, said) = server.ask(head, body);
        let shown: String = head.chars().take(80).collect();
        // A long address is refused by hyper before it comes to us.
        let is_expected =
            status == *expected || (head.len() > 8192 && (414..=431).contains(&status));
        assert!(is_expected, "{shown}: {status} {said}");
        if status == 200 && *body == b"query" {
            assert_eq!(said, "QUERY", "{shown}");
        }
    }
    assert_eq!(server.ask("GET /dns-query?dns=cXVlcnk HTTP/1.1", b""), (200, "QUERY".to_owned()));
}

#[test]
fn headers_have_a_bound() {
    let server = Running::start(LONG, LONG);
    let head =
        |len: usize| format!("GET /dns-query?dns=cXVlcnk HTTP/1.1\r\nX: {}", "x".repeat(len));
    assert_eq!(server.ask(&head(4 * 1024), b"").0, 200);
    let (status, _) = server.ask(&head(80 * 1024), b"");
    assert!(matches!(status, 0 | 431), "{status}");
    assert_eq!(server.ask(&head(10), b"").0, 200);
}

#[test]
fn whoever_is_silent_or_stays_for_too_long_is_let_go() {
    let server = Running::start(SHORT, LONG);
    // Before a request, within one, and after one.
    for said in [
        &b""[..],
        b"GET /dns-query?dns=cXVlcnk HT",
        b"POST /dns-query HTTP/1.1\r\nHost: a\r\nContent-Type: application/dns-message\r\n\
          Content-Length: 5\r\n\r\nque",
        b"GET /dns-query?dns=cXVlcnk HTTP/1.1\r\nHost: a\r\n\r\n",
    ] {
        let mut stream = server.connect();
        stream.write_all(said).unwrap();
        let begin = std::time::Instant::now();
        let (status, _) = read(&mut stream);
        assert!(begin.elapsed() < LONG / 2, "{status} after {:?}", begin.elapsed());
    }
    let server = Running::start(LONG, SHORT);
    let mut stream = server.connect();
    stream.write_all(b"GET /dns-query?dns=cXVlcnk HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    assert_eq!(read(&mut stream).0, 200);
}

#[test]
fn half_open_tls_is_given_up_and_holds_nobody_up() {
    let server = Running::start(SHORT, LONG);
    let mut silent: Vec<TcpStream> =
        (0..20).map(|_| TcpStream::connect(server.address).unwrap()).collect();
    silent[0].write_all(&[22, 3, 1, 2, 0, 1, 0]).unwrap();
    assert_eq!(server.ask("GET /dns-query?dns=cXVlcnk HTTP/1.1", b"").0, 200);
    for stream in &mut silent {
        stream.set_read_timeout(Some(LONG)).unwrap();
        let mut said = Vec::new();
        assert_eq!(stream.read_to_end(&mut said).unwrap_or(0), 0);
    }
    // A connection is closed before it is counted.
    let given_up = || server.counted().tls_failures + server.counted().tcp_timeouts;
    let until = std::time::Instant::now() + LONG;
    while given_up() < 20 && std::time::Instant::now() < until {
        std::thread::yield_now();
    }
    assert_eq!((given_up(), server.counted().https_queries), (20, 1));
}

#[test]
fn a_key_of_another_certificate_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let [one, other] = [1_800_000_000, 1_800_000_001].map(|now| new_authority(now).unwrap());
    let [certificate, key] = ["cert.pem", "key.pem"].map(|name| folder.path().join(name));
    std::fs::write(&certificate, one.certificate).unwrap();
    std::fs::write(&key, other.key).unwrap();
    let error = server_config(&certificate, &key, &[]).unwrap_err().to_string();
    assert!(error.contains("key.pem") || error.contains("cert.pem"), "{error}");
}

//! Looks at a server from outside: TCP, HTTP, HTTPS.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::time::timeout;
use walrus_core::control::{ProbeOutcome, ProbeRequest};
use walrus_core::world::ProbeKind;

use crate::http::{FetchError, Request, fetch};
use crate::tls::Trust;

/// Probes at once, a descriptor each: ten thousand targets every five seconds, none of which
/// answers within two. With less room those that hang would keep those that answer waiting, and
/// the loss of one area would take the others for dead as well.
const CONCURRENT_MAX: usize = 4096;

/// As many even where the system allows few descriptors.
const CONCURRENT_MIN: usize = 64;

/// So much of a body is searched.
const BODY_MAX: usize = 64 << 10;

/// Carries probes out, a bounded number at a time. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Prober(Arc<Semaphore>);

impl Prober {
    /// A prober of which nobody asks anything yet.
    #[must_use]
    pub fn new() -> Self {
        // The other half is for everybody else: Reporters, DNS over TCP, files.
        let room = descriptors_max().map_or(CONCURRENT_MAX, |most| most / 2);
        Self(Arc::new(Semaphore::new(room.clamp(CONCURRENT_MIN, CONCURRENT_MAX))))
    }

    /// Carries one probe out. Its timeout runs from when its turn comes, for which it waits without
    /// a bound: whoever asks drops the future of a probe that nobody waits for any more.
    pub async fn execute(&self, request: ProbeRequest) -> ProbeOutcome {
        let Ok(_turn) = self.0.acquire().await else {
            return ProbeOutcome::Down("the prober was closed".to_owned());
        };
        execute(request).await
    }
}

impl Default for Prober {
    fn default() -> Self {
        Self::new()
    }
}

/// The files that this process may have open, if the system tells (Linux).
fn descriptors_max() -> Option<usize> {
    let limits = std::fs::read_to_string("/proc/self/limits").ok()?;
    descriptors_in(&limits)
}

/// The soft limit, the first of the line's two.
fn descriptors_in(limits: &str) -> Option<usize> {
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_whitespace().next()?.parse().ok()
}

async fn execute(request: ProbeRequest) -> ProbeOutcome {
    match request.kind {
        ProbeKind::Tcp { port } => {
            let address = SocketAddr::new(request.address, port);
            match timeout(request.timeout, TcpStream::connect(address)).await {
                Ok(Ok(_)) => ProbeOutcome::Up,
                Ok(Err(error)) if is_our_own(&error) => ProbeOutcome::Unknown(error.to_string()),
                Ok(Err(error)) if error.kind() == io::ErrorKind::ConnectionRefused => {
                    ProbeOutcome::Down("connection refused".to_owned())
                }
                Ok(Err(error)) => ProbeOutcome::Down(format!("cannot connect: {error}")),
                Err(_) => ProbeOutcome::Down(format!("no connection within {:?}", request.timeout)),
            }
        }
        ProbeKind::Http { url, host, status, body, verify } => {
            let asked = Request {
                timeout: request.timeout,
                body_max: BODY_MAX,
                connect_to: Some(request.address),
                host,
                trust: if verify { Trust::Public } else { Trust::Anybody },
                ..Request::get(url.replace("{address}", &in_url(request.address)))
            };
            match fetch(asked).await {
                Err(FetchError::Connect(error)) if is_our_own(&error) => {
                    ProbeOutcome::Unknown(error.to_string())
                }
                Err(error) => ProbeOutcome::Down(error.short()),
                Ok(answer) => judge(answer.status, &answer.body, &status, body.as_deref()),
            }
        }
    }
}

/// Whether a connection failed for want of something on this machine, whoever it was for: files
/// (EMFILE, ENFILE), memory (ENOMEM, ENOBUFS) or ports (EADDRNOTAVAIL).
fn is_our_own(error: &io::Error) -> bool {
    use io::ErrorKind::{AddrNotAvailable, OutOfMemory};
    // EMFILE, ENFILE and (on Linux) ENOBUFS have no kind of their own.
    let no_kind = matches!(error.raw_os_error(), Some(23 | 24 | 105));
    no_kind || matches!(error.kind(), AddrNotAvailable | OutOfMemory)
}

fn judge(status: u16, body: &[u8], accepted: &[(u16, u16)], text: Option<&str>) -> ProbeOutcome {
    if !accepted.iter().any(|(from, to)| (*from..=*to).contains(&status)) {
        return ProbeOutcome::Down(format!("status {status}"));
    }
    let found = |text: &str| {
        // A window of length zero would panic; every body contains the empty text.
        text.is_empty() || body.windows(text.len()).any(|window| window == text.as_bytes())
    };
    match text {
        Some(text) if !found(text) => {
            let short: String = text.chars().take(40).collect();
            ProbeOutcome::Down(format!("status {status}, but no `{short}` in the body"))
        }
        _ => ProbeOutcome::Up,
    }
}

/// An address as it stands in a URL: IPv6 in brackets.
fn in_url(address: IpAddr) -> String {
    match address {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => format!("[{address}]"),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::http::tests::origin;

    fn request(address: SocketAddr, kind: ProbeKind) -> ProbeRequest {
        ProbeRequest { target: 0, address: address.ip(), kind, timeout: Duration::from_millis(500) }
    }

    fn http(url: String, body: Option<&str>) -> ProbeKind {
        let body = body.map(str::to_owned);
        ProbeKind::Http { url, host: None, status: vec![(200, 299)], body, verify: false }
    }

    fn down(reason: &str) -> ProbeOutcome {
        ProbeOutcome::Down(reason.to_owned())
    }

    #[tokio::test]
    async fn tcp() {
        let (address, _asked) = origin("").await;
        let prober = Prober::new();
        let open = request(address, ProbeKind::Tcp { port: address.port() });
        assert_eq!(prober.execute(open).await, ProbeOutcome::Up);
        let closed = request(address, ProbeKind::Tcp { port: 1 });
        assert_eq!(prober.execute(closed).await, down("connection refused"));
    }

    #[tokio::test]
    async fn http_status_and_body() {
        let prober = Prober::new();
        let (fine, mut asked) = origin("HTTP/1.1 204 No Content\r\n\r\n").await;
        let url = format!("http://{{address}}:{}/healthz", fine.port());
        let outcome = prober.execute(request(fine, http(url, None))).await;
        assert_eq!(outcome, ProbeOutcome::Up);
        assert!(asked.recv().await.unwrap().starts_with("GET /healthz HTTP/1.1"));

        let (busy, _asked) = origin("HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n").await;
        let url = format!("http://{{address}}:{}/", busy.port());
        assert_eq!(prober.execute(request(busy, http(url, None))).await, down("status 503"));

        let (ok, _asked) = origin("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nall ok").await;
        let url = format!("http://{{address}}:{}/", ok.port());
        let outcome = prober.execute(request(ok, http(url.clone(), Some("ok")))).await;
        assert_eq!(outcome, ProbeOutcome::Up);
        assert_eq!(
            prober.execute(request(ok, http(url.clone(), Some("healthy")))).await,
            down("status 200, but no `healthy` in the body")
        );
        assert_eq!(prober.execute(request(ok, http(url, Some("")))).await, ProbeOutcome::Up);
    }

    #[tokio::test]
    async fn https_with_and_without_a_check_of_the_certificate() {
        let directory = tempfile::tempdir().unwrap();
        let state = crate::state::StateDirectory::open(directory.path()).unwrap();
        let settings = walrus_core::config::GroupSettings::default();
        let identity =
            crate::tls::ServerIdentity::load(&settings, &state, vec!["a.example".into()], None)
                .unwrap();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let acceptor = tokio_rustls::TlsAcceptor::from(identity.config);
        tokio::spawn(async move {
            use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
            while let Ok((stream, _)) = listener.accept().await {
                let Ok(mut stream) = acceptor.accept(stream).await else { continue };
                let _ = stream.read(&mut [0; 1024]).await;
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await;
                let _ = stream.shutdown().await;
            }
        });
        let prober = Prober::new();
        let url = format!("https://{{address}}:{}/", address.port());
        let outcome = prober.execute(request(address, http(url.clone(), None))).await;
        assert_eq!(outcome, ProbeOutcome::Up);
        let host = Some("a.example".to_owned());
        let kind =
            ProbeKind::Http { url, host, status: vec![(200, 200)], body: None, verify: true };
        let outcome = prober.execute(request(address, kind)).await;
        assert!(
            matches!(&outcome, ProbeOutcome::Down(reason) if reason.contains("TLS")),
            "{outcome:?}"
        );
    }

    #[test]
    fn what_this_machine_lacks_is_no_ones_death() {
        for (number, own) in [(24, true), (23, true), (12, true), (99, true), (111, false)] {
            assert_eq!(is_our_own(&io::Error::from_raw_os_error(number)), own, "{number}");
        }
    }

    #[test]
    fn the_systems_limit_is_read() {
        let table = "Limit                     Soft Limit           Hard Limit           Units\n\
                     Max processes             95717                95717                processes\n\
                     Max open files            1024                 1048576              files\n";
        assert_eq!(descriptors_in(table), Some(1024));
        assert_eq!(descriptors_in(&table.replace("1024 ", "unlimited ")), None);
        assert_eq!(descriptors_in(""), None);
        assert!(Prober::new().0.available_permits() >= CONCURRENT_MIN);
    }

    #[test]
    fn addresses_in_urls() {
        assert_eq!(in_url("::1".parse().unwrap()), "[::1]");
        assert_eq!(in_url("192.0.2.1".parse().unwrap()), "192.0.2.1");
    }
}

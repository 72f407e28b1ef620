//! One look at the web server's status page, and what its outcome means.

use std::io::{self, ErrorKind};
use std::time::Duration;

use walrus_core::config::ReporterSource;
use walrus_host::http::{FetchError, Request, Response, fetch};

use crate::speak::WebLook;
use crate::web;

/// A longer page is no status page. HAProxy tells about 500 bytes for each of its servers.
const PAGE_BYTES_MAX: usize = 4 << 20;

/// Looks, and gives up after so long.
pub(crate) async fn look(source: &ReporterSource, within: Duration) -> WebLook {
    let url = web::url(source);
    let request =
        Request { timeout: within, body_max: PAGE_BYTES_MAX, ..Request::get(url.to_owned()) };
    match fetch(request).await {
        Ok(response) => read(source, &response),
        Err(error) => judge(url, &error),
    }
}

fn read(source: &ReporterSource, response: &Response) -> WebLook {
    let url = web::url(source);
    let advise =
        |what: &str| WebLook::Misconfigured(format!("{url} {what}: {}", web::advice(source)));
    match response.status {
        200 => {}
        status @ 300..=399 => return advise(&format!("answers {status} and leads elsewhere")),
        401 | 403 => return advise("may not be read from here"),
        404 | 410 => return advise("is not there"),
        status => return advise(&format!("answers {status}")),
    }
    if response.truncated {
        return WebLook::Misconfigured(format!(
            "{url} is longer than {PAGE_BYTES_MAX} bytes; with HAProxy let it end in `;csv;scope=NAME`"
        ));
    }
    match web::parse(source, &String::from_utf8_lossy(&response.body)) {
        Ok(status) => WebLook::Status(status),
        Err(error) => WebLook::Misconfigured(format!("{url}: {error}")),
    }
}

/// Whose fault it is that there is no answer.
fn judge(url: &str, error: &FetchError) -> WebLook {
    let text = format!("{url}: {}", error.short());
    match error {
        FetchError::Timeout(_) => WebLook::Silent(text),
        FetchError::Connect(error) => judge_connection(error, text),
        // What is not HTTP at all is another program's port.
        FetchError::Http(error) if error.is_parse() => WebLook::Misconfigured(text),
        FetchError::Http(_) => WebLook::Dead(format!("{url}: closed without an answer")),
        FetchError::Url { .. }
        | FetchError::Header(_)
        | FetchError::Resolve(_)
        | FetchError::Tls(_)
        | FetchError::Handshake(_) => WebLook::Misconfigured(text),
    }
}

fn judge_connection(error: &io::Error, text: String) -> WebLook {
    match error.kind() {
        ErrorKind::ConnectionRefused
        | ErrorKind::ConnectionReset
        | ErrorKind::ConnectionAborted
        | ErrorKind::HostUnreachable
        | ErrorKind::NetworkUnreachable => WebLook::Dead(text),
        ErrorKind::TimedOut => WebLook::Silent(text),
        // No file descriptors, no permission, no such address: not the web server's fault.
        _ => WebLook::Misconfigured(text),
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    use super::*;
    use crate::web::WebStatus;

    const WITHIN: Duration = Duration::from_millis(500);

    fn source(address: &str) -> ReporterSource {
        ReporterSource::Json {
            url: format!("http://{address}/status"),
            hits: None,
            busy: Some("busy".to_owned()),
            busy_max: None,
        }
    }

    /// Looks at a web server that answers with these bytes and closes.
    async fn look_at(answer: &'static [u8]) -> WebLook {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut head = [0; 1024];
            let _ = stream.read(&mut head).await;
            let _ = stream.write_all(answer).await;
        });
        look(&source(&address), WITHIN).await
    }

    #[tokio::test]
    async fn a_status_page_is_read() {
        let seen = look_at(b"HTTP/1.1 200 OK\r\ncontent-length: 11\r\n\r\n{\"busy\": 4}").await;
        let status = WebStatus { busy: Some(4), ..WebStatus::default() };
        assert_eq!(seen, WebLook::Status(status));
    }

    #[tokio::test]
    async fn a_wrong_page_is_not_a_dead_web_server_and_says_what_to_do() {
        for (answer, says) in [
            (
                &b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n"[..],
                "is not there: let the URL",
            ),
            (b"HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n", "may not be read from here"),
            (b"HTTP/1.1 301 Moved\r\ncontent-length: 0\r\n\r\n", "leads elsewhere"),
            (b"HTTP/1.1 503 Busy\r\ncontent-length: 0\r\n\r\n", "answers 503"),
            (b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}", "`busy` is not on the page"),
            (b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\n<", "not JSON"),
            (b"SSH-2.0-OpenSSH\r\n\r\n", "no valid HTTP"),
        ] {
            match look_at(answer).await {
                WebLook::Misconfigured(reason) => assert!(reason.contains(says), "{reason}"),
                other => panic!("{says}: {other:?}"),
            }
        }
    }

    #[tokio::test]
    async fn a_closed_or_refused_connection_is_death() {
        assert!(matches!(look_at(b"").await, WebLook::Dead(_)));
        assert!(matches!(look_at(b"HTTP/1.1 200 OK\r\ncontent-le").await, WebLook::Dead(_)));
        let free = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = free.local_addr().unwrap().to_string();
        drop(free);
        let seen = look(&source(&address), WITHIN).await;
        assert!(matches!(&seen, WebLook::Dead(reason) if reason.contains("refused")), "{seen:?}");
    }

    #[tokio::test]
    async fn no_answer_in_time_is_silence() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let seen = look(&source(&address), Duration::from_millis(50)).await;
        assert!(matches!(seen, WebLook::Silent(_)), "{seen:?}");
    }

    #[tokio::test]
    async fn a_name_that_does_not_resolve_is_a_wrong_setting() {
        let seen = look(&source("name.invalid"), WITHIN).await;
        assert!(!matches!(seen, WebLook::Dead(_) | WebLook::Status(_)), "{seen:?}");
    }
}

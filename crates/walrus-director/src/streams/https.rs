//! DNS over HTTPS (RFC 8484): HTTP/2, and HTTP/1.1 for whoever speaks nothing newer.

use std::cell::Cell;
use std::convert::Infallible;
use std::io;
use std::rc::Rc;

use data_encoding::BASE64URL_NOPAD;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep_until};
use tokio_rustls::server::TlsStream;
use walrus_dns::reply::least_ttl;

use super::places::Place;
use super::{Answers, Connection, Limits, QUERY_SIZE_MAX};
use crate::answering::Answering;

/// Where queries go (RFC 8484 section 4.1.1 leaves it open; this is what all use).
const PATH: &str = "/dns-query";
const MEDIA_TYPE: &str = "application/dns-message";
/// Requests that are open at once on one connection.
const STREAMS_MAX: u32 = 100;
/// The headers of a request, in bytes.
const HEADERS_SIZE_MAX: u32 = 8 * 1024;

/// Answers a connection's requests until the client ends it. An error is a client that is silent for too
/// long, or speaks something else.
pub(super) async fn serve<A: Answering + 'static>(
    stream: TlsStream<TcpStream>,
    connection: Connection,
    place: &Place,
    answers: &Rc<Answers<A>>,
    limits: &Limits,
) -> io::Result<()> {
    let heard_at = Rc::new(Cell::new(Instant::now()));
    let (answers, heard) = (Rc::clone(answers), Rc::clone(&heard_at));
    let service = service_fn(move |request| {
        heard.set(Instant::now());
        let answers = Rc::clone(&answers);
        async move { Ok::<_, Infallible>(respond(request, connection, &answers).await) }
    });
    let is_http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
    let stream = TokioIo::new(stream);
    let broken = |error: hyper::Error| io::Error::new(io::ErrorKind::InvalidData, error);
    let idle = async {
        loop {
            let before = heard_at.get();
            sleep_until(before + limits.idle).await;
            if heard_at.get() == before {
                return;
            }
            place.renew();
        }
    };
    if is_http2 {
        let serving = hyper::server::conn::http2::Builder::new(OnThisThread)
            .timer(TokioTimer::new())
            .max_concurrent_streams(STREAMS_MAX)
            .max_header_list_size(HEADERS_SIZE_MAX)
            .serve_connection(stream, service);
        tokio::select! {
            served = serving => served.map_err(broken),
            () = idle => Err(io::ErrorKind::TimedOut.into()),
        }
    } else {
        let serving = hyper::server::conn::http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(limits.idle)
            .max_buf_size(HEADERS_SIZE_MAX as usize + QUERY_SIZE_MAX)
            .serve_connection(stream, service);
        tokio::select! {
            served = serving => served.map_err(broken),
            () = idle => Err(io::ErrorKind::TimedOut.into()),
        }
    }
}

/// hyper's tasks run where the connection does.
#[derive(Clone, Copy)]
struct OnThisThread;

impl<F: Future + 'static> hyper::rt::Executor<F> for OnThisThread {
    fn execute(&self, future: F) {
        tokio::task::spawn_local(async move {
            future.await;
        });
    }
}

/// One exchange.
async fn respond<A: Answering>(
    request: Request<Incoming>,
    connection: Connection,
    answers: &Answers<A>,
) -> Response<Full<Bytes>> {
    let query = match query_of(request).await {
        Ok(query) => query,
        Err(refused) => return refused,
    };
    answers.begin();
    let reply = answers
        .with_reply(&query, connection, |reply| (Bytes::copy_from_slice(reply), least_ttl(reply)));
    let Some((body, ttl)) = reply else {
        return refuse(StatusCode::BAD_REQUEST, "this is no DNS query");
    };
    let mut response = Response::new(Full::new(body));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE));
    // RFC 8484 section 5.1: an HTTP cache keeps it no longer than a resolver would.
    let cached = HeaderValue::try_from(format!("max-age={}", ttl.unwrap_or(0)));
    headers.extend(cached.ok().map(|cached| (CACHE_CONTROL, cached)));
    response
}

/// The query's bytes, or what is wrong with the request.
async fn query_of(request: Request<Incoming>) -> Result<Vec<u8>, Response<Full<Bytes>>> {
    if request.uri().path() != PATH {
        return Err(refuse(StatusCode::NOT_FOUND, "queries go to /dns-query"));
    }
    match *request.method() {
        Method::GET => {
            let parts = request.uri().query().unwrap_or_default().split('&');
            let encoded = parts.filter_map(|part| part.strip_prefix("dns=")).next();
            let encoded = encoded.filter(|text| text.len() <= QUERY_SIZE_MAX * 4 / 3 + 4);
            let query = encoded.and_then(|text| BASE64URL_NOPAD.decode(text.as_bytes()).ok());
            query.ok_or_else(|| {
                refuse(StatusCode::BAD_REQUEST, "dns= wants a query in base64url without padding")
            })
        }
        Method::POST => {
            if request.headers().get(CONTENT_TYPE).is_none_or(|it| it != MEDIA_TYPE) {
                return Err(refuse(StatusCode::UNSUPPORTED_MEDIA_TYPE, MEDIA_TYPE));
            }
            let body = Limited::new(request.into_body(), QUERY_SIZE_MAX).collect().await;
            let too_long = |_| refuse(StatusCode::PAYLOAD_TOO_LARGE, "no query is so long");
            Ok(body.map_err(too_long)?.to_bytes().to_vec())
        }
        _ => {
            let mut refused = refuse(StatusCode::METHOD_NOT_ALLOWED, "GET or POST");
            refused.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, POST"));
            Err(refused)
        }
    }
}

fn refuse(status: StatusCode, why: &'static str) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from_static(why.as_bytes())));
    *response.status_mut() = status;
    response
}

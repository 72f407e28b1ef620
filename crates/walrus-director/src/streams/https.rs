//! DNS over HTTPS (RFC 8484): HTTP/2, and HTTP/1.1 for whoever speaks nothing newer.

use std::cell::Cell;
use std::convert::Infallible;
use std::io;
use std::pin::pin;
use std::rc::Rc;
use std::time::Duration;

use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_rustls::server::TlsStream;
use walrus_dns::https_query::MEDIA_TYPE;
use walrus_dns::reply::least_ttl;
use walrus_dns::{HttpsQuery, HttpsQueryError, HttpsRequest};

use super::places::Place;
use super::{Answers, Connection, Limits, QUERY_SIZE_MAX, REPLY_SIZE_MAX};
use crate::answering::Answering;

/// Requests that are open at once on one connection.
const STREAMS_MAX: u32 = 32;
/// How much of a request's body may come before it is asked for: no query is longer.
const WINDOW: u32 = 16 * 1024;
/// The headers of a request, in bytes.
const HEADERS_SIZE_MAX: u32 = 8 * 1024;

/// Answers a connection's requests until the client ends it. An error is a client that is silent for too
/// long, or speaks something else.
pub(super) async fn serve<A: Answering + 'static>(
    stream: TlsStream<TcpStream>,
    connection: Connection,
    place: &Rc<Place>,
    answers: &Rc<Answers<A>>,
    limits: &Limits,
) -> io::Result<()> {
    let exchange = Rc::new(Exchange {
        connection,
        place: Rc::clone(place),
        answers: Rc::clone(answers),
        idle: limits.idle,
        asked_at: Cell::new(Instant::now()),
    });
    let answering = Rc::clone(&exchange);
    let service = service_fn(move |request| {
        let exchange = Rc::clone(&answering);
        async move {
            let is_head = request.method() == Method::HEAD;
            let mut response = exchange.respond(request).await;
            if is_head {
                // Never with content (RFC 9110 section 9.3.2): by HTTP/2 it would end the stream.
                *response.body_mut() = Full::default();
            }
            Ok::<_, Infallible>(response)
        }
    });
    let is_http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
    let stream = TokioIo::new(stream);
    let over = exchange.over(Instant::now() + limits.total);
    if is_http2 {
        let mut builder = http2::Builder::new(OnThisThread);
        builder
            .timer(TokioTimer::new())
            .max_concurrent_streams(STREAMS_MAX)
            .max_header_list_size(HEADERS_SIZE_MAX)
            .initial_stream_window_size(WINDOW)
            .initial_connection_window_size(WINDOW * 4)
            .max_send_buf_size(REPLY_SIZE_MAX);
        let mut serving = pin!(builder.serve_connection(stream, service));
        tokio::select! {
            served = serving.as_mut() => return served.map_err(broken),
            () = over => {}
        }
        serving.as_mut().graceful_shutdown();
        timeout(limits.idle, serving).await?.map_err(broken)
    } else {
        let mut builder = http1::Builder::new();
        builder
            .timer(TokioTimer::new())
            .header_read_timeout(limits.idle)
            .max_buf_size(HEADERS_SIZE_MAX as usize + QUERY_SIZE_MAX);
        let mut serving = pin!(builder.serve_connection(stream, service));
        tokio::select! {
            served = serving.as_mut() => return served.map_err(broken),
            () = over => {}
        }
        serving.as_mut().graceful_shutdown();
        timeout(limits.idle, serving).await?.map_err(broken)
    }
}

fn broken(error: hyper::Error) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
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

/// What the requests of a connection have in common.
struct Exchange<A> {
    connection: Connection,
    place: Rc<Place>,
    answers: Rc<Answers<A>>,
    idle: Duration,
    /// When the last query had come whole.
    asked_at: Cell<Instant>,
}

impl<A: Answering> Exchange<A> {
    /// Waits until no query has come for too long, or the connection has lasted long enough.
    async fn over(&self, ends_at: Instant) {
        loop {
            let idle_at = self.asked_at.get() + self.idle;
            if Instant::now() >= idle_at.min(ends_at) {
                return;
            }
            sleep_until(idle_at.min(ends_at)).await;
        }
    }

    async fn respond(&self, request: Request<Incoming>) -> Response<Full<Bytes>> {
        let query = match timeout(self.idle, query_of(request)).await {
            Ok(Ok(query)) => query,
            Ok(Err(refused)) => return refused,
            Err(_) => return refuse(StatusCode::REQUEST_TIMEOUT, "the query did not come"),
        };
        self.asked_at.set(Instant::now());
        self.place.renew();
        self.answers.begin();
        let reply = self.answers.with_reply(&query, self.connection, |reply| {
            (Bytes::copy_from_slice(reply), least_ttl(reply))
        });
        let Some((body, ttl)) = reply else {
            return refuse(StatusCode::BAD_REQUEST, "this is no DNS query");
        };
        let mut response = Response::new(Full::new(body));
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE));
        // RFC 8484 section 5.1: an HTTP cache keeps it no longer than a resolver would; and a cache that many
        // share not at all, since answers depend on where the client is.
        let cached = HeaderValue::try_from(format!("private, max-age={}", ttl.unwrap_or(0)));
        headers.extend(cached.ok().map(|cached| (CACHE_CONTROL, cached)));
        response
    }
}

/// The query's bytes, or what is wrong with the request.
async fn query_of(request: Request<Incoming>) -> Result<Vec<u8>, Response<Full<Bytes>>> {
    let asked = HttpsRequest {
        method: request.method().as_str(),
        path: request.uri().path(),
        parameters: request.uri().query().unwrap_or_default(),
        content_type: request.headers().get(CONTENT_TYPE).map(HeaderValue::as_bytes),
    };
    let mut room = vec![0; asked.room_len().min(QUERY_SIZE_MAX)];
    match asked.query(&mut room).map_err(told)? {
        HttpsQuery::Decoded(length) => {
            room.truncate(length);
            Ok(room)
        }
        HttpsQuery::Body => {
            let body = Limited::new(request.into_body(), QUERY_SIZE_MAX).collect().await;
            let too_long = |_| refuse(StatusCode::PAYLOAD_TOO_LARGE, "no query is so long");
            Ok(body.map_err(too_long)?.to_bytes().to_vec())
        }
    }
}

/// What is told to whoever asks nothing.
fn told(error: HttpsQueryError) -> Response<Full<Bytes>> {
    let status = match error {
        HttpsQueryError::Elsewhere => StatusCode::NOT_FOUND,
        HttpsQueryError::Encoding => StatusCode::BAD_REQUEST,
        HttpsQueryError::MediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
        HttpsQueryError::Method => StatusCode::METHOD_NOT_ALLOWED,
    };
    let mut refused = refuse(status, error.to_string());
    if error == HttpsQueryError::Method {
        refused.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, POST"));
    }
    refused
}

fn refuse(status: StatusCode, why: impl Into<Bytes>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(why.into()));
    *response.status_mut() = status;
    response
}

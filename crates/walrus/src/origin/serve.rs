//! Connections and requests.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::CONTENT_TYPE;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::page;
use super::site::{Fault, Site};

/// More connections than this wait in the kernel's queue.
const CONNECTIONS_MAX: usize = 512;
/// A client that has not sent its request after this is gone.
const REQUEST_WITHIN: Duration = Duration::from_secs(10);

/// Serves all connections to one address, for ever.
pub(super) async fn accept(listener: TcpListener, site: Arc<Site>) -> Infallible {
    let connections = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let mut tasks = JoinSet::new();
    loop {
        while tasks.try_join_next().is_some() {}
        let permit = Arc::clone(&connections).acquire_owned().await;
        match listener.accept().await {
            Ok((stream, _)) => {
                let site = Arc::clone(&site);
                tasks.spawn(async move {
                    serve(stream, site).await;
                    drop(permit);
                });
            }
            Err(error) => {
                // Out of file descriptors, say: others must end before it makes sense to go on.
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

async fn serve(stream: TcpStream, site: Arc<Site>) {
    let service = service_fn(move |request| {
        let site = Arc::clone(&site);
        async move { answer(&request, &site).await.ok_or(ClosedUnanswered) }
    });
    // An error is a client that left or a connection that a fault closed: both are as intended.
    let _ = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(REQUEST_WITHIN)
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

/// Ends a connection as a web server does whose process has died.
#[derive(Debug, thiserror::Error)]
#[error("the fault switch says `down`")]
struct ClosedUnanswered;

/// The answer, or none if the connection is to be closed.
async fn answer(request: &Request<Incoming>, site: &Site) -> Option<Response<Full<Bytes>>> {
    let path = request.uri().path();
    if let Some(word) = path.strip_prefix("/fault/") {
        return Some(switch(request.method(), word, site));
    }
    if site.fault() == Fault::Down {
        return None;
    }
    Some(match path {
        "/" => {
            let worker = site.occupy_worker().await?;
            be_slow(site).await;
            let body = page::front(site, &site.status());
            drop(worker);
            respond(StatusCode::OK, "text/html; charset=utf-8", body)
        }
        "/healthz" => {
            be_slow(site).await;
            text(StatusCode::OK, "ok\n")
        }
        "/status" => {
            let body = page::status_json(site, &site.status());
            respond(StatusCode::OK, "application/json", body)
        }
        "/server-status" => {
            let before = site.count_status_hit();
            text(StatusCode::OK, page::status_apache(&site.status(), before))
        }
        _ => text(
            StatusCode::NOT_FOUND,
            "there are only /, /healthz, /status, /server-status?auto and /fault/\n",
        ),
    })
}

async fn be_slow(site: &Site) {
    if site.fault() == Fault::Slow {
        tokio::time::sleep(site.slow).await;
    }
}

fn switch(method: &Method, word: &str, site: &Site) -> Response<Full<Bytes>> {
    let Some(fault) = Fault::from_word(word) else {
        let words = Fault::ALL.map(Fault::word).join(", ");
        return text(StatusCode::NOT_FOUND, format!("the faults are {words}\n"));
    };
    if method != Method::POST {
        return text(StatusCode::METHOD_NOT_ALLOWED, "POST it, for example `curl -X POST ...`\n");
    }
    site.set_fault(fault);
    text(StatusCode::OK, format!("{}: {}\n", site.name, fault.word()))
}

fn text(status: StatusCode, body: impl Into<Bytes>) -> Response<Full<Bytes>> {
    respond(status, "text/plain; charset=utf-8", body)
}

fn respond(
    status: StatusCode,
    kind: &'static str,
    body: impl Into<Bytes>,
) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, hyper::header::HeaderValue::from_static(kind));
    response
}

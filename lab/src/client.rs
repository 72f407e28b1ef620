//! A client: asks a resolver again and again, and may get a page from where it is sent.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use serde::Serialize;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{sleep_until, timeout};
use walrus_dns::{DomainName, record_type};
use walrus_host::dns_client;

use crate::network::Node;
use crate::script::{Asking, Fetches};

/// An answer to one datagram that has not come by then counts as lost.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(2);
/// A page that has not come by then counts as lost.
const PAGE_TIMEOUT: Duration = Duration::from_secs(3);
/// A browser tries the next address beside the one that is silent for so long (RFC 8305, 8).
const NEXT_AFTER: Duration = Duration::from_millis(250);
/// Addresses of one answer that are tried.
const ADDRESSES_MAX: usize = 8;
/// So many questions are kept of a client.
const ASKED_MAX: usize = 200_000;
/// The most of a page that is read.
const PAGE_MAX: u64 = 64 * 1024;

/// One client at work.
pub(crate) struct Client {
    pub(crate) name: String,
    asked: Arc<Mutex<Vec<Asked>>>,
    end: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

/// One question and what came of it.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Asked {
    /// Seconds since the scenario began.
    pub(crate) at: f64,
    /// How long the answer took.
    pub(crate) took: f64,
    /// The first address; `None` without an answer.
    pub(crate) first: Option<Ipv4Addr>,
    /// Where the page came from, if it was to get one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) page_from: Option<Ipv4Addr>,
    /// How long the page took after the answer.
    pub(crate) page_took: f64,
    /// Why there is no answer, or no page.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) problem: Option<String>,
}

impl Asked {
    /// Whether one of these came first.
    pub(crate) fn is_told_of(&self, addresses: &[Ipv4Addr]) -> bool {
        self.first.is_some_and(|first| addresses.contains(&first))
    }
}

impl Client {
    /// Begins to ask from that node.
    pub(crate) fn start(asking: &Asking, node: &Node, begin: Instant) -> Result<Self> {
        let names = asking.names.iter().map(|name| name.parse::<DomainName>());
        let names = names.collect::<Result<Vec<_>, _>>().context("no domain name")?;
        // The thread goes to the node, and its sockets with it.
        let place = node.namespace.again()?;
        let asked = Arc::<Mutex<Vec<Asked>>>::default();
        let end = Arc::<AtomicBool>::default();
        let (told, ended, asking_now) = (Arc::clone(&asked), Arc::clone(&end), asking.clone());
        let name = asking.client.clone();
        let thread = std::thread::Builder::new().name(name.clone()).spawn(move || {
            if place.enter().is_err() {
                return;
            }
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            if let Ok(runtime) = runtime {
                runtime.block_on(ask_on(&asking_now, &names, begin, &told, &ended));
            }
        })?;
        Ok(Self { name, asked, end, thread: Some(thread) })
    }

    /// All that it asked so far.
    pub(crate) fn asked(&self) -> MutexGuard<'_, Vec<Asked>> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks no more.
    pub(crate) fn end(&mut self) {
        self.end.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        self.end();
    }
}

async fn ask_on(
    asking: &Asking,
    names: &[DomainName],
    begin: Instant,
    told: &Mutex<Vec<Asked>>,
    end: &AtomicBool,
) {
    let mut next = tokio::time::Instant::now();
    for name in names.iter().cycle() {
        if end.load(Ordering::Relaxed) {
            return;
        }
        let at = Instant::now();
        let found = ask_one_of(&asking.resolvers, name, asking.once).await;
        let took = at.elapsed().as_secs_f64();
        let first = found.as_ref().ok().and_then(|addresses| addresses.first().copied());
        let answered = Instant::now();
        let page = match (found, asking.fetches) {
            (Err(problem), _) => Err(problem),
            (Ok(_), Fetches::Nothing) => Ok(None),
            (Ok(addresses), Fetches::FromFirst) => fetch_from(&addresses[..1]).await.map(Some),
            (Ok(addresses), Fetches::FromAny) => fetch_from(&addresses).await.map(Some),
        };
        let page_took = answered.elapsed().as_secs_f64();
        let (page_from, problem) =
            page.map_or_else(|problem| (None, Some(problem)), |it| (it, None));
        let at = at.saturating_duration_since(begin).as_secs_f64();
        keep(told, Asked { at, took, first, page_from, page_took, problem });
        next = (next + asking.every).max(tokio::time::Instant::now());
        sleep_until(next).await;
    }
}

fn keep(told: &Mutex<Vec<Asked>>, asked: Asked) {
    let mut all = told.lock().unwrap_or_else(PoisonError::into_inner);
    if all.len() < ASKED_MAX {
        all.push(asked);
    }
}

/// Of the next one, as stub resolvers do, if one says nothing or is not there.
async fn ask_one_of(
    resolvers: &[Ipv4Addr],
    name: &DomainName,
    once: bool,
) -> Result<Vec<Ipv4Addr>, String> {
    let mut found = Err("nobody to ask".to_owned());
    for resolver in resolvers {
        found = ask(SocketAddr::new((*resolver).into(), 53), name, once).await;
        if found.is_ok() {
            break;
        }
    }
    found
}

/// The addresses in an answer, in its order: one at least.
async fn ask(resolver: SocketAddr, name: &DomainName, once: bool) -> Result<Vec<Ipv4Addr>, String> {
    let reply = match once {
        true => dns_client::ask_once(resolver, name, record_type::A, ANSWER_TIMEOUT).await,
        false => dns_client::ask(resolver, name, record_type::A).await,
    };
    let reply = reply.map_err(|error| error.to_string())?;
    let addresses = reply.answers.iter().filter_map(|record| match record.address()? {
        IpAddr::V4(address) => Some(address),
        IpAddr::V6(_) => None,
    });
    let addresses: Vec<Ipv4Addr> = addresses.take(ADDRESSES_MAX).collect();
    match addresses.is_empty() {
        false => Ok(addresses),
        true => Err(format!("an answer without an address (code {})", reply.rcode)),
    }
}

/// A page from one of these, tried as browsers do: the next when one fails or is silent for long, beside
/// it. Which one gave it.
async fn fetch_from(addresses: &[Ipv4Addr]) -> Result<Ipv4Addr, String> {
    let mut attempts = JoinSet::new();
    let mut problem = "no address".to_owned();
    let mut rest = addresses.iter().copied();
    loop {
        let next = rest.next();
        if let Some(address) = next {
            attempts.spawn(async move { (address, fetch(address).await) });
        }
        let patience = if rest.len() > 0 { NEXT_AFTER } else { PAGE_TIMEOUT * 2 };
        match timeout(patience, attempts.join_next()).await {
            Ok(Some(Ok((address, Ok(()))))) => return Ok(address),
            Ok(Some(Ok((address, Err(why))))) => problem = format!("no page from {address}: {why}"),
            Ok(Some(Err(broken))) => problem = broken.to_string(),
            Ok(None) => return Err(problem),
            Err(_) => {}
        }
    }
}

/// A page from there.
async fn fetch(address: Ipv4Addr) -> Result<(), String> {
    let fetched = timeout(PAGE_TIMEOUT, async {
        let mut stream = TcpStream::connect((address, 80)).await?;
        stream.write_all(b"GET / HTTP/1.0\r\n\r\n").await?;
        let mut page = Vec::new();
        (&mut stream).take(PAGE_MAX).read_to_end(&mut page).await?;
        std::io::Result::Ok(page)
    });
    match fetched.await {
        Ok(Ok(page)) if page.starts_with(b"HTTP/1.1 200") => Ok(()),
        Ok(Ok(_)) => Err("it answers with an error".to_owned()),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err("nothing within 3 s".to_owned()),
    }
}

//! Clients: each asks its resolver, fetches a page from the server that it is told, thinks, and goes on.

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, SystemTime};

use domain::base::Message;
use domain::rdata::A;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, UdpSocket};
use tokio::time::{Instant, sleep_until, timeout};
use walrus_core::world::Generator;
use walrus_sim::{Question, query_bytes};

use super::scene::{DOMAINS, Domain, POLICIES, SECONDS, SERVERS, Service, THINK_MS};
use crate::programs::PATIENCE;

/// What they did.
pub(super) struct People {
    /// Milliseconds since 1970.
    pub(super) began_unix_ms: u64,
    /// Pages that they got, by server and policy.
    pub(super) pages: Vec<[u64; POLICIES.len()]>,
}

impl People {
    /// All of them at once, for as long as the scene lasts. Every page must come.
    pub(super) fn come(resolvers: &[SocketAddr], port: u16) -> Self {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let fetched = runtime.block_on(async {
            let end = Instant::now() + Duration::from_secs(SECONDS);
            let mut all = Vec::new();
            for (domain, resolver) in DOMAINS.iter().zip(resolvers) {
                for service in Service::all() {
                    for _ in 0..domain.clients {
                        let client =
                            Client::new(*domain, service, *resolver, port, all.len()).await;
                        all.push((service.policy, tokio::spawn(client.live(end))));
                    }
                }
            }
            let mut pages = vec![[0; POLICIES.len()]; SERVERS.len()];
            for (policy, client) in all {
                let got = client.await.expect("a client that got each of its pages");
                for (server, got) in got.into_iter().enumerate() {
                    pages[server][policy] += got;
                }
            }
            pages
        });
        Self { began_unix_ms: now.as_millis() as u64, pages: fetched }
    }
}

/// One of them.
struct Client {
    socket: UdpSocket,
    domain: Domain,
    service: Service,
    query: Vec<u8>,
    port: u16,
    generator: Generator,
}

impl Client {
    async fn new(
        domain: Domain,
        service: Service,
        resolver: SocketAddr,
        port: u16,
        number: usize,
    ) -> Self {
        let socket = UdpSocket::bind((domain.client(), 0)).await.unwrap();
        socket.connect(resolver).await.unwrap();
        let mut query = query_bytes(&Question {
            name: service.domain_name(),
            record_type: "A".to_owned(),
            client: domain.client(),
            subnet: None,
            server: None,
        })
        .unwrap();
        // Recursion desired.
        query[2] |= 1;
        Self { socket, domain, service, query, port, generator: Generator::new(number as u64) }
    }

    /// Pages by server.
    async fn live(mut self, end: Instant) -> [u64; SERVERS.len()] {
        let mut pages = [0; SERVERS.len()];
        loop {
            let think = -(1.0 - self.generator.share()).ln() * THINK_MS as f64 / 1000.0;
            let next = Instant::now() + Duration::from_secs_f64(think);
            if next > end {
                return pages;
            }
            sleep_until(next).await;
            let server = self.look_up().await;
            timeout(PATIENCE, self.fetch(server)).await.expect("a page");
            let place = SERVERS.iter().position(|it| IpAddr::from(it.address) == server);
            pages[place.expect("one of our servers")] += 1;
        }
    }

    /// Its resolver's first address.
    async fn look_up(&self) -> IpAddr {
        const TRIES: usize = 5;
        for _ in 0..TRIES {
            self.socket.send(&self.query).await.unwrap();
            let mut reply = [0; 1500];
            let Ok(len) = timeout(PATIENCE / 5, self.socket.recv(&mut reply)).await else {
                continue;
            };
            let message = Message::from_octets(&reply[..len.unwrap()]).unwrap();
            let mut addresses = message.answer().unwrap().limit_to::<A>();
            if let Some(first) = addresses.next() {
                return IpAddr::V4(first.unwrap().data().addr());
            }
        }
        panic!("no address of {} for {}", self.service.label(), self.domain.client());
    }

    async fn fetch(&self, server: IpAddr) {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind((self.domain.client(), 0).into()).unwrap();
        let mut stream = socket.connect((server, self.port).into()).await.unwrap();
        let request = format!(
            "GET /{} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n",
            self.service.label(),
            self.service.domain_name()
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.unwrap();
        assert!(answer.starts_with(b"HTTP/1.1 200 "), "{}", String::from_utf8_lossy(&answer));
    }
}

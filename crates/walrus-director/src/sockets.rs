//! The name server's sockets, opened before anything runs, or taken from a service manager.

use std::io;
use std::net::{SocketAddr, TcpListener, UdpSocket};

use walrus_core::answer::Transport;
use walrus_core::config::DnsSettings;

use crate::inherited::Inherited;
use crate::start::StartError;
use crate::streams::{self, Listening};
use crate::udp;

/// How often a free port is looked for if port 0 is asked for.
const PORT_TRIES: usize = 16;

/// All sockets, bound.
pub(crate) struct Sockets {
    /// Of UDP and TCP.
    pub(crate) addresses: Vec<SocketAddr>,
    /// Of TLS, then of HTTPS.
    pub(crate) encrypted: Vec<SocketAddr>,
    pub(crate) streams: Vec<Listening>,
    /// For each worker one for each address.
    pub(crate) udp: Vec<Vec<(UdpSocket, SocketAddr)>>,
}

/// Opens them all, but for those that a service manager opened before.
pub(crate) fn bind(dns: &DnsSettings, workers: usize) -> Result<Sockets, StartError> {
    if dns.listen.is_empty() {
        return Err(StartError::NoAddress);
    }
    let mut sockets = Sockets {
        addresses: Vec::new(),
        encrypted: Vec::new(),
        streams: Vec::new(),
        udp: (0..workers).map(|_| Vec::new()).collect(),
    };
    let mut inherited = Inherited::take();
    for &wanted in &dns.listen {
        let failed = |source| StartError::listening(wanted, source);
        let (udp, tcp) = inherited.of(wanted);
        let (address, tcp) = match (&udp, tcp) {
            (Some(_), Some(tcp)) => (wanted, streams::prepare(tcp).map_err(failed)?),
            (None, Some(tcp)) => {
                udp::probe(wanted).map_err(failed)?;
                (wanted, streams::prepare(tcp).map_err(failed)?)
            }
            (Some(_), None) => (wanted, streams::listen(wanted).map_err(failed)?),
            (None, None) => bind_both(wanted).map_err(failed)?,
        };
        let udp = udp.map(|udp| udp::prepare(udp, address)).transpose().map_err(failed)?;
        for worker in &mut sockets.udp {
            let own = match &udp {
                Some(udp) => udp.try_clone(),
                None => udp::listen(address),
            };
            worker.push((own.map_err(failed)?, address));
        }
        sockets.streams.push(Listening { socket: tcp, transport: Transport::Tcp });
        sockets.addresses.push(address);
    }
    let tls = dns.tls_listen.iter().map(|address| (*address, Transport::Tls));
    let https = dns.https_listen.iter().map(|address| (*address, Transport::Https));
    for (wanted, transport) in tls.chain(https) {
        let failed = |source| StartError::listening(wanted, source);
        let socket = match inherited.of(wanted) {
            (_, Some(socket)) => streams::prepare(socket),
            (_, None) => streams::listen(wanted),
        };
        let socket = socket.map_err(failed)?;
        sockets.encrypted.push(socket.local_addr().map_err(failed)?);
        sockets.streams.push(Listening { socket, transport });
    }
    inherited.say_left();
    Ok(sockets)
}

/// Binds TCP and sees that UDP is free at the same port, which is looked for if it is 0.
fn bind_both(wanted: SocketAddr) -> io::Result<(SocketAddr, TcpListener)> {
    let mut tries = if wanted.port() == 0 { PORT_TRIES } else { 1 };
    loop {
        let tcp = streams::listen(wanted)?;
        let address = tcp.local_addr()?;
        tries -= 1;
        match udp::probe(address) {
            Ok(()) => return Ok((address, tcp)),
            Err(error) if tries == 0 => return Err(error),
            Err(_) => {}
        }
    }
}

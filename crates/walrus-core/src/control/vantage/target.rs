//! What a word is about: a server at its addresses, and what is asked of it there.
//!
//! While a configuration is brought to one node after the other, some probe a server at its old address and some at its new
//! one. Both see "the server", and their words must not be counted together. So each word goes with a short digest of what
//! was probed, and one about something else than is configured here is none.
//!
//! Sixteen bits: of 65,536 servers that are moved one is counted as if it were not, for as long as the
//! nodes' configurations differ; in return a word grows by six bytes.

use std::net::IpAddr;

use crate::world::{Digest, Probe, ProbeKind, Server, ServerId, Topology};

/// What is probed of each server, in short; by [`ServerId`].
#[derive(Clone, Debug, Default)]
pub(in crate::control) struct Targets(Vec<Option<u16>>);

impl Targets {
    pub(in crate::control) fn of(topology: &Topology) -> Self {
        Self(topology.servers.iter().map(digest).collect())
    }

    /// `None` if it is not probed.
    pub(in crate::control) fn get(&self, id: ServerId) -> Option<u16> {
        *self.0.get(id.index())?
    }
}

/// What stays through a change of the configuration: servers by name that are probed, and for the same.
pub(super) struct Same<'a> {
    pub(super) old: (&'a Topology, &'a Targets),
    pub(super) new: (&'a Topology, &'a Targets),
}

impl Same<'_> {
    /// The place of what was in this one.
    pub(super) fn place(&self, id: ServerId) -> Option<ServerId> {
        let server = self.old.0.servers.get(id.index())?;
        let place = self.new.0.server(server.name.as_str())?;
        let target = self.new.1.get(place).filter(|new| self.old.1.get(id) == Some(*new));
        target.map(|_| place)
    }

    /// What is known of each server, at its new place.
    pub(super) fn carry<T>(&self, known: &mut Vec<Option<T>>) -> Vec<Option<T>> {
        let mut carried: Vec<Option<T>> = self.new.0.servers.iter().map(|_| None).collect();
        for (id, it) in super::ids(self.old.0).zip(known.drain(..)) {
            if let Some(place) = self.place(id).and_then(|place| carried.get_mut(place.index())) {
                *place = it;
            }
        }
        carried
    }
}

/// Addresses, and what must be there: who asks for that more often, or more patiently, sees the same server.
/// Nodes of neighbouring versions compare these: the text that goes in may never change.
fn digest(server: &Server) -> Option<u16> {
    let Probe { kind, all_addresses, .. } = server.probe.as_ref()?;
    let many = if *all_addresses { server.addresses.len() } else { 1 };
    let addresses = server.addresses.iter().take(many).map(IpAddr::to_string);
    let parts: Vec<String> = addresses.chain(words(kind)).collect();
    let digest = Digest::of(parts.iter().map(String::as_bytes));
    u16::from_str_radix(digest.as_str().get(..4)?, 16).ok()
}

fn words(kind: &ProbeKind) -> Vec<String> {
    match kind {
        ProbeKind::Tcp { port } => vec!["tcp".to_owned(), port.to_string()],
        ProbeKind::Http { url, host, status, body, verify } => {
            let ranges = status.iter().map(|(first, last)| format!("{first}-{last}"));
            let host = host.clone().unwrap_or_default();
            let body = body.clone().unwrap_or_default();
            let rest = [ranges.collect::<Vec<_>>().join(","), body, verify.to_string()];
            ["http".to_owned(), url.clone(), host].into_iter().chain(rest).collect()
        }
    }
}

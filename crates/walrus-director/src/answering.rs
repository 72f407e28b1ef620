//! What the transports want of the answers: the seam between sockets and decisions.

use std::net::{IpAddr, SocketAddr};

use walrus_core::answer::Transport;

use crate::counters::Counters;

/// A query and what its socket knows.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Incoming<'a> {
    /// The message.
    pub(crate) query: &'a [u8],
    /// Who sent it.
    pub(crate) client: IpAddr,
    /// The address and port that were asked.
    pub(crate) local: SocketAddr,
    /// How it came.
    pub(crate) transport: Transport,
}

/// Answers queries; one for each thread. Two kinds: [`crate::answerer::Answerer`] and the echo of
/// the socket tests.
pub(crate) trait Answering {
    /// Called before each turn and whenever the thread was woken: takes over a new table, hands
    /// over what was counted. By UDP also at once after a turn that answered anything, before the
    /// thread waits: what lies between is told as the time that answering took.
    fn begin_batch(&mut self);

    /// Told all queries of a batch before the first is answered: has the processor fetch what
    /// answering them will read.
    fn look_ahead<'a>(&self, queries: impl Iterator<Item = &'a [u8]>);

    /// Writes the reply and tells its length; `None` for no reply.
    fn answer(&mut self, incoming: Incoming<'_>, reply: &mut [u8]) -> Option<usize>;

    /// Writes the refusal of an update without a signature, limited as other replies, and tells its length.
    fn refuse(&mut self, incoming: Incoming<'_>, reply: &mut [u8]) -> Option<usize>;

    /// Takes note of a query that others answer, and of what they have answered if that is known.
    fn tell(&mut self, incoming: Incoming<'_>, reply: Option<&[u8]>);

    /// The thread ends: hands over what was counted.
    fn end(&mut self);

    /// Where the transport counts.
    fn counters(&self) -> &Counters;
}

/// Sends back what came, in capitals; a query "quiet" gets no reply, "panic" panics, and
/// "who asks whom" tells.
#[cfg(test)]
pub(crate) struct Echo(pub(crate) std::sync::Arc<Counters>);

#[cfg(test)]
impl Answering for Echo {
    fn begin_batch(&mut self) {}

    fn look_ahead<'a>(&self, _: impl Iterator<Item = &'a [u8]>) {}

    fn answer(&mut self, incoming: Incoming<'_>, reply: &mut [u8]) -> Option<usize> {
        if incoming.query == b"quiet" {
            return None;
        }
        assert_ne!(incoming.query, b"panic", "as the test wants it");
        if incoming.query == b"who asks whom" {
            let said = format!("{} {}", incoming.client, incoming.local);
            reply.get_mut(..said.len())?.copy_from_slice(said.as_bytes());
            return Some(said.len());
        }
        let reply = reply.get_mut(..incoming.query.len())?;
        reply.copy_from_slice(incoming.query);
        reply.make_ascii_uppercase();
        Some(reply.len())
    }

    fn refuse(&mut self, incoming: Incoming<'_>, reply: &mut [u8]) -> Option<usize> {
        crate::zones::refuse_unsigned(incoming.query, incoming.transport, reply)
    }

    fn tell(&mut self, _: Incoming<'_>, _: Option<&[u8]>) {}

    fn end(&mut self) {}

    fn counters(&self) -> &Counters {
        &self.0
    }
}

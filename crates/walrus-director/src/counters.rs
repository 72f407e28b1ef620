//! Counters that cost an answering thread a plain addition each.

use std::sync::atomic::{AtomicU64, Ordering};

use walrus_core::answer::Transport;

use crate::latency::LatencyCounters;
use crate::replies::ReplyCounters;

macro_rules! counters {
    ($($(#[doc = $doc:literal])+ $variant:ident => $field:ident,)*) => {
        /// What is counted.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum Count {
            $($variant,)*
        }

        const COUNTS: usize = [$(Count::$variant,)*].len();

        /// How often what happened since the Director started, over all threads or for one.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
        #[non_exhaustive]
        pub struct CounterSnapshot {
            $($(#[doc = $doc])+ pub $field: u64,)*
        }

        impl CounterSnapshot {
            /// Adds another thread's.
            pub(crate) fn add(&mut self, counters: &Counters) {
                $(self.$field += counters.get(Count::$variant);)*
            }

            /// Each counter by its name and with what it counts, for metrics.
            pub fn iter(&self) -> impl Iterator<Item = (&'static str, &'static str, u64)> {
                let help = |text: &'static str| text.trim().trim_end_matches('.');
                [$((stringify!($field), help(concat!($($doc),+)), self.$field),)*].into_iter()
            }
        }
    };
}

counters! {
    /// Datagrams received.
    UdpQueries => udp_queries,
    /// Messages received by TCP.
    TcpQueries => tcp_queries,
    /// Queries that get no reply: replies of others, too short, too long.
    Dropped => dropped,
    /// Queries that the fast path left to the complete path.
    CompletePath => complete_path,
    /// Replies cut to the client's size.
    Truncated => truncated,
    /// Queries with a client subnet.
    ClientSubnet => client_subnet,
    /// Queries that want signatures (DO).
    DnssecOk => dnssec_ok,
    /// Replies for a service's name.
    ServiceAnswers => service_answers,
    /// Queries that brought back a cookie which this server gave.
    CookiesKnown => cookies_known,
    /// Replies by UDP that were not sent because their network had too many.
    RateDropped => rate_dropped,
    /// Replies by UDP that were cut because their network had too many.
    RateCut => rate_cut,
    /// Receiving failed.
    ReceiveErrors => receive_errors,
    /// Panics of answering threads, which went on: a bug to report, with what the log says.
    Panics => panics,
    /// Replies that the kernel did not take.
    SendFailures => send_failures,
    /// Messages received by TLS.
    TlsQueries => tls_queries,
    /// Requests received by HTTPS.
    HttpsQueries => https_queries,
    /// Messages that change zones (UPDATE, NOTIFY), given to the zone keeper.
    HandedOver => handed_over,
    /// Such messages that were dropped because the zone keeper could not keep up.
    HandedOverLost => handed_over_lost,
    /// Connections with whom TLS could not be agreed on.
    TlsFailures => tls_failures,
    /// Datagrams and connections of proxies without a PROXY header that can be read.
    ProxyFailures => proxy_failures,
    /// TCP connections accepted, those of TLS and HTTPS among them.
    TcpConnections => tcp_connections,
    /// TCP connections not served: their client had too many, proxies had too many without a client, or handshakes cannot keep up.
    TcpRefused => tcp_refused,
    /// TCP connections closed for being idle (too long, or longest when a place was wanted), slow
    /// or wrong.
    TcpTimeouts => tcp_timeouts,
    /// Decisions given to the decision log.
    DecisionsLogged => decisions_logged,
    /// Decisions lost because the decision log could not keep up.
    DecisionsLost => decisions_lost,
    /// Queries and replies given to dnstap.
    DnstapTold => dnstap_told,
    /// Queries and replies that dnstap could not take.
    DnstapLost => dnstap_lost,
}

impl Count {
    /// What counts the queries that come so.
    pub(crate) const fn of_queries(transport: Transport) -> Self {
        match transport {
            Transport::Udp => Self::UdpQueries,
            Transport::Tcp => Self::TcpQueries,
            Transport::Tls => Self::TlsQueries,
            Transport::Https => Self::HttpsQueries,
        }
    }
}

/// One thread's counters. Only that thread writes, so that an addition is a load and a store
/// without a locked instruction; anybody may read. On cache lines of its own.
#[derive(Debug)]
#[repr(align(128))]
pub(crate) struct Counters {
    counts: [AtomicU64; COUNTS],
    /// By transport, type and code.
    pub(crate) replies: ReplyCounters,
    /// How long answers by UDP took.
    pub(crate) latency: LatencyCounters,
}

impl Counters {
    pub(crate) fn new() -> Self {
        Self {
            counts: [const { AtomicU64::new(0) }; COUNTS],
            replies: ReplyCounters::new(),
            latency: LatencyCounters::new(),
        }
    }

    /// Only the thread that owns these counters may call this.
    #[inline]
    pub(crate) fn add(&self, count: Count, more: u64) {
        let cell = &self.counts[count as usize];
        cell.store(cell.load(Ordering::Relaxed).wrapping_add(more), Ordering::Relaxed);
    }

    fn get(&self, count: Count) -> u64 {
        self.counts[count as usize].load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_add_up_under_their_names() {
        let (one, two) = (Counters::new(), Counters::new());
        one.add(Count::UdpQueries, 2);
        one.add(Count::UdpQueries, 3);
        two.add(Count::UdpQueries, 4);
        two.add(Count::Dropped, 1);
        let mut all = CounterSnapshot::default();
        all.add(&one);
        all.add(&two);
        assert_eq!((all.udp_queries, all.dropped, all.panics), (9, 1, 0));
        let named: Vec<_> = all.iter().filter(|(.., value)| *value > 0).collect();
        let dropped = "Queries that get no reply: replies of others, too short, too long";
        assert_eq!(named, [("udp_queries", "Datagrams received", 9), ("dropped", dropped, 1)]);
    }
}

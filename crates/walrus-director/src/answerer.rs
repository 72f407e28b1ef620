//! One thread's answers: the table in force, the thread's own state, and what is told of it.

use std::mem;
use std::sync::Arc;

use walrus_core::answer::{
    ClientCookie, Outcome, Request, ServerOptions, Transport, WorkerState, look_ahead, respond,
    respond_completely,
};
use walrus_core::world::{Generator, Time};
use walrus_dns::reply;
use walrus_host::clock::Clock;

use crate::answering::{Answering, Incoming};
use crate::counters::{Count, Counters};
use crate::decision_log::Sampler;
use crate::dnstap::Tap;
use crate::domains::{Domain, DomainCounts};
use crate::rate_limit::{RateLimit, Verdict};
use crate::replies::answered_and_code;
use crate::sample::{Sample, Sampled};
use crate::serving::{Current, Left, Serving, Tally};
use crate::udp::prefetch;
use crate::zones::refuse_unsigned;

/// Answers from the table in force.
///
/// The fast path neither locks nor allocates. What it does not understand is answered by the
/// complete path on the same thread: that allocates and takes some microseconds, and its share of
/// all queries is counted.
pub(crate) struct Answerer {
    thread: usize,
    current: Arc<Current>,
    serving: Arc<Serving>,
    state: WorkerState,
    domains: DomainCounts,
    sample: Sample,
    /// Draws what is sampled; never what is answered.
    generator: Generator,
    counters: Arc<Counters>,
    clock: Clock,
    now: Time,
    /// Replies by UDP since `now`.
    replies_since: u64,
    unix_secs: u32,
    udp_size_max: u16,
    server: Arc<ServerOptions>,
    rate_limit: Option<Arc<RateLimit>>,
    /// Replies that were limited.
    limited: u32,
    sampler: Option<Sampler>,
    tap: Option<Tap>,
    /// Nanoseconds since 1970 at `now`, for the tap.
    unix_ns: u64,
}

/// What an answerer starts from.
pub(crate) struct AnswererStart {
    /// Its slot in every [`Serving`].
    pub(crate) thread: usize,
    pub(crate) current: Arc<Current>,
    pub(crate) counters: Arc<Counters>,
    pub(crate) clock: Clock,
    pub(crate) udp_size_max: u16,
    pub(crate) server: Arc<ServerOptions>,
    pub(crate) rate_limit: Option<Arc<RateLimit>>,
    pub(crate) sampler: Option<Sampler>,
    pub(crate) tap: Option<Tap>,
    pub(crate) seed: u64,
}

impl Answerer {
    /// Made on the starting thread: this allocates.
    pub(crate) fn new(start: AnswererStart) -> Self {
        let serving = start.current.load();
        let mut state = WorkerState::new(start.seed, &serving.table);
        let (mut domains, mut sample) = (DomainCounts::none(), Sample::none());
        serving.adopt(start.thread, |kit| {
            let _ = state.adopt(kit.positions, kit.tally.counters);
            (domains, sample) = (kit.tally.domains, kit.tally.sample);
            None
        });
        Self {
            thread: start.thread,
            current: start.current,
            serving,
            state,
            domains,
            sample,
            generator: Generator::new(!start.seed),
            counters: start.counters,
            now: start.clock.now(),
            replies_since: 0,
            clock: start.clock,
            unix_secs: 0,
            udp_size_max: start.udp_size_max,
            server: start.server,
            rate_limit: start.rate_limit,
            limited: 0,
            sampler: start.sampler,
            tap: start.tap,
            unix_ns: 0,
        }
    }

    /// Goes over to another table. What is left behind is freed by whoever publishes the next.
    fn go_over(&mut self) {
        let next = self.current.load();
        let (state, domains, serving) = (&mut self.state, &mut self.domains, &mut self.serving);
        let sample = &mut self.sample;
        next.adopt(self.thread, |kit| {
            let (positions, counters) = state.adopt(kit.positions, kit.tally.counters);
            let domains = match kit.tally.domains {
                // Numbers of services go on to mean what they did, and so do the counts.
                none if none.is_none() && next.has_services_of(serving) => none,
                none if none.is_none() => {
                    // Several reloads within one batch: what was counted has lost its names.
                    domains.clear();
                    none
                }
                fresh => mem::replace(domains, fresh),
            };
            let sample = mem::replace(sample, kit.tally.sample);
            let serving = mem::replace(serving, Arc::clone(&next));
            Some(Left { serving, positions, tally: Tally { counters, domains, sample } })
        });
    }

    fn hand_over(&mut self) {
        let (state, domains, sample) = (&mut self.state, &mut self.domains, &mut self.sample);
        self.serving.hand_over(self.thread, |fresh| Tally {
            counters: state.take_counters(fresh.counters),
            domains: match fresh.domains {
                none if none.is_none() => none,
                fresh => mem::replace(domains, fresh),
            },
            sample: mem::replace(sample, fresh.sample),
        });
    }

    fn count(&mut self, incoming: &Incoming<'_>) {
        let decision = self.state.decision();
        let counters = &self.counters;
        counters.replies.add(incoming.transport, decision.record_type, decision.rcode);
        counters.add(Count::Truncated, u64::from(decision.truncated));
        counters.add(Count::ClientSubnet, u64::from(decision.client_subnet.is_some()));
        counters.add(Count::DnssecOk, u64::from(decision.dnssec_ok));
        let is_known = decision.cookie == ClientCookie::Known;
        counters.add(Count::CookiesKnown, u64::from(is_known));
        self.replies_since += u64::from(incoming.transport == Transport::Udp);
        if let Some(service) = decision.service {
            counters.add(Count::ServiceAnswers, 1);
            let domain = Domain::of(decision.client_subnet.as_ref(), incoming.client);
            self.domains.add(service.service, domain);
        }
        if self.sample.takes_this() {
            let sampled = Sampled::new(self.now, incoming, decision);
            self.sample.take(sampled, &mut self.generator);
        }
    }

    /// Whether the reply is sent.
    #[inline]
    fn judge(&mut self, incoming: &Incoming<'_>) -> Verdict {
        let is_known = self.state.decision().cookie == ClientCookie::Known;
        if is_known { Verdict::Send } else { self.judge_stranger(incoming) }
    }

    /// The same for a client that has shown no cookie.
    #[inline]
    fn judge_stranger(&mut self, incoming: &Incoming<'_>) -> Verdict {
        let Some(limit) = &self.rate_limit else { return Verdict::Send };
        if incoming.transport != Transport::Udp {
            return Verdict::Send;
        }
        let verdict = limit.judge(incoming.client, self.now, &mut self.limited);
        match verdict {
            Verdict::Send => {}
            Verdict::Slip => self.counters.add(Count::RateCut, 1),
            Verdict::Drop => self.counters.add(Count::RateDropped, 1),
        }
        verdict
    }

    /// A turn by UDP ends where the next begins, so that one look at the clock serves both.
    fn tell_time(&mut self) {
        let now = self.clock.now();
        if self.replies_since > 0 {
            self.counters.latency.add(now.since(self.now), self.replies_since);
            self.replies_since = 0;
        }
        self.now = now;
        if self.server.cookies.is_some() {
            // Modulo 2^32, as cookies count.
            self.unix_secs = (self.clock.unix_ms() / 1000) as u32;
        }
        if let Some(tap) = &mut self.tap {
            self.unix_ns = self.clock.unix_ms().saturating_mul(1_000_000);
            self.counters.add(Count::DnstapLost, tap.turn(self.now));
        }
    }

    fn tell_tap(&mut self, incoming: &Incoming<'_>, reply: Option<&[u8]>) {
        let Some(tap) = &mut self.tap else { return };
        let told = tap.tell(incoming, (self.now, self.unix_ns), reply);
        self.counters.add(Count::DnstapTold, told.given);
        self.counters.add(Count::DnstapLost, told.lost);
    }
}

impl Answering for Answerer {
    fn begin_batch(&mut self) {
        self.tell_time();
        if self.current.is_other_than(self.serving.generation) {
            self.go_over();
        }
        if self.serving.is_wanted(self.thread) {
            self.hand_over();
        }
        if let Some(words) = self.serving.words().get(self.thread)
            && words.is_wanted()
        {
            words.exchange(&mut self.state, self.now);
        }
    }

    fn look_ahead<'a>(&self, queries: impl Iterator<Item = &'a [u8]>) {
        look_ahead(&self.serving.table, queries, prefetch);
    }

    fn answer(&mut self, incoming: Incoming<'_>, reply: &mut [u8]) -> Option<usize> {
        let request = Request {
            query: incoming.query,
            client: incoming.client,
            local: incoming.local,
            transport: incoming.transport,
            now: self.now,
            unix_secs: self.unix_secs,
            udp_size_max: self.udp_size_max,
            server: &self.server,
        };
        let table = &self.serving.table;
        let mut outcome = respond(table, &mut self.state, &request, reply);
        if outcome == Outcome::NotUnderstood {
            self.counters.add(Count::CompletePath, 1);
            outcome = respond_completely(table, &mut self.state, &request, reply);
        }
        let Outcome::Reply(mut length) = outcome else {
            self.counters.add(Count::Dropped, 1);
            self.tell_tap(&incoming, None);
            return None;
        };
        self.count(&incoming);
        match self.judge(&incoming) {
            Verdict::Send => {}
            Verdict::Slip => length = reply::cut(reply.get_mut(..length)?)?,
            Verdict::Drop => {
                self.tell_tap(&incoming, None);
                return None;
            }
        }
        if let Some(sampler) = &mut self.sampler
            && sampler.takes_this()
        {
            let told = reply.get(..length).unwrap_or_default();
            let decision = self.state.decision();
            let was_taken = sampler.tell(&self.serving, decision, &incoming, self.now, told);
            let count = if was_taken { Count::DecisionsLogged } else { Count::DecisionsLost };
            self.counters.add(count, 1);
        }
        self.tell_tap(&incoming, reply.get(..length));
        Some(length)
    }

    fn refuse(&mut self, incoming: Incoming<'_>, reply: &mut [u8]) -> Option<usize> {
        let mut length = refuse_unsigned(incoming.query, incoming.transport, reply)?;
        match self.judge_stranger(&incoming) {
            Verdict::Send => {}
            Verdict::Slip => length = reply::cut(reply.get_mut(..length)?)?,
            Verdict::Drop => {
                self.tell_tap(&incoming, None);
                return None;
            }
        }
        self.tell(incoming, reply.get(..length));
        Some(length)
    }

    fn tell(&mut self, incoming: Incoming<'_>, reply: Option<&[u8]>) {
        if let Some((answered, code)) = reply.and_then(answered_and_code) {
            self.counters.replies.add_answered(incoming.transport, answered, code);
        }
        self.tell_tap(&incoming, reply);
    }

    fn end(&mut self) {
        self.hand_over();
    }

    fn counters(&self) -> &Counters {
        &self.counters
    }
}

#[cfg(test)]
mod tests {
    use allocation_counter::{AllocationInfo, measure};
    use walrus_core::answer::{AnswerSigning, AnswerTable, SigningInput, SingleSets};
    use walrus_core::config::{DnstapOutput, RateLimitSettings};
    use walrus_core::dnssec::{Algorithm, DnsKey, FLAG_ZONE, Signatures, ValidityPolicy};
    use walrus_core::map::Map;
    use walrus_dns::{CookieSecret, CookieSecrets};

    use super::*;
    use crate::director::tests::zone_table;
    use crate::dnstap::DnstapWriter;
    use crate::fixture::{SERVICE, digests, plan, query, topology};
    use crate::replies::Replies;

    const THREADS: usize = 1;
    const DOMAINS: usize = 10;

    fn table(sequence: u64) -> AnswerTable {
        let topology = topology();
        let map = Arc::new(Map::build(&topology, &[]).unwrap());
        let zones = Arc::new(zone_table(&topology));
        let plan = plan(sequence, 1, &digests(&map));
        AnswerTable::new(zones, map, &topology).with_plan(plan).unwrap()
    }

    /// With signatures of zeros: nobody checks them here.
    fn signed_table() -> AnswerTable {
        let key = DnsKey::new(FLAG_ZONE, Algorithm::Ed25519, &[7; 32]).unwrap();
        let policy = ValidityPolicy::default();
        let signing = AnswerSigning { keys: [key].into(), policy };
        let zones = [("walrus.example".parse().unwrap(), Some(signing))].into();
        let (singles, mut signatures) = (SingleSets::new(&topology()), Signatures::default());
        let table = table(1);
        for _ in 0..2 {
            let input = SigningInput {
                zones: &zones,
                signatures: &signatures,
                now: 1_800_000_000,
                singles: &singles,
                sets_max: 100,
            };
            let (signed, outcome) = table.sign(&input, None);
            if outcome.needed.is_empty() && outcome.wanted.is_empty() {
                return signed;
            }
            for request in outcome.needed.iter().chain(&outcome.wanted) {
                signatures.insert(request.id, [0; 64]);
            }
        }
        panic!("not signed after all");
    }

    fn answerer() -> Answerer {
        answerer_of(table(1))
    }

    fn answerer_of(table: AnswerTable) -> Answerer {
        let serving = Serving::new(table, THREADS, DOMAINS);
        Answerer::new(AnswererStart {
            thread: 0,
            current: Arc::new(Current::new(Arc::new(serving))),
            counters: Arc::new(Counters::new()),
            clock: Clock::real(),
            udp_size_max: 1232,
            server: Arc::default(),
            rate_limit: None,
            sampler: None,
            tap: None,
            seed: 1,
        })
    }

    fn ask(answerer: &mut Answerer, query: &[u8]) {
        let incoming = Incoming {
            query,
            client: [192, 0, 2, 53].into(),
            local: ([127, 0, 0, 1], 53).into(),
            transport: Transport::Udp,
        };
        assert!(answerer.answer(incoming, &mut [0; 1232]).is_some());
    }

    fn check_untouched(info: AllocationInfo) {
        assert_eq!((info.count_total, info.count_current), (0, 0), "neither taken nor freed");
    }

    #[test]
    fn answering_neither_allocates_nor_frees() {
        let mut answerer = answerer();
        let queries = [
            query(1, SERVICE, Some([192, 0, 2])),
            query(2, SERVICE, None),
            query(3, "walrus.example", None),
            query(4, "nobody.walrus.example", None),
            query(5, "www.example.org", None),
        ];
        check_untouched(measure(|| {
            answerer.begin_batch();
            queries.iter().for_each(|query| ask(&mut answerer, query));
        }));
    }

    #[test]
    fn an_update_that_is_refused_where_it_came_in_is_counted() {
        let mut answerer = answerer();
        let incoming = Incoming {
            query: b"\0\x07\x28\0\0\x01\0\0\0\0\0\0\x01x\0\0\x06\0\x01",
            client: [192, 0, 2, 53].into(),
            local: ([127, 0, 0, 1], 53).into(),
            transport: Transport::Udp,
        };
        assert!(answerer.refuse(incoming, &mut [0; 1232]).is_some());
        let mut replies = Replies::default();
        replies.add(&answerer.counters.replies);
        let told: Vec<_> = replies.iter().map(|it| (it.record_type, it.rcode, it.count)).collect();
        assert_eq!(told, [("UPDATE", "REFUSED", 1)]);
    }

    #[test]
    fn cookies_limits_and_dnstap_neither_allocate_nor_free() {
        let folder = tempfile::tempdir().unwrap();
        let output = DnstapOutput::File(folder.path().join("tap"));
        let mut writer = DnstapWriter::start(&output, "lab", 1).unwrap();
        let mut answerer = answerer();
        let secrets = CookieSecrets { current: CookieSecret::new([1; 16]), other: None };
        let nsid = Some((*b"lab").into());
        let server = ServerOptions { cookies: Some(secrets), nsid, ..ServerOptions::default() };
        answerer.server = Arc::new(server);
        answerer.rate_limit = Some(Arc::new(RateLimit::new(&limit(), [7; 16])));
        answerer.tap = writer.tap(0);
        let mut with_cookie = query(1, SERVICE, None);
        with_cookie[11] = 1;
        with_cookie.extend([0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 16, 0, 3, 0, 0, 0, 10, 0, 8]);
        with_cookie.extend([5; 8]);
        let plain = query(2, SERVICE, None);
        let mut replies = 0;
        check_untouched(measure(|| {
            for _ in 0..3_000 {
                answerer.begin_batch();
                for query in [&with_cookie, &plain] {
                    let incoming = Incoming {
                        query,
                        client: [192, 0, 2, 53].into(),
                        local: ([127, 0, 0, 1], 53).into(),
                        transport: Transport::Udp,
                    };
                    replies += u64::from(answerer.answer(incoming, &mut [0; 1232]).is_some());
                }
            }
        }));
        assert!(replies < 6_000, "limited");
        drop(answerer);
        writer.finish();
        let written = std::fs::metadata(folder.path().join("tap")).unwrap().len();
        assert!(written > 100_000, "{written}");
    }

    fn limit() -> RateLimitSettings {
        RateLimitSettings {
            responses_per_second: 10,
            slip: 2,
            ipv4_prefix: 24,
            ipv6_prefix: 56,
            exempt: Vec::new(),
        }
    }

    #[test]
    fn counting_and_sampling_neither_allocate_nor_free() {
        let mut answerer = answerer();
        let service = query(1, SERVICE, Some([192, 0, 2]));
        let garbage = [0; 12];
        check_untouched(measure(|| {
            for _ in 0..2_000 {
                answerer.begin_batch();
                ask(&mut answerer, &service);
                ask(&mut answerer, &garbage);
            }
        }));
        assert_eq!((answerer.sample.seen(), answerer.sample.kept().len()), (4_000, 512));
        answerer.begin_batch();
        let mut latency = crate::latency::Latency::default();
        latency.add(&answerer.counters.latency);
        assert_eq!(latency.count(), 4_000, "every reply of every turn");
        let mut replies = crate::replies::Replies::default();
        replies.add(&answerer.counters.replies);
        let told: Vec<_> = replies.iter().map(|it| (it.record_type, it.rcode, it.count)).collect();
        assert_eq!(told, [("unreadable", "FORMERR", 2_000), ("A", "NOERROR", 2_000)]);
    }

    #[test]
    fn answering_with_signatures_neither_allocates_nor_frees() {
        let mut answerer = answerer_of(signed_table());
        let dnssec_ok = |name: &str| {
            let mut query = query(7, name, None);
            query[11] = 1;
            query.extend([0, 0, 41, 4, 208, 0, 0, 0x80, 0, 0, 0]);
            query
        };
        let queries = [dnssec_ok(SERVICE), dnssec_ok("walrus.example"), query(1, SERVICE, None)];
        let mut reply = [0; 1232];
        let len = respond(
            &answerer.serving.table,
            &mut answerer.state,
            &Request {
                query: &queries[0],
                client: [192, 0, 2, 53].into(),
                local: ([127, 0, 0, 1], 53).into(),
                transport: Transport::Udp,
                now: answerer.now,
                unix_secs: 0,
                udp_size_max: 1232,
                server: ServerOptions::SILENT,
            },
            &mut reply,
        );
        assert!(matches!(len, Outcome::Reply(_)));
        assert_eq!(reply[7], 2, "an address and its signature");
        check_untouched(measure(|| {
            answerer.begin_batch();
            queries.iter().for_each(|query| ask(&mut answerer, query));
        }));
    }

    #[test]
    fn going_over_and_handing_over_neither_allocate_nor_free() {
        let mut answerer = answerer();
        let query = query(1, SERVICE, Some([192, 0, 2]));
        ask(&mut answerer, &query);
        let next = Arc::new(answerer.serving.next(table(2), DOMAINS));
        // Nobody else holds the old table: the thread itself must not be the one who frees it.
        drop(answerer.current.publish(Arc::clone(&next)));
        check_untouched(measure(|| answerer.begin_batch()));
        assert_eq!(answerer.serving.generation, 2);
        ask(&mut answerer, &query);
        next.want_tallies(Some(DOMAINS));
        check_untouched(measure(|| answerer.begin_batch()));
        assert!(next.has_all_tallies());
        let mut seen = Vec::new();
        next.collect(|serving, tally| {
            let queries = tally.counters.areas(0).iter().sum::<u64>();
            let of_domains = tally.domains.iter().map(|counted| counted.count).sum::<u64>();
            seen.push((serving.generation, queries, of_domains, tally.sample.seen()));
        });
        // Domains are counted over both Plans, in one table.
        assert_eq!(seen, [(2, 1, 2, 1), (1, 1, 0, 1)], "what was counted under each table");
    }

    #[test]
    fn domains_are_counted_on_until_they_are_asked_for() {
        let mut answerer = answerer();
        let query = query(1, SERVICE, Some([192, 0, 2]));
        let serving = Arc::clone(&answerer.serving);
        let mut seen = Vec::new();
        for domains in [None, None, Some(DOMAINS), None] {
            ask(&mut answerer, &query);
            serving.want_tallies(domains);
            check_untouched(measure(|| answerer.begin_batch()));
            serving.collect(|_, tally| {
                let of_domains = tally.domains.iter().map(|counted| counted.count).sum::<u64>();
                seen.push((tally.sample.seen(), of_domains));
            });
        }
        assert_eq!(seen, [(1, 0), (1, 0), (1, 3), (1, 0)]);
    }
}

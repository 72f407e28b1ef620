//! Replies by UDP that go out later than their batch, from other threads than those that answer: limited like others
//! unless they are signed, counted, and told to dnstap.

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};

use walrus_core::answer::Transport;
use walrus_dns::reply;
use walrus_host::clock::Clock;

use crate::answering::Incoming;
use crate::counters::{Count, Counters};
use crate::director::lock;
use crate::dnstap::Tap;
use crate::rate_limit::{RateLimit, Verdict};
use crate::replies::answered_and_code;
use crate::tsig::is_to_signer;

/// What all of them share.
pub(crate) struct LateReplies {
    limit: Option<Arc<RateLimit>>,
    clock: Clock,
    /// Only with `told` locked.
    counters: Arc<Counters>,
    told: Mutex<Told>,
}

struct Told {
    limited: u32,
    tap: Option<Tap>,
}

impl LateReplies {
    pub(crate) fn new(
        limit: Option<Arc<RateLimit>>,
        clock: Clock,
        counters: Arc<Counters>,
        tap: Option<Tap>,
    ) -> Self {
        Self { limit, clock, counters, told: Mutex::new(Told { limited: 0, tap }) }
    }

    /// The reply as it goes out; `None`: not at all. What we have signed goes to somebody whose signature was right,
    /// at whose address nobody else can aim; but what was recorded on its way can be sent again, from any address.
    pub(super) fn pass(
        &self,
        (client, local): (IpAddr, SocketAddr),
        mut message: Vec<u8>,
        is_repeat: bool,
    ) -> Option<Vec<u8>> {
        let mut told = lock(&self.told);
        let now = self.clock.now();
        let is_limited = is_repeat || !is_to_signer(&message);
        if let Some(limit) = self.limit.as_ref().filter(|_| is_limited) {
            match limit.judge(client, now, &mut told.limited) {
                Verdict::Send => {}
                Verdict::Slip => {
                    self.counters.add(Count::RateCut, 1);
                    let len = reply::cut(&mut message)?;
                    message.truncate(len);
                }
                Verdict::Drop => {
                    self.counters.add(Count::RateDropped, 1);
                    return None;
                }
            }
        }
        if let Some((answered, code)) = answered_and_code(&message) {
            self.counters.replies.add_answered(Transport::Udp, answered, code);
        }
        if let Some(tap) = &mut told.tap {
            let incoming = Incoming { query: &[], client, local, transport: Transport::Udp };
            let unix_ns = self.clock.unix_ms().saturating_mul(1_000_000);
            let told = tap.tell_reply(&incoming, (now, unix_ns), &message);
            self.counters.add(Count::DnstapTold, told.given);
            self.counters.add(Count::DnstapLost, told.lost);
        }
        Some(message)
    }

    /// Gives what was told to dnstap away, once in a while.
    pub(super) fn turn(&self) {
        let mut told = lock(&self.told);
        if let Some(tap) = &mut told.tap {
            self.counters.add(Count::DnstapLost, tap.turn(self.clock.now()));
        }
    }

    /// Nothing is told any more.
    pub(super) fn end(&self) {
        lock(&self.told).tap = None;
    }
}

#[cfg(test)]
mod tests {
    use walrus_core::config::{DnstapOutput, RateLimitSettings, TsigAlgorithm};

    use super::*;
    use crate::counters::CounterSnapshot;
    use crate::dnstap::DnstapWriter;
    use crate::replies::Replies;
    use crate::tsig::{SharedKey, TsigKeys};

    #[test]
    fn what_is_not_signed_is_limited_and_all_that_goes_out_is_counted_and_told() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tap");
        let output = DnstapOutput::File(path.clone());
        let mut writer = DnstapWriter::start(&output, "lab", 1).unwrap();
        let settings = RateLimitSettings {
            responses_per_second: 5,
            slip: 0,
            ipv4_prefix: 24,
            ipv6_prefix: 56,
            exempt: Vec::new(),
        };
        let limit = Arc::new(RateLimit::new(&settings, [7; 16]));
        let (counters, (clock, _time)) = (Arc::new(Counters::new()), Clock::manual());
        let late = LateReplies::new(Some(limit), clock, Arc::clone(&counters), writer.tap(0));
        let plain = b"\0\x07\x80\x05\0\x01\0\0\0\0\0\0\x01x\0\0\x06\0\x01".to_vec();
        let mut signed = plain.clone();
        let key = SharedKey::new("k".parse().unwrap(), TsigAlgorithm::HmacSha256, b"secret");
        let _ = key.sign_request(&mut signed, 1_790_000_000);
        // Recorded an hour ago, and sent from where it shall go to.
        let keys: TsigKeys = [key.clone()].into_iter().collect();
        let mut old = plain.clone();
        old[2] = 0;
        let _ = key.sign_request(&mut old, 1_790_000_000);
        let refusal = keys.look(&old, 1_790_003_600).unwrap_err();
        let late_time = refusal.reply(&old, 1_790_003_600).unwrap();
        let passed = |message: &Vec<u8>, last: u8, is_repeat: bool| {
            let between = ([192, 0, last, 1].into(), ([192, 0, 2, 53], 53).into());
            (0..20).filter(|_| late.pass(between, message.clone(), is_repeat).is_some()).count()
        };
        assert_eq!((passed(&plain, 2, false), passed(&signed, 2, false)), (5, 20));
        assert_eq!(passed(&late_time, 3, false), 5, "signed, to whoever has recorded it");
        assert_eq!(passed(&signed, 4, true), 5, "likewise");
        late.end();
        writer.finish();
        let mut seen = CounterSnapshot::default();
        seen.add(&counters);
        assert_eq!((seen.rate_dropped, seen.dnstap_told, seen.dnstap_lost), (45, 35, 0));
        let mut replies = Replies::default();
        replies.add(&counters.replies);
        let told: Vec<_> = replies.iter().map(|it| (it.record_type, it.rcode, it.count)).collect();
        assert_eq!(told, [("SOA", "REFUSED", 30), ("SOA", "NOTAUTH", 5)]);
        let tapped = std::fs::read(path).unwrap();
        let count = tapped.windows(plain.len()).filter(|part| part[2..] == plain[2..]).count();
        // The signed ones have another count of records.
        assert_eq!(count, 5);
    }
}

//! Response rate limiting: so many replies by UDP a second to each network, so that whoever writes a
//! victim's address onto queries gets little out of this server against it.
//!
//! **Problem.** A reply is longer than its query, and nobody can see whether the address on a
//! datagram is its sender's. **Rule.** Each client network has a bucket that all threads share: as
//! many replies a second as are set, and as many at once. What goes beyond is dropped, but every
//! `slip`th is sent cut to nothing (TC), so that a real resolver comes by TCP, which nobody forges.
//! Who brings back a cookie that this server gave (RFC 7873) has shown that the address is its own,
//! and is not limited. Neither are the networks that are exempt, nor TCP.
//!
//! **State.** A table of fixed size, each place one 64-bit number: when the bucket will be empty again
//! (the "theoretical arrival time" of the generic cell rate algorithm) and some bits of the
//! network's hash. Two networks on one place take it from each other, which sets the other's bucket
//! back to empty: an error to the clients' good, as rare as the table is large. No lock: whoever loses a
//! race between threads looks again, a few times at most. Threads look at the clock once a batch, so
//! that one may be behind another; a bucket is taken for another's only if it is ahead by far more.

use std::hash::Hasher as _;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};

use siphasher::sip::SipHasher13;
use walrus_core::config::RateLimitSettings;
use walrus_core::world::Time;

use crate::networks::Networks;

/// Places of the table: 512 KiB, so that a flood from 65,536 networks is still told apart.
const PLACES: usize = 1 << 16;
/// Bits of a place for the time, in units of 1/16 microsecond since the start: 203 days, after which
/// each bucket is taken for empty once.
const TIME_BITS: u32 = 48;
/// So many units are a second.
const UNITS: u64 = 16_000_000;
/// A bucket that seems fuller than full by no more than this is one that a thread filled whose clock is ahead.
const CLOCKS_APART: u64 = 10 * UNITS;
/// So often whoever loses a race looks again; then the reply is not counted.
const TRIES: usize = 4;

/// Shared by all answering threads.
pub(crate) struct RateLimit {
    places: Box<[AtomicU64]>,
    /// Between two replies at the highest rate, in units.
    interval: u64,
    /// What may go out at once takes so long at that rate, in units.
    burst: u64,
    slip: u32,
    /// The bits of an address that tell networks apart.
    ipv4_mask: u32,
    ipv6_mask: u128,
    exempt: Networks,
    /// So that nobody can choose networks that share a place.
    key: [u8; 16],
}

/// What becomes of a reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It is sent.
    Send,
    /// It is sent without records, marked as cut.
    Slip,
    /// It is not sent.
    Drop,
}

impl RateLimit {
    pub(crate) fn new(settings: &RateLimitSettings, key: [u8; 16]) -> Self {
        let rate = u64::from(settings.responses_per_second.max(1));
        let interval = UNITS.div_ceil(rate);
        Self {
            places: (0..PLACES).map(|_| AtomicU64::new(0)).collect(),
            interval,
            burst: interval * rate,
            slip: settings.slip,
            ipv4_mask: u32::MAX.checked_shl(32 - u32::from(settings.ipv4_prefix)).unwrap_or(0),
            ipv6_mask: u128::MAX.checked_shl(128 - u32::from(settings.ipv6_prefix)).unwrap_or(0),
            exempt: Networks::new(&settings.exempt),
            key,
        }
    }

    /// Judges a reply to a client; `limited` counts what this thread has limited.
    #[inline]
    pub(crate) fn judge(&self, client: IpAddr, now: Time, limited: &mut u32) -> Verdict {
        // First, so that they leave their neighbours what these may.
        if self.exempt.contain(client) {
            return Verdict::Send;
        }
        let hash = self.hash(client);
        let place = &self.places[hash as usize % PLACES];
        let tag = hash >> TIME_BITS << TIME_BITS;
        let now = (now.as_nanos() / 1000 * (UNITS / 1_000_000)) & !(u64::MAX << TIME_BITS);
        let mut held = place.load(Ordering::Relaxed);
        for _ in 0..TRIES {
            let empty_at = if held & (u64::MAX << TIME_BITS) == tag { held ^ tag } else { 0 };
            // From before the clock began anew.
            let is_old = empty_at > now + self.burst + CLOCKS_APART;
            let next = if is_old { now } else { empty_at.max(now) } + self.interval;
            if next > now + self.burst {
                return self.limit(limited);
            }
            let new = tag | next & !(u64::MAX << TIME_BITS);
            match place.compare_exchange_weak(held, new, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => return Verdict::Send,
                Err(other) => held = other,
            }
        }
        Verdict::Send
    }

    /// Beyond the limit.
    #[cold]
    fn limit(&self, limited: &mut u32) -> Verdict {
        *limited = limited.wrapping_add(1);
        if self.slip > 0 && limited.is_multiple_of(self.slip) {
            return Verdict::Slip;
        }
        Verdict::Drop
    }

    fn hash(&self, client: IpAddr) -> u64 {
        let mut hasher = SipHasher13::new_with_key(&self.key);
        match client {
            IpAddr::V4(address) => hasher.write_u32(address.to_bits() & self.ipv4_mask),
            IpAddr::V6(address) => hasher.write_u128(address.to_bits() & self.ipv6_mask),
        }
        hasher.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limit(settings: RateLimitSettings) -> RateLimit {
        RateLimit::new(&settings, [7; 16])
    }

    fn settings(responses_per_second: u32) -> RateLimitSettings {
        RateLimitSettings {
            responses_per_second,
            slip: 2,
            ipv4_prefix: 24,
            ipv6_prefix: 56,
            exempt: Vec::new(),
        }
    }

    /// How many of so many replies, one each `apart_us`, are sent whole, cut and dropped.
    fn judged(
        limit: &RateLimit,
        client: &str,
        (from_us, apart_us): (u64, u64),
        count: u64,
    ) -> [u64; 3] {
        let client = client.parse().unwrap();
        let (mut verdicts, mut limited) = ([0; 3], 0);
        for number in 0..count {
            let now = Time::from_nanos((from_us + number * apart_us) * 1000);
            verdicts[limit.judge(client, now, &mut limited) as usize] += 1;
        }
        verdicts
    }

    #[test]
    fn so_many_at_once_and_so_many_a_second() {
        let limit = limit(settings(100));
        assert_eq!(judged(&limit, "192.0.2.1", (0, 0), 300), [100, 100, 100]);
        // Ten seconds at ten times the rate, from a full bucket.
        assert_eq!(judged(&limit, "192.0.2.200", (0, 1000), 10_000)[0], 999);
        assert_eq!(judged(&limit, "192.0.3.1", (0, 10_000), 500), [500, 0, 0]);
        assert_eq!(judged(&limit, "2001:db8::1", (0, 0), 101), [100, 0, 1]);
        assert_eq!(judged(&limit, "2001:db8:0:ff::1", (0, 0), 2), [0, 1, 1]);
        assert_eq!(judged(&limit, "2001:db8:0:100::1", (0, 0), 2), [2, 0, 0]);
    }

    #[test]
    fn a_thread_that_is_behind_opens_nothing() {
        let limit = limit(settings(500));
        let (mut sent, mut limited) = (0, 0);
        for number in 0..100_000_u64 {
            // 20,000 a second, and each hundredth thread's batch began 5 ms ago.
            let behind_us = if number % 100 == 0 { 5_000 } else { 0 };
            let now = Time::from_nanos((1_000_000 + number * 50 - behind_us) * 1000);
            let verdict = limit.judge([192, 0, 2, 1].into(), now, &mut limited);
            sent += u32::from(verdict == Verdict::Send);
        }
        assert!((2_990..=3_010).contains(&sent), "{sent} in 5 s, with a burst of 1 s");
    }

    #[test]
    fn threads_share_what_a_network_may() {
        let limit = limit(settings(1000));
        let sent: u32 = std::thread::scope(|scope| {
            let judging = || {
                let mut limited = 0;
                let client = [192, 0, 2, 1].into();
                let judge = |_| limit.judge(client, Time::from_secs(1), &mut limited);
                (0..10_000).map(judge).filter(|it| *it == Verdict::Send).count() as u32
            };
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(judging)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).sum()
        });
        // A reply whose count was lost four times in a row is the exception.
        assert!((1000..1100).contains(&sent), "{sent}");
    }

    #[test]
    fn high_rates_are_what_they_say() {
        for rate in [300_000_u32, 600_000, 1_000_000] {
            let limit = limit(settings(rate));
            let sent = judged(&limit, "192.0.2.1", (1_000_000, 0), 1_100_000)[0];
            assert!(sent.abs_diff(rate.into()) < u64::from(rate) / 50, "{sent} of {rate}");
        }
    }

    #[test]
    fn networks_that_are_exempt_and_no_slip() {
        let exempt =
            vec![("192.0.2.128".parse().unwrap(), 25), ("2001:db8::".parse().unwrap(), 32)];
        let limit = limit(RateLimitSettings { slip: 0, exempt, ..settings(10) });
        assert_eq!(judged(&limit, "192.0.2.127", (0, 0), 100), [10, 0, 90]);
        assert_eq!(judged(&limit, "192.0.2.128", (0, 0), 100), [100, 0, 0]);
        assert_eq!(judged(&limit, "2001:db8:ffff::1", (0, 0), 100), [100, 0, 0]);
    }

    #[test]
    fn all_networks_and_one() {
        let limit = limit(RateLimitSettings { ipv4_prefix: 0, ipv6_prefix: 128, ..settings(5) });
        assert_eq!(judged(&limit, "192.0.2.1", (0, 0), 5), [5, 0, 0]);
        assert_eq!(judged(&limit, "198.51.100.1", (0, 0), 2)[0], 0);
        assert_eq!(judged(&limit, "2001:db8::1", (0, 0), 5), [5, 0, 0]);
        assert_eq!(judged(&limit, "2001:db8::2", (0, 0), 5), [5, 0, 0]);
    }

    #[test]
    fn many_networks_are_told_apart() {
        let limit = limit(settings(1));
        let mut sent = 0;
        for network in 0..20_000_u32 {
            let client = IpAddr::from((network << 8).to_be_bytes());
            let mut limited = 0;
            for _ in 0..10 {
                let verdict = limit.judge(client, Time::from_secs(1), &mut limited);
                sent += u32::from(verdict == Verdict::Send);
            }
        }
        assert_eq!(sent, 20_000);
    }
}

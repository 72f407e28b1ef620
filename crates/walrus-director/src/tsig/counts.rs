//! What became of signed requests, in numbers and in a line of the log a minute for each kind.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use walrus_dns::DomainName;

use super::TsigRefusal;

/// Time between two lines about refusals, in seconds.
const TOLD_EVERY: u64 = 60;

/// Kinds of refusals that are told apart.
const KINDS: usize = 4;

/// Counts since the start.
#[derive(Debug, Default)]
pub struct TsigCounts {
    good: AtomicU64,
    bad_key: AtomicU64,
    bad_signature: AtomicU64,
    bad_time: AtomicU64,
    malformed: AtomicU64,
    /// By kind: when somebody was told of such a refusal last, so that a stranger's hide no friend's.
    told_at: [AtomicU64; KINDS],
}

/// The same at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct TsigCount {
    /// Signatures that were right.
    pub good: u64,
    /// Keys or algorithms that are not known here.
    pub bad_key: u64,
    /// Signatures that are wrong or too short: mostly another secret.
    pub bad_signature: u64,
    /// Clocks that differ too much, or what was signed before what this side remembers of its key.
    pub bad_time: u64,
    /// Signatures that are none, or stand in the wrong place.
    pub malformed: u64,
}

impl TsigCounts {
    /// The counts now.
    #[must_use]
    pub fn snapshot(&self) -> TsigCount {
        TsigCount {
            good: self.good.load(Relaxed),
            bad_key: self.bad_key.load(Relaxed),
            bad_signature: self.bad_signature.load(Relaxed),
            bad_time: self.bad_time.load(Relaxed),
            malformed: self.malformed.load(Relaxed),
        }
    }

    pub(super) fn add_good(&self) {
        self.good.fetch_add(1, Relaxed);
    }

    pub(super) fn add_refusal(&self, refusal: &TsigRefusal, key: Option<&DomainName>, now: u64) {
        let (kind, count) = match refusal {
            TsigRefusal::Malformed => (0, &self.malformed),
            TsigRefusal::UnknownKey => (1, &self.bad_key),
            TsigRefusal::WrongSignature | TsigRefusal::ShortSignature { .. } => {
                (2, &self.bad_signature)
            }
            TsigRefusal::WrongTime { .. } | TsigRefusal::Forgotten { .. } => (3, &self.bad_time),
        };
        count.fetch_add(1, Relaxed);
        let told = &self.told_at[kind];
        let told_at = told.load(Relaxed);
        if told_at == 0 || now.saturating_sub(told_at) >= TOLD_EVERY {
            told.store(now.max(1), Relaxed);
            let key = key.map(ToString::to_string);
            tracing::warn!(key, "a request is refused: {refusal}");
        }
    }
}

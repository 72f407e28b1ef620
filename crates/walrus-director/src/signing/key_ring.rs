//! The private keys at work: requests in, signatures out, on as many cores as there are.

use std::collections::BTreeMap;
use std::num::NonZero;
use std::sync::atomic::{AtomicBool, Ordering};

use walrus_core::dnssec::{DnsKey, SignRequest, Signature};

use crate::keys::{KeyPair, KeyPairError};

/// Requests that are not worth another thread: two milliseconds' work.
const SHARE_MIN: usize = 64;

/// The nice value of threads that sign in the background: answering goes first.
const NICE: i32 = 19;

/// Private keys by their public halves.
#[derive(Clone, Debug, Default)]
pub(crate) struct KeyRing {
    pairs: BTreeMap<DnsKey, KeyPair>,
}

/// How urgent it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pace {
    /// Somebody waits.
    Now,
    /// Nobody does: whoever answers goes first.
    Background,
}

/// Why something is not signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignError {
    /// The private key is not here.
    #[error(
        "the private key {tag} (algorithm {algorithm}) is not here: bring its file back, or import \
         it (`walrus keys`)"
    )]
    NoKey {
        /// The key's tag.
        tag: u16,
        /// Its algorithm's number.
        algorithm: u8,
    },
    /// Which keys the zone has is not known here, or none of them signs yet.
    #[error(
        "no key signs it here: `walrus keys list` says what is wrong or waited for; bring the key \
         files back, or import them"
    )]
    NoKeys,
    /// It does not sign.
    #[error(transparent)]
    Pair(#[from] KeyPairError),
    /// No clock was ever right.
    #[error("the clock is not set: signatures need the date; set it (NTP)")]
    Clock,
    /// The process ends.
    #[error("the node stops")]
    Stopped,
}

impl SignError {
    pub(crate) fn no_key(key: &DnsKey) -> Self {
        Self::NoKey { tag: key.tag(), algorithm: key.algorithm().number() }
    }
}

impl KeyRing {
    pub(crate) fn new(pairs: impl IntoIterator<Item = KeyPair>) -> Self {
        let mut ring = Self::default();
        ring.add(pairs);
        ring
    }

    pub(crate) fn add(&mut self, pairs: impl IntoIterator<Item = KeyPair>) {
        self.pairs.extend(pairs.into_iter().map(|pair| (pair.public().clone(), pair)));
    }

    pub(crate) fn has(&self, key: &DnsKey) -> bool {
        self.pairs.contains_key(key)
    }

    pub(crate) fn sign(&self, request: &SignRequest) -> Result<Signature, SignError> {
        let pair = self.pairs.get(&request.key);
        Ok(pair.ok_or_else(|| SignError::no_key(&request.key))?.sign(&request.bytes)?)
    }

    /// Signs all of these, each into its place.
    ///
    /// # Errors
    /// The first there is; `stop` ends it too.
    pub(crate) fn sign_all(
        &self,
        requests: &[SignRequest],
        made: &mut [Signature],
        pace: Pace,
        stop: &AtomicBool,
    ) -> Result<(), SignError> {
        let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
        let threads = cores.min(requests.len() / SHARE_MIN).max(1);
        if threads == 1 {
            return self.sign_share(requests, made, stop);
        }
        let share = requests.len().div_ceil(threads);
        std::thread::scope(|scope| {
            let shares = requests.chunks(share).zip(made.chunks_mut(share));
            let threads: Vec<_> = shares
                .map(|(requests, made)| {
                    scope.spawn(move || {
                        if pace == Pace::Background {
                            give_way();
                        }
                        self.sign_share(requests, made, stop)
                    })
                })
                .collect();
            // A panic has been told by the thread itself.
            threads.into_iter().try_for_each(|it| it.join().unwrap_or(Err(SignError::Stopped)))
        })
    }

    fn sign_share(
        &self,
        requests: &[SignRequest],
        made: &mut [Signature],
        stop: &AtomicBool,
    ) -> Result<(), SignError> {
        for (request, made) in requests.iter().zip(made) {
            if stop.load(Ordering::Relaxed) {
                return Err(SignError::Stopped);
            }
            *made = self.sign(request)?;
        }
        Ok(())
    }
}

/// From now on the calling thread runs when nobody else wants to.
pub(crate) fn give_way() {
    // On Linux a thread's own; elsewhere, or where it is forbidden, it goes on as it is.
    let _ = rustix::process::nice(NICE);
}

#[cfg(test)]
mod tests {
    use walrus_core::dnssec::{Algorithm, FLAG_ZONE, SignatureId};

    use super::*;

    fn request(key: &DnsKey, number: u16) -> SignRequest {
        let mut id = [0; 16];
        id[..2].copy_from_slice(&number.to_be_bytes());
        SignRequest { id: SignatureId(id), key: key.clone(), bytes: Box::new(number.to_be_bytes()) }
    }

    #[test]
    fn many_are_signed_in_their_order_and_a_missing_key_is_named() {
        let pair = KeyPair::generate(Algorithm::Ed25519, FLAG_ZONE).unwrap();
        let other = KeyPair::generate(Algorithm::Ed25519, FLAG_ZONE).unwrap();
        let ring = KeyRing::new([pair.clone()]);
        let requests: Vec<_> = (0..500).map(|number| request(pair.public(), number)).collect();
        let mut made = vec![[0; 64]; requests.len()];
        let stop = AtomicBool::new(false);
        for pace in [Pace::Now, Pace::Background] {
            ring.sign_all(&requests, &mut made, pace, &stop).unwrap();
            for (request, made) in requests.iter().zip(&made) {
                assert_eq!(*made, pair.sign(&request.bytes).unwrap());
            }
        }
        let missing = [request(other.public(), 1)];
        let refused = ring.sign_all(&missing, &mut made[..1], Pace::Now, &stop).unwrap_err();
        let tag = other.public().tag();
        assert_eq!(refused, SignError::NoKey { tag, algorithm: 15 });
        stop.store(true, Ordering::Relaxed);
        let stopped = ring.sign_all(&requests, &mut made, Pace::Now, &stop);
        assert_eq!(stopped, Err(SignError::Stopped));
    }
}

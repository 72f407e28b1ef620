//! Signed messages (TSIG, RFC 8945): keys that two sides share, and who of them said what.
//!
//! - [`TsigKeys::verify`] checks a request and gives back who may sign the replies ([`ReplySigner`]), or why
//!   it is refused ([`TsigRefusal`]), with the reply that says so.
//! - [`SharedKey::sign_request`] signs a request and gives back who checks its replies
//!   ([`ReplyVerifier`]), of which there may be many (zone transfers).
//!
//! Messages are bytes, with the TSIG record put behind and taken off in place. The time is an argument, in
//! seconds since 1970. `domain` has these protocols too, and the tests compare with it; but its server says
//! `FORMERR` where RFC 8945 section 5.2.2 wants `BADSIG`, and signs a `BADTIME` reply with eight bytes of time
//! for six, which no client believes.

mod client;
mod counts;
mod record;
mod server;

use std::collections::BTreeMap;
use std::sync::Arc;

use ring::hmac;
use walrus_core::config::{TsigAlgorithm, TsigKey};
use walrus_dns::DomainName;

pub use client::{ReplyRefused, ReplyVerifier};
pub use counts::{TsigCount, TsigCounts};
pub(crate) use server::Signed;
pub use server::{ReplySigner, TsigRefusal};

use crate::update::{SecretError, read_secret};

/// Whether a reply of ours has a signature and no error in it: its request was signed rightly, not long ago. One that
/// says BADTIME is signed, too, but what it answers may have been recorded at any time.
pub(crate) fn is_to_signer(reply: &[u8]) -> bool {
    let found = record::Found::in_message(reply).ok().flatten();
    found.is_some_and(|it| !it.mac.is_empty() && it.variables.error == record::NO_ERROR)
}

/// How far clocks may be apart, in seconds (RFC 8945 section 10).
pub(crate) const FUDGE: u16 = 300;

/// A key with its secret. Cheap to clone; its secret is never shown.
#[derive(Clone)]
pub struct SharedKey(Arc<Held>);

struct Held {
    name: DomainName,
    algorithm: TsigAlgorithm,
    key: hmac::Key,
}

impl std::fmt::Debug for SharedKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SharedKey({} {})", self.0.name, self.0.algorithm.as_str())
    }
}

impl SharedKey {
    /// Of a name and a secret.
    #[must_use]
    pub fn new(name: DomainName, algorithm: TsigAlgorithm, secret: &[u8]) -> Self {
        let hash = match algorithm {
            TsigAlgorithm::HmacSha256 => hmac::HMAC_SHA256,
            TsigAlgorithm::HmacSha384 => hmac::HMAC_SHA384,
            TsigAlgorithm::HmacSha512 => hmac::HMAC_SHA512,
        };
        Self(Arc::new(Held { name, algorithm, key: hmac::Key::new(hash, secret) }))
    }

    /// With the secret that its file holds now.
    ///
    /// # Errors
    /// As [`read_secret`].
    pub fn read(key: &TsigKey) -> Result<Self, SecretError> {
        Ok(Self::new(key.name.clone(), key.algorithm, &read_secret(key)?))
    }

    /// The same on both sides.
    #[must_use]
    pub fn name(&self) -> &DomainName {
        &self.0.name
    }

    /// The most bytes that a signature of it adds to a message.
    #[must_use]
    pub fn signature_size(&self) -> usize {
        // Behind the names: type, class, TTL and length (10), time and fudge (8), length of the MAC, id, error, length
        // of the other data (8), and in a BADTIME reply six bytes of time.
        let names = self.0.name.as_wire().len() + record::algorithm_name(self.0.algorithm).len();
        names + 10 + 8 + 8 + self.mac_size() + 6
    }

    fn mac_size(&self) -> usize {
        self.0.key.algorithm().digest_algorithm().output_len()
    }

    fn digest(&self) -> hmac::Context {
        hmac::Context::with_key(&self.0.key)
    }
}

/// All keys of a configuration, by name.
#[derive(Clone, Debug, Default)]
pub struct TsigKeys {
    keys: BTreeMap<DomainName, SharedKey>,
    counts: Arc<TsigCounts>,
}

/// A key that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("[[key]] {name}")]
pub struct TsigKeyError {
    name: DomainName,
    source: SecretError,
}

impl TsigKeys {
    /// With the secrets that the files hold now.
    ///
    /// # Errors
    /// The first whose file cannot be read or holds no secret.
    pub fn read(keys: &[TsigKey]) -> Result<Self, TsigKeyError> {
        let read = |key: &TsigKey| {
            let shared = SharedKey::read(key);
            shared.map_err(|source| TsigKeyError { name: key.name.clone(), source })
        };
        keys.iter().map(read).collect::<Result<Vec<_>, _>>().map(Self::from_iter)
    }

    /// These instead, counted on in the same counters: after a reload.
    #[must_use]
    pub fn replaced_by(&self, other: Self) -> Self {
        Self { keys: other.keys, counts: Arc::clone(&self.counts) }
    }

    /// The key of this name.
    #[must_use]
    pub fn get(&self, name: &DomainName) -> Option<&SharedKey> {
        self.keys.get(name)
    }

    /// What became of signed requests.
    #[must_use]
    pub fn counts(&self) -> &Arc<TsigCounts> {
        &self.counts
    }
}

impl FromIterator<SharedKey> for TsigKeys {
    fn from_iter<I: IntoIterator<Item = SharedKey>>(keys: I) -> Self {
        let keys = keys.into_iter().map(|key| (key.name().clone(), key)).collect();
        Self { keys, counts: Arc::default() }
    }
}

#[cfg(test)]
mod tests;

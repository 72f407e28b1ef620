//! Signing: when what is signed, by which thread, and when it is published.
//!
//! What is to be signed is decided in `walrus_core` (`dnssec`, `answer`), which hands out requests.
//! Here they are carried out, never on a thread that answers:
//!
//! - `answers`: answer sets of services. A Plan that lacks a few signatures gets them on the thread
//!   that brings it; one that lacks many is answered at once with sets that are signed already, and
//!   a thread of low priority makes the rest.
//! - `ground`: what answer sets are signed from. Whole tables are looked at with a copy of it, beside
//!   the lock that Plans need: none waits for a key change, a reload or a renewal.
//! - `zones`: all that is static. A zone is signed beside the one that is served, then takes its
//!   place, at its start, with new keys, after a reload and when signatures are due.
//! - `store`: what was signed, on the disk, so that a restart signs nothing anew.
//! - `key_ring`: the private keys at work.
//! - `publish` puts zones and their answers in force; `upkeep` is what `background`'s threads do.

mod answers;
mod background;
mod ground;
mod key_ring;
mod publish;
mod status;
mod store;
mod upkeep;
mod zones;

pub(crate) use answers::{AnswersStart, Figures, SignedAnswers};
pub(crate) use background::Background;
pub use key_ring::SignError;
pub(crate) use key_ring::{KeyRing, Pace, give_way};
pub(crate) use publish::{Rebuilding, Surroundings, ZonesTold, compile, keys_digest};
pub use status::{KeyUse, SigningStatus, ZoneSigningStatus};
pub(crate) use store::Store;
pub(crate) use zones::{Extent, SignedZones, Signing, Wanted};

use std::path::PathBuf;

use walrus_core::dnssec::ZoneSigning;

use crate::keys::KeyPair;

/// How zones are signed: those that are not named are served as they are.
#[derive(Clone, Debug)]
pub struct SigningStart {
    /// The zones that are signed, and what their keys do.
    pub zones: Vec<ZoneSigning>,
    /// The private halves of the keys that sign.
    pub pairs: Vec<KeyPair>,
    /// The most answer sets that are signed; beyond them single servers answer.
    pub answer_sets_max: usize,
    /// The directory where signatures are kept; `None`: everything is signed anew at each start.
    pub store: Option<PathBuf>,
}

impl Default for SigningStart {
    /// Nothing is signed.
    fn default() -> Self {
        Self { zones: Vec::new(), pairs: Vec::new(), answer_sets_max: 100_000, store: None }
    }
}

//! What answer sets are signed from. A copy costs some microseconds, so that whole tables are looked
//! at beside the lock that Plans need.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use walrus_core::answer::{AnswerSigning, AnswerTable, SigningInput, SigningOutcome, SingleSets};
use walrus_core::dnssec::{SignRequest, Signature, SignatureId, Signatures};
use walrus_dns::DomainName;

use super::key_ring::{KeyRing, Pace, SignError};

/// So many signatures are made before a table is published: about ten milliseconds of one core.
const AT_ONCE: usize = 400;

/// How often a table is looked at again after something was signed for it: once is enough unless a
/// period of signatures ends meanwhile.
const ROUNDS: usize = 3;

/// How zones' answer sets are to be signed from now on.
#[derive(Clone, Debug, Default)]
pub(crate) struct AnswerTerms {
    /// All zones that are served; `None` is unsigned.
    pub(crate) zones: BTreeMap<DomainName, Option<AnswerSigning>>,
    pub(crate) singles: Arc<SingleSets>,
}

/// See the file's first line.
#[derive(Clone, Debug)]
pub(crate) struct Ground {
    pub(crate) terms: Arc<AnswerTerms>,
    pub(crate) signatures: Signatures,
    /// The most answer sets that are signed.
    pub(crate) sets_max: usize,
    pub(crate) key_ring: Arc<KeyRing>,
}

/// What was signed of what was asked for.
#[derive(Debug, Default)]
pub(crate) struct Made {
    pub(crate) requests: Vec<SignRequest>,
    /// One for each request.
    pub(crate) signatures: Vec<Signature>,
    /// Why not all of it.
    pub(crate) error: Option<SignError>,
}

/// A table with what signing it came to.
#[derive(Debug)]
pub(crate) struct Signed {
    pub(crate) table: AnswerTable,
    pub(crate) outcome: SigningOutcome,
    /// What was signed for it.
    pub(crate) made: Vec<Made>,
}

impl Ground {
    /// Whether anything is signed at all.
    pub(crate) fn is_signing(&self) -> bool {
        self.terms.zones.values().any(Option::is_some)
    }

    /// The table with the signatures that there are, and what is missing. Where much is missing it
    /// takes some microseconds a set.
    pub(crate) fn look(
        &self,
        table: &AnswerTable,
        earlier: &AnswerTable,
        now: u64,
    ) -> (AnswerTable, SigningOutcome) {
        table.sign(&self.input(&self.signatures, now), Some(earlier))
    }

    /// The same, with everything signed that `choose` takes of what is missing.
    pub(crate) fn sign(
        &mut self,
        (table, earlier): (&AnswerTable, &AnswerTable),
        now: u64,
        choose: fn(&SigningOutcome) -> Vec<SignRequest>,
        stop: &AtomicBool,
    ) -> Signed {
        let mut made = Vec::new();
        let (mut signed, mut outcome) = self.look(table, earlier, now);
        for _ in 0..ROUNDS {
            let missing = choose(&outcome);
            // Without a date nothing is signed.
            if now == 0 || missing.is_empty() {
                break;
            }
            let these = self.make(missing, Pace::Now, stop);
            let is_nothing = these.requests.is_empty();
            self.insert(&these);
            made.push(these);
            if is_nothing {
                break;
            }
            (signed, outcome) = self.look(table, earlier, now);
        }
        Signed { table: signed, outcome, made }
    }

    /// Signs what there are keys for.
    pub(crate) fn make(&self, requests: Vec<SignRequest>, pace: Pace, stop: &AtomicBool) -> Made {
        let (held, lost): (Vec<_>, Vec<_>) =
            requests.into_iter().partition(|request| self.key_ring.has(&request.key));
        let error = lost.first().map(|request| SignError::no_key(&request.key));
        let mut signatures = vec![[0; 64]; held.len()];
        match self.key_ring.sign_all(&held, &mut signatures, pace, stop) {
            Ok(()) => Made { requests: held, signatures, error },
            Err(error) => Made { error: Some(error), ..Made::default() },
        }
    }

    pub(crate) fn insert(&mut self, made: &Made) {
        for (request, signature) in made.requests.iter().zip(&made.signatures) {
            self.signatures.insert(request.id, *signature);
        }
    }

    /// Which signatures the table does not use.
    pub(crate) fn unused(&self, table: &AnswerTable, now: u64) -> Vec<SignatureId> {
        let nothing = Signatures::default();
        // With nothing signed, everything that is used is missing.
        let (_, outcome) = table.without_signatures().sign(&self.input(&nothing, now), None);
        let used: BTreeSet<SignatureId> = all_missing(&outcome).map(|request| request.id).collect();
        self.signatures.iter().map(|(id, _)| id).filter(|id| !used.contains(id)).collect()
    }

    fn input<'a>(&'a self, signatures: &'a Signatures, now: u64) -> SigningInput<'a> {
        let AnswerTerms { zones, singles } = &*self.terms;
        SigningInput { zones, signatures, now, singles, sets_max: self.sets_max }
    }
}

/// What is signed before a table is published: all that is missing if it is little, else what
/// nothing could stand in for.
pub(crate) fn what_is_quick(outcome: &SigningOutcome) -> Vec<SignRequest> {
    match outcome.needed.len() + outcome.wanted.len() <= AT_ONCE {
        true => everything(outcome),
        false => outcome.needed.clone(),
    }
}

/// All that is missing.
pub(crate) fn everything(outcome: &SigningOutcome) -> Vec<SignRequest> {
    all_missing(outcome).cloned().collect()
}

fn all_missing(outcome: &SigningOutcome) -> impl Iterator<Item = &SignRequest> {
    outcome.needed.iter().chain(&outcome.wanted)
}

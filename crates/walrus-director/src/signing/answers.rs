//! Answer sets of services: what a new table lacks is signed at once if it is little, else later.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use walrus_core::answer::{AnswerSigning, AnswerTable, SigningInput, SigningOutcome, SingleSets};
use walrus_core::dnssec::{
    CONFIRM, ClockNews, PlausibleTime, SignRequest, Signature, SignatureId, Signatures,
};
use walrus_dns::DomainName;
use walrus_host::clock::Clock;

use super::key_ring::{KeyRing, Pace, SignError};
use super::store::{Entry, Kept, Store};

/// So many signatures are made before a table is published: about ten milliseconds of one core.
const AT_ONCE: usize = 400;

/// How often a table is looked at again after something was signed for it: once is enough unless a
/// period of signatures ends meanwhile.
const ROUNDS: usize = 3;

/// Signatures that are kept although nothing uses them now: servers come back.
const UNUSED_MAX: usize = 20_000;

/// The services' part of signing; guarded together with the table in force.
#[derive(Debug)]
pub(crate) struct SignedAnswers {
    terms: Arc<AnswerTerms>,
    signatures: Signatures,
    sets_max: usize,
    time: PlausibleTime,
    key_ring: Arc<KeyRing>,
    store: Store,
    /// To be signed in the background for the table in force.
    pending: Vec<SignRequest>,
    /// Something was signed that is not on the disk.
    is_dirty: bool,
    figures: Figures,
}

/// What the last look at the table in force came to.
#[derive(Clone, Debug, Default)]
pub(crate) struct Figures {
    /// Sets that are signed.
    pub(crate) sets: usize,
    /// Sets beyond the bound.
    pub(crate) left_out: usize,
    /// In seconds since 1970.
    pub(crate) next_renewal: Option<u64>,
    /// Why something is not signed.
    pub(crate) error: Option<SignError>,
    /// What is wrong with the clock.
    pub(crate) clock: Option<String>,
}

/// What the services' part starts from.
pub(crate) struct AnswersStart {
    pub(crate) sets_max: usize,
    pub(crate) key_ring: KeyRing,
    pub(crate) store: Store,
}

/// How zones' answer sets are to be signed from now on.
#[derive(Clone, Debug, Default)]
pub(crate) struct AnswerTerms {
    /// All zones that are served; `None` is unsigned.
    pub(crate) zones: BTreeMap<DomainName, Option<AnswerSigning>>,
    pub(crate) singles: Arc<SingleSets>,
}

impl SignedAnswers {
    pub(crate) fn open(start: AnswersStart, clock: &Clock) -> Self {
        let kept = start.store.load(None);
        let mut signatures = Signatures::default();
        kept.entries.iter().for_each(|entry| signatures.insert(entry.id, entry.signature));
        let stored = (kept.time > 0).then_some(kept.time);
        let unix = clock.unix_ms() / 1000;
        Self {
            terms: Arc::default(),
            signatures,
            sets_max: start.sets_max,
            time: PlausibleTime::begin(stored, unix, clock.now()),
            key_ring: Arc::new(start.key_ring),
            store: start.store,
            pending: Vec::new(),
            is_dirty: false,
            figures: Figures::default(),
        }
    }

    pub(crate) const fn store(&self) -> &Store {
        &self.store
    }

    pub(crate) const fn key_ring(&self) -> &Arc<KeyRing> {
        &self.key_ring
    }

    pub(crate) fn set_key_ring(&mut self, ring: KeyRing) {
        self.key_ring = Arc::new(ring);
    }

    /// Holds from the next look at a table on; the bound before.
    pub(crate) const fn set_sets_max(&mut self, sets_max: usize) -> usize {
        std::mem::replace(&mut self.sets_max, sets_max)
    }

    pub(crate) fn pending(&self) -> usize {
        self.pending.len()
    }

    pub(crate) const fn figures(&self) -> &Figures {
        &self.figures
    }

    /// Whether anything is signed at all.
    pub(crate) fn is_signing(&self) -> bool {
        self.terms.zones.values().any(Option::is_some)
    }

    /// The time that signatures are made for, in seconds since 1970; what is wrong with the clock
    /// is told.
    pub(crate) fn now(&mut self, clock: &Clock) -> Option<u64> {
        let (now, news) = self.time.look(clock.unix_ms() / 1000, clock.now());
        match news {
            None => {}
            Some(ClockNews::NotSet) => {
                let text = "the clock is not set".to_owned();
                tracing::error!("{text}: signatures go on with the last time known; set it (NTP)");
                self.figures.clock = Some(text);
            }
            Some(ClockNews::Jumped { to, believed }) => {
                let by = i128::from(to) - i128::from(believed);
                let text = format!("the clock jumped by {by} seconds");
                tracing::error!(
                    "{text}: signatures go on with the time before; the new one is believed when \
                     it has stood for {} minutes",
                    CONFIRM.as_secs() / 60
                );
                self.figures.clock = Some(text);
            }
            Some(ClockNews::Back) => {
                tracing::warn!("the clock is right again");
                self.figures.clock = None;
            }
            Some(ClockNews::Believed { .. }) => {
                tracing::warn!("the clock has stood where it jumped to: signatures follow it");
                self.figures.clock = None;
            }
        }
        now
    }

    /// The table to be published: with everything signed that takes no more than some
    /// milliseconds, or that nothing could stand in for. The rest is left for the background.
    pub(crate) fn sign(
        &mut self,
        table: &AnswerTable,
        earlier: &AnswerTable,
        clock: &Clock,
    ) -> AnswerTable {
        let terms = Arc::clone(&self.terms);
        if !self.is_signing() {
            return self.look(&terms, table, earlier, 0).0;
        }
        let Some(now) = self.now(clock) else {
            self.tell(SignError::Clock);
            return self.look(&terms, table, earlier, 0).0;
        };
        let (mut signed, mut outcome) = self.look(&terms, table, earlier, now);
        for _ in 0..ROUNDS {
            let mut at_once = outcome.needed.clone();
            if at_once.len() + outcome.wanted.len() <= AT_ONCE {
                at_once.extend_from_slice(&outcome.wanted);
            }
            if at_once.is_empty() || self.make(&at_once, Pace::Now) == 0 {
                break;
            }
            (signed, outcome) = self.look(&terms, table, earlier, now);
        }
        self.take_in(outcome);
        signed
    }

    /// The same under other terms, for a table that nobody waits for: what is missing comes back
    /// instead, to be signed without holding everybody up.
    pub(crate) fn prepare(
        &self,
        terms: &AnswerTerms,
        (table, earlier): (&AnswerTable, &AnswerTable),
        now: u64,
    ) -> Result<(AnswerTable, SigningOutcome), Vec<SignRequest>> {
        let (signed, mut outcome) = self.look(terms, table, earlier, now);
        if outcome.needed.is_empty() && outcome.wanted.is_empty() {
            return Ok((signed, outcome));
        }
        let mut missing = std::mem::take(&mut outcome.needed);
        missing.append(&mut outcome.wanted);
        Err(missing)
    }

    /// What there is under other terms, whatever is missing.
    pub(crate) fn look(
        &self,
        terms: &AnswerTerms,
        table: &AnswerTable,
        earlier: &AnswerTable,
        now: u64,
    ) -> (AnswerTable, SigningOutcome) {
        let input = SigningInput {
            zones: &terms.zones,
            signatures: &self.signatures,
            now,
            singles: &terms.singles,
            sets_max: self.sets_max,
        };
        table.sign(&input, Some(earlier))
    }

    /// From now on these terms hold, and this is what signing the table in force came to.
    pub(crate) fn adopt(&mut self, terms: AnswerTerms, outcome: SigningOutcome) {
        self.terms = Arc::new(terms);
        self.take_in(outcome);
    }

    /// Some of what the table in force lacks, for the background to sign.
    pub(crate) fn take_pending(&mut self, at_most: usize) -> Vec<SignRequest> {
        let at = self.pending.len().saturating_sub(at_most);
        self.pending.split_off(at)
    }

    pub(crate) fn insert(&mut self, requests: &[SignRequest], made: &[Signature]) {
        for (request, signature) in requests.iter().zip(made) {
            self.signatures.insert(request.id, *signature);
        }
        self.is_dirty |= !made.is_empty();
    }

    /// Notes why something is not signed; told when it is news.
    pub(crate) fn tell(&mut self, error: SignError) {
        if self.figures.error != Some(error) && error != SignError::Stopped {
            tracing::error!("answers are not signed: {error}");
        }
        self.figures.error = Some(error);
    }

    /// Whether signatures are due, or something is to be tried again.
    pub(crate) fn is_due(&self, now: u64, tries_again: bool) -> bool {
        let has_failed = tries_again && self.figures.error.is_some();
        has_failed || self.figures.next_renewal.is_some_and(|at| at <= now)
    }

    /// The first table: signed as a whole, since nobody is answered yet.
    pub(crate) fn sign_first(
        &mut self,
        table: &AnswerTable,
        terms: AnswerTerms,
        clock: &Clock,
    ) -> AnswerTable {
        let now = if terms.zones.values().any(Option::is_some) {
            self.now(clock).unwrap_or(0)
        } else {
            0
        };
        for _ in 0..ROUNDS {
            match self.prepare(&terms, (table, table), now) {
                Err(missing) if now > 0 && self.make(&missing, Pace::Now) > 0 => {}
                _ => break,
            }
        }
        let (signed, outcome) = self.look(&terms, table, table, now);
        self.adopt(terms, outcome);
        signed
    }

    /// What is to be kept on the disk, if anything changed. What the table does not use is dropped
    /// when there is too much of it.
    pub(crate) fn take_changed(&mut self, table: &AnswerTable, now: u64) -> Option<Kept> {
        if !std::mem::take(&mut self.is_dirty) {
            return None;
        }
        if self.signatures.len() > 2 * self.figures.sets + UNUSED_MAX {
            self.prune(table, now);
        }
        let entry =
            |(id, signature): (_, &Signature)| Entry { id, expiry: 0, signature: *signature };
        Some(Kept { time: now, entries: self.signatures.iter().map(entry).collect() })
    }

    fn prune(&mut self, table: &AnswerTable, now: u64) {
        let signatures = &Signatures::default();
        let AnswerTerms { zones, singles } = &*self.terms;
        let input = SigningInput { zones, signatures, now, singles, sets_max: self.sets_max };
        // With nothing signed, everything that is used is missing.
        let (_, outcome) = table.without_signatures().sign(&input, None);
        let used: BTreeSet<SignatureId> =
            outcome.needed.iter().chain(&outcome.wanted).map(|request| request.id).collect();
        self.signatures.retain(|id| used.contains(&id));
    }

    /// Signs what there are keys for; how many.
    fn make(&mut self, requests: &[SignRequest], pace: Pace) -> usize {
        let ring = Arc::clone(&self.key_ring);
        let held: Vec<SignRequest> =
            requests.iter().filter(|it| ring.has(&it.key)).cloned().collect();
        if let Some(lost) = requests.iter().find(|request| !ring.has(&request.key)) {
            self.tell(SignError::no_key(&lost.key));
        }
        let mut made = vec![[0; 64]; held.len()];
        match ring.sign_all(&held, &mut made, pace, &AtomicBool::new(false)) {
            Ok(()) => self.insert(&held, &made),
            Err(error) => {
                self.tell(error);
                return 0;
            }
        }
        held.len()
    }

    fn take_in(&mut self, outcome: SigningOutcome) {
        let SigningOutcome { needed, wanted, sets, left_out, next_renewal, withheld } = outcome;
        if left_out > 0 && self.figures.left_out == 0 {
            tracing::warn!(
                "{left_out} answer sets are not signed, since there may be {} (`[dnssec] \
                 answer_sets_max`): there single servers are answered",
                self.sets_max
            );
        }
        if needed.is_empty() && wanted.is_empty() {
            self.figures.error = None;
        }
        for service in withheld.iter().take(5) {
            tracing::error!(%service, "no signed answer for it: it goes on as it was");
        }
        let ring = Arc::clone(&self.key_ring);
        self.pending = needed.into_iter().chain(wanted).collect();
        self.pending.retain(|request| ring.has(&request.key));
        let figures = std::mem::take(&mut self.figures);
        self.figures = Figures { sets, left_out, next_renewal, ..figures };
    }
}

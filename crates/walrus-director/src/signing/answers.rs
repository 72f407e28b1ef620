//! Answer sets of services: what a new table lacks is signed at once if it is little, else later.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use arc_swap::ArcSwap;
use walrus_core::answer::{AnswerTable, SigningOutcome};
use walrus_core::dnssec::{
    CONFIRM, ClockNews, PlausibleTime, SignRequest, SignatureId, Signatures,
};
use walrus_host::clock::Clock;

use super::ground::{AnswerTerms, Ground, Made, Signed, everything, what_is_quick};
use super::key_ring::{KeyRing, SignError};
use super::store::Store;
use super::zones::BACK_MAX_SECS;
use crate::keys::KeyPair;

/// Signatures that are kept although nothing uses them now: servers come back.
const UNUSED_MAX: usize = 20_000;

/// The services' part of signing; guarded together with the table in force.
#[derive(Debug)]
pub(crate) struct SignedAnswers {
    ground: Ground,
    time: PlausibleTime,
    store: Store,
    /// To be signed in the background for the table in force.
    pending: Vec<SignRequest>,
    /// Something was signed that is not on the disk.
    is_dirty: bool,
    figures: Arc<ArcSwap<Figures>>,
}

/// What the last look at the table in force came to; may be read without the lock.
#[derive(Clone, Debug, Default)]
pub(crate) struct Figures {
    /// Sets that are signed.
    pub(crate) sets: usize,
    /// Sets beyond the bound.
    pub(crate) left_out: usize,
    /// Signatures that the background has still to make.
    pub(crate) pending: usize,
    /// In seconds since 1970.
    pub(crate) next_renewal: Option<u64>,
    /// In seconds since 1970.
    pub(crate) first_expiry: Option<u64>,
    /// For which time the table was looked at last, in seconds since 1970.
    looked_at: u64,
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

impl SignedAnswers {
    pub(crate) fn open(start: AnswersStart, clock: &Clock) -> Self {
        let AnswersStart { sets_max, key_ring, store } = start;
        let kept = store.load(None);
        let mut signatures = Signatures::default();
        kept.entries.iter().for_each(|entry| signatures.insert(entry.id, entry.signature));
        let stored = (kept.time > 0).then_some(kept.time);
        let unix = clock.unix_ms() / 1000;
        let (terms, key_ring) = (Arc::default(), Arc::new(key_ring));
        Self {
            ground: Ground { terms, signatures, sets_max, key_ring },
            time: PlausibleTime::begin(stored, unix, clock.now()),
            store,
            pending: Vec::new(),
            is_dirty: false,
            figures: Arc::default(),
        }
    }

    pub(crate) const fn store(&self) -> &Store {
        &self.store
    }

    /// What tables are signed from now.
    pub(crate) const fn ground(&self) -> &Ground {
        &self.ground
    }

    pub(crate) fn add_pairs(&mut self, pairs: Vec<KeyPair>) {
        Arc::make_mut(&mut self.ground.key_ring).add(pairs);
    }

    /// Holds from the next look at a table on; the bound before.
    pub(crate) const fn set_sets_max(&mut self, sets_max: usize) -> usize {
        std::mem::replace(&mut self.ground.sets_max, sets_max)
    }

    pub(crate) fn pending(&self) -> usize {
        self.pending.len()
    }

    /// Where the figures are told, also to those who do not hold the lock.
    pub(crate) const fn figures(&self) -> &Arc<ArcSwap<Figures>> {
        &self.figures
    }

    fn change(&self, change: impl FnOnce(&mut Figures)) {
        let mut figures = Figures::clone(&self.figures.load());
        change(&mut figures);
        self.figures.store(Arc::new(figures));
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
                self.change(|figures| figures.clock = Some(text));
            }
            Some(ClockNews::Jumped { to, believed }) => {
                let by = i128::from(to) - i128::from(believed);
                let text = format!("the clock jumped by {by} seconds");
                tracing::error!(
                    "{text}: signatures go on with the time before; the new one is believed when \
                     it has stood for {} minutes",
                    CONFIRM.as_secs() / 60
                );
                self.change(|figures| figures.clock = Some(text));
            }
            Some(ClockNews::Back) => {
                tracing::warn!("the clock is right again");
                self.change(|figures| figures.clock = None);
            }
            Some(ClockNews::Believed { .. }) => {
                tracing::warn!("the clock has stood where it jumped to: signatures follow it");
                self.change(|figures| figures.clock = None);
            }
        }
        now
    }

    /// The table to be published for a Plan: with everything signed that takes no more than some
    /// milliseconds, or that nothing could stand in for. The rest is left for the background.
    pub(crate) fn sign(
        &mut self,
        table: &AnswerTable,
        earlier: &AnswerTable,
        clock: &Clock,
    ) -> AnswerTable {
        let Some(now) = self.now_if_signing(clock) else {
            return self.ground.look(table, earlier, 0).0;
        };
        let terms = Arc::clone(&self.ground.terms);
        let signed = self.sign_under(&terms, (table, earlier), now);
        drop(self.take_in(signed.outcome));
        signed.table
    }

    /// The same under these terms, for a table that is not in force yet.
    pub(crate) fn sign_under(
        &mut self,
        terms: &Arc<AnswerTerms>,
        tables: (&AnswerTable, &AnswerTable),
        now: u64,
    ) -> Signed {
        let held = std::mem::replace(&mut self.ground.terms, Arc::clone(terms));
        let signed = self.ground.sign(tables, now, what_is_quick, &AtomicBool::new(false));
        self.ground.terms = held;
        signed.made.iter().for_each(|made| self.note(made));
        signed
    }

    /// The time that signatures are made for, if any are to be made and can be.
    pub(crate) fn now_if_signing(&mut self, clock: &Clock) -> Option<u64> {
        if !self.ground.is_signing() {
            return None;
        }
        let now = self.now(clock);
        if now.is_none() {
            self.tell(SignError::Clock);
        }
        now
    }

    /// From now on these terms hold, and this is what signing the table in force came to. What was
    /// pending comes back, to be freed when nobody waits for it.
    pub(crate) fn adopt(
        &mut self,
        terms: Arc<AnswerTerms>,
        outcome: SigningOutcome,
    ) -> Vec<SignRequest> {
        self.ground.terms = terms;
        self.take_in(outcome)
    }

    /// Some of what the table in force lacks, for the background to sign.
    pub(crate) fn take_pending(&mut self, at_most: usize) -> Vec<SignRequest> {
        let at = self.pending.len().saturating_sub(at_most);
        let taken = self.pending.split_off(at);
        if !taken.is_empty() {
            self.change(|figures| figures.pending = at);
        }
        taken
    }

    pub(crate) fn insert(&mut self, made: &Made) {
        self.ground.insert(made);
        self.note(made);
    }

    fn note(&mut self, made: &Made) {
        self.is_dirty |= !made.requests.is_empty();
        if let Some(error) = made.error {
            self.tell(error);
        }
    }

    /// Notes why something is not signed; told when it is news.
    pub(crate) fn tell(&mut self, error: SignError) {
        if self.figures.load().error == Some(error) {
            return;
        }
        if error != SignError::Stopped {
            tracing::error!("answers are not signed: {error}");
        }
        self.change(|figures| figures.error = Some(error));
    }

    /// Whether signatures are due, or something is to be tried again.
    pub(crate) fn is_due(&self, now: u64, tries_again: bool) -> bool {
        let figures = self.figures.load();
        let has_failed = tries_again && figures.error.is_some();
        // Signatures of a time that is ahead of the clock, since it was set back, are not valid yet.
        let is_back = now.saturating_add(BACK_MAX_SECS) < figures.looked_at;
        has_failed || is_back || figures.next_renewal.is_some_and(|at| at <= now)
    }

    /// The first table: signed as a whole, since nobody is answered yet.
    pub(crate) fn sign_first(
        &mut self,
        table: &AnswerTable,
        terms: AnswerTerms,
        clock: &Clock,
    ) -> AnswerTable {
        self.ground.terms = Arc::new(terms);
        let now = if self.ground.is_signing() { self.now(clock) } else { None };
        let stop = AtomicBool::new(false);
        let signed = self.ground.sign((table, table), now.unwrap_or(0), everything, &stop);
        signed.made.iter().for_each(|made| self.note(made));
        self.take_in(signed.outcome);
        signed.table
    }

    /// Whether there is something that is not on the disk; it is taken for kept from now on.
    pub(crate) fn take_dirty(&mut self) -> bool {
        std::mem::take(&mut self.is_dirty)
    }

    /// Whether there are so many signatures that those which nothing uses are to be dropped.
    pub(crate) fn is_crowded(&self) -> bool {
        self.ground.signatures.len() > 2 * self.figures.load().sets + UNUSED_MAX
    }

    pub(crate) fn forget(&mut self, unused: &[SignatureId]) {
        unused.iter().for_each(|id| self.ground.signatures.remove(*id));
    }

    /// Notes what signing the table in force came to; what was pending comes back.
    pub(crate) fn take_in(&mut self, outcome: SigningOutcome) -> Vec<SignRequest> {
        let SigningOutcome { needed, wanted, sets, left_out, withheld, .. } = outcome;
        let SigningOutcome { next_renewal, first_expiry, looked_at, .. } = outcome;
        if left_out > 0 && self.figures.load().left_out == 0 {
            tracing::warn!(
                "{left_out} answer sets are not signed, since there may be {} (`[dnssec] \
                 answer_sets_max`): there single servers are answered",
                self.ground.sets_max
            );
        }
        for service in withheld.iter().take(5) {
            tracing::error!(%service, "no signed answer for it: it goes on as it was");
        }
        let is_complete = needed.is_empty() && wanted.is_empty();
        let ring = Arc::clone(&self.ground.key_ring);
        let missing = needed.into_iter().chain(wanted);
        let pending = missing.filter(|request| ring.has(&request.key)).collect();
        let before = std::mem::replace(&mut self.pending, pending);
        let pending = self.pending.len();
        self.change(|figures| {
            let error = figures.error.filter(|_| !is_complete);
            let clock = figures.clock.take();
            let held = Figures { sets, left_out, pending, next_renewal, error, clock, ..*figures };
            *figures = Figures { first_expiry, looked_at, ..held };
        });
        before
    }
}

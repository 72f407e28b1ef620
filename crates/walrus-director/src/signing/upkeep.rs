//! What the background does: it makes what answers lack, renews what is due, and keeps it on the
//! disk. Tables are looked at beside the lock, for Plans never wait.

use walrus_core::dnssec::Signature;

use super::ground::{Made, what_is_quick};
use super::key_ring::{Pace, SignError};
use super::store::{Entry, Kept};
use crate::director::{DirectorHandle, ReloadError};

/// Signatures that the background makes before it looks up: a tenth of a second's work.
const BATCH: usize = 4096;

/// Signatures that are taken in at once: less than a millisecond.
const TAKE_IN: usize = 512;

impl DirectorHandle {
    /// Signs some of what answers lack, and publishes when that was the last. False if there was
    /// nothing.
    pub(crate) fn sign_pending(&self) -> bool {
        let (requests, ground) = {
            let mut control = self.control();
            let requests = control.signing.take_pending(BATCH);
            if requests.is_empty() {
                return false;
            }
            (requests, control.signing.ground().clone())
        };
        let made = ground.make(requests, Pace::Background, self.inner().background.stopping());
        // While it shares signatures, taking in more would copy them.
        drop(ground);
        let is_something = !made.requests.is_empty();
        self.take_made(made);
        if is_something && self.control().signing.pending() == 0 {
            self.publish_signed();
        }
        is_something
    }

    /// Takes in what was signed, a little at a time.
    pub(crate) fn take_made(&self, made: Made) {
        let Made { mut requests, mut signatures, error } = made;
        let mut error = error;
        while !requests.is_empty() || error.is_some() {
            let at = requests.len().saturating_sub(TAKE_IN);
            let part = Made {
                requests: requests.split_off(at),
                signatures: signatures.split_off(at),
                error: error.take(),
            };
            self.control().signing.insert(&part);
        }
    }

    /// Renews what is due of the answers' signatures.
    pub(crate) fn renew_answers(&self, tries_again: bool) {
        let is_due = {
            let mut control = self.control();
            if !control.signing.ground().is_signing() {
                return;
            }
            let now = control.signing.now(&self.inner().clock);
            control.signing.pending() == 0
                && now.is_some_and(|now| control.signing.is_due(now, tries_again))
        };
        if is_due {
            self.publish_signed();
        }
    }

    /// Renews what is due of the zones' signatures, and what they promise of aliases; whether that
    /// failed.
    pub(crate) fn renew_zones(&self) -> bool {
        let Ok(mut rebuilding) = self.inner().rebuilding.try_lock() else { return false };
        if rebuilding.wanted.signing.is_empty() {
            return false;
        }
        let now = self.control().signing.now(&self.inner().clock);
        // A zone that is signed promises what the targets of its aliases have.
        let found = self.plan().and_then(|plan| rebuilding.wanted.with_found(&plan));
        if found.is_none() && !rebuilding.is_due(now) {
            return false;
        }
        let wanted = found.unwrap_or_else(|| rebuilding.wanted.clone());
        match self.rebuild(&mut rebuilding, wanted, None, false) {
            Ok(()) => !rebuilding.zones.errors.is_empty(),
            Err(ReloadError::Signing { source: SignError::Stopped, .. }) => true,
            Err(error) => {
                tracing::error!("signed zones are not served: {error}");
                true
            }
        }
    }

    /// Writes down what was signed. What the table in force does not use is dropped when there is
    /// too much of it.
    pub(crate) fn keep_signatures(&self) {
        let (mut ground, current, store, now) = {
            let mut control = self.control();
            let Some(now) = control.signing.now(&self.inner().clock) else { return };
            if !control.signing.take_dirty() {
                return;
            }
            let signing = &control.signing;
            let current = signing.is_crowded().then(|| self.inner().current.load());
            (signing.ground().clone(), current, signing.store().clone(), now)
        };
        if let Some(current) = current {
            let unused = ground.unused(&current.table, now);
            drop(current);
            for part in unused.chunks(TAKE_IN) {
                part.iter().for_each(|id| ground.signatures.remove(*id));
                self.control().signing.forget(part);
            }
        }
        let entry =
            |(id, signature): (_, &Signature)| Entry { id, expiry: 0, signature: *signature };
        let entries = ground.signatures.iter().map(entry).collect();
        store.save(None, Kept { time: now, entries });
    }

    /// Writes down what the disk did not take before.
    pub(crate) fn keep_signatures_again(&self) {
        let store = self.control().signing.store().clone();
        store.save_again();
    }

    /// Signs the table in force again, as far as that is quick, and publishes it.
    pub(crate) fn publish_signed(&self) {
        let (mut ground, current, now) = {
            let mut control = self.control();
            let now = control.signing.now_if_signing(&self.inner().clock);
            // Both under the lock: a table on other terms than its own would be bogus.
            let current = self.inner().current.load();
            (control.signing.ground().clone(), current, now.unwrap_or(0))
        };
        let stop = self.inner().background.stopping();
        let table = &current.table;
        let signed = ground.sign((table, table), now, what_is_quick, stop);
        drop(ground);
        signed.made.into_iter().for_each(|made| self.take_made(made));
        self.looked();
        let mut control = self.control();
        if self.inner().current.is_other_than(current.generation) {
            // Who published it has looked at all its sets, and left to the background what was
            // missing.
            return;
        }
        let before = match now {
            0 => Vec::new(),
            _ => control.signing.take_in(signed.outcome),
        };
        self.publish(&mut control, signed.table);
        if control.signing.pending() > 0 {
            self.inner().background.call();
        }
        drop(control);
        drop((before, current));
    }
}

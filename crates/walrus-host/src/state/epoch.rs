//! The highest epoch ever used: the one number that must never go back.
//!
//! Directors refuse a Plan whose number is lower than their own, so a Controller that forgot its
//! epoch would be ignored; one that used an epoch again could give two Plans the same number. So
//! it is kept twice, each copy with a checksum, and what can be read counts by its maximum, the
//! stored Plan's included.

use std::sync::PoisonError;

use sha2::{Digest as _, Sha256};

use super::{Recovered, StateDirectory, StateError};

const FILES: [&str; 2] = ["epoch", "epoch.copy"];

impl StateDirectory {
    /// The highest epoch that this node ever used or saw; 0 if there was none.
    #[must_use]
    pub fn load_epoch(&self) -> Recovered<u64> {
        let mut warnings = Vec::new();
        let mut highest = 0;
        for name in FILES {
            match self.read(name) {
                Ok(None) => {}
                Ok(Some(bytes)) => match parse("epoch", &bytes) {
                    Some(epoch) => highest = highest.max(epoch),
                    None => warnings.push(format!(
                        "{} is damaged; its copy and the stored Plan decide",
                        self.file(name).display()
                    )),
                },
                Err(warning) => warnings.push(warning),
            }
        }
        if let Some(plan) = self.load_plan().value {
            highest = highest.max(plan.number.epoch);
        }
        let mut known = self.epoch.lock().unwrap_or_else(PoisonError::into_inner);
        highest = highest.max(known.unwrap_or(0));
        *known = Some(highest);
        Recovered { value: highest, warnings }
    }

    /// Stores an epoch, on the disk when this returns. Storing the same again is fine.
    ///
    /// # Errors
    /// If it is lower than what was stored or seen before, or the disk refuses.
    pub fn store_epoch(&self, epoch: u64) -> Result<(), StateError> {
        let highest = self.load_epoch().value;
        if epoch < highest {
            return Err(StateError::EpochBack { wanted: epoch, highest });
        }
        let bytes = encode("epoch", epoch);
        for name in FILES {
            self.write(name, 0o600, &bytes)?;
        }
        *self.epoch.lock().unwrap_or_else(PoisonError::into_inner) = Some(epoch);
        Ok(())
    }
}

/// A number that must never go back, as a line of text with a checksum.
pub(super) fn encode(what: &str, number: u64) -> Vec<u8> {
    format!("walrus-{what} 1 {number} {}\n", checksum(what, number)).into_bytes()
}

/// The number in such a line; `None` if it is damaged.
pub(super) fn parse(what: &str, bytes: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(bytes).ok()?.strip_suffix('\n')?;
    let rest = text.strip_prefix("walrus-")?.strip_prefix(what)?;
    let mut words = rest.strip_prefix(" 1 ")?.split(' ');
    let number: u64 = words.next()?.parse().ok()?;
    (words.next()? == checksum(what, number) && words.next().is_none()).then_some(number)
}

fn checksum(what: &str, number: u64) -> String {
    let hash = Sha256::digest(format!("walrus-{what} {number}"));
    hash[..8].iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open() -> (tempfile::TempDir, StateDirectory) {
        let parent = tempfile::tempdir().unwrap();
        let state = StateDirectory::open(parent.path()).unwrap();
        (parent, state)
    }

    #[test]
    fn there_and_back_and_never_down() {
        let (parent, state) = open();
        assert_eq!(state.load_epoch().value, 0);
        state.store_epoch(7).unwrap();
        state.store_epoch(7).unwrap();
        assert!(matches!(
            state.store_epoch(6),
            Err(StateError::EpochBack { wanted: 6, highest: 7 })
        ));
        drop(state);
        let state = StateDirectory::open(parent.path()).unwrap();
        assert_eq!(state.load_epoch(), Recovered { value: 7, warnings: vec![] });
        assert!(state.store_epoch(3).is_err(), "also if nobody loaded it first");
    }

    #[test]
    fn one_damaged_copy_is_a_warning() {
        let damages: [&[u8]; 6] = [
            b"",
            b"walrus-epoch 1 9",
            b"walrus-epoch 1 99 0011223344556677\n",
            b"\xff\xff",
            b"7\n",
            b"walrus-epoch 1 7 x y\n",
        ];
        for damaged in FILES {
            for damage in damages {
                let (parent, state) = open();
                state.store_epoch(7).unwrap();
                drop(state);
                std::fs::write(parent.path().join(damaged), damage).unwrap();
                let state = StateDirectory::open(parent.path()).unwrap();
                let found = state.load_epoch();
                assert_eq!((found.value, found.warnings.len()), (7, 1), "{damage:?}");
                state.store_epoch(8).unwrap();
                assert_eq!(state.load_epoch(), Recovered { value: 8, warnings: vec![] });
            }
        }
    }

    #[test]
    fn the_older_copy_after_a_crash_between_the_two_does_not_count() {
        let (parent, state) = open();
        state.store_epoch(7).unwrap();
        drop(state);
        std::fs::write(parent.path().join("epoch"), encode("epoch", 8)).unwrap();
        assert_eq!(StateDirectory::open(parent.path()).unwrap().load_epoch().value, 8);
    }
}

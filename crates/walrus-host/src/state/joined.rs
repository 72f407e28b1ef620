//! The highest join number ever used: a Controller's place in the order of its group.
//!
//! One that forgets it joins anew, behind all that it hears; no more is lost, so it is kept once.

use super::epoch::{encode, parse};
use super::{Recovered, StateDirectory, StateError};

const FILE: &str = "joined";

impl StateDirectory {
    /// The highest join number that this node ever used; 0 if there was none.
    #[must_use]
    pub fn load_joined(&self) -> Recovered<u64> {
        match self.read(FILE) {
            Ok(None) => Recovered { value: 0, warnings: Vec::new() },
            Ok(Some(bytes)) => match parse(FILE, &bytes) {
                Some(joined) => Recovered { value: joined, warnings: Vec::new() },
                None => Recovered {
                    value: 0,
                    warnings: vec![format!(
                        "{} is damaged: this Controller joins its group as a new one",
                        self.file(FILE).display()
                    )],
                },
            },
            Err(warning) => Recovered { value: 0, warnings: vec![warning] },
        }
    }

    /// Stores a join number, on the disk when this returns.
    ///
    /// # Errors
    /// If the disk refuses.
    pub fn store_joined(&self, joined: u64) -> Result<(), StateError> {
        self.write(FILE, 0o600, &encode(FILE, joined))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_and_back_and_damage_is_a_warning() {
        let parent = tempfile::tempdir().unwrap();
        let state = StateDirectory::open(parent.path()).unwrap();
        assert_eq!(state.load_joined(), Recovered { value: 0, warnings: vec![] });
        state.store_joined(7).unwrap();
        assert_eq!(state.load_joined(), Recovered { value: 7, warnings: vec![] });
        for damage in [&b""[..], b"walrus-joined 1 9", b"walrus-epoch 1 7 0011223344556677\n"] {
            std::fs::write(parent.path().join("joined"), damage).unwrap();
            let found = state.load_joined();
            assert_eq!((found.value, found.warnings.len()), (0, 1), "{damage:?}");
        }
    }
}

//! Where randomness begins: the operating system, or a number that a test gave.

use sha2::{Digest as _, Sha256};

/// The start of all random choices of a process. Parts take their own by [`Seed::for_part`], so
/// that one part's draws do not shift another's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seed(u64);

impl Seed {
    /// From the operating system.
    ///
    /// # Errors
    /// If the system has no random source to offer, as in a broken sandbox.
    pub fn from_system() -> Result<Self, SeedError> {
        let mut bytes = [0; 8];
        getrandom::fill(&mut bytes).map_err(|error| SeedError(error.to_string()))?;
        Ok(Self(u64::from_be_bytes(bytes)))
    }

    /// The same in every run.
    #[must_use]
    pub const fn fixed(seed: u64) -> Self {
        Self(seed)
    }

    /// The seed of one part of the program ("director/worker/3").
    #[must_use]
    pub fn for_part(self, part: &str) -> u64 {
        let hash = Sha256::new().chain_update(self.0.to_be_bytes()).chain_update(part).finalize();
        let mut bytes = [0; 8];
        bytes.copy_from_slice(&hash[..8]);
        u64::from_be_bytes(bytes)
    }
}

/// Bytes that nobody can guess: tokens and keys.
///
/// # Errors
/// If the system has no random source to offer.
pub fn secret_bytes<const N: usize>() -> Result<[u8; N], SeedError> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|error| SeedError(error.to_string()))?;
    Ok(bytes)
}

/// The operating system gave no random bytes.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the operating system gives no random bytes ({0}); is getrandom allowed here?")]
pub struct SeedError(String);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_differ_and_repeat() {
        let seed = Seed::fixed(7);
        assert_eq!(seed.for_part("a"), Seed::fixed(7).for_part("a"));
        assert_ne!(seed.for_part("a"), seed.for_part("b"));
        assert_ne!(Seed::from_system().unwrap(), Seed::from_system().unwrap());
    }
}

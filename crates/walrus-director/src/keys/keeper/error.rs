//! Why a zone's keys stay as they are.

use walrus_core::dnssec::rollover::{NotFollowed, TakeKeyError};
use walrus_dns::DomainName;

use crate::keys::{KeyPairError, KeyStoreError};

/// Why a key is not made, taken in or kept.
#[derive(Debug, thiserror::Error)]
pub enum KeeperError {
    /// It does not fit.
    #[error(transparent)]
    Take(#[from] TakeKeyError),
    /// It cannot be stored.
    #[error(transparent)]
    Store(#[from] KeyStoreError),
    /// The signer is not followed.
    #[error(transparent)]
    Follow(#[from] NotFollowed),
    /// It cannot be made.
    #[error(transparent)]
    Pair(#[from] KeyPairError),
    /// Its files are not in the store, or no good.
    #[error("there is no key {tag} in {directory}: `walrus keys import` puts it there{}", told(.problems))]
    NoFiles {
        /// The key's tag.
        tag: u16,
        /// Where its files should be.
        directory: String,
        /// What is wrong with the files that are there.
        problems: Vec<String>,
    },
    /// Another key would be in the way of those that cannot be read.
    #[error(
        "no key is made while those that were in {directory} cannot be read, for the parent's DS may \
         name them: mend the files or bring them back; if they are lost for good, `walrus keys add \
         {zone} --lost`"
    )]
    Unreadable {
        /// Where they should be.
        directory: String,
        /// Whose they are.
        zone: DomainName,
    },
    /// No roll-over goes on without a key that signs.
    #[error(
        "the private key {tag} signs and is not here, and no other can follow without it: bring its \
         files back to {directory}; if it is lost for good, `walrus keys add {zone} --lost`"
    )]
    Lost {
        /// The key's tag.
        tag: u16,
        /// Where its files should be.
        directory: String,
        /// Whose it is.
        zone: DomainName,
    },
    /// Nothing is lost.
    #[error("all private keys of {0} are here: without --lost a key is made and rolled over to")]
    NothingLost(DomainName),
}

fn told(problems: &[String]) -> String {
    problems.iter().map(|problem| format!("; {problem}")).collect()
}

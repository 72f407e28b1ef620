//! Private keys: made, read from and written to BIND's files, kept, and used to sign.
//!
//! What a key does and when is decided in `walrus_core::dnssec`; here are only the secrets. They
//! never leave this machine: the public parts travel, the files an operator copies.

mod bind_files;
mod keeper;
mod key_pair;
mod store;

pub use bind_files::{KeyFileError, KeyFiles, base_name};
pub use keeper::{KeeperError, ZoneKeeper};
pub use key_pair::{KeyPair, KeyPairError};
pub(crate) use store::{COPY, signatures_stem};
pub use store::{KeyStore, KeyStoreError, StoredKeys};

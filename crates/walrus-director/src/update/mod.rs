//! Plans into name servers that are already there: the sockets, keys and tasks of
//! [`walrus_core::update`].
//!
//! One task for each name server: one that does not answer holds no other up.

mod connections;
mod datagrams;
mod exchange;
mod run;
mod secret;
mod secret_files;
#[cfg(test)]
mod tests;

pub use run::{UpdaterHandle, UpdaterStart, spawn};
pub use secret::{SecretError, make_secret_file, read_secret, read_secret_text};
pub use secret_files::SecretFiles;

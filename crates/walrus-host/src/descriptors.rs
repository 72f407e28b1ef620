//! How many file descriptors, which are sockets and open files, this process may have at once.

use std::io;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Raises the bound to what whoever started this process allows, and tells it; `None` without a bound.
///
/// The lower one that shells and service managers start with (1,024) is there for programs that use `select`, of which
/// this is none.
///
/// # Errors
/// If the kernel refuses.
pub fn allow_most() -> io::Result<Option<u64>> {
    let limits = getrlimit(Resource::Nofile);
    if limits.current != limits.maximum {
        setrlimit(Resource::Nofile, Rlimit { current: limits.maximum, ..limits })?;
    }
    Ok(limits.maximum)
}

//! Ctrl-C: the scenario ends, and with it all that it started and wrote.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

/// How soon it is noticed.
const LOOK_EVERY: Duration = Duration::from_millis(20);

static WANTED: AtomicBool = AtomicBool::new(false);

/// From here on SIGINT, SIGTERM and SIGHUP end what runs, cleanly.
pub(crate) fn listen() {
    for signal in [libc::SIGINT, libc::SIGTERM, libc::SIGHUP] {
        let handler = want as extern "C" fn(i32);
        // SAFETY: the handler only stores into an atomic, which may be done in a signal handler.
        unsafe {
            libc::signal(signal, handler as libc::sighandler_t);
        }
    }
}

extern "C" fn want(_: i32) {
    WANTED.store(true, Ordering::Relaxed);
}

pub(crate) fn is_wanted() -> bool {
    WANTED.load(Ordering::Relaxed)
}

/// Lets time pass.
///
/// # Errors
/// If somebody wants the end.
pub(crate) fn sleep(time: Duration) -> Result<()> {
    let end = Instant::now() + time;
    loop {
        if is_wanted() {
            bail!("interrupted");
        }
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(());
        }
        std::thread::sleep(left.min(LOOK_EVERY));
    }
}

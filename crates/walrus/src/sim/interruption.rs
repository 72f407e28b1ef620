//! SIGINT and SIGTERM: a long command ends at once, says how far it was, and leaves nothing half done.
//!
//! There is nothing to be saved but a report whose files are just being written, so nobody is asked
//! to come to an end: a thread of its own clears the line on the terminal and ends the process,
//! whatever the others are at (a study of millions of domains is read for seconds, a log may come from a
//! pipe in which nothing moves). Where that waits, for a terminal that stands still or a disk that hangs, a second
//! signal ends it without a word. A script sees it by the exit code alone: half an object on standard output
//! would not be one.

use std::io::{self, Write as _};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::cli::Failure;

/// How far the command is. A process has one terminal and one end, so there is one of it.
static FAR: Mutex<Far> = Mutex::new(Far { done: String::new(), is_on_terminal: false });

/// Held while a report's files are written, and while it is looked whether they could be.
static WRITING: Mutex<()> = Mutex::new(());

/// How far a command is.
struct Far {
    /// What is done: "3 of 50 runs".
    done: String,
    /// Whether a line of it stands on the terminal.
    is_on_terminal: bool,
}

/// What stands before a line that takes the place of the one before.
pub(super) const CLEAR: &str = "\r\x1b[K";

/// Ends the process with SIGINT or SIGTERM from now on, with 128 and the signal's number as the shell has
/// it. `command` is what was called, such as "sim run". A signal that was ignored when the program began stays
/// so: a shell without job control ignores SIGINT for what it puts into the background.
pub(crate) fn listen(command: &'static str) -> Result<(), Failure> {
    let cannot = |error| Failure::CouldNot(format!("listening for signals: {error}"));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build();
    let runtime = runtime.map_err(cannot)?;
    let is_heard = |kind: SignalKind| !is_ignored(kind.as_raw_value());
    let (mut interrupt, mut terminate) = {
        let _inside = runtime.enter();
        let heard = |kind| is_heard(kind).then(|| signal(kind)).transpose();
        (
            heard(SignalKind::interrupt()).map_err(cannot)?,
            heard(SignalKind::terminate()).map_err(cannot)?,
        )
    };
    let mut next = move || {
        runtime.block_on(async {
            tokio::select! {
                () = comes(&mut interrupt) => ("SIGINT", 130),
                () = comes(&mut terminate) => ("SIGTERM", 143),
            }
        })
    };
    let wait = move || {
        let (name, code) = next();
        let words = std::thread::Builder::new().name("last-words".to_owned());
        if words.spawn(move || end(command, name, code)).is_ok() {
            next();
        }
        std::process::exit(code)
    };
    let thread = std::thread::Builder::new().name("signals".to_owned());
    thread.spawn(wait).map(drop).map_err(cannot)
}

/// Until the signal comes; for ever if it is not heard.
async fn comes(signal: &mut Option<Signal>) {
    match signal {
        Some(signal) => drop(signal.recv().await),
        None => std::future::pending().await,
    }
}

/// Whether the process began with this signal ignored, as the kernel tells; where it does not, no.
fn is_ignored(signal: i32) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let ignored = ignored.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0);
    ignored >> (signal - 1) & 1 == 1
}

/// What is done so far, with the line for the terminal if there is one.
pub(super) fn tell(done: String, line: Option<&str>) {
    let mut far = far();
    far.done = done;
    if let Some(line) = line {
        far.is_on_terminal = true;
        // Whoever closed standard error does not want to know.
        let _ = write!(io::stderr().lock(), "{CLEAR}{line}");
    }
}

/// Takes the line from the terminal.
pub(super) fn clear() {
    let mut far = far();
    if std::mem::take(&mut far.is_on_terminal) {
        let _ = write!(io::stderr().lock(), "{CLEAR}");
    }
}

/// As long as this is held, a signal waits: for a few files alone, which take no time.
#[cfg(feature = "report")]
pub(super) fn undisturbed() -> MutexGuard<'static, ()> {
    WRITING.lock().unwrap_or_else(PoisonError::into_inner)
}

fn far() -> MutexGuard<'static, Far> {
    FAR.lock().unwrap_or_else(PoisonError::into_inner)
}

fn end(command: &str, signal: &str, code: i32) -> ! {
    let _writing = WRITING.lock().unwrap_or_else(PoisonError::into_inner);
    // Held to the end, so that no other line comes behind the last one.
    let far = far();
    let _ = write!(io::stderr().lock(), "{}", last_words(&far, command, signal));
    std::process::exit(code)
}

fn last_words(far: &Far, command: &str, signal: &str) -> String {
    let clear = if far.is_on_terminal { CLEAR } else { "" };
    let after = if far.done.is_empty() { String::new() } else { format!(" after {}", far.done) };
    format!("{clear}walrus: {command}: interrupted ({signal}){after}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_words_clear_the_line_and_say_how_far_it_was() {
        let far = |done: &str, is_on_terminal| Far { done: done.to_owned(), is_on_terminal };
        assert_eq!(
            last_words(&far("3 of 50 runs", true), "sim run", "SIGINT"),
            "\r\x1b[Kwalrus: sim run: interrupted (SIGINT) after 3 of 50 runs\n"
        );
        assert_eq!(
            last_words(&far("", false), "sim replay", "SIGTERM"),
            "walrus: sim replay: interrupted (SIGTERM)\n"
        );
    }
}

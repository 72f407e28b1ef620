//! A line on the terminal that says how far a long command is; nothing where nobody looks.

use std::io::{self, IsTerminal as _};
use std::time::{Duration, Instant};

use super::interruption;

/// Time between two lines: the eye sees no more, and a terminal over a slow line keeps up.
const EVERY: Duration = Duration::from_millis(100);

/// Width of the bar in characters.
const WIDTH: usize = 30;

/// How far something is, on standard error, if that is a terminal.
#[derive(Debug)]
pub(super) struct Progress {
    is_shown: bool,
    next: Instant,
    begin: Instant,
}

impl Progress {
    pub(super) fn new() -> Self {
        let now = Instant::now();
        Self { is_shown: io::stderr().is_terminal(), next: now, begin: now }
    }

    /// So much of the whole is done, 0 to 1, if that is known; `what` says it in other words, which also
    /// stand behind "after" if it goes no further.
    pub(super) fn tell(&mut self, done: Option<f64>, what: &dyn Fn() -> String) {
        if Instant::now() < self.next {
            return;
        }
        self.next = Instant::now() + EVERY;
        let seconds = self.begin.elapsed().as_secs_f64();
        let what = what();
        let line = self.is_shown.then(|| match done {
            Some(done) => format!("{}, {what}", bar(done, seconds)),
            None => what.clone(),
        });
        interruption::tell(what, line.as_deref());
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        interruption::clear();
    }
}

/// `[######........]  43 %, 12 s to go`.
fn bar(done: f64, seconds: f64) -> String {
    let done = done.clamp(0.0, 1.0);
    let full = (done * WIDTH as f64).round() as usize;
    let bar = format!("[{}{}]", "#".repeat(full), ".".repeat(WIDTH - full));
    let rest = if done > 0.0 { seconds * (1.0 - done) / done } else { 0.0 };
    // The first moment says little about the rest.
    let rest = if seconds > 1.0 { format!(", {rest:.0} s to go") } else { String::new() };
    format!("{bar} {:3.0} %{rest}", done * 100.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_fills_up() {
        assert_eq!(bar(0.0, 0.0), "[..............................]   0 %");
        assert_eq!(bar(0.5, 10.0), "[###############...............]  50 %, 10 s to go");
        assert_eq!(bar(7.0, 0.5), "[##############################] 100 %");
    }
}

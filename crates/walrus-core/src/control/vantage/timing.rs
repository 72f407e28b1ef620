//! How long vantage points may take: to speak, to be heard again, to find a server out.
//!
//! None of these grows with `sights_last`, which says how long a word outlasts its speaker: some want that to be minutes, and a
//! start is not to leave them without verdicts for as long.

use std::time::Duration;

use crate::world::Probe;

/// Sooner than this nobody counts as silent, whatever is configured.
pub(super) const SILENCE_MIN: Duration = Duration::from_secs(1);

/// In so long a vantage point says all that it has to say, if words last for longer.
const ALL_SAID_MAX: Duration = Duration::from_secs(10);

/// In so long whoever runs has connected again and spoken: the longest wait between two attempts is 5 s
/// (`walrus-host/src/bus/connection.rs`), and what is said on a new connection is all of it.
const GATHERED_MAX: Duration = Duration::from_secs(6);

/// How long a word outlasts its speaker.
pub(super) fn silence(sights_last: Duration) -> Duration {
    sights_last.max(SILENCE_MIN)
}

/// In so long a vantage point says all that it has to say; it says a part of it, or that it is there, more often.
pub(super) fn all_said_within(silence: Duration) -> Duration {
    silence.min(ALL_SAID_MAX)
}

/// In so long each vantage point has spoken, after nobody was heard. Whoever needs longer than words last has
/// no vote anyway.
pub(super) fn gathered_within(silence: Duration) -> Duration {
    silence.min(GATHERED_MAX)
}

/// So long a vantage point may need to find out how a server fares, and to say so.
pub(in crate::control) fn finds_out_within(probe: &Probe, silence: Duration) -> Duration {
    probed_within(probe).saturating_add(all_said_within(silence))
}

/// So long vantage points may see a server differently without anything being wrong: each finds out in its own time, and
/// the word of one that ended with the server lasts for a silence.
pub(super) fn differ_within(probe: &Probe, silence: Duration) -> Duration {
    probed_within(probe).saturating_add(silence)
}

/// So long a server's state may need to show in probes.
fn probed_within(probe: &Probe) -> Duration {
    let longest = probe.interval.mul_f64(1.0 + probe.jitter) + probe.timeout;
    longest.saturating_mul(probe.rise.max(probe.fall).max(1))
}

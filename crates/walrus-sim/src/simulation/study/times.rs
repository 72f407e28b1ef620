//! How long a study runs, and how finely it is measured.

use std::time::Duration;

use walrus_core::config::settings_file::{Findings, Section};

/// What is discarded and the time between points of a series.
pub(super) fn read(root: &Section, findings: &Findings<'_>) -> (Duration, Duration) {
    /// Points of a series by default.
    const POINTS: u32 = 240;
    /// The most that are kept.
    const POINTS_MAX: u128 = 100_000;
    let (duration, discard) = (root.duration("duration"), root.duration("discard"));
    // What is wrong in itself was told already.
    if ["duration", "discard", "window", "sample"].iter().any(|name| root.value(name).is_none()) {
        return (discard, Duration::from_secs(1));
    }
    if discard >= duration {
        let message = format!(
            "nothing is left to measure: `discard` ({discard:?}) must be shorter than `duration` \
             ({duration:?})"
        );
        findings.problem(root.place_of("discard"), message);
    }
    let measured = duration.saturating_sub(discard);
    let window = root.duration("window");
    let whole = Duration::from_secs((measured / POINTS).as_secs().max(1));
    let interval =
        if root.is_given("interval") { root.duration("interval") } else { whole.max(window) };
    if measured.as_nanos() > POINTS_MAX * interval.as_nanos().max(1) {
        let message = format!("`interval` makes more than {POINTS_MAX} points: make it longer");
        findings.problem(root.place_of("interval"), message);
    }
    let what = [("window", window), ("sample", root.duration("sample")), ("interval", interval)];
    for (name, _) in what.into_iter().filter(|(_, time)| *time > measured && discard < duration) {
        let message = format!(
            "`{name}` is longer than what is measured ({measured:?}): nothing comes of it; make it shorter"
        );
        findings.warn(root.place_of(name), message);
    }
    (discard, interval)
}

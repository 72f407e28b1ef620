//! Zones that come from other primaries, as `walrus status` shows them.

use std::time::{SystemTime, UNIX_EPOCH};

use crate::api::secondary::SecondaryView;
use crate::output::Table;

/// A table, a line for each.
pub(super) fn zones(zones: &[SecondaryView]) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |it| it.as_secs());
    let mut table = Table::new(&[
        "zone",
        "state",
        "serial",
        "primary",
        "refreshed",
        "next",
        "expires",
        "AXFR",
        "IXFR",
    ]);
    for zone in zones {
        let ahead = |at: Option<u64>| {
            at.map_or_else(|| "-".to_owned(), |at| format!("in {}", span(at.saturating_sub(now))))
        };
        table.row([
            zone.zone.clone(),
            zone.state.clone(),
            zone.serial.map_or_else(|| "-".to_owned(), |serial| serial.to_string()),
            zone.primary.clone().unwrap_or_else(|| "-".to_owned()),
            zone.refreshed.map_or_else(
                || "never".to_owned(),
                |at| format!("{} ago", span(now.saturating_sub(at))),
            ),
            zone.next.map_or_else(|| "now".to_owned(), |at| ahead(Some(at))),
            ahead(zone.expires),
            zone.whole.to_string(),
            zone.differences.to_string(),
        ]);
    }
    table.render()
}

/// A time in the greatest unit that it fills.
pub(super) fn span(seconds: u64) -> String {
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7200 => format!("{} min", seconds / 60),
        7200..172_800 => format!("{} h", seconds / 3600),
        _ => format!("{} d", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_short() {
        let spans = [0, 119, 120, 7199, 7200, 172_800].map(span);
        assert_eq!(spans, ["0 s", "119 s", "2 min", "119 min", "2 h", "2 d"]);
    }
}

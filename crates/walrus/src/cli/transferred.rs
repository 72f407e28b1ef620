//! Zones that go to other name servers, as `walrus status` shows them.

use std::time::{SystemTime, UNIX_EPOCH};

use super::secondary::span;
use crate::api::transferred::TransferredZoneView;
use crate::output::Table;

/// A table, a line for each zone and name server that has it.
pub(super) fn zones(zones: &[TransferredZoneView]) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |it| it.as_secs());
    let mut table = Table::new(&["sent zone", "serial", "secondary", "has", "asked", "NOTIFY"]);
    let number = |serial: Option<u32>| serial.map_or_else(|| "-".to_owned(), |it| it.to_string());
    for zone in zones {
        for secondary in &zone.secondaries {
            let ago = |at: u64| format!("{} ago", span(now.saturating_sub(at)));
            table.row([
                zone.zone.clone(),
                number(zone.serial),
                secondary.address.clone(),
                number(secondary.serial),
                secondary.asked.map_or_else(|| "never".to_owned(), ago),
                secondary.notify.clone().unwrap_or_else(|| "-".to_owned()),
            ]);
        }
        if zone.secondaries.is_empty() {
            table.row([zone.zone.clone(), number(zone.serial), "-".to_owned()]);
        }
    }
    table.render()
}

//! A zone's task serves what came; of a catalog, what that lists.

use std::sync::Arc;

use tokio::task::spawn_blocking;
use walrus_core::transfer::{SoaTimers, Transfer, TransferError};
use walrus_core::zone::Zone;
use walrus_host::log::chain;

use super::Secondaries;
use super::arrivals::Change;
use super::beginning::timers;
use super::catalogs::Catalog;
use super::run::{Lines, Outcome, Task};
use crate::zones::ReplaceError;

/// Lines about what is hardly meant in a zone that came; the rest is counted.
const WARNINGS_MAX: usize = 5;

impl Task {
    /// Serves what came.
    pub(super) async fn serve(&self, transfer: Transfer, lines: &Lines) -> Outcome {
        let (held, memory_max) = (self.content(), self.zone.memory_max);
        // Changing a large zone takes a while.
        let made = spawn_blocking(move || content_of(transfer, held, memory_max)).await;
        let (zone, warnings, is_whole) = match made {
            Ok(Ok(made)) => made,
            Ok(Err(outcome)) => return outcome,
            Err(error) => return Outcome::Failed(error.to_string()),
        };
        self.warn(&warnings, lines);
        let Some(timers) = timers(&zone) else {
            return Outcome::Failed("its SOA record is damaged".to_owned());
        };
        let names = zone.name_count();
        if let Some(catalog) = &self.catalog {
            return take_catalog(catalog.clone(), zone, (timers, is_whole)).await;
        }
        let came = Change::Came(Arc::new(zone));
        let served = self.arrivals.make(&self.director, came, self.bringer()).await;
        let problem = match served {
            Ok(()) => None,
            // It is taken, and signed as soon as it can be.
            Err(error @ ReplaceError::Signing { .. }) => Some(chain(&error)),
            Err(error) => return Outcome::Failed(chain(&error)),
        };
        let (zone, serial) = (&self.zone.apex, timers.serial);
        tracing::info!(%zone, serial, names, is_whole, "the zone came");
        Outcome::Arrived { timers, is_whole, problem }
    }

    fn warn(&self, warnings: &[String], lines: &Lines) {
        if warnings.is_empty() || lines.warnings.pass().is_none() {
            return;
        }
        let zone = &self.zone.apex;
        warnings.iter().take(WARNINGS_MAX).for_each(|it| tracing::warn!(%zone, "{it}"));
        let others = warnings.len().saturating_sub(WARNINGS_MAX);
        if others > 0 {
            tracing::warn!(%zone, others, "more of what came is hardly meant so");
        }
    }
}

/// What a catalog lists is served from now on, if it is not broken.
async fn take_catalog(
    (catalog, secondaries): (Arc<Catalog>, Secondaries),
    zone: Zone,
    (timers, is_whole): (SoaTimers, bool),
) -> Outcome {
    match spawn_blocking(move || catalog.take(Arc::new(zone))).await {
        Ok(Ok(())) => {
            secondaries.apply_catalogs().await;
            Outcome::Arrived { timers, is_whole, problem: None }
        }
        Ok(Err(error)) => Outcome::Failed(format!(
            "the catalog is broken, so that the zones which it listed before stay: {error}"
        )),
        Err(error) => Outcome::Failed(error.to_string()),
    }
}

/// The zone that a transfer comes to, with what is hardly meant in it and whether it came whole.
fn content_of(
    transfer: Transfer,
    held: Option<Arc<Zone>>,
    memory_max: usize,
) -> Result<(Zone, Vec<String>, bool), Outcome> {
    match transfer {
        Transfer::Unchanged => Err(Outcome::Unchanged),
        Transfer::Whole { zone, warnings } => Ok((*zone, warnings, true)),
        Transfer::Difference(difference) => {
            let Some(held) = held else {
                return Err(Outcome::DoesNotFit("there is nothing to change".to_owned()));
            };
            match held.with_difference(&difference) {
                Ok(zone) if zone.memory() > memory_max => {
                    Err(Outcome::Failed(TransferError::TooLarge.to_string()))
                }
                // It is in no whole zone either.
                Ok(zone) if zone.has_oversized_set() => Err(Outcome::DoesNotFit(
                    "the difference makes a record set that no reply has room for".to_owned(),
                )),
                Ok(zone) => Ok((zone, Vec::new(), false)),
                Err(error) => Err(Outcome::DoesNotFit(error.to_string())),
            }
        }
    }
}

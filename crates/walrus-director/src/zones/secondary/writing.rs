//! What a zone's task writes down: that the zone is the newest still, and the zone itself if it is new.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::task::spawn_blocking;
use walrus_core::transfer::Refresh;
use walrus_core::world::Time;

use super::run::Task;
use crate::director::lock;

/// That a zone is still the newest is written down no more often than this.
const CHECKED_EVERY_SECS: u64 = 30;
/// The zone itself, which may be large, no more often than this: what a restart finds older is asked for at once.
const WRITTEN_EVERY_SECS: u64 = 60;

/// What is on the disk; times in seconds since 1970.
pub(super) struct Stored {
    /// The zone that is served is not there yet.
    pub(super) is_unwritten: bool,
    /// When the zone was written last.
    pub(super) written: u64,
    /// When it was written last that it is the newest.
    pub(super) checked: u64,
}

impl Stored {
    /// Whether the zone is to be written now.
    pub(super) const fn is_due(&self, unix: u64) -> bool {
        self.is_unwritten && unix.saturating_sub(self.written) >= WRITTEN_EVERY_SECS
    }
}

impl Task {
    /// A primary said that what is here is the newest; that is written down, with the zone itself if it is new.
    pub(super) async fn confirmed(&self, address: SocketAddr, stored: &mut Stored) {
        let unix = self.clock.unix_ms() / 1000;
        {
            let mut status = lock(&self.status);
            (status.primary, status.checked, status.problem) = (Some(address), Some(unix), None);
        }
        if stored.is_due(unix) || unix.saturating_sub(stored.checked) >= CHECKED_EVERY_SECS {
            self.store(stored).await;
        }
    }

    /// When the zone is to be written, if it is not.
    pub(super) fn writes(&self, refresh: &Refresh, stored: &Stored) -> Option<Time> {
        // What nobody confirmed is not written, nor what cannot be at once again.
        let is_ours = refresh.held().is_some() && stored.written > 0;
        let left =
            (stored.written + WRITTEN_EVERY_SECS).saturating_sub(self.clock.unix_ms() / 1000);
        let at = self.clock.now() + Duration::from_secs(left);
        (is_ours && stored.is_unwritten).then_some(at)
    }

    /// Writes down when the zone was confirmed, and the zone if it is due.
    pub(super) async fn store(&self, stored: &mut Stored) {
        let unix = self.clock.unix_ms() / 1000;
        let Some(checked) = lock(&self.status).checked else { return };
        let is_whole = stored.is_due(unix);
        let (kept, content, apex) = (self.kept.clone(), self.content(), self.zone.apex.clone());
        let confirmed = (checked, self.zone.keeps_signatures);
        let store = move || match content {
            Some(zone) if is_whole => kept.store(&zone, confirmed),
            _ => kept.store_confirmed(&apex, confirmed),
        };
        match spawn_blocking(store).await {
            Ok(Ok(())) => {
                stored.checked = unix;
                if is_whole {
                    (stored.is_unwritten, stored.written) = (false, unix);
                }
            }
            Ok(Err(error)) => {
                if is_whole && stored.written > 0 {
                    // It is tried again as late as if it had been written.
                    stored.written = unix;
                }
                let text = format!("it is not kept for a restart: the disk says {error}");
                tracing::error!(zone = %self.zone.apex, "the zone came, and {text}");
                lock(&self.status).problem = Some(text);
            }
            Err(_) => {}
        }
    }
}

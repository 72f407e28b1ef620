//! When a zone is too old to be served, and what follows.

use std::sync::Arc;
use std::time::Duration;

use walrus_core::transfer::Refresh;
use walrus_core::zone::Zone;
use walrus_host::log::chain;

use super::arrivals::{Arrivals, Bringer, Change};
use super::run::Task;
use crate::director::{DirectorHandle, lock};

/// What expired and could not be taken out of service is tried again after so long.
const AGAIN: Duration = Duration::from_secs(10);

impl Task {
    pub(super) async fn expiry(&self, refresh: &Refresh) {
        match refresh.expires() {
            Some(expires) => drop(self.clock.sleep_until(expires).await),
            None => std::future::pending().await,
        }
    }

    /// If it is time. Nobody waits until it is done: whoever asks for the zone has places that others wait for.
    pub(super) fn expire(&self, refresh: &mut Refresh) {
        if !refresh.expire(self.clock.now()) {
            return;
        }
        {
            let mut status = lock(&self.status);
            (status.is_expired, status.serial) = (true, None);
        }
        if self.catalog.is_some() {
            tracing::error!(
                zone = %self.zone.apex,
                "the catalog expired: none of its primaries said for so long that it is the newest; the zones that it \
                 lists stay"
            );
            return;
        }
        tracing::error!(
            zone = %self.zone.apex,
            "the zone expired: none of its primaries said for so long that it is the newest; it is \
             no longer served"
        );
        if let Some(expired) = self.director.current_zone(&self.zone.apex) {
            let (director, arrivals) = (self.director.clone(), Arc::clone(&self.arrivals));
            tokio::spawn(empty(director, arrivals, expired, (self.bringer(), AGAIN)));
        }
    }
}

/// Until this is not served any more, or its task ends.
async fn empty(
    director: DirectorHandle,
    arrivals: Arc<Arrivals>,
    expired: Arc<Zone>,
    (bringer, again): (Bringer, Duration),
) {
    loop {
        let change = Change::Expired(Arc::clone(&expired));
        let done = arrivals.make(&director, change, bringer.clone()).await;
        let current = director.current_zone(expired.apex());
        let is_served = current.is_some_and(|current| Arc::ptr_eq(&current, &expired));
        let Err(error) = done else { return };
        if !is_served || bringer.end.is_requested() {
            return;
        }
        let error = chain(&error);
        tracing::error!(zone = %expired.apex(), error, "it expired, and is served still");
        tokio::select! {
            () = bringer.end.requested() => return,
            () = tokio::time::sleep(again) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::zones::secondary::arrivals::tests::{bringer, content, start};

    #[tokio::test]
    async fn what_expired_and_could_not_be_taken_out_of_service_is_tried_again() {
        let (director, arrivals, end) = (start(), Arc::<Arrivals>::default(), bringer());
        let zone = content("other.example", 1);
        let came = Change::Came(Arc::clone(&zone));
        arrivals.make(&director, came, end.clone()).await.unwrap();
        let looks = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&looks);
        let fail = move |_: &DirectorHandle| {
            assert!(counted.fetch_add(1, Ordering::SeqCst) >= 2, "it cannot be served");
        };
        assert!(director.inner().on_look.set(Box::new(fail)).is_ok());
        let again = Duration::from_millis(1);
        empty(director.clone(), arrivals, Arc::clone(&zone), (end, again)).await;
        assert_eq!(director.current_zone(zone.apex()), None);
        assert_eq!(looks.load(Ordering::SeqCst), 3);
        director.shutdown();
    }
}

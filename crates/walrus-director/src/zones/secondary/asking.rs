//! A zone's task asks a primary: for its serial, and for the zone, if there is a place.

use tokio::task::spawn_blocking;
use walrus_core::transfer::{Asked, Attempt, Transfer, TransferError, TransferLimits};
use walrus_host::log::chain;

use super::exchange::{self, Failure, Peer, Wish};
use super::memory::MemoryPart;
use super::run::{Asking, Outcome, Task};
use crate::director::lock;
use crate::tsig::SharedKey;

impl Task {
    /// Asks a primary.
    pub(super) async fn ask(&self, attempt: Attempt) -> Asking {
        let primary = &self.zone.primaries[attempt.primary()];
        let failed = |why: String| Asking::Ended(Outcome::Failed(why));
        let key = match &primary.key {
            None => None,
            Some(key) => {
                let key = key.clone();
                // Read each time, so that a secret that was replaced is used without a reload.
                match spawn_blocking(move || SharedKey::read(&key)).await {
                    Ok(Ok(key)) => Some(key),
                    Ok(Err(error)) => return failed(chain(&error)),
                    Err(error) => return failed(error.to_string()),
                }
            }
        };
        let peer = Peer { address: primary.address, key };
        let asked = match attempt {
            Attempt::Serial { .. } => {
                lock(&self.status).counts.checks += 1;
                let place = self.transfers.check(peer.address.ip()).await;
                let serial = exchange::serial(&peer, &self.zone.apex, &self.clock).await;
                if let Some(place) = place {
                    place.tell(matches!(serial, Err(Failure::Silent | Failure::Io(_))));
                }
                return match serial {
                    Ok(serial) => Asking::Ended(Outcome::Serial(serial)),
                    Err(failure) => failed(chain(&failure)),
                };
            }
            Attempt::Since { serial, .. } => Asked::Since(serial),
            Attempt::Whole { held, .. } => Asked::Whole { held },
        };
        let waited_since = *lock(&self.waits_since);
        let place = self.transfers.place(peer.address.ip(), waited_since).await;
        let Some((memory, _place)) = place else {
            return failed("the node stops".to_owned());
        };
        let transfer = self.transfer(&peer, asked, &memory).await;
        *lock(&self.waits_since) = if transfer.is_ok() { None } else { memory.waits_since() };
        match (transfer, asked) {
            (Ok(transfer), _) => Asking::Came(transfer, memory),
            // Whatever is wrong with a difference, the whole zone may be sound.
            (Err(failure), Asked::Since(_)) if !is_older(&failure) => {
                Asking::Ended(Outcome::DoesNotFit(chain(&failure)))
            }
            (Err(failure), _) => failed(chain(&failure)),
        }
    }

    async fn transfer(
        &self,
        peer: &Peer,
        asked: Asked,
        memory: &MemoryPart,
    ) -> Result<Transfer, Failure> {
        let held = self.content();
        let wish = Wish {
            apex: self.zone.apex.clone(),
            asked,
            soa: held.and_then(|zone| zone.records().next()),
            keeps_signatures: self.zone.keeps_signatures,
            limits: TransferLimits::of_memory(self.zone.memory_max),
        };
        exchange::transfer(peer, &wish, memory, &self.clock).await
    }
}

/// Whether the primary has an older zone than is here: another transfer would say the same.
const fn is_older(failure: &Failure) -> bool {
    matches!(failure, Failure::Transfer(TransferError::Shrinks { .. }))
}

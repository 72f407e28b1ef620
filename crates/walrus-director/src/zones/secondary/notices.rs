//! What primaries told of a zone by NOTIFY (RFC 1996) and its task has not looked at yet: of each the newest
//! serial, so that however many come, the newest is never lost.

use std::collections::BTreeMap;
use std::sync::Mutex;

use tokio::sync::Notify;
use walrus_core::transfer::is_newer;

use crate::director::lock;

/// What a primary told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Notice {
    /// Its place among the zone's primaries.
    pub(super) primary: usize,
    /// The newest serial; `None` if it told of a change without one.
    pub(super) serial: Option<u32>,
    /// Messages that said so.
    pub(super) count: u64,
}

/// One for each of a zone's primaries at most.
#[derive(Debug, Default)]
pub(super) struct Notices {
    waiting: Mutex<BTreeMap<usize, Notice>>,
    bell: Notify,
}

impl Notices {
    /// A primary tells of a change, and perhaps of its serial.
    pub(super) fn add(&self, primary: usize, serial: Option<u32>) {
        let mut waiting = lock(&self.waiting);
        let new = Notice { primary, serial, count: 0 };
        let notice = waiting.entry(primary).or_insert(new);
        notice.count += 1;
        notice.serial = match (notice.serial, serial) {
            (Some(held), Some(told)) => Some(if is_newer(told, held) { told } else { held }),
            // Without a serial it has to be asked, whatever else was told.
            _ => None,
        };
        drop(waiting);
        self.bell.notify_one();
    }

    /// Waits for the next one.
    pub(super) async fn next(&self) -> Notice {
        loop {
            let bell = self.bell.notified();
            let first = lock(&self.waiting).pop_first();
            if let Some((_, notice)) = first {
                return notice;
            }
            bell.await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn of_many_the_newest_serial_is_kept_for_each_primary() {
        let notices = Notices::default();
        for serial in [5, u32::MAX - 1, 7, 6] {
            notices.add(1, Some(serial));
        }
        (0..1000).for_each(|_| notices.add(0, Some(3)));
        notices.add(0, None);
        notices.add(0, Some(9));
        assert_eq!(notices.next().await, Notice { primary: 0, serial: None, count: 1002 });
        assert_eq!(notices.next().await, Notice { primary: 1, serial: Some(7), count: 4 });
        assert!(lock(&notices.waiting).is_empty());
    }
}

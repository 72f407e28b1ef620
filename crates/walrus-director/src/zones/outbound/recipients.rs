//! Who has a zone from here, as far as that shows: what they asked for, were sent, and acknowledged.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Mutex;

use walrus_core::config::ZoneTransfers;
use walrus_dns::DomainName;

use crate::director::lock;

/// So many of a zone are known beside those that are told of changes; whoever asked longest ago is forgotten.
const ASKED_MAX: usize = 100;

/// A name server that asked for a zone and was admitted, or is told of its changes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recipient {
    /// What it has: the serial that it named, or that it was sent to the end.
    pub serial: Option<u32>,
    /// When it last asked, in seconds since 1970.
    pub asked: Option<u64>,
    /// How it was told of the last change, if it is told.
    pub notice: Option<Notice>,
    /// The last serial whose NOTIFY it acknowledged.
    pub acknowledged: Option<u32>,
}

/// What became of a NOTIFY.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Notice {
    /// It is told, again and again.
    Waiting,
    /// It said that it had heard.
    Acknowledged,
    /// It never did.
    Unheard,
}

/// By zone and address.
#[derive(Debug, Default)]
pub(super) struct Recipients(Mutex<BTreeMap<DomainName, BTreeMap<IpAddr, Known>>>);

/// What is told of it, and with which key it asked last.
#[derive(Debug, Default)]
struct Known {
    told: Recipient,
    key: Option<DomainName>,
}

impl Recipients {
    /// It asked by a connection, so that it is at that address, was admitted with this key, and named what it has.
    pub(super) fn asked(
        &self,
        apex: &DomainName,
        (client, key): (IpAddr, Option<&DomainName>),
        serial: Option<u32>,
        unix_secs: u64,
    ) {
        let mut zones = lock(&self.0);
        let zone = zones.entry(apex.clone()).or_default();
        let client = client.to_canonical();
        if !zone.contains_key(&client) && zone.len() >= ASKED_MAX {
            let others = zone.iter().filter(|(_, it)| it.told.notice.is_none());
            let oldest = others.min_by_key(|(_, it)| it.told.asked);
            let Some(oldest) = oldest.map(|(address, _)| *address) else { return };
            zone.remove(&oldest);
        }
        let known = zone.entry(client).or_default();
        known.key = key.cloned();
        known.told.asked = Some(unix_secs);
        known.told.serial = serial.or(known.told.serial);
    }

    /// It asked by a datagram and was admitted with this key. Somebody who has recorded that may send it from any address,
    /// so it makes nobody known, and says no more than when.
    pub(super) fn seen(
        &self,
        apex: &DomainName,
        (client, key): (IpAddr, Option<&DomainName>),
        unix_secs: u64,
    ) {
        let mut zones = lock(&self.0);
        let zone = zones.get_mut(apex);
        if let Some(known) = zone.and_then(|zone| zone.get_mut(&client.to_canonical())) {
            known.key = key.cloned();
            known.told.asked = Some(unix_secs);
        }
    }

    /// It was sent this, to the end.
    pub(super) fn sent(&self, apex: &DomainName, client: IpAddr, serial: u32) {
        self.change(apex, client, |recipient| recipient.serial = Some(serial));
    }

    /// It is told of a change.
    pub(super) fn told(&self, apex: &DomainName, target: IpAddr) {
        let mut zones = lock(&self.0);
        let zone = zones.entry(apex.clone()).or_default();
        zone.entry(target.to_canonical()).or_default().told.notice = Some(Notice::Waiting);
    }

    /// It acknowledged that.
    pub(super) fn acknowledged(&self, apex: &DomainName, target: IpAddr, serial: u32) {
        self.change(apex, target, |recipient| {
            recipient.notice = Some(Notice::Acknowledged);
            recipient.acknowledged = Some(serial);
        });
    }

    /// It never did.
    pub(super) fn unheard(&self, apex: &DomainName, target: IpAddr) {
        self.change(apex, target, |recipient| recipient.notice = Some(Notice::Unheard));
    }

    /// Forgets zones that go to nobody any more, who is no longer told, and who would no longer be admitted.
    pub(super) fn retain(&self, zones: &BTreeMap<DomainName, ZoneTransfers>) {
        lock(&self.0).retain(|apex, known| {
            let Some(transfers) = zones.get(apex) else { return false };
            let is_told = |address| {
                let mut targets = transfers.notify.iter().map(|it| it.address.ip().to_canonical());
                targets.any(|target| target == address)
            };
            known.retain(|address, Known { told, key }| {
                if !is_told(*address) {
                    (told.notice, told.acknowledged) = (None, None);
                }
                if !transfers.admits(*address, key.as_ref()) {
                    (told.asked, told.serial) = (None, None);
                }
                told.notice.is_some() || told.asked.is_some()
            });
            true
        });
    }

    /// Those of a zone.
    pub(super) fn of(&self, apex: &DomainName) -> Vec<(IpAddr, Recipient)> {
        let zones = lock(&self.0);
        let zone = zones.get(apex).into_iter().flatten();
        zone.map(|(address, known)| (*address, known.told.clone())).collect()
    }

    fn change(&self, apex: &DomainName, address: IpAddr, change: impl FnOnce(&mut Recipient)) {
        let mut zones = lock(&self.0);
        let zone = zones.get_mut(apex);
        if let Some(known) = zone.and_then(|zone| zone.get_mut(&address.to_canonical())) {
            change(&mut known.told);
        }
    }
}

#[cfg(test)]
mod tests {
    use walrus_core::config::{NotifyTarget, TransferRule};

    use super::*;

    #[test]
    fn what_is_known_of_those_who_have_a_zone_is_bounded() {
        let recipients = Recipients::default();
        let apex: DomainName = "example.com".parse().unwrap();
        let address = |last: u8| IpAddr::from([192, 0, 2, last]);
        recipients.told(&apex, address(0));
        for last in 1..=200 {
            recipients.asked(&apex, (address(last), None), Some(u32::from(last)), last.into());
        }
        let known = recipients.of(&apex);
        assert_eq!(known.len(), ASKED_MAX);
        assert_eq!((known[0].0, known[1].0), (address(0), address(102)), "the oldest went");
        recipients.asked(&apex, (address(200), None), None, 300);
        recipients.sent(&apex, address(200), 7);
        recipients.acknowledged(&apex, address(0), 7);
        // Nothing is made up of somebody who is not known.
        recipients.sent(&apex, address(1), 7);
        let known = recipients.of(&apex);
        assert_eq!(known[0].1.acknowledged, Some(7));
        let last = Recipient { serial: Some(7), asked: Some(300), ..Recipient::default() };
        assert_eq!(known.last(), Some(&(address(200), last)));
        let everybody = TransferRule { from: None, key: None };
        let sent = |transfers| [(apex.clone(), transfers)].into();
        let transfers = ZoneTransfers { transfer_to: vec![everybody], ..ZoneTransfers::default() };
        recipients.retain(&sent(transfers));
        assert_eq!(recipients.of(&apex).len(), ASKED_MAX - 1, "it is told no longer");
        recipients.retain(&BTreeMap::new());
        assert_eq!(recipients.of(&apex), []);
    }

    #[test]
    fn who_is_no_longer_admitted_is_forgotten() {
        let recipients = Recipients::default();
        let apex: DomainName = "example.com".parse().unwrap();
        let address = |last: u8| IpAddr::from([192, 0, 2, last]);
        let [old, new] = ["old", "new"].map(|key| key.parse::<DomainName>().unwrap());
        recipients.told(&apex, address(1));
        for (last, key) in [(1, &old), (2, &old), (3, &new), (4, &new)] {
            recipients.asked(&apex, (address(last), Some(key)), Some(7), 100);
        }
        let rule = |last: u8, key: &DomainName| TransferRule {
            from: Some((address(last), 32)),
            key: Some(key.clone()),
        };
        let target = NotifyTarget { address: (address(1), 53).into(), key: None, source: None };
        let transfers = ZoneTransfers {
            transfer_to: vec![rule(1, &new), rule(2, &new), rule(3, &new)],
            notify: vec![target],
            ..ZoneTransfers::default()
        };
        recipients.retain(&[(apex.clone(), transfers)].into());
        let left: Vec<_> =
            recipients.of(&apex).into_iter().map(|(who, it)| (who, it.serial)).collect();
        assert_eq!(left, [(address(1), None), (address(3), Some(7))]);
    }
}

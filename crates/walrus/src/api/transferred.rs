//! How zones stand that go to other name servers: in `GET /status`, as problems, and as metrics.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use walrus_director::{Notice, OutboundStatus, Recipient};

use super::status::ProblemView;

/// Pairs of a zone and a secondary that are told apart by metrics; nothing is told of those after them.
const SECONDARIES_APART: usize = 1000;

/// A zone that goes to other name servers from here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub(crate) struct TransferredZoneView {
    /// The zone.
    pub(crate) zone: String,
    /// Under which it is sent and answered; absent as long as there is nothing to send.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) serial: Option<u32>,
    /// From how many serials of before differences (IXFR) are sent.
    pub(crate) differences: usize,
    /// Who is told of changes, or has asked and was admitted: by address, the last hundred.
    #[serde(default)]
    pub(crate) secondaries: Vec<RecipientView>,
}

/// A name server that a zone goes to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub(crate) struct RecipientView {
    /// Where it asks from, or listens.
    pub(crate) address: String,
    /// What it has: the serial that it last named, or was sent to the end; absent if that is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) serial: Option<u32>,
    /// When it last asked for a transfer, in seconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) asked: Option<u64>,
    /// What became of the last NOTIFY: `waiting`, `acknowledged` or `unheard`; absent if it is told of nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) notify: Option<String>,
    /// The last serial whose NOTIFY it acknowledged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) acknowledged: Option<u32>,
}

impl TransferredZoneView {
    pub(crate) fn of(status: OutboundStatus) -> Self {
        let OutboundStatus { apex, serial, differences, recipients } = status;
        let view = |(address, recipient): (std::net::IpAddr, Recipient)| {
            let Recipient { serial, asked, notice, acknowledged } = recipient;
            let notify = notice.map(|notice| match notice {
                Notice::Waiting => "waiting",
                Notice::Acknowledged => "acknowledged",
                Notice::Unheard => "unheard",
            });
            let notify = notify.map(ToOwned::to_owned);
            RecipientView { address: address.to_string(), serial, asked, notify, acknowledged }
        };
        let secondaries = recipients.into_iter().map(view).collect();
        Self { zone: apex.to_string(), serial, differences, secondaries }
    }

    /// Those that may not know of the last change, in a sentence.
    pub(crate) fn problem_view(&self) -> Option<ProblemView> {
        let is_behind = |it: &&RecipientView| {
            it.notify.as_deref() == Some("unheard") && it.serial != self.serial
        };
        let behind: Vec<&RecipientView> = self.secondaries.iter().filter(is_behind).collect();
        let more = match behind.len() {
            0 => return None,
            1 => String::new(),
            others => format!(" and {} more", others - 1),
        };
        let text = format!(
            "{}{more} did not acknowledge that the zone {} has changed: does it run, and is this server among its primaries?",
            behind[0].address, self.zone
        );
        Some(ProblemView { kind: "zone".to_owned(), subject: self.zone.clone(), text })
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct SecondaryLabels {
    zone: String,
    secondary: String,
}

/// Adds what is known of them, if there are any.
pub(super) fn register(registry: &mut Registry, zones: &[TransferredZoneView]) {
    let pairs = zones.iter().flat_map(|zone| zone.secondaries.iter().map(move |it| (zone, it)));
    let serial = Family::<SecondaryLabels, Gauge>::default();
    let asked = Family::<SecondaryLabels, Gauge>::default();
    let acknowledged = Family::<SecondaryLabels, Gauge>::default();
    let mut is_any = false;
    for (zone, recipient) in pairs.take(SECONDARIES_APART) {
        is_any = true;
        let (zone, secondary) = (zone.zone.clone(), recipient.address.clone());
        let labels = SecondaryLabels { zone, secondary };
        let seconds = i64::try_from(recipient.asked.unwrap_or(0)).unwrap_or(i64::MAX);
        serial.get_or_create(&labels).set(recipient.serial.unwrap_or(0).into());
        asked.get_or_create(&labels).set(seconds);
        if recipient.notify.is_some() {
            let number = recipient.acknowledged.unwrap_or(0);
            acknowledged.get_or_create(&labels).set(number.into());
        }
    }
    if !is_any {
        return;
    }
    let help = "The serial that a secondary named last or was sent; 0 if that is not known";
    registry.register("dns_transfer_secondary_serial", help, serial);
    let help = "When it last asked for a transfer, in seconds since 1970; 0 if it never did";
    registry.register("dns_transfer_secondary_asked_timestamp_seconds", help, asked);
    let help = "The last serial whose NOTIFY it acknowledged; 0 if none";
    registry.register("dns_transfer_secondary_acknowledged_serial", help, acknowledged);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_never_heard_of_a_change_is_a_problem_until_it_has_it() {
        let recipient = |address: &str, serial, notify: Option<&str>| RecipientView {
            address: address.to_owned(),
            serial,
            asked: None,
            notify: notify.map(ToOwned::to_owned),
            acknowledged: None,
        };
        let problem = |secondaries| {
            let zone = "example.com".to_owned();
            let view = TransferredZoneView { zone, serial: Some(7), differences: 0, secondaries };
            view.problem_view().map(|it| it.text)
        };
        let unheard = Some("unheard");
        let two = || recipient("192.0.2.2", Some(6), unheard);
        let fine = [Some("waiting"), Some("acknowledged"), None];
        assert_eq!(problem(fine.map(|it| recipient("192.0.2.1", None, it)).into()), None);
        assert_eq!(problem(vec![recipient("192.0.2.2", Some(7), unheard)]), None);
        assert!(problem(vec![two()]).unwrap().starts_with("192.0.2.2 did not acknowledge"));
        let both = vec![two(), recipient("192.0.2.3", None, unheard)];
        assert!(problem(both).unwrap().starts_with("192.0.2.2 and 1 more did not"));
    }
}

//! How signing stands, as metrics and among the problems of the status.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::{ConstGauge, Gauge};
use prometheus_client::registry::Registry;
use walrus_director::SigningStatus;
use walrus_dns::DomainName;

use super::keys::ZoneKeysView;
use super::status::ProblemView;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ZoneLabels {
    zone: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct KeyLabels {
    zone: String,
    state: String,
}

/// Zones that are told apart by their keys' metric; those after them count as one.
const ZONES_APART: usize = 1000;
/// The name of all those.
const OTHER_ZONES: &str = "(other)";

/// What the metrics tell of keys.
pub(super) struct KeyFigures {
    /// The keys of the zones that are signed here.
    pub(super) zones: Vec<ZoneKeysView>,
    /// What is wrong with them.
    pub(super) problems: usize,
}

/// Adds what is known of signing, if any zone is signed.
pub(super) fn register(registry: &mut Registry, status: &SigningStatus, keys: &KeyFigures) {
    if status.zones.is_empty() && keys.problems == 0 && keys.zones.is_empty() {
        return;
    }
    register_keys(registry, &keys.zones);
    let signatures = Family::<ZoneLabels, Gauge>::default();
    let renewals = Family::<ZoneLabels, Gauge>::default();
    let expiries = Family::<ZoneLabels, Gauge>::default();
    for zone in &status.zones {
        let labels = || ZoneLabels { zone: zone.apex.to_string() };
        signatures.get_or_create(&labels()).set(gauge(zone.signatures as u64));
        if let Some(at) = zone.next_renewal {
            renewals.get_or_create(&labels()).set(gauge(at));
        }
        if let Some(at) = zone.first_expiry {
            expiries.get_or_create(&labels()).set(gauge(at));
        }
    }
    let help = "Signatures over static names; 0 while the zone is not signed";
    registry.register("dnssec_zone_signatures", help, signatures);
    let help = "When signatures of static names are renewed next, in seconds since 1970";
    registry.register("dnssec_zone_renewal_timestamp_seconds", help, renewals);
    let help = "When the first signature of a static name expires, in seconds since 1970";
    registry.register("dnssec_zone_expiry_timestamp_seconds", help, expiries);
    if let Some(at) = status.first_expiry {
        let help = "When the first signature of an answer set expires, in seconds since 1970";
        let at = ConstGauge::new(gauge(at));
        registry.register("dnssec_answers_expiry_timestamp_seconds", help, at);
    }
    let mut number = |name: &str, help: &str, value: usize| {
        registry.register(name, help, ConstGauge::new(gauge(value as u64)));
    };
    number("dnssec_answer_sets", "Answer sets of services that are signed", status.answer_sets);
    number("dnssec_answer_sets_left_out", "Answer sets beyond the bound", status.left_out);
    number("dnssec_pending", "Signatures of answer sets still to be made", status.pending);
    let problems = texts(status).count() + keys.problems;
    number("dnssec_problems", "What keeps signing from being as it should", problems);
}

fn register_keys(registry: &mut Registry, zones: &[ZoneKeysView]) {
    let family = Family::<KeyLabels, Gauge>::default();
    for (index, zone) in zones.iter().enumerate() {
        let name = if index < ZONES_APART { zone.zone.as_str() } else { OTHER_ZONES };
        for key in &zone.keys {
            let labels = KeyLabels { zone: name.to_owned(), state: key.stage.clone() };
            family.get_or_create(&labels).inc();
        }
    }
    registry.register("dnssec_keys", "Keys of a zone by how far they have come", family);
}

fn gauge(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// What is wrong with keys, each with its zone.
pub(crate) fn key_problems(
    problems: Vec<(DomainName, String)>,
) -> impl Iterator<Item = ProblemView> {
    problems.into_iter().map(|(apex, text)| {
        let subject = format!("keys of {apex}");
        ProblemView { kind: "keys".to_owned(), subject, text }
    })
}

/// What keeps signing from being as it should.
pub(crate) fn problems(status: &SigningStatus) -> impl Iterator<Item = ProblemView> {
    texts(status).map(|(subject, text)| ProblemView { kind: "signing".to_owned(), subject, text })
}

fn texts(status: &SigningStatus) -> impl Iterator<Item = (String, String)> {
    let zones = status.zones.iter().filter_map(|zone| {
        let text = match (&zone.error, zone.is_served) {
            (Some(error), true) => format!("is signed as before: {error}"),
            (Some(error), false) if zone.is_unsigned => {
                format!("is answered unsigned, as before: {error}")
            }
            (Some(error), false) => format!("is refused (REFUSED): {error}"),
            (None, false) if zone.is_unsigned => {
                "is answered unsigned, as before, until it is signed".to_owned()
            }
            (None, false) => "is not answered until it is signed".to_owned(),
            (None, true) => return None,
        };
        let subject = format!("zone {}", zone.apex);
        let text = format!("{subject} {text}");
        Some((subject, text))
    });
    let answers = status.error.iter();
    let answers =
        answers.map(|error| ("answers".to_owned(), format!("answers are not signed: {error}")));
    let clock = status.clock.iter().map(|text| ("clock".to_owned(), text.clone()));
    let left_out = (status.left_out > 0).then(|| {
        let text = format!(
            "{} answer sets are not signed (`[dnssec] answer_sets_max`): single servers are \
             answered there",
            status.left_out
        );
        ("answers".to_owned(), text)
    });
    zones.chain(answers).chain(clock).chain(left_out)
}

#[cfg(test)]
mod tests {
    use walrus_director::ZoneSigningStatus;

    use super::*;

    /// Two keys that are active, one that goes.
    fn keys_of(zone: usize) -> ZoneKeysView {
        let key = |stage: &str| {
            serde_json::json!({ "tag": 1, "algorithm": 13, "role": "zsk", "stage": stage, "made": 1,
                                "held": true, "next": "", "at_parent": "absent", "wanted": false })
        };
        let view = serde_json::json!({
            "zone": format!("zone{zone}.example"), "signer": true, "generation": 1,
            "keys": [key("active"), key("active"), key("retiring")],
            "ds_at_parent": 0, "problems": [],
        });
        serde_json::from_value(view).unwrap()
    }

    #[test]
    fn what_is_wrong_is_told_with_its_place() {
        let zone = |name: &str, is_served, error: Option<&str>| ZoneSigningStatus {
            apex: name.parse().unwrap(),
            is_served,
            is_unsigned: name == "plain.example",
            signatures: 7,
            signed_at: None,
            next_renewal: Some(9),
            first_expiry: Some(1234),
            keys: Vec::new(),
            error: error.map(str::to_owned),
        };
        let status = SigningStatus {
            zones: vec![
                zone("good.example", true, None),
                zone("waits.example", false, None),
                zone("gone.example", false, Some("no keys")),
                zone("plain.example", false, Some("no keys")),
                zone("old.example", true, Some("no key")),
            ],
            left_out: 3,
            first_expiry: Some(1200),
            clock: Some("the clock jumped".to_owned()),
            ..SigningStatus::default()
        };
        let told: Vec<String> =
            problems(&status).map(|it| format!("{}: {}", it.subject, it.text)).collect();
        let expected = [
            "zone waits.example: zone waits.example is not answered until it is signed",
            "zone gone.example: zone gone.example is refused (REFUSED): no keys",
            "zone plain.example: zone plain.example is answered unsigned, as before: no keys",
            "zone old.example: zone old.example is signed as before: no key",
            "clock: the clock jumped",
            "answers: 3 answer sets are not signed",
        ];
        assert_eq!(told.len(), expected.len());
        assert!(told.iter().zip(expected).all(|(told, expected)| told.starts_with(expected)));
        let mut registry = Registry::default();
        let keys = (0..ZONES_APART + 2).map(keys_of).collect();
        register(&mut registry, &status, &KeyFigures { zones: keys, problems: 2 });
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
        assert!(text.contains("dnssec_zone_signatures{zone=\"good.example\"} 7"), "{text}");
        assert!(text.contains("dnssec_problems 8"), "{text}");
        for line in [
            "dnssec_zone_expiry_timestamp_seconds{zone=\"good.example\"} 1234",
            "dnssec_answers_expiry_timestamp_seconds 1200",
            "dnssec_keys{zone=\"zone0.example\",state=\"active\"} 2",
            "dnssec_keys{zone=\"zone999.example\",state=\"retiring\"} 1",
            "dnssec_keys{zone=\"(other)\",state=\"active\"} 4",
        ] {
            assert!(text.lines().any(|it| it == line), "{line}");
        }
        assert!(!text.contains("zone1000"), "the number of labels is bounded");
    }
}

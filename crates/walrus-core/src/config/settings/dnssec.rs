//! `[dnssec]`: how zones are signed.

use std::time::Duration;

use super::{Default, Group, Kind, Scope, Setting};
use crate::config::findings::Findings;
use crate::config::section::Section;
use crate::config::setting::duration_text;
use crate::config::{DnssecSettings, GroupSettings, NodeSettings};
use crate::world::{Algorithm, Denial, KeyLayout};

/// The port of DNS.
const PORT: u16 = 53;
/// A signature that is renewed less than this before it expires leaves no weekend to mend a fault.
const SLACK_MIN: Duration = Duration::from_secs(2 * 86_400);

pub(in crate::config) static DNSSEC: Group = Group {
    header: "[dnssec]",
    meaning: "How zones are signed. The same on every node, but for `signer` and `parent`, which \
              are this node's own.",
    scope: Scope::Shared,
    settings: &[
        Setting {
            name: "sign",
            kind: Kind::Flag,
            default: Default::Value("false"),
            meaning: "Whether zones are signed that do not say otherwise (`dnssec` of a [[zone]]).",
            example: "true",
        },
        Setting {
            name: "algorithm",
            kind: Kind::OneOf(&["ecdsap256sha256", "ed25519"]),
            default: Default::Value("\"ecdsap256sha256\""),
            meaning: "Algorithm of new keys: `ecdsap256sha256` (13, known to every resolver) or \
                      `ed25519` (15). A change is carried out by a roll-over.",
            example: "\"ecdsap256sha256\"",
        },
        Setting {
            name: "keys",
            kind: Kind::OneOf(&["csk", "ksk+zsk"]),
            default: Default::Value("\"csk\""),
            meaning: "One key for everything (`csk`), or one that the parent's DS names and one \
                      that signs the zone (`ksk+zsk`).",
            example: "\"csk\"",
        },
        Setting {
            name: "denial",
            kind: Kind::OneOf(&["nsec", "nsec3"]),
            default: Default::Value("\"nsec\""),
            meaning: "How it is proved that a name is not there: `nsec`, or `nsec3` (without \
                      iterations and salt, RFC 9276) if a list of the zone's names should not be \
                      had for the asking.",
            example: "\"nsec\"",
        },
        Setting {
            name: "dnskey_ttl",
            kind: Kind::Seconds(1, 604_800),
            default: Default::Value("\"1h\""),
            meaning: "How long the zone's keys may be cached; each step of a roll-over waits for \
                      it.",
            example: "\"1h\"",
        },
        Setting {
            name: "renew_every",
            kind: Kind::Duration(60_000, 7_776_000_000),
            default: Default::Value("\"7d\""),
            meaning: "Time between two signatures of a record set; each set has its own moment in \
                      it.",
            example: "\"7d\"",
        },
        Setting {
            name: "valid_for",
            kind: Kind::Duration(120_000, 31_536_000_000),
            default: Default::Value("\"21d\""),
            meaning: "How long a signature is valid, at least twice `renew_every`: what is above it \
                      is the time to mend a fault before answers become invalid.",
            example: "\"21d\"",
        },
        Setting {
            name: "answer_sets_max",
            kind: Kind::Count(1, 100_000_000),
            default: Default::Value("100000"),
            meaning: "The most answer sets of all services that are signed ahead; each takes about \
                      200 bytes and 30 microseconds. `walrus check` tells how many there may be.",
            example: "100000",
        },
        Setting {
            name: "roll_ksk_every",
            kind: Kind::Duration(86_400_000, 3_153_600_000_000),
            default: Default::Otherwise("only by hand: `walrus keys retire`"),
            meaning: "The age at which a CSK or KSK is rolled over. Every such roll-over waits for \
                      the parent's DS: only useful if the parent reads CDS records.",
            example: "\"365d\"",
        },
        Setting {
            name: "roll_zsk_every",
            kind: Kind::Duration(86_400_000, 3_153_600_000_000),
            default: Default::Value("\"90d\""),
            meaning: "The age at which a ZSK is rolled over (`keys = \"ksk+zsk\"`).",
            example: "\"90d\"",
        },
        Setting {
            name: "roll_margin",
            kind: Kind::Duration(1_000, 2_592_000_000),
            default: Default::Value("\"1h\""),
            meaning: "Added to each wait of a roll-over beyond the TTL: for secondaries that lag \
                      and caches whose clocks are slow. A parent whose DS is waited for is asked \
                      as often, but at least each 5 minutes.",
            example: "\"1h\"",
        },
        Setting {
            name: "nodes",
            kind: Kind::List(&Kind::Name),
            default: Default::Otherwise("this node alone"),
            meaning: "The names of all nodes that serve the zones with the same keys ([node] name): \
                      no key does anything before all of them hold it, and each step waits until \
                      all of them serve the one before.",
            example: "[\"ns1\", \"ns2\"]",
        },
        Setting {
            name: "signer",
            kind: Kind::Flag,
            default: Default::Value("true"),
            meaning: "Whether this node makes keys and rolls them over; of several nodes one. The \
                      others import keys, and follow its timing ([group] join). (This node's own.)",
            example: "false",
        },
        Setting {
            name: "parent",
            kind: Kind::List(&Kind::Endpoint(PORT)),
            default: Default::Value("[]"),
            meaning: "Name servers to ask for the zones' DS records, when a roll-over waits for the \
                      parent; empty: the system's resolvers. (This node's own.)",
            example: "[\"192.0.2.1:53\"]",
        },
    ],
};

pub(in crate::config) fn read(section: &Section, findings: &Findings<'_>) -> DnssecSettings {
    let text = |name| section.text(name).unwrap_or_default();
    let settings = DnssecSettings {
        sign: section.flag("sign"),
        algorithm: match text("algorithm").as_str() {
            "ed25519" => Algorithm::Ed25519,
            _ => Algorithm::EcdsaP256Sha256,
        },
        keys: if text("keys") == "ksk+zsk" { KeyLayout::KskAndZsk } else { KeyLayout::Csk },
        denial: if text("denial") == "nsec3" { Denial::Nsec3 } else { Denial::Nsec },
        dnskey_ttl: u32::try_from(section.duration("dnskey_ttl").as_secs()).unwrap_or(u32::MAX),
        renew_every: section.duration("renew_every"),
        valid_for: section.duration("valid_for"),
        answer_sets_max: section.whole("answer_sets_max"),
        roll_ksk_every: section
            .is_given("roll_ksk_every")
            .then(|| section.duration("roll_ksk_every")),
        roll_zsk_every: section.duration("roll_zsk_every"),
        roll_margin: section.duration("roll_margin"),
        nodes: section.names("nodes"),
        signer: section.flag("signer"),
        parent: section.endpoints("parent").into_iter().map(|(endpoint, _)| endpoint).collect(),
    };
    check_times(section, &settings, findings);
    settings
}

/// Several nodes must be able to speak of keys.
pub(in crate::config) fn check_nodes(
    root: &Section,
    settings: &DnssecSettings,
    node: &NodeSettings,
    group: &GroupSettings,
    findings: &Findings<'_>,
) {
    let Some(section) = root.section("dnssec") else { return };
    if settings.nodes.is_empty() || !node.roles.director {
        return;
    }
    let name = &node.name;
    let place = section.place_of("nodes");
    if !settings.nodes.contains(name) {
        let text = format!(
            "this node is named {name} ([node] name), which is not among `nodes`: key roll-overs do \
             not wait for it; add it"
        );
        findings.warn(place, text);
    }
    let is_alone = settings.nodes.iter().all(|other| other == name);
    if settings.signer && !is_alone && (group.listen.is_empty() || !node.roles.controller) {
        findings.warn(
            place,
            "no other node can tell this one, the signer, which keys it holds, so no key will ever \
             do anything: write `listen` in [group] (and the role controller), and `join` on the \
             others",
        );
    }
    if !settings.signer && group.join.is_none() {
        findings.warn(
            place,
            "this node is not the signer (`signer = false`), and is not told by it: write `join` in \
             [group]",
        );
    }
}

/// Signatures must live on for a while after they should have been renewed.
fn check_times(section: &Section, settings: &DnssecSettings, findings: &Findings<'_>) {
    let DnssecSettings { renew_every, valid_for, .. } = *settings;
    // Zero after a problem of its own.
    if renew_every.is_zero() || valid_for.is_zero() {
        return;
    }
    let name = if section.is_given("valid_for") { "valid_for" } else { "renew_every" };
    let place = section.place_of(name);
    let written =
        |time: Duration| duration_text(u64::try_from(time.as_millis()).unwrap_or(u64::MAX));
    if valid_for < renew_every * 2 {
        findings.problem(
            place,
            format!(
                "`valid_for` ({}) must be at least twice `renew_every` ({}), or answers become \
                 invalid as soon as one renewal fails: write valid_for = \"{}\"",
                written(valid_for),
                written(renew_every),
                written(renew_every * 3)
            ),
        );
    } else if valid_for.saturating_sub(renew_every) < SLACK_MIN {
        findings.warn(
            place,
            format!(
                "signatures are renewed {} before they expire, which leaves little time to notice \
                 a fault: two days and more are usual (valid_for = \"21d\")",
                written(valid_for.saturating_sub(renew_every))
            ),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Configuration, Context, SourceFile, ZoneDnssec, parse};

    const CLUSTER: &str = "[[cluster]]\nname = \"east\"\n\
        servers = [{ name = \"e1\", addresses = [\"192.0.2.1\"] }]\n";
    const BASE: &str = "zone = \"example.com\"\nnameservers = [\"ns1.example.net\"]\n\
        dns.listen = [\"192.0.2.53\"]\n[dnssec]\n";

    /// The configuration, and its warnings; or its problems.
    fn read(text: &str) -> Result<(Configuration, String), String> {
        let files = [SourceFile { name: "a.toml".into(), text: text.to_owned() }];
        let context = Context { hostname: "ns1", read: &|_| Err("no such file".into()) };
        let lines = |problems: Vec<crate::config::Problem>| -> String {
            problems.iter().map(|problem| format!("{problem}\n")).collect()
        };
        let parsed = parse(&files, &context).map_err(lines)?;
        Ok((parsed.configuration, lines(parsed.warnings)))
    }

    fn good(text: &str) -> Configuration {
        read(text).unwrap_or_else(|problems| panic!("{problems}")).0
    }

    #[test]
    fn zones_are_signed_as_they_say_else_as_all() {
        let configuration = good(
            "zone = [\n\
             { name = \"a.example\", nameservers = [\"ns1.example.net\"] },\n\
             { name = \"b.example\", nameservers = [\"ns1.example.net\"], dnssec = \"off\" },\n\
             { name = \"c.example\", file = \"c\", dnssec = \"keep\" }]\n\
             dns.listen = [\"192.0.2.53\"]\n\
             [dnssec]\nsign = true\nvalid_for = \"30d\"\nparent = [\"192.0.2.1\"]\n",
        );
        let zones: Vec<ZoneDnssec> = configuration.zones.iter().map(|zone| zone.dnssec).collect();
        assert_eq!(zones, [ZoneDnssec::Sign, ZoneDnssec::Off, ZoneDnssec::Keep]);
        let expected = DnssecSettings {
            sign: true,
            valid_for: Duration::from_secs(30 * 86_400),
            parent: vec!["192.0.2.1:53".parse().unwrap()],
            ..DnssecSettings::default()
        };
        assert_eq!(configuration.dnssec, expected);
    }

    #[test]
    fn what_nobody_wrote_is_the_default() {
        assert_eq!(good(BASE).dnssec, DnssecSettings::default());
    }

    #[test]
    fn the_digest_has_what_all_nodes_must_do_alike() {
        let digest = |more: &str| good(&format!("{BASE}{more}")).digest;
        assert_eq!(digest("signer = false\nparent = [\"192.0.2.1\"]"), digest(""));
        for line in [
            "sign = true",
            "algorithm = \"ed25519\"",
            "keys = \"ksk+zsk\"",
            "denial = \"nsec3\"",
            "valid_for = \"22d\"",
        ] {
            assert_ne!(digest(line), digest(""), "{line}");
        }
    }

    #[test]
    fn nodes_that_cannot_speak_of_keys_are_told_of() {
        let nodes = "nodes = [\"ns1\", \"ns2\"]\n";
        for (more, warnings) in [
            ("", vec!["no other node can tell this one, the signer"]),
            ("group.listen = [\"127.0.0.1\"]\n", vec![]),
            ("node.name = \"ns2\"\n", vec!["no other node"]),
            ("node.name = \"ns3\"\n", vec!["named ns3", "no other node"]),
            ("dnssec.signer = false\n", vec!["is not told by it"]),
            ("dnssec.signer = false\ngroup.join = \"ns1.example.com\"\n", vec![]),
        ] {
            let node = "node.roles = [\"controller\", \"director\"]\n";
            let base = BASE.replace("[dnssec]\n", "");
            let text = format!("{base}{node}{more}dnssec.{nodes}");
            let said = read(&text).unwrap().1;
            assert_eq!(said.lines().count(), warnings.len(), "{more}: {said}");
            assert!(warnings.iter().all(|warning| said.contains(warning)), "{more}: {said}");
        }
    }

    #[test]
    fn signatures_that_would_expire_are_refused() {
        let text = format!("{BASE}renew_every = \"7d\"\nvalid_for = \"8d\"\n");
        assert_eq!(
            read(&text).unwrap_err(),
            "a.toml:6:13: `valid_for` (8d) must be at least twice `renew_every` (7d), or answers \
             become invalid as soon as one renewal fails: write valid_for = \"21d\"\n"
        );
        let text = format!("{BASE}renew_every = \"1d\"\nvalid_for = \"2d\"\n");
        assert_eq!(
            read(&text).unwrap().1,
            "a.toml:6:13: signatures are renewed 1d before they expire, which leaves little time \
             to notice a fault: two days and more are usual (valid_for = \"21d\")\n"
        );
    }

    #[test]
    fn zones_signed_elsewhere_need_a_file_and_have_no_service() {
        let zone =
            |more: &str| format!("[[zone]]\nname = \"example.com\"\ndnssec = \"keep\"\n{more}");
        let start = format!("dns.listen = [\"192.0.2.53\"]\n{CLUSTER}");
        let text = format!("{start}{}", zone("nameservers = [\"ns1.example.net\"]\n"));
        assert_eq!(
            read(&text).unwrap_err(),
            "a.toml:7:10: `dnssec = \"keep\"` needs a signed zone file: write `file`, or dnssec = \
             \"sign\"\n"
        );
        let service = "[[service]]\nname = \"www.example.com\"\n";
        let text = format!("{start}{}{service}", zone("file = \"zone\"\n"));
        assert_eq!(
            read(&text).unwrap_err(),
            "a.toml:10:8: www.example.com changes with its servers' health, but the zone \
             example.com is signed elsewhere (dnssec = \"keep\"): write dnssec = \"sign\" for the \
             zone, or move the service to a zone of its own\n"
        );
        let below = "[[zone]]\nname = \"www.example.com\"\nnameservers = [\"ns1.example.net\"]\n";
        good(&format!("{start}{}{below}{service}", zone("file = \"zone\"\n")));
    }
}

//! `[group]`: how Reporters reach the Controller.

use super::nats::{self, NATS};
use super::reporter::fingerprint;
use super::{Default, Group, Kind, Scope, Setting};
use crate::config::GroupSettings;
use crate::config::findings::Findings;
use crate::config::section::Section;

/// The port on which Controllers listen for Reporters.
pub(in crate::config) const PORT: u16 = 8054;

pub(in crate::config) static GROUP: Group = Group {
    header: "[group]",
    meaning: "How Reporters and name servers on other machines reach this one, and this one them.",
    scope: Scope::Local,
    settings: &[
        Setting {
            name: "listen",
            kind: Kind::List(&Kind::Endpoint(PORT)),
            default: Default::Otherwise("none: only Reporters on this node"),
            meaning: "Where the Controller listens for Reporters (TCP with TLS). Without a port it \
                      is 8054.",
            example: "[\"192.0.2.53:8054\"]",
        },
        Setting {
            name: "insecure",
            kind: Kind::Flag,
            default: Default::Value("false"),
            meaning: "Speak plaintext, off loopback too: who listens in reads the token.",
            example: "false",
        },
        Setting {
            name: "certificate",
            kind: Kind::Path,
            default: Default::Otherwise("a self-signed one, made in the state directory"),
            meaning: "A PEM file with the certificate and its chain.",
            example: "\"/etc/walrus/group.pem\"",
        },
        Setting {
            name: "key",
            kind: Kind::Path,
            default: Default::Otherwise("made with the self-signed certificate"),
            meaning: "A PEM file with the certificate's private key.",
            example: "\"/etc/walrus/group.key\"",
        },
        Setting {
            name: "token_file",
            kind: Kind::Path,
            default: Default::Otherwise(
                "`reporter-token` in the state directory, made at first start",
            ),
            meaning: "A file that holds the token that Reporters must bring.",
            example: "\"/etc/walrus/reporter-token\"",
        },
        Setting {
            name: "join",
            kind: Kind::HostPort(PORT),
            default: Default::Otherwise("none"),
            meaning: "On a node with `signer = false`: the group of the signer, from which it takes \
                      the timing of the zones' keys. Without a port it is 8054.",
            example: "\"ns1.example.com:8054\"",
        },
        Setting {
            name: "node_token_file",
            kind: Kind::Path,
            default: Default::Otherwise(
                "`node-token` in the state directory, made at first start where `listen` is",
            ),
            meaning: "A file that holds the token that nodes bring to each other: what the other \
                      nodes must bring here, and what this one brings to `join`. Not the Reporters': \
                      theirs is on web servers.",
            example: "\"/etc/walrus/node-token\"",
        },
        Setting {
            name: "authority",
            kind: Kind::Path,
            default: Default::Otherwise("the public ones"),
            meaning: "A PEM file of the certificates to trust at `join`.",
            example: "\"/etc/walrus/authority.pem\"",
        },
        Setting {
            name: "fingerprint",
            kind: Kind::Text,
            default: Default::Otherwise("none"),
            meaning: "The SHA-256 of the one certificate to trust at `join`, 64 hex digits: what the \
                      node there shows for its self-signed one.",
            example: "\"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\"",
        },
        Setting {
            name: "nats",
            kind: Kind::Section(&NATS),
            default: Default::Otherwise(
                "none: the group is this node and who connects to `listen`",
            ),
            meaning: "The group over NATS.",
            example: "{ servers = [\"127.0.0.1:4222\"] }",
        },
    ],
};

pub(in crate::config) fn read(section: &Section, findings: &Findings<'_>) -> GroupSettings {
    let settings = GroupSettings {
        listen: section.endpoints("listen").into_iter().map(|(endpoint, _)| endpoint).collect(),
        insecure: section.flag("insecure"),
        certificate: section.path("certificate"),
        key: section.path("key"),
        token_file: section.path("token_file"),
        join: section.text("join"),
        node_token_file: section.path("node_token_file"),
        authority: section.path("authority"),
        fingerprint: fingerprint(section, findings),
        nats: section.section("nats").map(|section| nats::read(section, findings)),
    };
    if section.is_given("certificate") != section.is_given("key") {
        let (given, missing) =
            if section.is_given("key") { ("key", "certificate") } else { ("certificate", "key") };
        findings.problem(
            section.key_place(given),
            format!(
                "`group.{given}` needs `group.{missing}` beside it: add the path of the other \
                     PEM file"
            ),
        );
    }
    if settings.insecure && settings.listen.iter().any(|endpoint| !endpoint.ip().is_loopback()) {
        findings.warn(
            section.key_place("insecure"),
            "Reporters' tokens cross the network in plaintext: leave `insecure` out for TLS",
        );
    }
    settings
}

//! `[group]`: how Reporters reach the Controller.

use super::{Default, Group, Kind, Scope, Setting};
use crate::config::GroupSettings;
use crate::config::findings::Findings;
use crate::config::section::Section;

/// The port on which Controllers listen for Reporters.
pub(in crate::config) const PORT: u16 = 8054;

pub(in crate::config) static GROUP: Group = Group {
    header: "[group]",
    meaning: "How Reporters on other machines reach the Controller on this one.",
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
    ],
};

pub(in crate::config) fn read(section: &Section, findings: &Findings<'_>) -> GroupSettings {
    let settings = GroupSettings {
        listen: section.endpoints("listen").into_iter().map(|(endpoint, _)| endpoint).collect(),
        insecure: section.flag("insecure"),
        certificate: section.path("certificate"),
        key: section.path("key"),
        token_file: section.path("token_file"),
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

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
            meaning: "A file that holds the token that Reporters must bring who have no [[identity]].",
            example: "\"/etc/walrus/reporter-token\"",
        },
        Setting {
            name: "shared_token",
            kind: Kind::Flag,
            default: Default::Otherwise(
                "true until an [[identity]] of the same role or `client_authority` is there",
            ),
            meaning: "Whether Reporters and nodes may bring the token that all of them share. It never \
                      speaks for a name that has an [[identity]]. To be written while servers with \
                      `reporter = true` or `nodes` of [dnssec] have none and others do.",
            example: "false",
        },
        Setting {
            name: "client_authority",
            kind: Kind::Path,
            default: Default::Otherwise("none: no certificate is asked for"),
            meaning: "A PEM file of the authorities whose certificates prove who connects (mutual TLS): \
                      by a URI `walrus:reporter/NAME` or `walrus:node/NAME` in them, or by a domain \
                      name that an [[identity]] names.",
            example: "\"/etc/walrus/clients.pem\"",
        },
        Setting {
            name: "client_revocations",
            kind: Kind::Path,
            default: Default::Otherwise("none"),
            meaning: "A PEM file of the lists (CRL) of certificates that `client_authority` took back.",
            example: "\"/etc/walrus/clients.crl\"",
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
            name: "join_certificate",
            kind: Kind::Path,
            default: Default::Otherwise("none"),
            meaning: "A PEM file of the certificate that this node shows at `join`, in place of a token.",
            example: "\"/etc/walrus/ns2.pem\"",
        },
        Setting {
            name: "join_key",
            kind: Kind::Path,
            default: Default::Otherwise("none"),
            meaning: "A PEM file of that certificate's private key.",
            example: "\"/etc/walrus/ns2.key\"",
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
        shared_token: section.flag_if_given("shared_token"),
        client_authority: section.path("client_authority"),
        client_revocations: section.path("client_revocations"),
        join_certificate: section.path("join_certificate"),
        join_key: section.path("join_key"),
        nats: section.section("nats").map(|section| nats::read(section, findings)),
    };
    check_pair(section, "group", ["certificate", "key"], findings);
    check_pair(section, "group", ["join_certificate", "join_key"], findings);
    if settings.client_revocations.is_some() && settings.client_authority.is_none() {
        findings.problem(
            section.key_place("client_revocations"),
            "`client_revocations` says which certificates of `client_authority` are not to be \
             believed: add that",
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

/// A certificate needs its key, and the other way round.
pub(super) fn check_pair(
    section: &Section,
    path: &str,
    [certificate, key]: [&'static str; 2],
    findings: &Findings<'_>,
) {
    if section.is_given(certificate) == section.is_given(key) {
        return;
    }
    let (given, missing) =
        if section.is_given(key) { (key, certificate) } else { (certificate, key) };
    findings.problem(
        section.key_place(given),
        format!(
            "`{path}.{given}` needs `{path}.{missing}` beside it: add the path of the other PEM file"
        ),
    );
}

//! `[api]`: the API for people and machines.

use super::{Default, Group, Kind, Scope, Setting};
use crate::config::ApiSettings;
use crate::config::findings::Findings;
use crate::config::section::Section;

/// The port of the API.
const PORT: u16 = 8053;

pub(in crate::config) static API: Group = Group {
    header: "[api]",
    meaning: "The API behind `walrus status`, `drain`, `/metrics` and the rest.",
    scope: Scope::Local,
    settings: &[
        Setting {
            name: "listen",
            kind: Kind::Either(&[Kind::Word("off"), Kind::Endpoint(PORT)]),
            default: Default::Value("\"127.0.0.1:8053\""),
            meaning: "Where it listens, or \"off\". Reading needs no token: keep it on loopback or \
                      behind a proxy that asks for one.",
            example: "\"127.0.0.1:8053\"",
        },
        Setting {
            name: "token_file",
            kind: Kind::Path,
            default: Default::Otherwise("`token` in the state directory, made at first start"),
            meaning: "A file that holds the token for whatever changes state.",
            example: "\"/etc/walrus/token\"",
        },
    ],
};

pub(in crate::config) fn read(section: &Section, findings: &Findings<'_>) -> ApiSettings {
    let listen = section.endpoint("listen");
    if listen.is_some_and(|endpoint| !endpoint.ip().is_loopback()) {
        findings.warn(
            section.place_of("listen"),
            "`api.listen` is not on loopback: whoever reaches it can read the state without a \
             token",
        );
    }
    ApiSettings { listen, token_file: section.path("token_file") }
}

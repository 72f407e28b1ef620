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
            meaning: "Where it listens, or \"off\". It speaks HTTP: off loopback, put a proxy with \
                      TLS before it. Reading needs no token, unless `read_needs_token` says so.",
            example: "\"127.0.0.1:8053\"",
        },
        Setting {
            name: "token_file",
            kind: Kind::Path,
            default: Default::Otherwise("`token` in the state directory, made at first start"),
            meaning: "A file that holds this node's own token, for whatever changes state. Others \
                      bring the token of an [[identity]] with the role `operator`.",
            example: "\"/etc/walrus/token\"",
        },
        Setting {
            name: "read_needs_token",
            kind: Kind::Flag,
            default: Default::Value("false"),
            meaning: "Want a token for reading too, `/metrics` included; all but `/`, `/ready` and \
                      `/openapi.json`.",
            example: "true",
        },
    ],
};

pub(in crate::config) fn read(section: &Section, findings: &Findings<'_>) -> ApiSettings {
    let listen = section.endpoint("listen");
    let read_needs_token = section.flag("read_needs_token");
    if listen.is_some_and(|endpoint| !endpoint.ip().is_loopback()) && !read_needs_token {
        findings.warn(
            section.place_of("listen"),
            "`api.listen` is not on loopback: whoever reaches it can read the state without a \
             token: write read_needs_token = true",
        );
    }
    ApiSettings { listen, token_file: section.path("token_file"), read_needs_token }
}

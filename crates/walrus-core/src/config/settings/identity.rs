//! `[[identity]]`: who may speak for whom, by a token or a certificate of its own.

use super::{Default, Group, Kind, Scope, Setting};
use crate::config::findings::{Findings, Place};
use crate::config::section::{Section, Value};
use crate::config::{
    ApiSettings, GroupSettings, IdentitySettings, NodeSettings, ReporterSettings, Roles,
};
use crate::world::{IdentityRole, Name, OperatorRight, Server, TokenHash};

/// Tokens of one identity: one in use, one that takes its place, and room for a slow change.
const TOKENS_MAX: usize = 4;
/// Identities of one configuration: as many as connections that a group takes.
const IDENTITIES_MAX: usize = 20_000;

pub(in crate::config) static IDENTITY: Group = Group {
    header: "[[identity]]",
    meaning: "One Reporter, node or operator with a token or certificate of its own, bound to its \
              name. `walrus identity new` makes a token and prints these lines. May be the same on \
              every node: a hash is no secret.",
    scope: Scope::Local,
    settings: &[
        Setting {
            name: "name",
            kind: Kind::Name,
            default: Default::Required,
            meaning: "The server that a Reporter speaks of, the name of a node, or what an operator \
                      is called in the log and beside drains.",
            example: "\"fra1\"",
        },
        Setting {
            name: "role",
            kind: Kind::OneOf(&["reporter", "node", "operator"]),
            default: Default::Required,
            meaning: "What it speaks as: a Reporter about its server, a node (Controller, Director) \
                      to nodes, an operator over the API. No role's token is good for another.",
            example: "\"reporter\"",
        },
        Setting {
            name: "token_sha256",
            kind: Kind::OneOrMany(&Kind::Text),
            default: Default::Otherwise("none"),
            meaning: "The SHA-256 of its token, 64 hex digits; several are valid side by side while \
                      one takes another's place.",
            example: "\"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad\"",
        },
        Setting {
            name: "token_file",
            kind: Kind::Path,
            default: Default::Otherwise("none"),
            meaning: "A file that holds its token, in place of its hash or beside it.",
            example: "\"/etc/walrus/fra1.token\"",
        },
        Setting {
            name: "certificate",
            kind: Kind::OneOrMany(&Kind::Domain),
            default: Default::Otherwise("none"),
            meaning: "A domain name in the certificate that it shows, from an authority in \
                      `client_authority` of [group]. Not needed where the certificate itself says \
                      `URI:walrus:reporter/fra1`.",
            example: "\"fra1.example.net\"",
        },
        Setting {
            name: "may",
            kind: Kind::OneOf(&["read", "steer"]),
            default: Default::Apart("\"steer\"; for operators"),
            meaning: "What an operator may do: `read` everything, or `steer` as well (drain, reload, \
                      keys).",
            example: "\"read\"",
        },
    ],
};

/// All identities in the order of the files.
pub(in crate::config) fn read(
    root: &Section,
    group: &GroupSettings,
    findings: &Findings<'_>,
) -> Vec<IdentitySettings> {
    let mut all: Vec<(IdentitySettings, Place)> = Vec::new();
    for section in root.sections("identity").iter().take(IDENTITIES_MAX) {
        let Some(identity) = identity(section, group, findings) else { continue };
        all.push((identity, section.place()));
    }
    if let Some(beyond) = root.sections("identity").get(IDENTITIES_MAX) {
        findings.problem(
            beyond.place(),
            format!("more than {IDENTITIES_MAX} identities: let certificates name the others"),
        );
    }
    check_unique(&all, findings);
    all.into_iter().map(|(identity, _)| identity).collect()
}

fn identity(
    section: &Section,
    group: &GroupSettings,
    findings: &Findings<'_>,
) -> Option<IdentitySettings> {
    let role = match section.text("role").as_deref() {
        Some("reporter") => IdentityRole::Reporter,
        Some("node") => IdentityRole::Node,
        _ => IdentityRole::Operator,
    };
    let may = match section.text("may").as_deref() {
        Some("read") => OperatorRight::Read,
        _ => OperatorRight::Steer,
    };
    let identity = IdentitySettings {
        name: section.name("name")?,
        role,
        may,
        token_sha256: hashes(section, findings),
        token_file: section.path("token_file"),
        certificate: section.domains("certificate"),
    };
    if section.is_given("may") && role != IdentityRole::Operator {
        findings.problem(
            section.key_place("may"),
            "`may` is for operators: leave it out, or write role = \"operator\"",
        );
    }
    if section.is_given("certificate") && role == IdentityRole::Operator {
        findings.problem(
            section.key_place("certificate"),
            "the API knows operators by tokens: write `token_sha256` in place of `certificate`",
        );
    } else if section.is_given("certificate") && group.client_authority.is_none() {
        findings.problem(
            section.key_place("certificate"),
            "no certificate is looked at without an authority: write `client_authority` into [group]",
        );
    }
    let known = ["token_sha256", "token_file", "certificate"];
    if !known.iter().any(|way| section.is_given(way)) {
        findings.problem(
            section.place(),
            format!(
                "there is nothing to know {role} `{}` by: write `token_sha256`, `token_file` or \
                 `certificate` (`walrus identity new` makes a token)",
                identity.name
            ),
        );
    }
    Some(identity)
}

fn hashes(section: &Section, findings: &Findings<'_>) -> Vec<TokenHash> {
    let mut hashes = Vec::new();
    for (value, place) in section.list("token_sha256") {
        let Value::Text(text) = value else { continue };
        match TokenHash::from_hex(text) {
            // The text is not repeated: it may be the token itself.
            None => findings.problem(
                *place,
                "this is no SHA-256 of 64 hex digits: write what `walrus identity hash FILE` prints, \
                 never the token itself",
            ),
            Some(hash) => hashes.push(hash),
        }
    }
    if hashes.len() > TOKENS_MAX {
        findings.problem(
            section.place_of("token_sha256"),
            format!("more than {TOKENS_MAX} tokens of one identity: take the old ones out"),
        );
    }
    hashes
}

fn check_unique(all: &[(IdentitySettings, Place)], findings: &Findings<'_>) {
    let mut names = std::collections::BTreeMap::new();
    let mut hashes = std::collections::BTreeMap::new();
    for (identity, place) in all {
        if let Some(first) = names.insert((identity.role, &identity.name), *place) {
            let first = findings.point(first);
            findings.problem(
                *place,
                format!(
                    "{} `{}` stands already at {first}: write all its tokens there, as \
                     token_sha256 = [\"...\", \"...\"]",
                    identity.role, identity.name
                ),
            );
        }
        for hash in &identity.token_sha256 {
            if let Some(first) = hashes.insert(hash.to_hex(), *place) {
                let first = findings.point(first);
                findings.problem(
                    *place,
                    format!("this token is already that at {first}: give each one its own"),
                );
            }
        }
    }
}

/// Who else there is, with an identity or without.
pub(in crate::config) struct Others<'a> {
    servers: &'a [Server],
    /// The server whose Reporter runs in this process and speaks to its Controller without a connection.
    beside: Option<&'a Name>,
    /// Of signed zones, this one too.
    nodes: &'a [Name],
}

impl<'a> Others<'a> {
    pub(in crate::config) fn new(
        roles: Roles,
        servers: &'a [Server],
        reporter: Option<&'a ReporterSettings>,
        nodes: &'a [Name],
    ) -> Self {
        let beside = reporter.filter(|it| roles.reporter && it.controllers.is_empty());
        Self { servers, beside: beside.map(|reporter| &reporter.server), nodes }
    }
}

/// What follows from identities as a whole: shared tokens that are still taken, Reporters that no
/// longer can speak, and readers who need no token.
pub(in crate::config) fn check(
    root: &Section,
    identities: &[IdentitySettings],
    (group, api, node): (&GroupSettings, &ApiSettings, &NodeSettings),
    others: &Others<'_>,
    findings: &Findings<'_>,
) {
    let of = |role| identities.iter().filter(move |identity| identity.role == role);
    let place = root.key_place("identity");
    if !node.roles.controller {
        return;
    }
    if let Some(stranger) = of(IdentityRole::Reporter).find(|it| {
        !others.servers.is_empty() && !others.servers.iter().any(|server| server.name == it.name)
    }) {
        findings.warn(
            place,
            format!("there is no server `{}` for this Reporter to speak of", stranger.name),
        );
    }
    let nodes: Vec<&Name> = others.nodes.iter().filter(|other| **other != node.name).collect();
    check_the_refused(root, identities, group, (others, nodes), findings);
    let shared = group.takes_shared_token(IdentityRole::Reporter, identities);
    if shared && !identities.is_empty() && group.shared_token == Some(true) {
        findings.warn(
            place,
            "whoever has the shared token may still speak for every server without an [[identity]]: \
             take `shared_token = true` out of [group] when all have one",
        );
    }
    if of(IdentityRole::Operator).any(|it| it.may == OperatorRight::Read) && !api.read_needs_token {
        findings.warn(
            place,
            "reading needs no token, so an operator who may only `read` sees little more than \
             anybody: write read_needs_token = true into [api]",
        );
    }
}

/// Those who have nothing of their own once the shared token is taken no more. With nothing but a first
/// identity written that would be all others at once, cut off by the reload that lets the first one in:
/// who means that writes it.
fn check_the_refused(
    root: &Section,
    identities: &[IdentitySettings],
    group: &GroupSettings,
    (others, nodes): (&Others<'_>, Vec<&Name>),
    findings: &Findings<'_>,
) {
    if group.listen.is_empty() {
        return;
    }
    let reporting = others.servers.iter().filter(|server| server.reporter);
    let reporting = reporting.map(|server| &server.name).filter(|it| Some(*it) != others.beside);
    let all: [(_, Vec<&Name>, _); 2] = [
        (IdentityRole::Reporter, reporting.collect(), "the Reporter of"),
        (IdentityRole::Node, nodes, "the node"),
    ];
    for (role, mut without, what) in all {
        let own = |name: &Name| identities.iter().any(|it| it.role == role && it.name == *name);
        without.retain(|name| !own(name));
        let (Some(first), false) = (without.first(), group.takes_shared_token(role, identities))
        else {
            continue;
        };
        let more = match without.len() - 1 {
            0 => String::new(),
            count => format!(", as {count} more"),
        };
        let by_certificate = group.client_authority.is_some();
        // Reporters may come over NATS, which asks for no token; nodes speak of keys over TCP alone.
        let over_nats = role == IdentityRole::Reporter && group.nats.is_some();
        match group.shared_token {
            None if over_nats => findings.warn(
                root.key_place(if identities.is_empty() { "group" } else { "identity" }),
                format!(
                    "{what} `{first}` has no [[identity]], so that it can speak over NATS alone{more}: \
                     write shared_token = true into [group] if any comes over TCP, or shared_token = \
                     false if none does"
                ),
            ),
            None => {
                let or = if by_certificate { " and no certificate" } else { "" };
                findings.problem(
                    root.key_place(if identities.is_empty() { "group" } else { "identity" }),
                    format!(
                        "{what} `{first}` has no [[identity]], so that it would be refused without \
                         one{or}{more}: write shared_token = true into [group] until all have what they \
                         need, or shared_token = false if they have"
                    ),
                );
            }
            Some(false) if !by_certificate && !over_nats => findings.warn(
                root.key_place("identity"),
                format!(
                    "{what} `{first}` has no [[identity]], so it will be refused{more}: add one, or \
                     write shared_token = true into [group] for a while"
                ),
            ),
            // It may have a certificate.
            Some(_) => {}
        }
    }
}

#[cfg(test)]
#[path = "identity_tests.rs"]
mod tests;

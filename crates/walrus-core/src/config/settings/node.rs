//! `[node]`: what this machine is.

use std::path::PathBuf;

use super::{Default, Group, Kind, Scope, Setting};
use crate::config::findings::Findings;
use crate::config::section::{Section, Value};
use crate::config::{NodeSettings, Roles, SandboxMode};
use crate::world::Name;

pub(in crate::config) static NODE: Group = Group {
    header: "[node]",
    meaning: "What this machine is.",
    scope: Scope::Local,
    settings: &[
        Setting {
            name: "name",
            kind: Kind::Name,
            default: Default::Otherwise("the first label of the host's name"),
            meaning: "Names this node among Controllers and Directors; unique among them.",
            example: "\"ns1\"",
        },
        Setting {
            name: "roles",
            kind: Kind::List(&Kind::OneOf(&["controller", "director", "updater", "reporter"])),
            default: Default::Value("[\"controller\", \"director\"]"),
            meaning: "What `walrus up` runs here: the Controller decides, the Director answers DNS \
                      queries, the updater keeps services up to date in name servers that are already \
                      there (`[[name_server]]`), a Reporter tells of the web server on this machine.",
            example: "[\"controller\", \"director\"]",
        },
        Setting {
            name: "probes",
            kind: Kind::Flag,
            default: Default::Otherwise("true with the role `controller`, else false"),
            meaning: "Whether this node is a vantage point: it probes all servers that have a `probe`, and \
                      tells the group how it sees them. A server is down when as many as its probe's \
                      `down_when` says see it down.",
            example: "true",
        },
        Setting {
            name: "state",
            kind: Kind::Path,
            default: Default::Value("\"/var/lib/walrus\""),
            meaning: "The directory of what must survive a restart: the last Plan, epoch, drains, \
                      tokens, keys and journals.",
            example: "\"/var/lib/walrus\"",
        },
        Setting {
            name: "user",
            kind: Kind::Text,
            default: Default::Otherwise("none: it runs on as who started it"),
            meaning: "Started as root, become this user (a name in `/etc/passwd`, or a number) before \
                      anything is read but the configuration and before any thread starts. All that \
                      is kept is the right to open ports below 1024, if one is configured; the state \
                      directory is handed over. No program that is started from then on, a \
                      `notify.command` for one, gains rights either (`sudo` does not work).",
            example: "\"walrus\"",
        },
        Setting {
            name: "group",
            kind: Kind::Text,
            default: Default::Otherwise("the user's own"),
            meaning: "The group to be in, the only one; with `user`.",
            example: "\"walrus\"",
        },
        Setting {
            name: "sandbox",
            kind: Kind::OneOf(&["auto", "off", "required"]),
            default: Default::Value("\"auto\""),
            meaning: "A process with the role `director` alone restricts itself to the files, \
                      directories and TCP ports that its configuration names (Landlock) and to system calls that \
                      a name server needs (seccomp): `auto` as far as the kernel can, `required` or \
                      it does not start, `off`. A reload that names others wants a restart.",
            example: "\"auto\"",
        },
    ],
};

pub(in crate::config) fn read(
    section: &Section,
    hostname: &str,
    findings: &Findings<'_>,
) -> NodeSettings {
    let mut roles = Roles::default();
    for (value, _) in section.list("roles") {
        match value {
            Value::Text(role) if role == "controller" => roles.controller = true,
            Value::Text(role) if role == "director" => roles.director = true,
            Value::Text(role) if role == "reporter" => roles.reporter = true,
            Value::Text(role) if role == "updater" => roles.updater = true,
            _ => {}
        }
    }
    if section.is_empty_list("roles") {
        findings.problem(
            section.place_of("roles"),
            "`node.roles` names no role: write for example roles = [\"controller\", \"director\"]",
        );
    }
    let state = section.path("state").unwrap_or_else(|| PathBuf::from("."));
    let probes = section.flag_if_given("probes").unwrap_or(roles.controller);
    if probes && !(roles.controller || roles.director || roles.updater) {
        findings.problem(
            section.place_of("probes"),
            "a node that is a Reporter alone is no vantage point: leave `probes` out, or give it the role \
             `director`",
        );
    }
    let sandbox = match section.text("sandbox").as_deref() {
        Some("off") => SandboxMode::Off,
        Some("required") => SandboxMode::Required,
        _ => SandboxMode::Auto,
    };
    let (user, group) = (section.text("user"), section.text("group"));
    if user.is_none() && group.is_some() {
        findings.problem(
            section.key_place("group"),
            "`node.group` goes with `node.user`: add user = \"walrus\"",
        );
    }
    if sandbox == SandboxMode::Required && !roles.is_director_alone() {
        findings.problem(
            section.place_of("sandbox"),
            "only a process with the role `director` alone runs in a sandbox: give the other roles a \
             process of their own, or leave `sandbox` out",
        );
    }
    let name = node_name(section, hostname, findings);
    NodeSettings { name, roles, state, probes, user, group, sandbox }
}

/// The written name, else the first label of the host's, else a problem.
fn node_name(section: &Section, hostname: &str, findings: &Findings<'_>) -> Name {
    if let Some(name) = section.name("name") {
        return name;
    }
    let label = hostname.split('.').next().unwrap_or_default().to_ascii_lowercase();
    label.parse().unwrap_or_else(|_| {
        if !section.is_given("name") {
            findings.problem(
                section.place(),
                format!(
                    "the host's name \"{}\" is no node name: write name = \"ns1\" into [node]",
                    hostname.escape_debug()
                ),
            );
        }
        nameless()
    })
}

/// Stands in for a name after a problem was told; never leaves the parser.
fn nameless() -> Name {
    "nameless".parse().expect("the text is a name")
}

//! `[[key]]`: keys that other name servers and clients know as well (TSIG, RFC 8945).

use walrus_dns::DomainName;

use super::{Default, Group, Kind, Scope, Setting};
use crate::config::findings::{Findings, Place};
use crate::config::section::Section;
use crate::config::suggest::did_you_mean;
use crate::config::{TsigAlgorithm, TsigKey};

/// Keys of one configuration: one for each of many customers' programs.
const KEYS_MAX: usize = 1000;

pub(in crate::config) static KEY: Group = Group {
    header: "[[key]]",
    meaning: "A key of TSIG (RFC 8945) for zone transfers and updates: zones name it. The other side has \
              the same name, algorithm and secret. `tsig-keygen NAME` and `keymgr -t NAME` make one.",
    scope: Scope::Local,
    settings: SETTINGS,
};

pub(in crate::config) static SETTINGS: &[Setting] = &[
    Setting {
        name: "name",
        kind: Kind::Domain,
        default: Default::Required,
        meaning: "The key's name, the same on both sides.",
        example: "\"transfer\"",
    },
    Setting {
        name: "algorithm",
        kind: Kind::OneOf(&["hmac-sha256", "hmac-sha384", "hmac-sha512"]),
        default: Default::Value("\"hmac-sha256\""),
        meaning: "How it signs, the same on both sides.",
        example: "\"hmac-sha256\"",
    },
    Setting {
        name: "secret_file",
        kind: Kind::Path,
        default: Default::Required,
        meaning: "A file that holds the secret: base64 alone, or what `tsig-keygen` prints. For a \
                  [[name_server]] `walrus setup` makes it if it is not there.",
        example: "\"/etc/walrus/transfer.key\"",
    },
];

/// All keys in the order of the files.
pub(in crate::config) fn read(root: &Section, findings: &Findings<'_>) -> Vec<TsigKey> {
    let mut keys: Vec<(TsigKey, Place)> = Vec::new();
    for section in root.sections("key") {
        let Some(key) = one(section, findings) else { continue };
        if let Some((_, first)) = keys.iter().find(|(other, _)| other.name == key.name) {
            let first = findings.point(*first);
            findings.problem(
                section.place_of("name"),
                format!("the key {} stands already at {first}: give one another name", key.name),
            );
        }
        if keys.len() == KEYS_MAX {
            findings.problem(section.place(), format!("there may be {KEYS_MAX} keys at most"));
            break;
        }
        keys.push((key, section.place()));
    }
    keys.into_iter().map(|(key, _)| key).collect()
}

/// A key that stands in this section.
pub(in crate::config) fn one(section: &Section, findings: &Findings<'_>) -> Option<TsigKey> {
    let algorithm = match section.text("algorithm").as_deref() {
        Some("hmac-sha384") => TsigAlgorithm::HmacSha384,
        Some("hmac-sha512") => TsigAlgorithm::HmacSha512,
        _ => TsigAlgorithm::HmacSha256,
    };
    let (name, secret_file) = (section.domain("name"), section.path("secret_file"));
    if name.as_ref().is_some_and(|name| *name == DomainName::root()) {
        findings
            .problem(section.place_of("name"), "a key has a name: write name = \"walrus-europe\"");
    }
    Some(TsigKey { name: name?, algorithm, secret_file: secret_file? })
}

/// The `key` that a section names, if it names one and there is one: without it the rule would hold for
/// everybody, so it is a problem.
pub(in crate::config) fn named(
    section: &Section,
    keys: &[TsigKey],
    findings: &Findings<'_>,
) -> Option<DomainName> {
    let name = section.domain("key")?;
    if !keys.iter().any(|key| key.name == name) {
        let names: Vec<String> = keys.iter().map(|key| key.name.to_string()).collect();
        let hint = match did_you_mean(&name.to_string(), names.iter().map(String::as_str)) {
            Some(near) => format!("did you mean \"{near}\"?"),
            None => format!(
                "add [[key]] with name = \"{name}\" and secret_file = \"...\", or name one that is there"
            ),
        };
        findings.problem(section.place_of("key"), format!("there is no key {name}; {hint}"));
    }
    Some(name)
}

#[cfg(test)]
#[path = "key_tests.rs"]
mod tests;

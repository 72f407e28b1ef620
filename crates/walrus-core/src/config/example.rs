//! The commented example: a small working configuration with every other setting commented out.
//!
//! Prose begins with `# `, a setting that is left out with `#` at once: taking those away turns
//! every setting on, which a test does.

use std::fmt::Write as _;

use super::reference::{group_below, is_long_spelling};
use super::setting::{Default, Group, Kind, Setting};
use super::settings::ROOT;

/// The longest line of prose.
const WIDTH: usize = 96;

/// Settings that a first configuration needs although nothing requires them.
const NEEDED: [&str; 5] = ["zone", "nameservers", "dns.listen", "cluster.probe.http", "area.home"];
/// Sections that are left out as a whole unless they are wanted.
const LEFT_OUT: [&str; 10] = [
    "catalog",
    "group.nats",
    "identity",
    "key",
    "name_server",
    "reporter",
    "service.https",
    "service.svcb",
    "service.srv",
    "service.mx",
];

const INTRODUCTION: &str = "\
# Walrus: a small working configuration; every other setting stands here with its default or an
# example, switched off by a `#` without a space behind it.
#
# Check it with `walrus check FILE`. What each setting may be: docs/src/reference/configuration.md.
# Made from the tables of settings by `UPDATE=1 cargo test -p walrus --test reference`.
";

/// A configuration file to begin with, for `packaging/walrus.example.toml`.
#[must_use]
pub fn commented_example() -> String {
    let mut example = Example { text: INTRODUCTION.to_owned(), shown: Vec::new() };
    example.group(&ROOT, "", false);
    example.text
}

struct Example {
    text: String,
    /// A group is spelt out once; after that one line stands for it.
    shown: Vec<&'static str>,
}

impl Example {
    fn group(&mut self, group: &'static Group, path: &str, off: bool) {
        self.shown.push(group.header);
        let mut below = Vec::new();
        for setting in group.settings {
            match group_below(&setting.kind) {
                // The long spelling is shown as prose beside the short one.
                Some(group) if is_long_spelling(group) => {
                    self.setting(setting, path, off);
                    self.prose("Or several zones, in place of `zone` and `nameservers`:");
                    self.line("#   [[zone]]");
                    for setting in group.settings {
                        self.line(&format!("#   {} = {}", setting.name, setting.example));
                    }
                }
                Some(group) if !self.shown.contains(&group.header) => below.push((setting, group)),
                _ => self.setting(setting, path, off),
            }
        }
        for (setting, group) in below {
            let path = join(path, setting.name);
            let off = off || LEFT_OUT.contains(&path.as_str());
            self.line("");
            self.prose(group.meaning);
            let hash = if off { "#" } else { "" };
            match setting.kind {
                Kind::Sections(_) => self.line(&format!("{hash}[[{path}]]")),
                _ => self.line(&format!("{hash}[{path}]")),
            }
            self.group(group, &path, off);
        }
    }

    fn setting(&mut self, setting: &Setting, path: &str, off: bool) {
        self.line("");
        let Setting { name, example, meaning, .. } = setting;
        match setting.default {
            Default::Apart(when) => {
                self.prose(&format!("{meaning} ({when})"));
                self.line(&format!("#   {name} = {example}"));
            }
            Default::Required => {
                self.prose(meaning);
                let hash = if off { "#" } else { "" };
                self.line(&format!("{hash}{name} = {example}"));
            }
            Default::Value(default) => {
                self.prose(meaning);
                let needed = NEEDED.contains(&join(path, name).as_str());
                // An empty list shows nothing of how to fill it.
                let value = if needed || default == "[]" { example } else { default };
                let hash = if needed { "" } else { "#" };
                self.line(&format!("{hash}{name} = {value}"));
            }
            Default::Otherwise(default) => {
                self.prose(&format!("{meaning} Default: {default}."));
                let needed = NEEDED.contains(&join(path, name).as_str());
                let hash = if needed { "" } else { "#" };
                self.line(&format!("{hash}{name} = {example}"));
            }
        }
    }

    fn line(&mut self, line: &str) {
        // Writing to a String cannot fail.
        let _ = writeln!(self.text, "{line}");
    }

    /// Comment lines of whole words.
    fn prose(&mut self, text: &str) {
        let mut line = String::from("#");
        for word in text.split_whitespace() {
            if line.chars().count() + 1 + word.chars().count() > WIDTH {
                self.line(&line);
                line = String::from("#");
            }
            line.push(' ');
            line.push_str(word);
        }
        self.line(&line);
    }
}

fn join(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Context, SourceFile, parse};

    fn check(text: String) -> crate::config::Parsed {
        let files = [SourceFile { name: "walrus.toml".into(), text }];
        let context = Context { hostname: "ns1", read: &|_| Ok(String::new()) };
        parse(&files, &context).unwrap_or_else(|problems| panic!("{problems:#?}"))
    }

    #[test]
    fn it_works_as_it_stands() {
        let parsed = check(commented_example());
        assert_eq!(parsed.warnings, []);
        assert_eq!(parsed.configuration.topology.services.len(), 1);
    }

    #[test]
    fn it_works_with_every_setting_on() {
        // Its service stands at the apex of its zone, where nothing can be published elsewhere; that
        // section has tests of its own.
        let mut elsewhere = false;
        let switched_on = |line: &str| match line.strip_prefix('#') {
            Some(header) if header.starts_with('[') && header.contains("name_server") => {
                elsewhere = true;
                String::new()
            }
            Some(header) if header.starts_with('[') => {
                elsewhere = false;
                format!("{header}\n")
            }
            Some(_) if elsewhere => String::new(),
            Some(setting) if !setting.is_empty() && !setting.starts_with(' ') => {
                format!("{setting}\n")
            }
            _ => format!("{line}\n"),
        };
        let parsed = check(commented_example().lines().map(switched_on).collect());
        assert_eq!(parsed.warnings, []);
        assert!(parsed.configuration.reporter.is_some());
    }
}

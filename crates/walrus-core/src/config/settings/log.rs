//! `[log]`: the log.

use super::{Default, Group, Kind, Scope, Setting};
use crate::config::findings::Findings;
use crate::config::scalar::shortened;
use crate::config::section::Section;
use crate::config::{LogFormat, LogSettings};

pub(in crate::config) static LOG: Group = Group {
    header: "[log]",
    meaning: "The log, on standard error; never a line a query.",
    scope: Scope::Local,
    settings: &[
        Setting {
            name: "level",
            kind: Kind::Text,
            default: Default::Value("\"info\""),
            meaning: "As `RUST_LOG`: a level (error, warn, info, debug, trace), also by module as \
                      in \"info,walrus_controller=debug\".",
            example: "\"info\"",
        },
        Setting {
            name: "format",
            kind: Kind::OneOf(&["text", "json"]),
            default: Default::Value("\"text\""),
            meaning: "How a line looks: for people, or one JSON object.",
            example: "\"json\"",
        },
    ],
};

pub(in crate::config) fn read(section: &Section, findings: &Findings<'_>) -> LogSettings {
    let json = section.text("format").as_deref() == Some("json");
    let level = section.text("level").unwrap_or_default();
    if let Some(wrong) = level.split(',').map(str::trim).find(|part| !says_level(part)) {
        findings.problem(
            section.place_of("level"),
            format!(
                "`log.level` \"{}\" is no level: write error, warn, info, debug or trace, also by \
                 module as in \"info,walrus_controller=debug\"",
                shortened(wrong)
            ),
        );
    }
    LogSettings { level, format: if json { LogFormat::Json } else { LogFormat::Text } }
}

/// Whether one part of a level is `LEVEL` or `MODULE=LEVEL`. A bare word that is no level would
/// be taken for a module's name and silence everything else: a slip, as a rule.
fn says_level(part: &str) -> bool {
    const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];
    let level = part.rsplit_once('=').map_or(part, |(_, level)| level);
    LEVELS.iter().any(|known| known.eq_ignore_ascii_case(level))
}

//! `[log]`: the log.

use super::{Default, Group, Kind, Scope, Setting};
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

pub(in crate::config) fn read(section: &Section) -> LogSettings {
    let json = section.text("format").as_deref() == Some("json");
    LogSettings {
        level: section.text("level").unwrap_or_default(),
        format: if json { LogFormat::Json } else { LogFormat::Text },
    }
}

//! `[notify]`: who is told.

use super::{Default, Group, Kind, Scope, Setting};
use crate::config::NotifySettings;
use crate::config::section::Section;

pub(in crate::config) static NOTIFY: Group = Group {
    header: "[notify]",
    meaning: "Who is told of a PANIC, of a server dead for long, and of a service without any \
              functioning server.",
    scope: Scope::Shared,
    settings: &[
        Setting {
            name: "webhook",
            kind: Kind::Url,
            default: Default::Otherwise("none"),
            meaning: "Gets each notice as a JSON POST.",
            example: "\"https://alerts.example.com/walrus\"",
        },
        Setting {
            name: "command",
            kind: Kind::List(&Kind::Text),
            default: Default::Otherwise("none"),
            meaning: "Run for each notice, with the notice as JSON on its standard input; the \
                      first text is the program.",
            example: "[\"/usr/local/bin/page\", \"--team\", \"web\"]",
        },
        Setting {
            name: "again",
            // Not shorter than the notices' own bound, or it would be held only in name.
            kind: Kind::Duration(60_000, 604_800_000),
            default: Default::Value("\"1h\""),
            meaning: "A problem that lasts is told again after this.",
            example: "\"1h\"",
        },
        Setting {
            name: "dead_after",
            kind: Kind::Duration(0, 604_800_000),
            default: Default::Value("\"5m\""),
            meaning: "A server is told of when it has been dead for so long. (Silence alone may \
                      be a cut in the network, which would give a storm of notices.)",
            example: "\"5m\"",
        },
    ],
};

pub(in crate::config) fn read(section: &Section) -> NotifySettings {
    let command = section.texts("command");
    NotifySettings {
        webhook: section.text("webhook"),
        command: (!command.is_empty()).then_some(command),
        again: section.duration("again"),
        dead_after: section.duration("dead_after"),
    }
}

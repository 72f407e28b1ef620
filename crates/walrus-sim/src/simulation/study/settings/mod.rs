//! Every setting of a study, once: parser, page of the guide and messages come from these tables.

mod clients;
mod system;

use walrus_core::config::settings_file::{Default, Group, Kind, Scope, Setting};

use clients::{PAGES, POPULATION};
use system::{CONTROLLERS, DIRECTORS, QUERIES, REPORTS, SERVERS};

/// As many domains, over all populations.
pub(super) const DOMAINS_MAX: u64 = 4_000_000;
/// The longest run: a leap year.
const DURATION_MAX_MS: u64 = 366 * 86_400_000;
const HOUR_MS: u64 = 3_600_000;

/// A study's top level.
pub(super) static STUDY: Group = Group {
    header: "",
    meaning: "What runs, how long, with which seeds and how it is measured.",
    scope: Scope::Shared,
    settings: &[
        Setting {
            name: "title",
            kind: Kind::Text,
            default: Default::Otherwise("the file's name"),
            meaning: "A line for tables and plots.",
            example: "\"Clamping resolvers, RR2 against CRML\"",
        },
        Setting {
            name: "configuration",
            kind: Kind::Path,
            default: Default::Apart("instead of `configuration_text`"),
            meaning: "The Walrus configuration that runs: a file, relative to the study.",
            example: "\"crml/walrus.toml\"",
        },
        Setting {
            name: "configuration_text",
            kind: Kind::Text,
            default: Default::Apart("instead of `configuration`"),
            meaning: "The Walrus configuration itself.",
            example: "\"\"\"zone = ...\"\"\"",
        },
        Setting {
            name: "duration",
            kind: Kind::Duration(1000, DURATION_MAX_MS),
            default: Default::Value("\"1h\""),
            meaning: "How much time is simulated.",
            example: "\"5h\"",
        },
        Setting {
            name: "begins",
            kind: Kind::Duration(0, 86_400_000),
            default: Default::Value("\"6h\""),
            meaning: "At which time of the day it begins, for populations with a `daily` rhythm: by default \
                      where those with the usual `peak` are as busy as on average.",
            example: "\"20h\"",
        },
        Setting {
            name: "discard",
            kind: Kind::Duration(0, DURATION_MAX_MS),
            default: Default::Value("\"0s\""),
            meaning: "How much of its beginning is left out of every measure, but convergence.",
            example: "\"10m\"",
        },
        Setting {
            name: "seeds",
            kind: Kind::Either(&[Kind::Count(0, u64::MAX), Kind::Text]),
            default: Default::Value("1"),
            meaning: "For which seeds it runs: a number, a range or a list of both. The same seed gives \
                      the same bytes.",
            example: "\"1-5\"",
        },
        Setting {
            name: "window",
            kind: Kind::Duration(100, HOUR_MS),
            default: Default::Value("\"8s\""),
            meaning: "Utilisation is taken over windows of this length.",
            example: "\"16s\"",
        },
        Setting {
            name: "sample",
            kind: Kind::Duration(10, HOUR_MS),
            default: Default::Value("\"1s\""),
            meaning: "How often system lengths are looked at.",
            example: "\"100ms\"",
        },
        Setting {
            name: "interval",
            kind: Kind::Duration(1000, DURATION_MAX_MS),
            default: Default::Otherwise("a 240th of what is measured, at least `window`"),
            meaning: "The time between two points of series over time.",
            example: "\"1m\"",
        },
        Setting {
            name: "overload",
            kind: Kind::Flag,
            default: Default::Value("false"),
            meaning: "Populations may ask for more than all servers together can give: without this, \
                      that is a mistake.",
            example: "true",
        },
        Setting {
            name: "timeline",
            kind: Kind::Text,
            default: Default::Otherwise("nothing happens"),
            meaning: "What happens when: a line each, `at TIME VERB ...`.",
            example: "\"at 20m kill frankfurt\"",
        },
        section("pages", Kind::Section(&PAGES), Default::Value("{}")),
        section("population", Kind::Sections(&POPULATION), Default::Required),
        section("servers", Kind::Section(&SERVERS), Default::Value("{}")),
        section("reports", Kind::Section(&REPORTS), Default::Value("{}")),
        section("queries", Kind::Section(&QUERIES), Default::Value("{}")),
        section("directors", Kind::Section(&DIRECTORS), Default::Value("{}")),
        section("controllers", Kind::Section(&CONTROLLERS), Default::Value("{}")),
        section("variant", Kind::Sections(&VARIANT), Default::Otherwise("the study as it is")),
    ],
};

/// A section's meaning stands in its own table.
const fn section(name: &'static str, kind: Kind, default: Default) -> Setting {
    Setting { name, kind, default, meaning: "", example: "[[population]]" }
}

static VARIANT: Group = Group {
    header: "[[variant]]",
    meaning: "The same study with some settings replaced; variants are compared with each other.",
    scope: Scope::Shared,
    settings: &[
        Setting {
            name: "name",
            kind: Kind::Text,
            default: Default::Required,
            meaning: "Unique among variants.",
            example: "\"RR2\"",
        },
        Setting {
            name: "set",
            kind: Kind::Replacements,
            default: Default::Value("{}"),
            meaning: "Dotted paths into the study or, where the first word is a section of it, into the \
                      Walrus configuration. In a list of tables a path means all of them, or the one whose \
                      `name` follows (`population.europeans.clients`).",
            example: "{ \"service.choose\" = \"rr2\", \"population.ttl\" = \"at least 10m\" }",
        },
    ],
};

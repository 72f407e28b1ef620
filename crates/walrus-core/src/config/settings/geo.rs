//! `[geo]`: where countries and continents come from.

use super::{Default, Group, Kind, Scope, Setting};
use crate::config::GeoSettings;
use crate::config::section::Section;

pub(in crate::config) static GEO: Group = Group {
    header: "[geo]",
    meaning: "Where countries and continents come from; needed if an area names one.",
    scope: Scope::Shared,
    settings: &[Setting {
        name: "database",
        kind: Kind::OneOrMany(&Kind::Path),
        default: Default::Otherwise("none"),
        meaning: "An `.mmdb` file of either common schema, or several (one for IPv4 and one for \
                  IPv6), relative to the configuration.",
        example: "\"/usr/share/GeoIP/GeoLite2-Country.mmdb\"",
    }],
};

pub(in crate::config) fn read(section: &Section) -> GeoSettings {
    GeoSettings { database: section.texts("database").into_iter().map(Into::into).collect() }
}

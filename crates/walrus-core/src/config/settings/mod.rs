//! The tables of settings, one file a section, each beside the code that reads it.

mod address_owners;
pub(super) mod api;
pub(super) mod area;
pub(super) mod catalog;
mod choose;
pub(super) mod cluster;
pub(super) mod control;
pub(super) mod dns;
pub(super) mod dnssec;
pub(super) mod geo;
pub(super) mod group;
pub(super) mod identity;
pub(super) mod key;
pub(super) mod log;
pub(super) mod name_server;
pub(super) mod nats;
mod nearness;
pub(super) mod node;
pub(super) mod notify;
pub(super) mod primary;
pub(super) mod probe;
pub(super) mod rate_limit;
mod records;
pub(super) mod reporter;
pub(super) mod service;
mod threshold;
mod ttl;
pub(super) mod zone;
mod zone_transfers;
mod zone_updates;

use super::setting::{Default, Group, Kind, Scope, Setting};

/// The top level of the configuration.
pub static ROOT: Group = Group {
    header: "",
    meaning: "One zone stands at the top of the file; several are written as `[[zone]]` tables.",
    scope: Scope::Shared,
    settings: &[
        Setting {
            name: "zone",
            kind: Kind::Either(&[Kind::Domain, Kind::Sections(&zone::ZONE)]),
            default: Default::Otherwise("no zone: this node serves no names"),
            meaning: "The zone that the name server is authoritative for.",
            example: "\"www.example.com\"",
        },
        Setting {
            name: "nameservers",
            kind: Kind::List(&Kind::Domain),
            default: Default::Value("[]"),
            meaning: "The names of the zone's name servers, for its NS records. Needed for a zone \
                      without a file.",
            example: "[\"ns1.example.com\", \"ns2.example.com\"]",
        },
        section("node", Kind::Section(&node::NODE), Default::Value("{}")),
        section("dns", Kind::Section(&dns::DNS), Default::Value("{}")),
        section("dnssec", Kind::Section(&dnssec::DNSSEC), Default::Value("{}")),
        section("cluster", Kind::Sections(&cluster::CLUSTER), Default::Otherwise("none")),
        section("area", Kind::Sections(&area::AREA), Default::Otherwise("none")),
        section("service", Kind::Sections(&service::SERVICE), Default::Otherwise("none")),
        section("control", Kind::Section(&control::CONTROL), Default::Value("{}")),
        section("geo", Kind::Section(&geo::GEO), Default::Value("{}")),
        section("notify", Kind::Section(&notify::NOTIFY), Default::Value("{}")),
        section("group", Kind::Section(&group::GROUP), Default::Value("{}")),
        section("identity", Kind::Sections(&identity::IDENTITY), Default::Otherwise("none")),
        section("key", Kind::Sections(&key::KEY), Default::Otherwise("none")),
        section("catalog", Kind::Sections(&catalog::CATALOG), Default::Otherwise("none")),
        section("api", Kind::Section(&api::API), Default::Value("{}")),
        section("log", Kind::Section(&log::LOG), Default::Value("{}")),
        section(
            "name_server",
            Kind::Sections(&name_server::NAME_SERVER),
            Default::Otherwise("none"),
        ),
        section("reporter", Kind::Section(&reporter::REPORTER), Default::Otherwise("none")),
    ],
};

/// A section's meaning stands in its own table.
const fn section(name: &'static str, kind: Kind, default: Default) -> Setting {
    Setting { name, kind, default, meaning: "", example: "" }
}

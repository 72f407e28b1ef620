//! `[control]`: how the Controller decides.

use super::{Default, Group, Kind, Scope, Setting};
use crate::config::ControlSettings;
use crate::config::section::Section;
use crate::world::LoadFormula;

pub(in crate::config) static CONTROL: Group = Group {
    header: "[control]",
    meaning: "How the Controller decides.",
    scope: Scope::Shared,
    settings: &[
        Setting {
            name: "round",
            kind: Kind::Duration(100, 3_600_000),
            default: Default::Value("\"60s\""),
            meaning: "Time between two rounds of balancing. Deaths, drains and returns do not wait \
                      for it.",
            example: "\"60s\"",
        },
        Setting {
            name: "missed_units",
            kind: Kind::Count(1, 100),
            default: Default::Value("2"),
            meaning: "A server is dead after its Reporter was silent for so many of its units.",
            example: "2",
        },
        Setting {
            name: "tempfail_rounds",
            kind: Kind::Count(1, 1000),
            default: Default::Value("3"),
            meaning: "A Reporter that says TEMPFAIL so often in a row counts as silent.",
            example: "3",
        },
        Setting {
            name: "server_ramp",
            kind: Kind::Duration(0, 86_400_000),
            default: Default::Value("\"60s\""),
            meaning: "How long a server that comes back takes to full weight; \"0s\" is at once.",
            example: "\"60s\"",
        },
        Setting {
            name: "journal_rounds",
            kind: Kind::Count(0, 1_000_000),
            default: Default::Value("1440"),
            meaning: "How many rounds the journal in the state directory keeps, for replay.",
            example: "1440",
        },
        Setting {
            name: "resolvers",
            kind: Kind::List(&Kind::Endpoint(53)),
            default: Default::Otherwise("those of /etc/resolv.conf"),
            meaning: "Resolvers that are asked for the targets of aliases, in order.",
            example: "[\"192.0.2.1\"]",
        },
        Setting {
            name: "detection",
            kind: Kind::Duration(500, 60_000),
            default: Default::Value("\"3s\""),
            meaning: "A Controller of the group that was silent for so long counts as gone, and the next \
                      takes over. Each says three times as often that it is there.",
            example: "\"3s\"",
        },
        Setting {
            name: "sights_last",
            kind: Kind::Duration(1_000, 600_000),
            default: Default::Value("\"10s\""),
            meaning: "What a vantage point saw (`probes` of [node]) counts until it was silent for so long. \
                      Each speaks three times as often, and three times in 10 s at least.",
            example: "\"10s\"",
        },
        Setting {
            name: "load",
            kind: Kind::Section(&LOAD),
            default: Default::Value("{}"),
            meaning: "How statistics become one load.",
            example: "{ busy = 1.0, cpu = 1.0, blocked = 1.0, memory = 1.0 }",
        },
    ],
};

pub(in crate::config) static LOAD: Group = Group {
    header: "[control.load]",
    meaning: "How a Reporter's statistics become one load from 0 (idle) to 1 (full): the greatest \
              of these parts, each times its weight. A weight of 0 leaves a part out.",
    scope: Scope::Shared,
    settings: &[
        Setting {
            name: "busy",
            kind: Kind::Number(0.0, 100.0),
            default: Default::Value("1.0"),
            meaning: "Weight of requests being served / requests that can be served at once.",
            example: "1.0",
        },
        Setting {
            name: "cpu",
            kind: Kind::Number(0.0, 100.0),
            default: Default::Value("1.0"),
            meaning: "Weight of the share of CPU time that is not idle.",
            example: "1.0",
        },
        Setting {
            name: "blocked",
            kind: Kind::Number(0.0, 100.0),
            default: Default::Value("1.0"),
            meaning: "Weight of blocked / (runnable + blocked + 1) processes.",
            example: "1.0",
        },
        Setting {
            name: "memory",
            kind: Kind::Number(0.0, 100.0),
            default: Default::Value("1.0"),
            meaning: "Weight of memory pressure (Linux PSI, `full avg10`).",
            example: "1.0",
        },
    ],
};

pub(in crate::config) fn read(section: &Section) -> ControlSettings {
    ControlSettings {
        round: section.duration("round"),
        missed_units: section.whole("missed_units"),
        tempfail_rounds: section.whole("tempfail_rounds"),
        load: section.section("load").map(load).unwrap_or_default(),
        server_ramp: section.duration("server_ramp"),
        journal_rounds: section.whole("journal_rounds"),
        resolvers: section.endpoints("resolvers").into_iter().map(|(it, _)| it).collect(),
        detection: section.duration("detection"),
        sights_last: section.duration("sights_last"),
    }
}

fn load(section: &Section) -> LoadFormula {
    let weight = |name| section.number(name).unwrap_or_default();
    LoadFormula {
        busy: weight("busy"),
        cpu: weight("cpu"),
        blocked: weight("blocked"),
        memory: weight("memory"),
    }
}

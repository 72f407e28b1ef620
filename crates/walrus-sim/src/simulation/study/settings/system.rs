//! What is asked: servers, and the roles of Walrus with the ways between them.

use walrus_core::config::settings_file::{Default, Group, Kind, Scope, Setting};

use super::HOUR_MS;

pub(super) static SERVERS: Group = Group {
    header: "[servers]",
    meaning: "Servers are queues, first come, first served. What a server can do is the `capacity` (hits a \
              second) of the Walrus configuration.",
    scope: Scope::Shared,
    settings: &[Setting {
        name: "queue_max",
        kind: Kind::Count(1, 10_000_000),
        default: Default::Value("100000"),
        meaning: "Hits that may be at a server; a page that would go beyond is turned away, and its client \
                  tries the next address.",
        example: "2000",
    }],
};

pub(super) static REPORTS: Group = Group {
    header: "[reports]",
    meaning: "What Reporters say of servers that have one (`reporter = true`).",
    scope: Scope::Shared,
    settings: &[
        Setting {
            name: "every",
            kind: Kind::Duration(1000, 300_000),
            default: Default::Value("\"8s\""),
            meaning: "Time between two reports of a server; each server begins at a time of its own.",
            example: "\"30s\"",
        },
        Setting {
            name: "delay",
            kind: Kind::Duration(0, HOUR_MS),
            default: Default::Value("\"0s\""),
            meaning: "How long a report is under way.",
            example: "\"200ms\"",
        },
        Setting {
            name: "loss",
            kind: Kind::Share(0.0, 1.0),
            default: Default::Value("0.0"),
            meaning: "The share of reports that never arrive.",
            example: "0.05",
        },
        Setting {
            name: "requests",
            kind: Kind::Flag,
            default: Default::Otherwise("whether a stage of a service looks at domains"),
            meaning: "Reports say how many requests came from each client network, as a Reporter does that \
                      reads the access log.",
            example: "true",
        },
        Setting {
            name: "busy_max",
            kind: Kind::Count(1, 10_000_000),
            default: Default::Otherwise("the hits that it serves in a second"),
            meaning: "Hits at a server at which it says that it is full.",
            example: "250",
        },
    ],
};

pub(super) static QUERIES: Group = Group {
    header: "[queries]",
    meaning: "The way between resolvers and name servers.",
    scope: Scope::Shared,
    settings: &[
        Setting {
            name: "delay",
            kind: Kind::Duration(0, 60_000),
            default: Default::Value("\"20ms\""),
            meaning: "The round-trip time where `distances` has none.",
            example: "\"0s\"",
        },
        Setting {
            name: "jitter",
            kind: Kind::Share(0.0, 0.9),
            default: Default::Value("0.1"),
            meaning: "Each round trip is longer or shorter by up to this share.",
            example: "0.0",
        },
        Setting {
            name: "loss",
            kind: Kind::Share(0.0, 1.0),
            default: Default::Value("0.0"),
            meaning: "The share of queries that get no reply.",
            example: "0.01",
        },
        Setting {
            name: "timeout",
            kind: Kind::Duration(1, 60_000),
            default: Default::Value("\"800ms\""),
            meaning: "How long a resolver waits before it asks another name server.",
            example: "\"400ms\"",
        },
        Setting {
            name: "tries",
            kind: Kind::Count(1, 32),
            default: Default::Value("5"),
            meaning: "How often it asks before it gives up.",
            example: "3",
        },
    ],
};

pub(super) static DIRECTORS: Group = Group {
    header: "[directors]",
    meaning: "The name servers: one for each address in areas' `nameservers`, or, if no area has any, for \
              each address that `[dns]` listens on. They observe as `[dns]` says.",
    scope: Scope::Shared,
    settings: &[
        Setting {
            name: "workers",
            kind: Kind::Count(1, 256),
            default: Default::Value("1"),
            meaning: "Answering threads of each: a query comes to any of them, and each has a state of its \
                      own.",
            example: "8",
        },
        Setting {
            name: "exchange",
            kind: Kind::Duration(100, HOUR_MS),
            default: Default::Value("\"1s\""),
            meaning: "How often the workers of a name server tell each other what they gave, for policies \
                      that remember it.",
            example: "\"5s\"",
        },
        Setting {
            name: "plan_delay",
            kind: Kind::Duration(0, HOUR_MS),
            default: Default::Value("\"0s\""),
            meaning: "How long a Plan is under way.",
            example: "\"150ms\"",
        },
        Setting {
            name: "plan_loss",
            kind: Kind::Share(0.0, 0.99),
            default: Default::Value("0.0"),
            meaning: "The share of Plans that get lost on the way; each is sent again a second later.",
            example: "0.1",
        },
        Setting {
            name: "observation_delay",
            kind: Kind::Duration(0, HOUR_MS),
            default: Default::Value("\"0s\""),
            meaning: "How long an observation is under way.",
            example: "\"150ms\"",
        },
        Setting {
            name: "observation_loss",
            kind: Kind::Share(0.0, 1.0),
            default: Default::Value("0.0"),
            meaning: "The share of observations that never arrive.",
            example: "0.1",
        },
    ],
};

pub(super) static CONTROLLERS: Group = Group {
    header: "[controllers]",
    meaning: "Controllers all hear the same; the first that is alive and was not cut off of late is master, \
              and only its Plans are realised.",
    scope: Scope::Shared,
    settings: &[
        Setting {
            name: "count",
            kind: Kind::Count(1, 16),
            default: Default::Value("1"),
            meaning: "How many there are.",
            example: "2",
        },
        Setting {
            name: "takeover",
            kind: Kind::Duration(0, HOUR_MS),
            default: Default::Value("\"5s\""),
            meaning: "How long after the master's end the next one takes over.",
            example: "\"10s\"",
        },
    ],
};

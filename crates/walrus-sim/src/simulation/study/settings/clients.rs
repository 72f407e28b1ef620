//! Who asks: pages and populations.

use walrus_core::config::settings_file::{Default, Group, Kind, Scope, Setting};

use super::{DOMAINS_MAX, HOUR_MS};

pub(super) static PAGES: Group = Group {
    header: "[pages]",
    meaning: "What a client does. A client begins a session, asks for a page, waits for all of its hits, \
              thinks, asks for the next; after the last page a closed population's client thinks and \
              begins anew, an open one's leaves. Laws are `constant 5`, `uniform 5 15` (whole numbers, \
              both included, where they count), `exponential 20`, `pareto 1.5 2` (shape and least), each \
              with `at most 70` behind it if it is cut off there; times have units (`exponential 7s at \
              most 70s`). Counts are from 1 to 65535 (what is above counts as that); an \
              exponential count is geometric with that mean.",
    scope: Scope::Shared,
    settings: &[
        Setting {
            name: "think",
            kind: Kind::Text,
            default: Default::Value("\"exponential 15s\""),
            meaning: "The time between the end of a page and the next click.",
            example: "\"exponential 7s at most 70s\"",
        },
        Setting {
            name: "session",
            kind: Kind::Text,
            default: Default::Value("\"exponential 20\""),
            meaning: "Pages of a session.",
            example: "\"constant 20\"",
        },
        Setting {
            name: "hits",
            kind: Kind::Text,
            default: Default::Value("\"uniform 5 15\""),
            meaning: "Hits of a page. They arrive together and are served one after another.",
            example: "\"constant 1\"",
        },
        Setting {
            name: "service",
            kind: Kind::Text,
            default: Default::Value("\"exponential\""),
            meaning: "How the time of a hit is spread around its mean, 1 / `capacity` of the server: \
                      `constant`, `exponential`, or `hyperexponential 4` (two phases of balanced means \
                      with this squared coefficient of variation).",
            example: "\"hyperexponential 4\"",
        },
        Setting {
            name: "client_cache",
            kind: Kind::Text,
            default: Default::Value("\"none\""),
            meaning: "How long a client keeps the addresses that its resolver gave it: `none` (it asks \
                      the resolver for each page), `session` (once a session), or a time as browsers \
                      have one.",
            example: "\"60s\"",
        },
        Setting {
            name: "connect_timeout",
            kind: Kind::Duration(0, HOUR_MS),
            default: Default::Value("\"5s\""),
            meaning: "How long a client waits for a server that does not answer before it tries the \
                      answer's next address. One that refuses costs nothing.",
            example: "\"1s\"",
        },
    ],
};

pub(super) static POPULATION: Group = Group {
    header: "[[population]]",
    meaning: "Clients that are alike, in domains: a domain is a network of clients with its resolver.",
    scope: Scope::Shared,
    settings: &[
        Setting {
            name: "name",
            kind: Kind::Name,
            default: Default::Value("\"everybody\""),
            meaning: "Unique among populations.",
            example: "\"europeans\"",
        },
        Setting {
            name: "clients",
            kind: Kind::Count(1, 20_000_000),
            default: Default::Apart("of a closed population"),
            meaning: "So many clients come back session after session.",
            example: "500",
        },
        Setting {
            name: "sessions_per_second",
            kind: Kind::Number(1e-9, 1e7),
            default: Default::Apart("of an open population"),
            meaning: "So many sessions begin a second, by themselves (Poisson).",
            example: "11.6",
        },
        Setting {
            name: "domains",
            kind: Kind::Count(1, DOMAINS_MAX),
            default: Default::Value("20"),
            meaning: "Networks of clients.",
            example: "20000",
        },
        Setting {
            name: "shares",
            kind: Kind::Text,
            default: Default::Value("\"zipf 1\""),
            meaning: "How clients are spread over domains: `zipf S`, `geometric P`, `even`, or \
                      `file:NAME` with a weight a line.",
            example: "\"geometric 0.3\"",
        },
        Setting {
            name: "prefix",
            kind: Kind::Text,
            default: Default::Value("\"10.0.0.0/8\""),
            meaning: "Where the domains' networks lie: a /24 (IPv6: a /48) each, one after another; its \
                      resolver is the .53 (::53) in it. The map decides in which area that is.",
            example: "\"2001:db8::/32\"",
        },
        Setting {
            name: "domains_per_resolver",
            kind: Kind::Count(1, DOMAINS_MAX),
            default: Default::Value("1"),
            meaning: "So many domains that follow each other share the resolver of the first.",
            example: "500",
        },
        Setting {
            name: "resolver",
            kind: Kind::OneOf(&["bind", "unbound", "knot", "uniform", "sticky"]),
            default: Default::Value("\"bind\""),
            meaning: "How its resolvers choose among name servers: `bind` (lowest smoothed time, those of \
                      others decay), `unbound` (any within 400 ms of the lowest), `knot` (lowest, one in \
                      twenty at random), `uniform` (any), `sticky` (one until it fails).",
            example: "\"knot\"",
        },
        Setting {
            name: "ttl",
            kind: Kind::Text,
            default: Default::Value("\"honour\""),
            meaning: "What its resolvers do with TTLs: `honour`, `at least 10m`, `at most 5m`, `ignore \
                      1h` (keep everything so long).",
            example: "\"at least 10m\"",
        },
        Setting {
            name: "ttl_share",
            kind: Kind::Share(0.0, 1.0),
            default: Default::Value("1.0"),
            meaning: "The share of the resolvers that do so, drawn by seed; the others honour TTLs.",
            example: "0.25",
        },
        Setting {
            name: "subnet",
            kind: Kind::Flag,
            default: Default::Value("false"),
            meaning: "Its resolvers send the client's network (ECS) and cache by the scope of the answer.",
            example: "true",
        },
        Setting {
            name: "distances",
            kind: Kind::Table(&Kind::Duration(0, 60_000)),
            default: Default::Value("{}"),
            meaning: "Round-trip times from it, by cluster and by area (for the area's name servers). To a \
                      cluster that is not named it is nothing, to a name server `queries.delay`.",
            example: "{ frankfurt = \"20ms\", europe = \"20ms\" }",
        },
        Setting {
            name: "daily",
            kind: Kind::Share(0.0, 1.0),
            default: Default::Value("0.0"),
            meaning: "How far the day's peak is above its mean, and the night below it: a cosine.",
            example: "0.6",
        },
        Setting {
            name: "peak",
            kind: Kind::Duration(0, 86_400_000),
            default: Default::Value("\"12h\""),
            meaning: "At which time of each simulated day its peak is; `begins` of the study says where the first \
                      one begins.",
            example: "\"20h\"",
        },
        Setting {
            name: "service",
            kind: Kind::Domain,
            default: Default::Otherwise("the first by name of the configuration's services"),
            meaning: "The name that its clients ask for.",
            example: "\"www.example.com\"",
        },
        Setting {
            name: "type",
            kind: Kind::OneOf(&["A", "AAAA"]),
            default: Default::Value("\"A\""),
            meaning: "Which addresses its clients ask for.",
            example: "\"AAAA\"",
        },
        Setting {
            name: "think",
            kind: Kind::Text,
            default: Default::Otherwise("as in `[pages]`"),
            meaning: "Of its clients.",
            example: "\"exponential 15s\"",
        },
        Setting {
            name: "session",
            kind: Kind::Text,
            default: Default::Otherwise("as in `[pages]`"),
            meaning: "Of its clients.",
            example: "\"exponential 20\"",
        },
        Setting {
            name: "hits",
            kind: Kind::Text,
            default: Default::Otherwise("as in `[pages]`"),
            meaning: "Of its clients.",
            example: "\"uniform 5 15\"",
        },
        Setting {
            name: "client_cache",
            kind: Kind::Text,
            default: Default::Otherwise("as in `[pages]`"),
            meaning: "Of its clients.",
            example: "\"session\"",
        },
    ],
};

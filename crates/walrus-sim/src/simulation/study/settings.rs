//! Every setting of a study, once: parser, page of the guide and messages come from these tables.

use walrus_core::config::settings_file::{Default, Group, Kind, Scope, Setting};

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

static PAGES: Group = Group {
    header: "[pages]",
    meaning: "What a client does. A client begins a session, asks for a page, waits for all of its hits, \
              thinks, asks for the next; after the last page a closed population's client thinks and \
              begins anew, an open one's leaves. Laws are `constant 5`, `uniform 5 15` (whole numbers, \
              both included, where they count), `exponential 20`, `pareto 1.5 2` (shape and least), each \
              with `at most 70` behind it if it is cut off there; times have units (`exponential 7s at \
              most 70s`). Counts are from 1 to 65535 (what is above counts as that); an exponential count is geometric with that mean.",
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

static POPULATION: Group = Group {
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
            meaning: "When in each simulated day its peak is.",
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

static SERVERS: Group = Group {
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

static REPORTS: Group = Group {
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

static QUERIES: Group = Group {
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

static DIRECTORS: Group = Group {
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

static CONTROLLERS: Group = Group {
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

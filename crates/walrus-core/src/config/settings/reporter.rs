//! `[reporter]`: what a Reporter on this node gathers and where it sends it.

use std::path::Path;

use super::{Default, Group, Kind, Scope, Setting, group};
use crate::config::findings::Findings;
use crate::config::reference_to::server_named;
use crate::config::section::{Section, Value};
use crate::config::{AccessLogSettings, ReporterSettings, ReporterSource};
use crate::world::Server;

pub(in crate::config) static REPORTER: Group = Group {
    header: "[reporter]",
    meaning: "What a Reporter on this machine gathers and where it sends it; needed by the role \
              `reporter`.",
    scope: Scope::Local,
    settings: &[
        Setting {
            name: "server",
            kind: Kind::Name,
            default: Default::Required,
            meaning: "The server that it reports about.",
            example: "\"fra1\"",
        },
        Setting {
            name: "controllers",
            kind: Kind::List(&Kind::HostPort(group::PORT)),
            default: Default::Value("[]"),
            meaning: "The Controllers to report to. Not needed where the Controller runs on the \
                      same node, or with `[group.nats]`. Without a port it is 8054.",
            example: "[\"ns1.example.com:8054\"]",
        },
        Setting {
            name: "unit",
            kind: Kind::Duration(1000, 300_000),
            default: Default::Value("\"10s\""),
            meaning: "Time between two reports: longer where gathering is dear, shorter where it \
                      is cheap. Silence is measured in it.",
            example: "\"10s\"",
        },
        Setting {
            name: "source",
            kind: Kind::Section(&SOURCE),
            default: Default::Otherwise("none: the machine's statistics only"),
            meaning: "Where the web server's statistics come from; a web server that does not \
                      answer there is a PANIC.",
            example: "{ nginx = \"http://127.0.0.1/nginx_status\", busy_max = 1024 }",
        },
        Setting {
            name: "system",
            kind: Kind::Flag,
            default: Default::Value("true"),
            meaning: "Gather this machine's statistics too (processors, memory, processes).",
            example: "true",
        },
        Setting {
            name: "memory_pressure_max",
            kind: Kind::Share(0.0, 1.0),
            default: Default::Value("0.1"),
            meaning: "Memory pressure (Linux PSI, `full avg10`) above which BYPASS is asked for \
                      ...",
            example: "\"10%\"",
        },
        Setting {
            name: "memory_pressure_units",
            kind: Kind::Count(1, 1000),
            default: Default::Value("3"),
            meaning: "... once it has lasted for so many units.",
            example: "3",
        },
        Setting {
            name: "bypass_file",
            kind: Kind::Path,
            default: Default::Otherwise("none"),
            meaning: "While this file exists, BYPASS is asked for; its text is the reason.",
            example: "\"/run/walrus/bypass\"",
        },
        Setting {
            name: "version_file",
            kind: Kind::Path,
            default: Default::Otherwise("none"),
            meaning: "A file that holds the version of the site's data, to be carried in reports.",
            example: "\"/srv/www/version\"",
        },
        Setting {
            name: "access_log",
            kind: Kind::Path,
            default: Default::Otherwise("none"),
            meaning: "The web server's access log, in common or combined format: who asks how \
                      much is counted by client prefix, for policies that look at it. Nothing \
                      else of it is kept or told.",
            example: "\"/var/log/nginx/access.log\"",
        },
        Setting {
            name: "access_log_ipv4",
            kind: Kind::Count(8, 32),
            default: Default::Value("24"),
            meaning: "Bits of the prefix that IPv4 clients are counted by.",
            example: "24",
        },
        Setting {
            name: "access_log_ipv6",
            kind: Kind::Count(16, 128),
            default: Default::Value("48"),
            meaning: "Bits of the prefix that IPv6 clients are counted by.",
            example: "48",
        },
        Setting {
            name: "insecure",
            kind: Kind::Flag,
            default: Default::Value("false"),
            meaning: "Speak plaintext, off loopback too: who listens in reads the token.",
            example: "false",
        },
        Setting {
            name: "authority",
            kind: Kind::Path,
            default: Default::Otherwise("the public ones"),
            meaning: "A PEM file of the certificates to trust.",
            example: "\"/etc/walrus/authority.pem\"",
        },
        Setting {
            name: "fingerprint",
            kind: Kind::Text,
            default: Default::Otherwise("none"),
            meaning: "The SHA-256 of the one certificate to trust, 64 hex digits: what the \
                      Controller shows for its self-signed one.",
            example: "\"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\"",
        },
        Setting {
            name: "token_file",
            kind: Kind::Path,
            default: Default::Otherwise(
                "`reporter-token` in the state directory; none if there is a `certificate`",
            ),
            meaning: "A file that holds the token to bring: the Reporter's own, or the one that all \
                      Reporters share.",
            example: "\"/etc/walrus/reporter-token\"",
        },
        Setting {
            name: "certificate",
            kind: Kind::Path,
            default: Default::Otherwise("none"),
            meaning: "A PEM file of the certificate to show, where the Controllers have a \
                      `client_authority`. Read at each connection, so that it may be renewed.",
            example: "\"/etc/walrus/fra1.pem\"",
        },
        Setting {
            name: "key",
            kind: Kind::Path,
            default: Default::Otherwise("none"),
            meaning: "A PEM file of that certificate's private key.",
            example: "\"/etc/walrus/fra1.key\"",
        },
    ],
};

pub(in crate::config) static SOURCE: Group = Group {
    header: "source = { ... }",
    meaning: "Where the web server's statistics come from: exactly one of `apache`, `nginx`, \
              `haproxy` and `json`.",
    scope: Scope::Local,
    settings: &[
        Setting {
            name: "apache",
            kind: Kind::Url,
            default: Default::Otherwise("one of the four"),
            meaning: "Apache's `mod_status`: a URL that ends in `?auto`.",
            example: "\"http://127.0.0.1/server-status?auto\"",
        },
        Setting {
            name: "nginx",
            kind: Kind::Url,
            default: Default::Apart("one of the four"),
            meaning: "nginx's `stub_status`.",
            example: "\"http://127.0.0.1/nginx_status\"",
        },
        Setting {
            name: "haproxy",
            kind: Kind::Url,
            default: Default::Apart("one of the four"),
            meaning: "HAProxy's statistics as CSV: a URL that ends in `;csv`.",
            example: "\"http://127.0.0.1:8404/stats;csv\"",
        },
        Setting {
            name: "json",
            kind: Kind::Url,
            default: Default::Apart("one of the four"),
            meaning: "Any JSON document; `hits`, `busy` and `busy_max` say where in it.",
            example: "\"http://127.0.0.1:9000/status\"",
        },
        Setting {
            name: "proxy",
            kind: Kind::Text,
            default: Default::Apart("required by `haproxy`"),
            meaning: "HAProxy: the proxy (`pxname`) to read, its FRONTEND or BACKEND row.",
            example: "\"web\"",
        },
        Setting {
            name: "hits",
            kind: Kind::Text,
            default: Default::Apart("unknown; for `json`"),
            meaning: "JSON: the dotted path to the total of requests served.",
            example: "\"requests.total\"",
        },
        Setting {
            name: "busy",
            kind: Kind::Text,
            default: Default::Apart("unknown; for `json`"),
            meaning: "JSON: the dotted path to the requests being served.",
            example: "\"requests.active\"",
        },
        Setting {
            name: "busy_max",
            kind: Kind::Either(&[Kind::Count(1, 1_000_000_000), Kind::Text]),
            default: Default::Otherwise("what the web server says, if it does"),
            meaning: "Requests that can be served at once, as a number; JSON: the dotted path to \
                      it.",
            example: "1024",
        },
    ],
};

pub(in crate::config) fn read(
    section: &Section,
    servers: &[Server],
    reached: bool,
    state: &Path,
    findings: &Findings<'_>,
) -> Option<ReporterSettings> {
    let server = section.name("server");
    // A Reporter's own machine need not know the topology: the Controller does, and refuses a
    // name that it does not know.
    if let Some(server) = &server
        && !servers.is_empty()
        && let Some(server) = server_named(server, section.place_of("server"), servers, findings)
        && !servers[server.index()].reporter
    {
        findings.problem(
            section.place_of("server"),
            format!(
                "the server `{}` expects no Reporter: write reporter = true beside its name or its \
                 cluster's",
                servers[server.index()].name
            ),
        );
    }
    let controllers = section.texts("controllers");
    if !reached && section.is_empty_list("controllers") {
        findings.problem(
            section.place_of("controllers"),
            "the Reporter has nobody to report to: write controllers = [\"ns1.example.com:8054\"], or \
             [group.nats] where the group is carried by NATS",
        );
    }
    let fingerprint = fingerprint(section, findings);
    super::group::check_pair(section, "reporter", ["certificate", "key"], findings);
    let certificate = section.path("certificate");
    let token_file = section.path("token_file");
    let shared = || certificate.is_none().then(|| state.join("reporter-token"));
    Some(ReporterSettings {
        server: server?,
        controllers,
        unit: section.duration("unit"),
        source: section.section("source").and_then(|source| read_source(source, findings)),
        memory_pressure_max: section.number("memory_pressure_max").unwrap_or_default(),
        memory_pressure_units: section.whole("memory_pressure_units"),
        bypass_file: section.path("bypass_file"),
        version_file: section.path("version_file"),
        access_log: section.path("access_log").map(|path| AccessLogSettings {
            path,
            prefix_ipv4: section.whole("access_log_ipv4"),
            prefix_ipv6: section.whole("access_log_ipv6"),
        }),
        insecure: section.flag("insecure"),
        authority: section.path("authority"),
        fingerprint,
        token_file: token_file.or_else(shared),
        certificate,
        key: section.path("key"),
        system: section.flag("system"),
    })
}

/// Lower case without the colons that other programs print.
pub(super) fn fingerprint(section: &Section, findings: &Findings<'_>) -> Option<String> {
    let text = section.text("fingerprint")?;
    let hex: String = text.chars().filter(|c| *c != ':').collect::<String>().to_ascii_lowercase();
    if hex.len() != 64 || !hex.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        findings.problem(
            section.place_of("fingerprint"),
            "`fingerprint` must be a SHA-256 of 64 hex digits: copy the one that the Controller \
             logs at its start",
        );
    }
    Some(hex)
}

fn read_source(section: &Section, findings: &Findings<'_>) -> Option<ReporterSource> {
    const WAYS: [&str; 4] = ["apache", "nginx", "haproxy", "json"];
    let given: Vec<&str> = WAYS.into_iter().filter(|way| section.is_given(way)).collect();
    let urls = WAYS.map(|way| section.text(way));
    let [proxy, hits, busy] = ["proxy", "hits", "busy"].map(|name| section.text(name));
    let busy_max = section.value("busy_max").cloned();
    let [way] = given[..] else {
        findings.problem(
            section.place(),
            "a source needs exactly one of `apache`, `nginx`, `haproxy` and `json`: write for \
             example source = { apache = \"http://127.0.0.1/server-status?auto\" }",
        );
        return None;
    };
    let url = urls.into_iter().flatten().next()?;
    check_fit(way, section, findings);
    let (number, path) = match busy_max {
        Some(Value::Count(count)) => (Some(count), None),
        Some(Value::Text(text)) => (None, Some(text)),
        _ => (None, None),
    };
    if section.value("busy_max").is_some() && (way == "json") != path.is_some() {
        let wanted = if way == "json" { "a dotted path" } else { "a number" };
        findings.problem(
            section.place_of("busy_max"),
            format!("`busy_max` of a source `{way}` must be {wanted}"),
        );
    }
    Some(match way {
        "apache" => ReporterSource::Apache { url, busy_max: number },
        "nginx" => ReporterSource::Nginx { url, busy_max: number },
        "haproxy" => ReporterSource::Haproxy { url, proxy: proxy?, busy_max: number },
        _ => ReporterSource::Json { url, hits, busy, busy_max: path },
    })
}

/// What belongs to one kind of source only.
fn check_fit(way: &str, section: &Section, findings: &Findings<'_>) {
    if way == "haproxy" && !section.is_given("proxy") {
        findings
            .problem(section.place(), "a source `haproxy` needs its proxy: add proxy = \"web\"");
    }
    for (name, owner) in [("proxy", "haproxy"), ("hits", "json"), ("busy", "json")] {
        if section.is_given(name) && way != owner {
            findings.problem(
                section.key_place(name),
                format!("`{name}` belongs to a source `{owner}`: leave it out here"),
            );
        }
    }
    let endings = [("apache", "?auto"), ("haproxy", ";csv")];
    for (name, ending) in endings {
        let url = section.text(name).unwrap_or_default();
        if way == name && !url.is_empty() && !url.ends_with(ending) {
            findings.warn(
                section.place_of(name),
                format!("the URL of a source `{name}` usually ends in `{ending}`"),
            );
        }
    }
}

//! The API over HTTP: errors are JSON, `/ready` tells the truth, `/metrics` is OpenMetrics.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::running::{Running, TWO_CLUSTERS};

#[test]
fn every_error_is_an_object_that_says_what_to_do() {
    let running = Running::start(TWO_CLUSTERS);
    for (method, path, body, status) in [
        ("GET", "/nothing", "", 404),
        ("POST", "/status", "", 405),
        ("GET", "/drain", "", 405),
        ("GET", "/explain", "", 400),
        ("GET", "/explain?name=www.walrus.example", "", 400),
        ("GET", "/explain?name=www.walrus.example&client=1.2.3", "", 400),
        ("GET", "/explain?name=www.walrus.example&client=1.2.3.4&type=SONG", "", 400),
        ("GET", "/explain?name=www..example&client=1.2.3.4", "", 400),
        ("POST", "/drain", "", 400),
        ("POST", "/drain", "{}", 400),
        ("POST", "/drain", "{\"target\":\"mars\"}", 404),
        ("POST", "/plan/diff", "{\"files\":[]", 400),
        ("POST", "/plan/diff", "{\"files\":[{\"name\":\"a\",\"text\":\"x=\"}]}", 422),
    ] {
        let (found, text) = running.http(method, path, body);
        assert_eq!(found, status, "{method} {path} {body}: {text}");
        let object: Value =
            serde_json::from_str(&text).unwrap_or_else(|_| panic!("{path}: {text}"));
        assert!(text.starts_with("{\"walrus\":1,\"kind\":\"error\","), "{text}");
        assert!(!object["error"].as_str().unwrap().is_empty());
    }
}

#[test]
fn ready_is_503_before_the_first_plan() {
    // A probe with a long detection time: until that has passed nothing counts as dead, but a
    // name server alone and without a saved Plan has none at all.
    let mut running = Running::prepared(&TWO_CLUSTERS.replace("\"controller\", ", ""));
    running.spawn();
    let (status, text) = running.http("GET", "/ready", "");
    assert_eq!(status, 503, "{text}");
    assert!(text.contains("there is no Plan yet"), "{text}");
    let (status, _) = running.http("GET", "/plan", "");
    assert_eq!(status, 503);
    let query = crate::dns::query("www.walrus.example", 1, None);
    let reply = crate::dns::ask_udp(running.dns(), &query, crate::running::PATIENCE).unwrap();
    assert_eq!(crate::dns::code(&reply), 2, "SERVFAIL for services");
    let query = crate::dns::query("walrus.example", 2, None);
    let reply = crate::dns::ask_udp(running.dns(), &query, crate::running::PATIENCE).unwrap();
    assert_eq!(crate::dns::code(&reply), 0, "the zone is answered");
}

#[test]
fn metrics_are_open_metrics() {
    let config = TWO_CLUSTERS.replace(", { name = \"near2\", addresses = [\"192.0.2.2\"] }", "");
    let running = Running::start(&config);
    crate::dns::addresses(running.dns());
    let (status, text) = running.http("GET", "/metrics", "");
    assert_eq!(status, 200);
    let families = parse(&text).unwrap_or_else(|problem| panic!("{problem} in\n{text}"));
    for name in ["walrus_dns_replies", "walrus_rounds", "walrus_server_life", "walrus_build_info"] {
        assert!(families.contains(name), "{name}");
    }
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/src/looking-inside.md");
    let page = std::fs::read_to_string(page).unwrap();
    for name in &families {
        assert!(page.contains(&format!("`{name}`")), "docs/src/looking-inside.md lacks {name}");
    }
    for line in [
        "walrus_dns_replies_total{transport=\"udp\",type=\"A\",rcode=\"NOERROR\"} 1",
        "walrus_dns_service_queries_total{service=\"www.walrus.example\",area=\"here\"} 1",
        "walrus_dns_server_answers_total{service=\"www.walrus.example\",server=\"near1\"} 1",
        "walrus_dns_answer_seconds_count 1",
        "walrus_dns_answer_seconds_bucket{le=\"+Inf\"} 1",
        "walrus_dns_dnssec_ok_total 0",
    ] {
        assert!(text.lines().any(|it| it == line), "{line} in\n{text}");
    }
}

#[test]
fn metrics_count_each_query_at_once() {
    let running = Running::start(TWO_CLUSTERS);
    // Often enough that whatever is kept between two of them would be seen.
    let query = crate::dns::query("walrus.example", 2, None);
    for asked in 1..=10 {
        crate::dns::ask_udp(running.dns(), &query, crate::running::PATIENCE).unwrap();
        let (_, text) = running.http("GET", "/metrics", "");
        let line = format!("walrus_dns_udp_queries_total {asked}");
        assert!(text.lines().any(|it| it == line), "{line} in\n{text}");
    }
}

/// The rules of the OpenMetrics text format that a scraper stumbles over first.
fn parse(text: &str) -> Result<BTreeSet<String>, String> {
    let body = text.strip_suffix("# EOF\n").ok_or("the end is missing")?;
    let mut types: BTreeMap<&str, &str> = BTreeMap::new();
    let mut seen = BTreeSet::new();
    let mut family = "";
    for line in body.lines() {
        let wrong = |what: &str| format!("{what}: {line}");
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').ok_or_else(|| wrong("no type"))?;
            if types.insert(name, kind).is_some() {
                return Err(wrong("a family comes twice"));
            }
            family = name;
            continue;
        }
        if line.starts_with("# HELP ") || line.starts_with("# UNIT ") {
            continue;
        }
        let (series, value) = line.rsplit_once(' ').ok_or_else(|| wrong("no value"))?;
        let name = series.split('{').next().unwrap_or_default();
        let endings = match types.get(family) {
            Some(&"counter") => &["_total"][..],
            Some(&"gauge") => &[""],
            Some(&"histogram") => &["_bucket", "_sum", "_count"],
            other => return Err(wrong(&format!("type {other:?}"))),
        };
        if !name.strip_prefix(family).is_some_and(|ending| endings.contains(&ending)) {
            return Err(wrong("not of its family, or a counter without _total"));
        }
        value.parse::<f64>().map_err(|_| wrong("no number"))?;
        if !seen.insert(series) {
            return Err(wrong("a series comes twice"));
        }
    }
    Ok(types.into_keys().map(str::to_owned).collect())
}

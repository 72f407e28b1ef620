//! Who asks, through the whole program: queries and an access log in, the Plan's demand out.

use std::io::Write as _;

use serde_json::Value;

use crate::running::{PATIENCE, Running, TWO_CLUSTERS, wait_for};

const LINE: &str = "- - [22/Nov/2026:12:00:00 +0000] \"GET / HTTP/1.1\" 200 612 \"-\" \"-\"\n";

fn configuration() -> String {
    let servers = "{ name = \"near1\", addresses = [\"192.0.2.1\"]";
    TWO_CLUSTERS
        .replace("\"director\"]", "\"director\", \"reporter\"]")
        .replace("workers = 1", "workers = 1\nobserve_every = \"1s\"")
        .replace(servers, &format!("{servers}, reporter = true"))
        .replace(
            "[control]",
            "[reporter]\nserver = \"near1\"\nunit = \"1s\"\nsystem = false\n\
             access_log = \"STATE.access.log\"\n\n[control]",
        )
        .replace("ttl = \"5s\"", "ttl = \"5s\"\nchoose = \"crml\"\nhot_share = 0.3")
}

/// Queries of one domain and of some others, and the requests that follow from them.
fn ask(running: &Running) {
    for subnet in [[203, 0, 113], [198, 51, 100], [198, 51, 101]] {
        let query = crate::dns::query("www.walrus.example", crate::dns::A, Some(subnet));
        crate::dns::ask_udp(running.dns(), &query, PATIENCE).unwrap();
    }
    let path = running.path("state.access.log");
    let mut log = std::fs::File::options().append(true).create(true).open(path).unwrap();
    let light = format!("198.51.100.3 {LINE}198.51.101.3 {LINE}garbage\n");
    log.write_all((format!("203.0.113.7 {LINE}").repeat(8) + &light).as_bytes()).unwrap();
}

#[test]
fn a_hot_domain_shows_in_status_plan_and_metrics() {
    let running = Running::start(&configuration());
    let is_hot = |domain: &Value| domain["hot"] == true;
    let plan = wait_for("a hot domain that a server sees", || {
        ask(&running);
        let (_, plan) = running.ask_json(&["plan"]);
        let domains = plan["services"][0]["demand"]["domains"].as_array()?.clone();
        let seen = |it: &Value| is_hot(it) && it["observed"].as_array().is_some();
        (domains.len() == 3 && domains.iter().any(seen)).then_some(plan)
    });
    let demand = &plan["services"][0]["demand"];
    let heaviest = &demand["domains"][0];
    assert_eq!(heaviest["domain"], "203.0.113.0/24", "{demand}");
    let place = heaviest["observed"][0][0].as_u64().unwrap();
    assert_eq!(plan["servers"][usize::try_from(place).unwrap()]["name"], "near1");
    // Eight in ten of the requests: its queries were one in three.
    let share = heaviest["rate"].as_f64().unwrap() / demand["rate"].as_f64().unwrap();
    assert!(share > 0.6, "{demand}");

    let (_, status) = running.ask_json(&["status"]);
    let told = &status["demand"][0];
    assert_eq!((&told["named"], &told["hot"]), (&3.into(), &1.into()), "{told}");
    assert!(is_hot(&told["heaviest"][0]));
    for command in ["status", "plan"] {
        let text = running.ask(&[command]).stdout;
        assert!(text.contains("203.0.113.0/24* "), "{text}");
    }
    // Who asks is not for everybody.
    for path in ["/status", "/plan"] {
        let (_, text) = running.http("GET", path, "");
        assert!(text.contains("203.0.113.0/24"), "{text}");
        let token = running.path("state/token");
        let kept = std::fs::read(&token).unwrap();
        std::fs::write(&token, "wrong").unwrap();
        let (code, text) = running.http("GET", path, "");
        std::fs::write(&token, kept).unwrap();
        assert_eq!(code, 200);
        assert!(text.contains("\"demand\"") && !text.contains("203.0.113"), "{text}");
    }
    let metrics = running.http("GET", "/metrics", "").1;
    for metric in ["service_demand", "service_domains", "service_domains_hot"] {
        let line = format!("walrus_{metric}{{service=\"www.walrus.example\"}} ");
        assert!(metrics.contains(&line), "{line} in\n{metrics}");
    }
    let log = running.log();
    assert_eq!(log.matches("the access log cannot be read").count(), 1, "{log}");
}

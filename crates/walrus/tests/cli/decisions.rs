//! The sampled decision log.

use serde_json::Value;

use crate::dns::{ask_tcp, ask_udp, query};
use crate::running::{PATIENCE, Running, TWO_CLUSTERS, wait_for};

#[test]
fn each_sampled_decision_is_a_line_with_everything_that_took_part() {
    let config = TWO_CLUSTERS
        .replace("workers = 1", "workers = 1\ndecision_log = \"LOG\"\ndecision_log_sample = 1");
    let mut running = Running::prepared("");
    let log = running.path("decisions.jsonl");
    running.write("walrus.toml", &config.replace("LOG", &log.display().to_string()));
    running.up();
    let asked = query("www.walrus.example", 1, Some([203, 0, 113]));
    assert!(ask_udp(running.dns(), &asked, PATIENCE).is_some());
    assert!(ask_tcp(running.dns(), &query("www.walrus.example", 28, None)).is_some());
    running.signal("TERM");
    assert!(running.ended().success());
    let lines: Vec<Value> = wait_for("two lines", || {
        let text = std::fs::read_to_string(&log).ok()?;
        let lines: Vec<Value> =
            text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        (lines.len() >= 2).then_some(lines)
    });
    for line in &lines {
        let object = line.as_object().unwrap();
        for field in [
            "walrus",
            "kind",
            "time_unix_ms",
            "weight",
            "worker",
            "resolver",
            "subnet",
            "transport",
            "do",
            "name",
            "type",
            "area",
            "cluster",
            "answered",
            "scope",
            "ttl",
            "plan",
        ] {
            assert!(object.contains_key(field), "{field} is missing in {line}");
        }
    }
    let udp = lines.iter().find(|line| line["transport"] == "udp").unwrap();
    assert_eq!(udp["subnet"], "203.0.113.0/24");
    assert_eq!((&udp["area"], &udp["cluster"]), (&"here".into(), &"near".into()));
    assert_eq!(udp["answered"].as_array().unwrap().len(), 2);
    assert_eq!((&udp["scope"], &udp["ttl"], &udp["type"]), (&24.into(), &5.into(), &1.into()));
    let tcp = lines.iter().find(|line| line["transport"] == "tcp").unwrap();
    assert_eq!((&tcp["area"], &tcp["type"]), (&"world".into(), &28.into()));
}

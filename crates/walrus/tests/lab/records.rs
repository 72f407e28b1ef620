//! Records beyond addresses, as dig and kdig read them; and an alias whose target Knot serves.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::Command;

use crate::alone;
use crate::programs::{PATIENCE, Process, find, free_port, wait_for};
use crate::walrus::Walrus;

const CONFIGURATION: &str = r#"
zone = "walrus.example"
nameservers = ["ns1.example.net"]
[control]
resolvers = ["RESOLVER"]
[[cluster]]
name = "c"
servers = [
  { name = "s1", addresses = ["192.0.2.1", "2001:db8::1"], weight = 3 },
  { name = "s2", addresses = ["192.0.2.2"], host = "mail.walrus.example" },
]
[[service]]
name = "walrus.example"
ttl = "30s"
mx = { preference = 10 }
https = { alpn = ["h2", "h3"], port = 8443, hints = true }
[[service]]
name = "www.walrus.example"
https = { alpn = ["h2"] }
[[service]]
name = "_sip._tcp.walrus.example"
ttl = "30s"
srv = { port = 5060, priority = 5 }
[[service]]
name = "alias.walrus.example"
alias = "target.cdn.example"
[[service]]
name = "large.walrus.example"
alias = "large.cdn.example"
types = ["A"]
"#;

/// Answers with UDP sizes that are cut: a hundred addresses.
fn zone() -> String {
    let mut zone = "@ 60 SOA ns host 1 2 3 4 5\n@ 60 NS ns\nns 60 A 127.0.0.1\n\
                    target 60 CNAME edge\nedge 60 A 203.0.113.7\nedge 60 AAAA 2001:db8::7\n"
        .to_owned();
    for last in 1..=100 {
        zone.push_str(&format!("large 60 A 198.51.100.{last}\n"));
    }
    zone
}

#[test]
fn others_read_the_records_as_they_were_meant() {
    let _alone = alone();
    let Some([knotd, kdig, dig]) = find("records beyond addresses", ["knotd", "kdig", "dig"])
    else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let (_knot, resolver) = start_knot(&knotd, folder.path());
    let configuration = CONFIGURATION.replace("RESOLVER", &resolver.to_string());
    let walrus = Walrus::start(folder.path(), &configuration);
    let ask = |program: &Path, name: &str, record_type: &str| -> Vec<String> {
        let port = walrus.dns.port().to_string();
        let output = Command::new(program)
            .args(["@127.0.0.1", "-p", &port, "+short", "+timeout=5", name, record_type])
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
        let text = String::from_utf8(output.stdout).unwrap();
        // Remarks, as that it asks again by TCP.
        let records = text.lines().filter(|line| !line.starts_with(';'));
        let mut lines: Vec<String> = records.map(str::to_owned).collect();
        lines.sort();
        lines
    };
    for program in [&dig, &kdig] {
        let ask = |name: &str, record_type: &str| ask(program, name, record_type);
        let preferences = |lines: Vec<String>| {
            let hosts = ["mail.walrus.example.", "s1.walrus.example."];
            let either = [[0, 1], [1, 0]].map(|[first, second]| {
                vec![format!("10 {}", hosts[first]), format!("11 {}", hosts[second])]
            });
            assert!(either.contains(&lines), "{lines:?}");
        };
        preferences(ask("walrus.example", "MX"));
        let sip = ask("_sip._tcp.walrus.example", "SRV");
        assert_eq!(sip, ["5 1 5060 mail.walrus.example.", "5 3 5060 s1.walrus.example."]);
        assert!(ask("_sip._tcp.walrus.example", "A").is_empty());
        let plain = ask("www.walrus.example", "HTTPS");
        assert_eq!(plain.len(), 1, "{plain:?}");
        assert!(plain[0].starts_with("1 . alpn=") && plain[0].contains("h2"), "{plain:?}");
        let hinted = ask("walrus.example", "HTTPS").join("\n");
        for word in ["s1.walrus.example.", "port=8443", "ipv4hint=192.0.2.1", "2001:db8::1"] {
            assert!(hinted.contains(word), "{word}: {hinted}");
        }
        // What the records point at is there.
        assert_eq!(ask("mail.walrus.example", "A"), ["192.0.2.2"]);
        assert_eq!(ask("s1.walrus.example", "AAAA"), ["2001:db8::1"]);
        let alias = |record_type: &str| {
            wait_for("the alias", || {
                Some(ask("alias.walrus.example", record_type)).filter(|lines| !lines.is_empty())
            })
        };
        assert_eq!(alias("A"), ["203.0.113.7"]);
        assert_eq!(alias("AAAA"), ["2001:db8::7"]);
        // Cut by UDP, so that Walrus had to ask by TCP; the core keeps as many as an answer holds.
        let large = wait_for("the large alias", || {
            Some(ask("large.walrus.example", "A")).filter(|lines| !lines.is_empty())
        });
        // Both also remark that they ask again by TCP.
        let addresses = large.iter().filter(|line| line.parse::<IpAddr>().is_ok());
        assert_eq!(addresses.count(), 64, "{large:?}");
        assert!(ask("large.walrus.example", "AAAA").is_empty());
    }
    let status = walrus.status().to_string();
    assert!(status.contains("alias target.cdn.example"), "{status}");
}

fn start_knot(program: &Path, folder: &Path) -> (Process, SocketAddr) {
    let ip = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let address = SocketAddr::new(ip, free_port(&[ip]));
    let place = folder.join("knot");
    std::fs::create_dir(&place).unwrap();
    std::fs::write(place.join("cdn.example"), format!("$ORIGIN cdn.example.\n{}", zone())).unwrap();
    let (folder, port) = (place.display(), address.port());
    let configuration = format!(
        "server:\n  rundir: \"{folder}\"\n  listen: {ip}@{port}\n  udp-max-payload: 1232\n  \
         udp-workers: 1\n  tcp-workers: 1\n  background-workers: 1\n\
         database:\n  storage: \"{folder}\"\ncontrol:\n  listen: \"{folder}/control\"\n\
         log:\n  - target: stderr\n    any: warning\n\
         zone:\n  - domain: cdn.example\n    file: \"{folder}/cdn.example\"\n    \
         zonefile-sync: -1\n"
    );
    let file = place.join("configuration");
    std::fs::write(&file, configuration).unwrap();
    let arguments = ["-c", file.to_str().unwrap()];
    let mut process = Process::start(program, &arguments, &place.join("log"));
    wait_for("knotd", || {
        process.assert_running();
        std::net::TcpStream::connect_timeout(&address, PATIENCE).ok()
    });
    (process, address)
}

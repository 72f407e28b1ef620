//! Texts and what is found in them.

use super::*;
use crate::world::{AssignPolicy, ChoosePolicy, ClientSpec, LocatePolicy, Spill, TtlPolicy};

/// The smallest real configuration (design, section 6).
const SMALLEST: &str = r#"
zone = "example.com"
nameservers = ["ns1.example.com", "ns2.example.com"]

[node]
roles = ["controller", "director"]       # state = "/var/lib/walrus", name = hostname

[dns]
listen = ["192.0.2.53:53", "[2001:db8::53]:53"]      # workers = one a core

[[cluster]]
name = "frankfurt"
probe = { http = "http://{address}/healthz", every = "5s" }
servers = [
  { name = "fra1", addresses = ["192.0.2.10", "2001:db8:1::10"], weight = 2 },
  { name = "fra2", addresses = ["192.0.2.11", "2001:db8:1::11"] },
]

[[area]]
name = "europe"
home = "frankfurt"
clients = ["continent:EU", "198.51.100.0/24"]        # or "file:nets.csv#3"
nameservers = ["192.0.2.53:53"]

[[service]]
name = "www.example.com"
clusters = ["frankfurt"]                 # default: all; answers = 2, threshold = 0.8, home = { europe = ... }
locate = ["map", "nameserver"]
assign = "walrus"
choose = "weighted"
ttl = "30s"
"#;

fn read(name: &str) -> Result<String, String> {
    match name {
        "nets.txt" => Ok("# ours\n198.51.100.0/24\n\n2001:db8::/32 # v6\n".into()),
        "nets.csv" => {
            Ok("prefix,region\n10.0.0.0/8,3\n\"192.0.2.0/24\",\"4\"\n11.0.0.0/8, 3\n".into())
        }
        "bad.txt" => Ok("10.0.0.0/8\n10.0.0.1/8\nnonsense\n".into()),
        _ => Err("no such file".into()),
    }
}

fn parse_texts(texts: &[&str]) -> Result<Parsed, Vec<Problem>> {
    let named = |(index, text): (usize, &&str)| SourceFile {
        name: format!("{}.toml", char::from(b'a' + u8::try_from(index).unwrap())),
        text: (*text).to_owned(),
    };
    let files: Vec<SourceFile> = texts.iter().enumerate().map(named).collect();
    parse(&files, &Context { hostname: "Box7.example.net", read: &read })
}

fn problems(text: &str) -> String {
    let problems = parse_texts(&[text]).expect_err("there should be problems");
    problems.iter().map(|problem| format!("{problem}\n")).collect()
}

fn good(text: &str) -> Configuration {
    match parse_texts(&[text]) {
        Ok(parsed) => parsed.configuration,
        Err(problems) => panic!("{problems:#?}"),
    }
}

#[test]
fn the_smallest_real_one() {
    let configuration = good(SMALLEST);
    let topology = &configuration.topology;
    assert_eq!(configuration.node.name.as_str(), "box7");
    assert_eq!(configuration.dns.listen.len(), 2);
    assert_eq!(topology.servers.len(), 2);
    assert_eq!(topology.servers[0].weight, 2);
    assert_eq!(topology.areas.len(), 2, "europe and world");
    let frankfurt = topology.cluster("frankfurt").unwrap();
    assert_eq!(topology.areas[0].home, Some(frankfurt));
    assert_eq!(topology.areas[0].clients.len(), 2);
    let service = &topology.services[0];
    assert_eq!(service.homes, [Some(frankfurt), None]);
    assert_eq!(service.locate, [LocatePolicy::Map, LocatePolicy::Nameserver]);
    assert_eq!(service.assign, AssignPolicy::Walrus);
    assert_eq!(service.choose, ChoosePolicy::Weighted);
    assert_eq!(service.ttl, TtlPolicy::Constant { seconds: 30 });
    assert_eq!((service.answers, service.threshold, service.spill), (Some(2), 0.8, Spill::Spare));
}

//! Texts and what is found in them.

use proptest::prelude::*;

use super::*;
use crate::config::commented_example;
use crate::world::{
    AssignPolicy, ChoosePolicy, ClientSpec, LocatePolicy, ProbeKind, Spill, TtlPolicy,
};

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

/// Two clusters and an area, to be gone wrong with.
const BASE: &str = r#"zone = "example.com"
nameservers = ["ns1.example.net"]
dns.listen = ["192.0.2.53"]
[[cluster]]
name = "east"
servers = [{ name = "e1", addresses = ["192.0.2.1"] }]
[[cluster]]
name = "west"
servers = [{ name = "w1", addresses = ["192.0.2.2"] }, { name = "w0", addresses = ["192.0.2.3"] }]
[[area]]
name = "asia"
home = "east"
clients = ["10.0.0.0/8"]
"#;

fn read(name: &str) -> Result<String, String> {
    match name {
        "nets.txt" => Ok("# ours\n198.51.100.0/24\n\n2001:db8::/32 # v6\n".into()),
        "nets.csv" => {
            Ok("prefix,region\n10.1.0.0/16,3\n\"192.0.2.0/24\",\"4\"\n11.0.0.0/8, 3\n".into())
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

fn lines(problems: &[Problem]) -> String {
    problems.iter().map(|problem| format!("{problem}\n")).collect()
}

/// Checks all problems of a text against their whole text.
#[track_caller]
fn refused(texts: &[&str], expected: &str) {
    let problems = lines(&parse_texts(texts).expect_err("there should be problems"));
    assert_eq!(problems, expected, "\n{problems}");
}

/// Lines added to [`BASE`], which has 13: what is found in them.
#[track_caller]
fn refused_after_base(text: &str, expected: &str) {
    refused(&[&format!("{BASE}{text}")], expected);
}

#[track_caller]
fn parsed(texts: &[&str]) -> Parsed {
    parse_texts(texts).unwrap_or_else(|problems| panic!("{}", lines(&problems)))
}

#[track_caller]
fn good(text: &str) -> Configuration {
    parsed(&[text]).configuration
}

#[test]
fn the_smallest_real_one() {
    let Parsed { configuration, warnings } = parsed(&[SMALLEST]);
    assert_eq!(
        lines(&warnings),
        "a.toml:2:8: the name server ns1.example.com is inside the zone, which has no address for it \
         without a file: name one outside (zone = \"www.example.com\" would do), or give the zone a \
         file with its address\n\
         a.toml:22:12: countries and continents match nobody without a database: write [geo] with \
         database = \"/usr/share/GeoIP/GeoLite2-Country.mmdb\"\n"
    );
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

#[test]
fn ids_follow_names_and_clusters_keep_their_order() {
    let topology = good(BASE).topology;
    let names: Vec<&str> = topology.servers.iter().map(|server| server.name.as_str()).collect();
    assert_eq!(names, ["e1", "w0", "w1"]);
    let west = &topology.clusters[topology.cluster("west").unwrap().index()];
    let order: Vec<&str> =
        west.servers.iter().map(|id| topology.servers[id.index()].name.as_str()).collect();
    assert_eq!(order, ["w1", "w0"], "as written");
    assert_eq!(topology.servers[0].cluster, topology.cluster("east").unwrap());
}

#[test]
fn defaults_are_those_of_the_types() {
    let configuration = good(BASE);
    assert_eq!(configuration.control, crate::config::ControlSettings::default());
    assert_eq!(configuration.notify, crate::config::NotifySettings::default());
    assert_eq!(configuration.api.listen, Some("127.0.0.1:8053".parse().unwrap()));
    assert_eq!(configuration.dns.listen, ["192.0.2.53:53".parse().unwrap()]);
    assert_eq!(configuration.dns.udp_size_max, 1232);
}

#[test]
fn keys_and_types() {
    refused_after_base(
        "thing = 1\n[[service]]\nname = \"www.example.com\"\nthresold = 0.8\nttl = 30\nanswers = 0\n\
         choose = \"weighed\"\nassign = \"anycast\"\nthreshold = \"110%\"\nspill = 3\n",
        "a.toml:14:1: `thing` is no setting of [[area]]; it knows `name`, `home`, `nearest`, `milliseconds`, `coordinates`, `clients`, `nameservers`\n\
         a.toml:17:1: `thresold` is no setting of [[service]]; did you mean `threshold`?\n\
         a.toml:18:7: `service.ttl` needs a unit: write \"30s\" or \"30ms\"\n\
         a.toml:19:11: `service.answers` must be a whole number from 1 to 64, not 0\n\
         a.toml:20:10: `service.choose` is \"weighed\": did you mean \"weighted\"?\n\
         a.toml:21:10: `service.assign` must be \"walrus\", \"failover\", \"nearest\", \"stable\" or \"all\", not \"anycast\"\n\
         a.toml:22:13: `service.threshold` must be a share from 0 to 1 (0.8 or \"80%\"), not the text \"110%\"\n\
         a.toml:23:9: `service.spill` must be \"spare\" or \"unassigned\", not 3\n",
    );
    refused(
        &[
            "zone = \"a..b\"\nnode = 1\ncluster = { name = \"x\" }\n[api]\ntoken = \"geheim\"\n[dns]\nlisten = \"192.0.2.53\"\n",
        ],
        "a.toml:1:8: `zone` must be a domain name such as \"www.example.com\", not \"a..b\": a label is empty\n\
         a.toml:2:8: `node` must be a table ([node]), not 1\n\
         a.toml:3:11: `cluster` is a list of tables: write [[cluster]]\n\
         a.toml:5:1: `token` is no setting of [api]; secrets never stand in the configuration: put it into a file and name the file (`token_file`)\n\
         a.toml:7:10: `dns.listen` must be a list, each an address and port (port 53 if none is written), not the text \"192.0.2.53\"\n",
    );
}

#[test]
fn keys_in_the_wrong_section() {
    refused_after_base(
        "zone = \"example.org\"\nlisten = [\"::1\"]\n",
        "a.toml:14:1: `zone` is no setting of [[area]]; it belongs to the top of the file, before every [section] or [[name_server]]\n\
         a.toml:15:1: `listen` is no setting of [[area]]; it belongs to [dns] or [group] or [api]\n",
    );
}

#[test]
fn a_reporter_that_cannot_report() {
    let text = BASE.replace("name = \"east\"", "name = \"east\"\nreporter = true");
    let warnings = lines(&parsed(&[&text]).warnings);
    assert!(warnings.contains("the Reporter of `e1` cannot reach this Controller"), "{warnings}");
    assert_eq!(parsed(&[&format!("{text}[group]\nlisten = [\"::1\"]\n")]).warnings, []);
}

#[test]
fn what_is_missing() {
    refused(
        &[""],
        "a.toml: the role `director` needs a zone: write zone = \"example.com\" at the top\n\
         a.toml: the role `director` needs addresses to listen on: write [dns] with listen = [\"192.0.2.53:53\"]\n",
    );
    refused_after_base(
        "[[cluster]]\n[[service]]\n",
        "a.toml:14:1: `cluster.name` is missing: add name = \"frankfurt\"\n\
         a.toml:14:1: `cluster.servers` is missing: add servers = [{ name = \"fra1\", addresses = [\"192.0.2.10\"] }]\n\
         a.toml:15:1: `service.name` is missing: add name = \"www.example.com\"\n",
    );
    refused(
        &[
            "zone = \"example.com\"\n[dns]\nlisten = [\"::1\"]\n[node]\nroles = [\"reporter\", \"director\"]\n",
        ],
        "a.toml: the role `reporter` needs its server: write [reporter] with server = \"fra1\"\n\
         a.toml:1:8: the zone example.com needs its name servers (nameservers = [\"ns1.example.com\"]) or a zone file ([[zone]] with name and file)\n",
    );
}

#[test]
fn names_are_unique_and_refer_to_something() {
    refused_after_base(
        "[[cluster]]\nname = \"east\"\nservers = []\n[[area]]\nname = \"asia\"\nhome = \"esat\"\n\
         [[service]]\nname = \"www.example.com\"\nclusters = [\"west\", \"west\"]\nhome = { asia = \"east\", aisa = \"west\" }\n\
         [[service]]\nname = \"WWW.example.com.\"\n",
        "a.toml:15:8: a cluster `east` stands already at a.toml:5: names are unique\n\
         a.toml:18:8: an area `asia` stands already at a.toml:11: names are unique\n\
         a.toml:19:8: there is no cluster `esat`; did you mean `east`?\n\
         a.toml:22:21: `clusters` names `west` twice: write it once\n\
         a.toml:23:17: `east` is not among the service's `clusters`: add it there, or choose another home\n\
         a.toml:23:25: there is no area `aisa`; did you mean `asia`?\n\
         a.toml:25:8: a service www.example.com stands already at a.toml:21: names are unique\n",
    );
    refused_after_base(
        "[[cluster]]\nname = \"South\"\nservers = [{ name = \"e1\", addresses = [\"192.0.2.2\", \"0.0.0.0\", \"ff02::1\", \"::ffff:192.0.2.9\", \"fe80::1\", \"192.0.2.9:80\"] }]\n",
        "a.toml:15:8: `cluster.name` must be a name of 1 to 63 of a-z, 0-9 and `-`, not beginning or ending with `-`, for example \"south\", not \"South\"\n\
         a.toml:16:21: a server `e1` stands already at a.toml:6: names are unique\n\
         a.toml:16:53: `cluster.servers.addresses` must be an address that a server can have; 0.0.0.0 is the unspecified address\n\
         a.toml:16:64: `cluster.servers.addresses` must be an address that a server can have; ff02::1 is a multicast address\n\
         a.toml:16:75: `cluster.servers.addresses` must be an address that a server can have; ::ffff:192.0.2.9 is an IPv4 address in IPv6 clothes: write \"192.0.2.9\"\n\
         a.toml:16:95: `cluster.servers.addresses` must be an address that a server can have; fe80::1 is a link-local address, which means nothing elsewhere\n\
         a.toml:16:106: `cluster.servers.addresses` must be an IPv4 or IPv6 address (without a port), not \"192.0.2.9:80\"\n",
    );
    refused_after_base(
        "[[cluster]]\nname = \"south\"\nservers = [{ name = \"e1\", addresses = [\"192.0.2.2\"] }, { name = \"s1\", addresses = [] }]\n[[cluster]]\nname = \"none\"\nservers = []\n",
        "a.toml:16:21: a server `e1` stands already at a.toml:6: names are unique\n\
         a.toml:16:83: the server `s1` has no address: write addresses = [\"192.0.2.10\"]\n\
         a.toml:19:11: the cluster `none` has no servers: write servers = [{ name = \"none1\", addresses = [\"192.0.2.10\"] }]\n",
    );
}

#[test]
fn a_service_stands_in_a_zone_and_has_servers() {
    refused_after_base(
        "[[service]]\nname = \"www.example.org\"\nclusters = []\nhysteresis = 0.9\n[[service]]\nname = \"*.example.com\"\n",
        "a.toml:15:8: www.example.org is in none of the zones (example.com): name it for example \"www.example.com\", or add its [[zone]]\n\
         a.toml:16:12: `clusters` is empty, so the service has no servers: name a cluster, or leave it out for all\n\
         a.toml:17:14: `hysteresis` (0.9) must not be above `threshold` (0.8): no server would ever be used again\n\
         a.toml:19:8: a service is one name: a wildcard belongs into the zone file\n",
    );
    refused(
        &["[node]\nroles = [\"controller\"]\n[[service]]\nname = \"www.example.org\"\n"],
        "a.toml:3:1: the service has no servers, for there is no cluster: add a [[cluster]]\n\
         a.toml:4:8: www.example.org is in no zone: write for example zone = \"example.org\" at the top\n",
    );
}

/// One slip in a cluster's name hides no other problem, and is not told twice over.
#[test]
fn a_cluster_without_a_good_name_is_read_for_its_problems() {
    refused(
        &[
            "zone = \"example.com\"\nnameservers = [\"ns.example.com\"]\n[node]\nroles = [\"controller\"]\n\
         [[cluster]]\nname = \"a b\"\nservers = [{ name = \"s1\", addresses = [\"192.0.2.1\"] },\n\
         { name = \"s1\", addresses = [\"192.0.2.1\"] }]\n[[service]]\nname = \"www.example.com\"\n",
        ],
        "a.toml:6:8: `cluster.name` must be a name of 1 to 63 of a-z, 0-9 and `-`, not beginning or ending with `-`, for example \"a-b\", not \"a b\"\n\
         a.toml:8:10: a server `s1` stands already at a.toml:7: names are unique\n\
         a.toml:8:29: 192.0.2.1 is already an address of `s1` (a.toml:7): in a cluster, an address belongs to one server\n",
    );
}

#[test]
fn several_zones() {
    let text = "[[zone]]\nname = \"b.example\"\nfile = \"b.zone\"\n[[zone]]\nname = \"a.example\"\nnameservers = [\"ns.b.example\"]\n[dns]\nlisten = [\"[::1]:5300\"]\n";
    let zones = good(text).zones;
    let apexes: Vec<String> = zones.iter().map(|zone| zone.apex.to_string()).collect();
    assert_eq!(apexes, ["b.example", "a.example"], "as written");
    assert_eq!(zones[0].file.as_deref(), Some(std::path::Path::new("b.zone")));
    refused(
        &[&format!("nameservers = [\"ns.a.example\"]\n{text}[[zone]]\nname = \"A.example\"\n")],
        "a.toml:1:1: `nameservers` at the top level belongs to `zone = \"...\"`: write it into each [[zone]]\n\
         a.toml:11:8: the zone a.example needs its name servers (nameservers = [\"ns1.a.example\"]) or a zone file ([[zone]] with name and file)\n\
         a.toml:11:8: the zone a.example stands already at a.toml:6\n",
    );
}

#[test]
fn areas_and_clusters_without_each_other_are_allowed() {
    let topology = good(&format!("{BASE}[[area]]\nname = \"afar\"\n")).topology;
    assert_eq!(topology.areas[topology.area("afar").unwrap().index()].home, None);
    let west = topology.cluster("west").unwrap();
    assert!(topology.areas.iter().all(|area| area.home != Some(west)));
}

#[test]
fn world_may_have_a_home_but_no_clients() {
    let topology = good(&format!("{BASE}[[area]]\nname = \"world\"\nhome = \"west\"\n")).topology;
    assert_eq!(topology.areas[topology.world().index()].home, topology.cluster("west"));
    refused_after_base(
        "[[area]]\nname = \"world\"\nclients = [\"12.0.0.0/8\"]\n",
        "a.toml:16:1: the area `world` holds whoever no other area holds: leave `clients` out, or name the area otherwise\n",
    );
}

#[test]
fn clients_are_prefixes_countries_continents_and_files() {
    let text = format!(
        "{BASE}[geo]\ndatabase = [\"a.mmdb\", \"b.mmdb\"]\n[[area]]\nname = \"europe\"\nclients = [\"country:de\", \"continent:EU\", \"192.0.2.7\", \"file:nets.csv#3\", \"file:nets.txt\"]\n"
    );
    let configuration = good(&text);
    assert_eq!(configuration.geo.database.len(), 2);
    let topology = configuration.topology;
    let europe = &topology.areas[topology.area("europe").unwrap().index()];
    let prefix = |text: &str, length| ClientSpec::Prefix(text.parse().unwrap(), length);
    assert_eq!(
        europe.clients,
        [
            prefix("10.1.0.0", 16),
            prefix("11.0.0.0", 8),
            prefix("192.0.2.7", 32),
            prefix("198.51.100.0", 24),
            prefix("2001:db8::", 32),
            ClientSpec::Country("DE".into()),
            ClientSpec::Continent("EU".into()),
        ]
    );
}

#[test]
fn clients_gone_wrong() {
    refused_after_base(
        "[[area]]\nname = \"africa\"\nclients = [\"10.0.0.0/8\", \"10.0.0.7/8\", \"country:UK\", \"continent:XX\", \"contry:DE\", \"EU\", \"file:no.txt\", \"file:nets.csv#5\", \"file:bad.txt\", \"country:CH\"]\n\
         [[area]]\nname = \"europe\"\nclients = [\"file:nets.csv#3\", \"country:CH\"]\n[[area]]\nname = \"alps\"\nclients = [\"11.0.0.0/8\"]\n",
        "a.toml:16:12: 10.0.0.0/8 belongs already to the area `asia` (a.toml:13): leave it in one of them\n\
         a.toml:16:26: `10.0.0.7/8` has bits set behind its 8: write \"10.0.0.0/8\"\n\
         a.toml:16:40: `UK` is no ISO 3166 country code such as country:DE (write country:GB)\n\
         a.toml:16:54: `XX` is no continent: write one of AF, AN, AS, EU, NA, OC and SA\n\
         a.toml:16:70: `contry:DE` is no entry of `clients`; did you mean `country:`?\n\
         a.toml:16:83: `EU` is no prefix: write for example \"198.51.100.0/24\" or \"2001:db8::/32\", or \"continent:EU\"\n\
         a.toml:16:89: cannot read the client file no.txt: no such file\n\
         a.toml:16:104: no row of nets.csv has the region `5`; did you mean `#3`?\n\
         a.toml:19:31: country:CH belongs already to the area `africa` (a.toml:16): leave it in one of them\n\
         a.toml:22:12: 11.0.0.0/8 belongs already to the area `europe` (nets.csv:4): leave it in one of them\n\
         bad.txt:2:1: `10.0.0.1/8` has bits set behind its 8: write \"10.0.0.0/8\"\n\
         bad.txt:3:1: `nonsense` is no prefix: write for example \"198.51.100.0/24\" or \"2001:db8::/32\"\n",
    );
}

#[test]
fn a_client_file_is_large_but_read_once_and_bounded() {
    let mut text = String::from("prefix,region\n");
    for index in 0..100_000_u32 {
        let address = std::net::Ipv4Addr::from_bits(0x1000_0000 + (index << 8));
        text.push_str(&format!("{address}/24,{}\n", index % 50));
    }
    let reads = std::cell::Cell::new(0);
    let read = |_: &str| {
        reads.set(reads.get() + 1);
        Ok(text.clone())
    };
    let mut configuration = String::from("[node]\nroles = [\"controller\"]\n");
    for region in 0..50 {
        configuration.push_str(&format!(
            "[[area]]\nname = \"a{region}\"\nclients = [\"file:n.csv#{region}\"]\n"
        ));
    }
    let files = [SourceFile { name: "a.toml".into(), text: configuration }];
    let parsed = parse(&files, &Context { hostname: "h", read: &read }).unwrap();
    assert_eq!(reads.get(), 1);
    let sizes = parsed.configuration.topology.areas.iter().map(|area| area.clients.len());
    assert_eq!(sizes.sum::<usize>(), 100_000);

    let bad = |_: &str| Ok("x1\n".repeat(1000));
    let files = [SourceFile {
        name: "a.toml".into(),
        text: "[[area]]\nname = \"a\"\nclients = [\"file:n\"]\n".into(),
    }];
    let problems = parse(&files, &Context { hostname: "h", read: &bad }).unwrap_err();
    assert!(problems.len() < 30, "{}", problems.len());
}

#[test]
fn probes() {
    let probe = |probe: &str| {
        let text = format!(
            "[node]\nroles = [\"controller\"]\n[[cluster]]\nname = \"c\"\nprobe = {{ tcp = 80 }}\nservers = [{{ name = \"s\", addresses = [\"192.0.2.1\"]{probe} }}]\n"
        );
        parse_texts(&[&text]).map(|parsed| parsed.configuration.topology.servers[0].probe.clone())
    };
    assert_eq!(probe("").unwrap().unwrap().kind, ProbeKind::Tcp { port: 80 }, "the cluster's");
    assert_eq!(probe(", probe = \"none\"").unwrap(), None);
    let own = probe(", probe = { https = \"https://{address}:8443/\", every = \"1.5s\", timeout = \"500ms\", status = \"200-299,304\", addresses = \"all\", jitter = \"20%\" }").unwrap().unwrap();
    assert!(own.all_addresses && own.jitter == 0.2 && own.interval.as_millis() == 1500);
    let ProbeKind::Http { status, verify, .. } = own.kind else { panic!("{own:?}") };
    assert_eq!((status, verify), (vec![(200, 299), (304, 304)], true));
    for (text, told) in [
        ("{}", "exactly one of `http`, `https` and `tcp`"),
        ("{ tcp = 80, http = \"http://{address}/\" }", "exactly one of `http`, `https` and `tcp`"),
        ("{ tcp = 0 }", "must be a whole number from 1 to 65535, not 0"),
        ("{ http = \"http://192.0.2.1/\" }", "must name the server by {address}"),
        ("{ http = \"https://{address}/\" }", "must be a URL that begins with http://"),
        ("{ https = \"https://a:b@{address}/\" }", "must not hold a user or password"),
        ("{ tcp = 80, status = 200 }", "`status` belongs to the probes `http` and `https`"),
        (
            "{ tcp = 80, every = \"1s\" }",
            "must be shorter than its `every` (1s): write for example timeout = \"500ms\"",
        ),
        ("{ tcp = 80, every = \"fast\" }", "must be a time such as"),
        ("{ tcp = 80, every = \"2h\" }", "must be from 100ms to 1h, not \"2h\""),
        ("{ http = \"http://{address}/\", status = \"299-200\" }", "must be status codes such as"),
        ("\"off\"", "must be \"none\" or a table (probe = { ... }), not the text \"off\""),
    ] {
        let problems = lines(&probe(&format!(", probe = {text}")).expect_err(text));
        assert!(problems.contains(told), "{text}: {problems}");
        assert_eq!(problems.lines().count(), 1, "{problems}");
    }
}

#[test]
fn the_reporter() {
    let reporter = |own: &str, server: &str| {
        let text = format!(
            "[node]\nroles = [\"reporter\"]\n[reporter]\nserver = \"s\"\n{own}\n[[cluster]]\nname = \"c\"\nservers = [{{ name = \"s\", addresses = [\"192.0.2.1\"]{server} }}]\n"
        );
        parse_texts(&[&text]).map(|parsed| parsed.configuration.reporter.unwrap())
    };
    let with = ", reporter = true";
    let settings = reporter(
        "controllers = [\"ns1.example.com\", \"192.0.2.5\", \"2001:db8::1\", \"[2001:db8::1]:1\"]",
        with,
    )
    .unwrap();
    assert_eq!(
        settings.controllers,
        ["ns1.example.com:8054", "192.0.2.5:8054", "[2001:db8::1]:8054", "[2001:db8::1]:1"]
    );
    let known = "controllers = [\"ns1.example.com\"]\n";
    for (own, server, told) in [
        ("", with, "nobody to report to"),
        (known, "", "expects no Reporter: write reporter = true"),
        ("controllers = [\"a b\"]", with, "must be a host and port"),
        ("controllers = [\"a\"]\nunit = \"500ms\"", with, "must be from 1s to 5m"),
        ("controllers = [\"a\"]\nfingerprint = \"ab\"", with, "64 hex digits"),
        (
            "controllers = [\"a\"]\nsource = {}",
            with,
            "exactly one of `apache`, `nginx`, `haproxy` and `json`",
        ),
        (
            "controllers = [\"a\"]\nsource = { haproxy = \"http://h/;csv\" }",
            with,
            "add proxy = \"web\"",
        ),
        (
            "controllers = [\"a\"]\nsource = { nginx = \"http://h/\", hits = \"a\" }",
            with,
            "belongs to a source `json`",
        ),
        (
            "controllers = [\"a\"]\nsource = { nginx = \"http://h/\", busy_max = \"a\" }",
            with,
            "must be a number",
        ),
        (
            "controllers = [\"a\"]\nsource = { json = \"http://h/\", busy_max = 3 }",
            with,
            "must be a dotted path",
        ),
    ] {
        let problems = lines(&reporter(own, server).expect_err(own));
        assert!(problems.contains(told), "{own}: {problems}");
        assert_eq!(problems.lines().count(), 1, "{problems}");
    }
}

#[test]
fn a_reporters_token_is_in_its_state_directory_unless_named() {
    let token_file = |own: &str| {
        let text = format!(
            "[node]\nroles = [\"reporter\"]\nstate = \"/srv/walrus\"\n[reporter]\nserver = \"s\"\n\
             controllers = [\"192.0.2.53\"]\n{own}"
        );
        good(&text).reporter.unwrap().token_file.unwrap().display().to_string()
    };
    assert_eq!(token_file(""), "/srv/walrus/reporter-token");
    assert_eq!(token_file("token_file = \"/etc/token\"\n"), "/etc/token");
}

#[test]
fn a_level_is_a_level() {
    for level in ["info", "WARN", "off", "info,walrus_controller=debug", "walrus_host::tls=trace"] {
        let text = format!("{BASE}[log]\nlevel = \"{level}\"\n");
        assert_eq!(good(&text).log.level, level);
    }
    for level in ["loud", "info,", "walrus_controller=loud", "info debug"] {
        let text = format!("{BASE}[log]\nlevel = \"{level}\"\n");
        let problems = lines(&parse_texts(&[&text]).expect_err(level));
        assert!(problems.starts_with("a.toml:15:9: `log.level`"), "{problems}");
    }
}

#[test]
fn what_is_told_again_is_told_once_a_minute_at_most() {
    refused_after_base(
        "[notify]\nagain = \"5s\"\n",
        "a.toml:15:9: `notify.again` must be from 1m to 7d, not \"5s\"\n",
    );
}

#[test]
fn an_https_probe_knows_whose_certificate_it_wants() {
    let with = |probe: &str| {
        BASE.replacen("[{ name = \"e1\"", &format!("[{{ probe = {{ {probe} }}, name = \"e1\""), 1)
    };
    let https = "https = \"https://{address}/\"";
    let warnings = lines(&parsed(&[&with(https)]).warnings);
    assert!(warnings.contains("the certificate must be valid for the server's address"));
    for more in ["host = \"www.example.com\"", "verify = false"] {
        assert_eq!(parsed(&[&with(&format!("{https}, {more}"))]).warnings, []);
    }
}

#[test]
fn a_director_alone_has_nobody_to_hear() {
    let text = BASE.replace("dns.listen", "node.roles = [\"director\"]\ndns.listen");
    let warnings = lines(&parsed(&[&text]).warnings);
    assert!(warnings.contains("answers from the saved Plan alone"), "{warnings}");
}

#[test]
fn syntax_errors_have_places() {
    let problems =
        lines(&parse_texts(&["zone = \"a\"\nnode = [1,\n", "ok = 1", "a = = 2"]).unwrap_err());
    assert!(problems.starts_with("a.toml:2:11: this is no TOML: "), "{problems}");
    assert!(problems.contains("\nc.toml:1:5: this is no TOML: "), "{problems}");
    assert!(
        !problems.contains("b.toml"),
        "what else is wrong is told once all are TOML: {problems}"
    );
}

#[test]
fn several_files_are_one_configuration() {
    let (first, rest) = BASE.split_at(BASE.find("[[cluster]]\nname = \"west\"").unwrap());
    let whole = good(BASE);
    assert_eq!(parsed(&[first, rest]).configuration, whole);
    assert_eq!(parsed(&[rest, first]).configuration.digest, whole.digest);
    refused(
        &[
            BASE,
            "[dns]\nworkers = 1\n[[cluster]]\nname = \"west\"\nservers = [{ name = \"x\", addresses = [\"192.0.2.77\"] }]\n",
        ],
        "b.toml:1:2: `dns` stands already at a.toml:3: write it in one place\n\
         b.toml:4:8: a cluster `west` stands already at a.toml:8: names are unique\n",
    );
}

#[test]
fn answers_beyond_a_datagram() {
    let servers: Vec<String> = (1..=100)
        .map(|index| format!("{{ name = \"s{index}\", addresses = [\"192.0.2.{index}\"] }}"))
        .collect();
    let text = |answers: &str| {
        format!(
            "zone = \"example.com\"\nnameservers = [\"ns1.example.com\"]\ndns.listen = [\"::1\"]\n[[cluster]]\nname = \"c\"\nservers = [{}]\n[[service]]\nname = \"www.example.com\"\nanswers = {answers}\n",
            servers.join(",")
        )
    };
    assert_eq!(parsed(&[&text("64")]).warnings, []);
    let warnings = lines(&parsed(&[&text("\"all\"")]).warnings);
    assert!(
        warnings.starts_with("a.toml:9:11: an answer of 100 addresses may take 1668 bytes"),
        "{warnings}"
    );
}

#[test]
fn digests_name_what_matters() {
    let base = format!(
        "{BASE}[[service]]\nname = \"www.example.com\"\n[[service]]\nname = \"a.example.com\"\nclusters = [\"east\"]\n"
    );
    let first = good(&base);
    let service = |configuration: &Configuration, name: &str| {
        let id = configuration.topology.service(&name.parse().unwrap()).unwrap();
        configuration.topology.services[id.index()].digest.clone()
    };
    let changed = |from: &str, to: &str| {
        assert!(base.contains(from), "{from}");
        let other = good(&base.replace(from, to));
        (
            other.digest != first.digest,
            service(&other, "www.example.com") != service(&first, "www.example.com"),
            service(&other, "a.example.com") != service(&first, "a.example.com"),
        )
    };
    // Comments, spellings and this node's own part change nothing.
    assert_eq!(changed("[[area]]", "# here\n[[area]]"), (false, false, false));
    assert_eq!(changed("\"example.com\"", "\"EXAMPLE.com.\""), (false, false, false));
    assert_eq!(changed("192.0.2.53", "192.0.2.54"), (false, false, false));
    // What answers need changes those services that use it, and the whole.
    assert_eq!(changed("192.0.2.2", "192.0.2.22"), (true, true, false));
    assert_eq!(changed("192.0.2.1\"", "192.0.2.11\""), (true, true, true));
    assert_eq!(
        changed("clusters = [\"east\"]", "ttl = \"10s\"\nclusters = [\"east\"]"),
        (true, false, true)
    );
    assert_eq!(changed("home = \"east\"\n", ""), (true, true, true));
    // What they do not need changes the whole alone.
    assert_eq!(changed("10.0.0.0/8", "11.0.0.0/8"), (true, false, false));
    assert_eq!(changed("[[area]]", "[control]\nround = \"5s\"\n[[area]]"), (true, false, false));
    // The order of servers in a cluster has a meaning; the order of clusters in the file has none.
    let (head, tail) = BASE.split_at(BASE.find("[[cluster]]").unwrap());
    let (east, rest) = tail.split_at(tail.find("[[cluster]]\nname = \"west\"").unwrap());
    let (west, area) = rest.split_at(rest.find("[[area]]").unwrap());
    assert_eq!(good(&format!("{head}{west}{east}{area}")).digest, good(BASE).digest);
}

#[test]
fn every_setting_in_the_tables_is_read() {
    let switched_on = |line: &str| match line.strip_prefix('#') {
        Some(setting) if !setting.is_empty() && !setting.starts_with(' ') => format!("{setting}\n"),
        _ => format!("{line}\n"),
    };
    let text = commented_example().lines().map(switched_on).collect();
    let files = [
        SourceFile { name: "a".into(), text },
        // What stands apart from the example's own choices.
        SourceFile {
            name: "b".into(),
            text: "[[cluster]]\nname = \"apart\"\nprobe = { tcp = 80 }\nservers = []\n".into(),
        },
    ];
    let findings = Findings::new(&files);
    let root = root(&files, &findings).unwrap();
    build(&root, &Context { hostname: "h", read: &read }, &findings);
    assert_eq!(root.unread(), Vec::<String>::new());
}

#[test]
fn problems_are_bounded_and_escaped() {
    let text = "\"\\u0007\" = 1\n".to_owned()
        + &(0..1000).map(|index| format!("x{index} = 1\n")).collect::<String>();
    let problems = parse_texts(&[&text]).unwrap_err();
    assert_eq!(problems.len(), 201);
    assert!(lines(&problems).lines().all(|line| !line.contains('\u{7}')));
    let services: String = (0..5000)
        .map(|index| format!("[[service]]\nname = \"s{index}.example.com\"\nclusters = [\"no\"]\n"))
        .collect();
    let problems = parse_texts(&[&format!("{BASE}{services}")]).unwrap_err();
    assert_eq!(problems.len(), 201);
    assert!(problems[200].message.starts_with("and 4800 more"), "{}", problems[200]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn arbitrary_text_never_panics(text in "\\PC{0,200}|[\\[\\]{}=\"'#a-z0-9.,\\n \\\\-]{0,200}") {
        let _ = parse_texts(&[&text]);
    }

    #[test]
    fn mangled_configurations_never_panic(at in 0_usize..4000, len in 0_usize..40, with in "\\PC{0,12}") {
        let mut text = format!("{SMALLEST}{}", commented_example().replace("\n#", "\n"));
        let start = text.floor_char_boundary(at.min(text.len()));
        let end = text.floor_char_boundary((start + len).min(text.len())).max(start);
        text.replace_range(start..end, &with);
        let _ = parse_texts(&[&text]);
        let _ = parse_texts(&[&text[..start]]);
    }
}

#[test]
fn an_address_may_stand_in_several_clusters_but_not_in_one_service() {
    let text = format!(
        "{BASE}[[cluster]]\nname = \"even\"\nservers = [{{ name = \"x1\", addresses = [\"192.0.2.1\"] }}]\n\
         [[service]]\nname = \"a.example.com\"\nclusters = [\"east\", \"west\"]\n\
         [[service]]\nname = \"b.example.com\"\nclusters = [\"even\", \"west\"]\nhome = {{ asia = \"even\" }}\n"
    );
    let Parsed { configuration, warnings } = parsed(&[&text]);
    assert_eq!(
        lines(&warnings),
        "a.toml:16:40: 192.0.2.1 is also an address of `e1` (a.toml:6), in another cluster: it is probed \
         once for both, but Reporters, drains and weights are each server's own\n"
    );
    let servers = &configuration.topology.servers;
    let same = servers.iter().filter(|server| server.addresses == servers[0].addresses);
    assert_eq!(same.map(|server| server.name.as_str()).collect::<Vec<_>>(), ["e1", "x1"]);
    refused(
        &[&format!(
            "{text}[[service]]\nname = \"c.example.com\"\n\
             [[service]]\nname = \"d.example.com\"\nclusters = [\"west\", \"even\", \"east\"]\n"
        )],
        "a.toml:24:1: the service would have 192.0.2.1 twice, by `e1` and by `x1`: leave the cluster of one of them out of its `clusters`\n\
         a.toml:28:12: the service would have 192.0.2.1 twice, by `e1` and by `x1`: leave the cluster of one of them out of its `clusters`\n",
    );
}

//! Resolvers that know nothing but the root's name server and key, as everybody's: Knot's root refers
//! to a parent zone of Walrus, that one to a zone of another Walrus with services, and that one to
//! Knot's children. Name servers are on port 53 of a network that this test has to itself, on addresses that
//! are none of loopback: Knot Resolver asks none there.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::every_answer::{KINDS, follows_delegations, says_the_same_as_secure, within};
use super::family::{
    CHILD, CLUSTERS, ONE_KEY, PARENT, STATIC_PART, Signing, TWO_KEYS, ZONE, configuration, outside,
};
use super::knot::Knot;
use super::resolvers::{Finds, Resolver};
use super::validators::{Delv, anchors, ask};
use crate::programs::{find, say, wait_for};
use crate::together;
use crate::walrus::{Node, Walrus};

/// For how long answers may be cached here: longer than the test takes.
const TTL: u32 = 300;

/// Set in the process that has a network of its own.
const INSIDE: &str = "WALRUS_TEST_OWN_NETWORK";

/// The parent's only service.
const PARENT_SERVICE: &str = "www.test";

#[test]
fn resolvers_that_know_the_root_alone_find_all_secure() {
    let what = "resolvers that follow referrals";
    if std::env::var_os(INSIDE).is_some() {
        let programs = ["delv", "unbound", "named", "knotd", "ip"];
        let Some([delv, unbound, named, knotd, ip]) = find(what, programs) else { return };
        for line in ["link set lo up", "addr add 10.53.0.1/24 dev lo"] {
            let done = Command::new(&ip).args(line.split(' ')).status().unwrap();
            assert!(done.success(), "{line}: {done}");
        }
        let more = more_resolvers();
        for (signing, one_more) in [(ONE_KEY, "kresd"), (TWO_KEYS, "pdns_recursor")] {
            all_is_found(
                &Programs { delv: &delv, unbound: &unbound, named: &named, knotd: &knotd },
                more.iter().find(|(name, _)| *name == one_more),
                signing,
            );
        }
        return;
    }
    let _together = together();
    let Some([unshare, ..]) = find(what, ["unshare", "delv", "unbound", "named", "knotd", "ip"])
    else {
        return;
    };
    // Says what is missing.
    more_resolvers();
    in_own_network(&unshare, what);
}

/// Those of Knot Resolver and PowerDNS Recursor that are installed.
fn more_resolvers() -> Vec<(&'static str, PathBuf)> {
    let names = ["kresd", "pdns_recursor"].into_iter();
    let found = names.filter_map(|name| {
        let [path] = find(&format!("referrals with {name}"), [name])?;
        Some((name, path))
    });
    found.collect()
}

/// Runs this test again where there is nothing but a loopback of its own.
fn in_own_network(unshare: &Path, what: &str) {
    const TEST: &str = "signed::referrals::resolvers_that_know_the_root_alone_find_all_secure";
    let again = |rights: &[&str]| {
        let output = Command::new(unshare)
            .args(rights)
            .args(["--net", "--kill-child", "--fork", "--"])
            .arg(std::env::current_exe().unwrap())
            .args(["--exact", TEST, "--nocapture"])
            .env(INSIDE, "1")
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let text = [&output.stdout, &output.stderr].map(|it| String::from_utf8_lossy(it));
        (output.status.success(), text.concat())
    };
    let is_forbidden = |said: &str| said.contains("unshare failed");
    let mut ended = again(&[]);
    if is_forbidden(&ended.1) {
        ended = again(&["--user", "--map-root-user"]);
    }
    let (is_good, said) = ended;
    if is_forbidden(&said) {
        say(&format!("\nSKIPPED: {what}: a network of one's own is not allowed here"));
        return;
    }
    assert!(is_good, "{said}");
    said.lines().filter(|line| line.contains("secure")).for_each(|line| say(&format!("\n{line}")));
}

struct Programs<'a> {
    delv: &'a Path,
    unbound: &'a Path,
    named: &'a Path,
    knotd: &'a Path,
}

/// Name servers from the root down to the children.
struct Tree {
    root: Knot,
    parent: Walrus,
    walrus: Walrus,
    _children: Knot,
}

const ROOT: Ipv4Addr = Ipv4Addr::new(10, 53, 0, 11);
const OF_PARENT: Ipv4Addr = Ipv4Addr::new(10, 53, 0, 12);
const OF_ZONE: Ipv4Addr = Ipv4Addr::new(10, 53, 0, 13);
const OF_CHILDREN: Ipv4Addr = Ipv4Addr::new(10, 53, 0, 14);

fn at(ip: Ipv4Addr) -> SocketAddr {
    SocketAddr::new(IpAddr::V4(ip), 53)
}

/// By Unbound and BIND, and by one resolver more, to which each answer is secure, too.
fn all_is_found(
    programs: &Programs<'_>,
    one_more: Option<&(&'static str, PathBuf)>,
    signing: Signing,
) {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let tree = Tree::start(programs.knotd, folder, signing);
    let anchor = anchors(tree.root.address, ".");
    let file = folder.join("anchor");
    std::fs::write(&file, &anchor).unwrap();
    let root = IpAddr::V4(ROOT);
    let start = |of: &str, program: &Path, name: &str| {
        let (folder, server) = (folder.join(name), tree.root.address);
        match of {
            "unbound" => Resolver::unbound(program, &folder, (".", server), Finds::FromRoot(root)),
            "named" => Resolver::named(program, &folder, &anchor, root),
            "kresd" => Resolver::kresd(program, &folder, server),
            _ => Resolver::recursor(program, &folder, &tree.root.wanted_ds("."), root),
        }
    };
    let always = [("unbound", programs.unbound), ("named", programs.named)];
    let all = always.into_iter().chain(one_more.map(|(of, program)| (*of, &**program)));
    for (of, program) in all {
        let resolver = start(of, program, of);
        let other = start(of, program, &format!("{of}-for-children"));
        let asked = says_the_same_as_secure(&resolver, tree.walrus.dns);
        follows_delegations(&other, tree.walrus.dns);
        for (name, rcode) in [(PARENT_SERVICE, "NOERROR"), ("none.test", "NXDOMAIN")] {
            let reply = other.ask_until_found(name, "A");
            let is_right = reply.secure && reply.rcode == rcode;
            assert!(is_right, "{name}: {reply:?}\n{}", other.said());
        }
        // From the root itself, through the resolver: it brings what another needs to see for itself.
        let delv = Delv { program: programs.delv, zone: ".", anchor: &file };
        let judged = if of == "unbound" || of == "named" { KINDS } else { &[] };
        for (name, record_type, has_data) in judged {
            let judgement = delv.judge(resolver.address, &within(name), record_type);
            let is_valid = match has_data {
                true => judgement.is_valid_answer(),
                false => judgement.is_valid_denial(),
            };
            assert!(is_valid, "{of}: {name} {record_type}: {}", judgement.said);
        }
        for said in [resolver.said(), other.said()] {
            assert!(!said.contains("validation failure"), "{said}");
        }
        say(&format!(
            "{signing:?}: {asked} answers are secure to {of}, which knows the root alone"
        ));
    }
    let asked = tree.parent.metric("walrus_dns_udp_queries_total");
    assert!(asked > 4, "the parent was asked {asked} times");
}

impl Tree {
    /// From the children up to the root, for each shows the DS records of those below.
    fn start(knotd: &Path, folder: &Path, signing: Signing) -> Self {
        let zones = [
            ("elsewhere.test", &*outside(&["203.0.113.7"]), false),
            ("secure.signed.test", CHILD, true),
            ("open.signed.test", CHILD, false),
        ];
        let children = Knot::start_at(at(OF_CHILDREN), knotd, &folder.join("children"), &zones);
        let mut text = STATIC_PART
            .replace("TTL TTL", &format!("TTL {TTL}"))
            .replace("1209600 TTL", &format!("1209600 {TTL}"))
            .replace("ns1 A 127.0.0.1", &format!("ns1 A {OF_ZONE}"))
            .replace("ns.secure A 127.0.0.1", &format!("ns.secure A {OF_CHILDREN}"))
            .replace("ns.open A 127.0.0.1", &format!("ns.open A {OF_CHILDREN}"));
        for ds in children.wanted_ds("secure.signed.test") {
            text.push_str(&format!("secure DS {ds}\n"));
        }
        let settings = configuration(signing, children.address, CLUSTERS, TTL);
        let walrus = start_walrus(folder, (ZONE, OF_ZONE), &text, &settings);
        wait_for("the alias' target", || {
            let shown = ask(walrus.dns, "cdn.signed.test", "A").data("A");
            (!shown.is_empty()).then_some(())
        });
        let text = format!(
            "$TTL {TTL}\n@ SOA ns hostmaster 1 7200 3600 1209600 {TTL}\n@ NS ns\nns A {OF_PARENT}\n\
             signed NS ns1.signed\nns1.signed A {OF_ZONE}\n{}\
             elsewhere NS ns.elsewhere\nns.elsewhere A {OF_CHILDREN}\n",
            ds(&walrus, "signed")
        );
        let Signing { algorithm, keys, denial } = signing;
        let settings = format!(
            "{CLUSTERS}[[service]]\nname = \"{PARENT_SERVICE}\"\n\
             [[zone]]\nname = \"{PARENT}\"\nfile = \"{PARENT}.zone\"\n\
             [dnssec]\nsign = true\nalgorithm = \"{algorithm}\"\nkeys = \"{keys}\"\n\
             denial = \"{denial}\"\n"
        );
        let parent = start_walrus(folder, (PARENT, OF_PARENT), &text, &settings);
        let text = format!("test NS ns.test\nns.test A {OF_PARENT}\n{}", ds(&parent, "test"));
        let root = Knot::start_at(at(ROOT), knotd, &folder.join("root"), &[(".", &text, true)]);
        Self { root, parent, walrus, _children: children }
    }
}

fn start_walrus(folder: &Path, (zone, ip): (&str, Ipv4Addr), text: &str, settings: &str) -> Walrus {
    let place = folder.join(zone);
    std::fs::create_dir_all(&place).unwrap();
    std::fs::write(place.join(format!("{zone}.zone")), text).unwrap();
    let node = Node { dns: Some(at(ip)), ..Node::default() };
    Walrus::start_node(&node, &place, settings)
}

/// Lines for the parent's zone file.
fn ds(walrus: &Walrus, owner: &str) -> String {
    let (_, said) = walrus.call(&["keys", "ds", "--all"]);
    let ds = said.lines().filter_map(|line| Some(line.split_once(" IN DS ")?.1));
    ds.map(|ds| format!("{owner} DS {ds}\n")).collect()
}

//! A parent, a signed zone with services, and its children: Knot, Walrus, Knot.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::PathBuf;

use super::knot::Knot;
use super::resolvers::{Finds, Resolver};
use super::validators::{Delv, anchors, ask};
use crate::programs::{find, wait_for};
use crate::walrus::Walrus;

/// The parent's zone.
pub(super) const PARENT: &str = "test";
/// Ours.
pub(super) const ZONE: &str = "signed.test";

/// What Walrus signs with.
#[derive(Clone, Copy, Debug)]
pub(super) struct Signing {
    pub(super) algorithm: &'static str,
    pub(super) keys: &'static str,
    pub(super) denial: &'static str,
}

/// Between them all that can be set.
pub(super) const ONE_KEY: Signing =
    Signing { algorithm: "ecdsap256sha256", keys: "csk", denial: "nsec" };
pub(super) const TWO_KEYS: Signing =
    Signing { algorithm: "ed25519", keys: "ksk+zsk", denial: "nsec3" };

/// Two areas by the client's own address, and every kind of service.
pub(super) const AREAS_AND_SERVICES: &str = r#"
[[area]]
name = "america"
home = "america"
clients = ["127.0.0.1/32"]
[[area]]
name = "europe"
home = "europe"
clients = ["127.0.0.2/32"]
[[service]]
name = "www.signed.test"
ttl = "TTLs"
https = { alpn = ["h2"], port = 8443, hints = true }
[[service]]
name = "signed.test"
ttl = "TTLs"
mx = { preference = 10 }
https = { alpn = ["h2", "h3"] }
[[service]]
name = "_sip._tcp.signed.test"
ttl = "TTLs"
types = []
srv = { port = 5060 }
[[service]]
name = "all.signed.test"
ttl = "TTLs"
answers = "all"
[[service]]
name = "cdn.signed.test"
ttl = "TTLs"
alias = "target.elsewhere.test"
types = ["A", "AAAA"]
https = { alpn = ["h2"] }
[[service]]
name = "_dns.signed.test"
ttl = "TTLs"
types = []
svcb = { alpn = ["dot"], port = 853, hints = true }
"#;

/// The promised types of the services above.
pub(super) const PROMISED: &[(&str, &[&str])] = &[
    ("www.signed.test", &["A", "AAAA", "HTTPS"]),
    ("signed.test", &["A", "AAAA", "MX", "HTTPS"]),
    ("_sip._tcp.signed.test", &["SRV"]),
    ("all.signed.test", &["A", "AAAA"]),
    ("cdn.signed.test", &["A", "AAAA", "HTTPS"]),
    ("_dns.signed.test", &["SVCB"]),
];

/// Servers without probes.
pub(super) const CLUSTERS: &str = r#"
[[cluster]]
name = "america"
servers = [
  { name = "a1", addresses = ["192.0.2.1", "2001:db8::1"] },
  { name = "a2", addresses = ["192.0.2.2", "2001:db8::2"], weight = 3 },
  { name = "a3", addresses = ["192.0.2.3", "2001:db8::3"] },
]
[[cluster]]
name = "europe"
servers = [
  { name = "e1", addresses = ["192.0.2.11", "2001:db8::11"] },
  { name = "e2", addresses = ["192.0.2.12"] },
]
"#;

pub(super) const STATIC_PART: &str = r#"
$TTL TTL
@ SOA ns1 hostmaster 1 7200 3600 1209600 TTL
@ NS ns1
@ TXT "v=spf1 -all"
@ CAA 0 issue "ca.example.net"
ns1 A 127.0.0.1
static A 192.0.2.80
static AAAA 2001:db8::80
www TXT "beside a service"
alias CNAME static
alias-of-alias CNAME alias
to-service CNAME www
to-wild CNAME some.wild
to-nothing CNAME nothing
to-ent CNAME b.ent
outside CNAME www.elsewhere.test.
a.b.ent TXT "deep"
*.wild TXT "any"
host.wild A 192.0.2.81
a.hidden.wild A 192.0.2.82
*.aliased CNAME www
secure NS ns.secure
ns.secure A 127.0.0.1
open NS ns.open
ns.open A 127.0.0.1
"#;

/// Records of the children, which Knot serves.
pub(super) const CHILD: &str = "www A 192.0.2.90\n*.wild TXT \"any\"\n";

/// Where the alias' target is.
const OUTSIDE: &str = "elsewhere.test";
/// At first.
const ADDRESSES: [&str; 2] = ["203.0.113.7", "203.0.113.8"];

/// Records of the zone with the alias' target.
pub(super) fn outside(ipv4: &[&str]) -> String {
    let ipv4 = ipv4.iter().map(|ip| format!("target A {ip}\n"));
    format!("{CHILD}{}target AAAA 2001:db8::7\n", ipv4.collect::<String>())
}

/// All of them, running.
pub(super) struct Family {
    pub(super) walrus: Walrus,
    pub(super) knot: Knot,
    pub(super) folder: PathBuf,
    /// More lines of its configuration's `[dnssec]`, from the next start on.
    pub(super) dnssec: String,
    pub(super) signing: Signing,
    clusters: String,
    ttl: u32,
    delv: PathBuf,
    unbound: PathBuf,
    anchor: PathBuf,
    _parent: tempfile::TempDir,
}

impl Family {
    /// `None` if a program is not installed. `ttl` is that of everything.
    pub(super) fn start(what: &str, signing: Signing, clusters: &str, ttl: u32) -> Option<Self> {
        let [delv, unbound, knotd] = find(what, ["delv", "unbound", "knotd"])?;
        let parent = tempfile::tempdir().unwrap();
        let folder = parent.path().to_owned();
        let zones = [
            (
                PARENT,
                "signed NS ns.signed\nns.signed A 127.0.0.1\nelsewhere NS ns.elsewhere\n",
                true,
            ),
            (OUTSIDE, &outside(&ADDRESSES), false),
            ("secure.signed.test", CHILD, true),
            ("open.signed.test", CHILD, false),
        ];
        let knot = Knot::start(&knotd, &folder.join("knot"), &zones);
        let mut text = STATIC_PART.replace("TTL TTL", &format!("TTL {ttl}"));
        text = text.replace("1209600 TTL", &format!("1209600 {ttl}"));
        for ds in knot.wanted_ds("secure.signed.test") {
            text.push_str(&format!("secure DS {ds}\n"));
        }
        std::fs::write(folder.join("signed.test.zone"), text).unwrap();
        let configuration = configuration(signing, knot.address, clusters, ttl);
        let walrus = Walrus::start(&folder, &configuration);
        let anchor = folder.join("anchor");
        std::fs::write(&anchor, anchors(walrus.dns, ZONE)).unwrap();
        let mut family = Self {
            walrus,
            knot,
            folder,
            dnssec: String::new(),
            signing,
            clusters: clusters.to_owned(),
            ttl,
            delv,
            unbound,
            anchor,
            _parent: parent,
        };
        let (_, said) = family.walrus.call(&["keys", "ds", "--all"]);
        let ds = said.lines().filter_map(|line| Some(line.split_once(" IN DS ")?.1.to_uppercase()));
        family.give_parent(&ds.collect());
        family.wait_for_target(&ADDRESSES);
        Some(family)
    }

    /// The alias' target has these addresses from now on; returns when Walrus names them.
    pub(super) fn move_target(&mut self, ipv4: &[&str]) {
        self.show_target(ipv4);
        self.wait_for_target(ipv4);
    }

    /// The same, whatever Walrus makes of it.
    pub(super) fn show_target(&mut self, ipv4: &[&str]) {
        let shown = ipv4.iter().map(|ip| (*ip).to_owned()).collect();
        self.knot.change(OUTSIDE, &outside(ipv4), ("target.elsewhere.test", "A"), &shown);
    }

    fn wait_for_target(&self, ipv4: &[&str]) {
        let wanted: BTreeSet<String> = ipv4.iter().map(|ip| (*ip).to_owned()).collect();
        wait_for("the alias' target", || {
            let shown = ask(self.walrus.dns, "cdn.signed.test", "A").data("A");
            (shown == wanted).then_some(())
        });
    }

    /// The parent shows these DS records from now on.
    pub(super) fn give_parent(&mut self, ds: &BTreeSet<String>) {
        let mut records = "signed NS ns.signed\nns.signed A 127.0.0.1\nelsewhere NS ns.elsewhere\n\
                           ns.elsewhere A 127.0.0.1\n"
            .to_owned();
        ds.iter().for_each(|ds| records.push_str(&format!("signed DS {ds}\n")));
        self.knot.change(PARENT, &records, (ZONE, "DS"), ds);
    }

    /// Signed in another way from now on, without a pause.
    pub(super) fn sign_by(&mut self, signing: Signing) {
        self.signing = signing;
        self.walrus.reload(&self.configuration());
    }

    /// Walrus, stopped and started again with what it kept and the settings that are here now.
    pub(super) fn restart(&mut self) {
        self.stop();
        self.walrus = Walrus::start(&self.folder, &self.configuration());
    }

    /// Walrus is stopped, and what it said forgotten.
    pub(super) fn stop(&mut self) {
        self.walrus.stop();
        let _ = std::fs::remove_file(self.folder.join("walrus.log"));
    }

    fn configuration(&self) -> String {
        let text = configuration(self.signing, self.knot.address, &self.clusters, self.ttl);
        format!("{text}{}", self.dnssec)
    }

    /// `delv` with our zone's keys as its anchor.
    pub(super) fn delv(&self) -> Delv<'_> {
        Delv { program: &self.delv, zone: ZONE, anchor: &self.anchor }
    }

    /// A resolver that trusts the parent's keys, and knows nothing yet.
    pub(super) fn unbound(&self, name: &str) -> Resolver {
        let (walrus, knot) = (self.walrus.dns, self.knot.address);
        let stubs = [
            (PARENT, knot),
            (OUTSIDE, knot),
            (ZONE, walrus),
            ("secure.signed.test", knot),
            ("open.signed.test", knot),
        ];
        let folder = self.folder.join(name);
        Resolver::unbound(&self.unbound, &folder, (PARENT, knot), Finds::Told(&stubs))
    }
}

/// The configuration but for the addresses that [`Walrus::start`] adds; `[dnssec]` is its end.
pub(super) fn configuration(
    signing: Signing,
    parent: SocketAddr,
    clusters: &str,
    ttl: u32,
) -> String {
    let Signing { algorithm, keys, denial } = signing;
    let services = AREAS_AND_SERVICES.replace("TTLs", &format!("{ttl}s"));
    format!(
        "{clusters}{services}[[zone]]\nname = \"{ZONE}\"\nfile = \"{ZONE}.zone\"\n\
         [control]\nround = \"1s\"\nserver_ramp = \"0s\"\nresolvers = [\"{parent}\"]\n\
         [dnssec]\nsign = true\nalgorithm = \"{algorithm}\"\nkeys = \"{keys}\"\n\
         denial = \"{denial}\"\ndnskey_ttl = \"1s\"\nroll_margin = \"1s\"\nparent = [\"{parent}\"]\n"
    )
}

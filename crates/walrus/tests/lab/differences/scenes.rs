//! Zones that all servers serve at once, and the names in them.

use std::path::Path;

use super::super::static_zone::{FILE, NAMES, ZONE, generated, kept};
use crate::programs::find;

/// Zones that stand side by side on one server.
pub(super) struct Scene {
    pub(super) name: &'static str,
    /// Names and files.
    pub(super) zones: Vec<(String, String)>,
    /// The names alone, without a dot at the end.
    pub(super) apexes: Vec<String>,
    /// Names to ask about, in wire format.
    pub(super) names: Vec<Vec<u8>>,
}

/// What a zone's signer is told.
#[derive(Clone, Copy)]
enum Chain {
    Nsec,
    Nsec3,
    /// With salt and further rounds; delegations without DS are in no chain.
    OptOut,
}

/// A zone and its children, which the same servers have too.
const PARENT: &str = "\
$ORIGIN nest.example.
$TTL 300
@ SOA ns host 1 2 3 4 60
@ NS ns
ns A 192.0.2.1
child NS ns.child
ns.child A 192.0.2.2
deep.ent NS ns
unsigned NS ns.unsigned
ns.unsigned AAAA 2001:db8::2
elsewhere NS ns.elsewhere
elsewhere NS ns.child
ns.elsewhere A 192.0.2.3
to-child CNAME www.child
to-deep CNAME a.b.deep.ent
to-elsewhere CNAME www.elsewhere
*.w CNAME www.child
a.w TXT beside
old DNAME child
old TXT beside
older DNAME old
far DNAME far.example.net.
long DNAME aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.long2
long2 DNAME aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.aaaaaa.long3
to-old CNAME www.old
*.stars DNAME child
";
const CHILDREN: [(&str, &str); 3] = [
    (
        "child.nest.example",
        "www A 192.0.2.4\ndown DNAME old.nest.example.\nback CNAME to-deep.nest.example.\n*.x TXT wild\n",
    ),
    ("deep.ent.nest.example", "a.b A 192.0.2.5\n* MX 5 a.b\nup CNAME www.child.nest.example.\n"),
    ("unsigned.nest.example", "www A 192.0.2.6\n"),
];

const ROOT: &str = "\
$TTL 86400
. SOA a.root-servers.test. nstld.test. 1 1800 900 604800 86400
. NS a.root-servers.test.
. TXT \"the root\"
a.root-servers.test. A 192.0.2.1
com. NS a.gtld.com.
a.gtld.com. A 192.0.2.2
se. NS a.gtld.com.
here. NS ns.here.
ns.here. A 192.0.2.3
x.y.arpa. PTR a.root-servers.test.
*.wild. A 192.0.2.4
alias. CNAME www.here.
up. CNAME .
";
const HERE: &str = "\
$ORIGIN here.
$TTL 300
@ SOA ns host 1 2 3 4 60
@ NS ns
ns A 192.0.2.3
www A 192.0.2.5
out CNAME x.y.arpa.
";

/// `None` if there is nothing to sign zones with.
pub(super) fn all() -> Option<Vec<Scene>> {
    let found = find("signed zones compared", ["dnssec-keygen", "dnssec-signzone"]);
    let [keygen, signzone] = found?;
    let folder = tempfile::tempdir().unwrap();
    let sign = |zone: &str, text: &str, chain| {
        sign(folder.path(), [&keygen, &signzone], zone, text, chain)
    };
    let renamed = |zone: &str| FILE.replace(ZONE, zone);

    let mut plain = vec![(ZONE.to_owned(), FILE.to_owned())];
    plain.extend((1..=12).map(generated::zone));
    plain.push(("nest.example".to_owned(), PARENT.to_owned()));
    plain.extend(CHILDREN.map(|(zone, text)| (zone.to_owned(), child(zone, text))));

    let mut signed = Vec::new();
    for (zone, chain) in [
        ("nsec.example", Chain::Nsec),
        ("nsec3.example", Chain::Nsec3),
        ("optout.example", Chain::OptOut),
    ] {
        signed.push(sign(zone, &renamed(zone), chain));
    }
    for seed in 1..=9 {
        let (zone, text) = generated::zone(seed);
        let chain = [Chain::Nsec, Chain::Nsec3, Chain::OptOut][seed as usize % 3];
        signed.push(sign(&zone, &text, chain));
    }
    // Children first: their DS sets go into the parent.
    for (zone, text) in &CHILDREN[..2] {
        signed.push(sign(zone, &child(zone, text), Chain::Nsec));
    }
    signed.push((CHILDREN[2].0.to_owned(), child(CHILDREN[2].0, CHILDREN[2].1)));
    signed.push(sign("nest.example", PARENT, Chain::Nsec3));

    let here = sign("here", HERE, Chain::Nsec3);
    let root = vec![sign(".", ROOT, Chain::Nsec), here];
    let bare_root = vec![(".".to_owned(), ROOT.to_owned()), ("here".to_owned(), HERE.to_owned())];
    let scene = |name, zones: Vec<(String, String)>| {
        let apexes = zones.iter().map(|(zone, _)| zone.trim_end_matches('.').to_owned());
        Scene { name, apexes: apexes.collect(), names: names(&zones), zones }
    };
    Some(vec![
        scene("unsigned zones", plain),
        scene("signed zones", signed),
        scene("a signed root", root),
        scene("an unsigned root", bare_root),
    ])
}

fn child(zone: &str, text: &str) -> String {
    format!("$ORIGIN {zone}.\n$TTL 300\n@ SOA ns host 1 2 3 4 60\n@ NS ns\nns A 192.0.2.2\n{text}")
}

fn sign(
    folder: &Path,
    [keygen, signzone]: [&Path; 2],
    zone: &str,
    text: &str,
    chain: Chain,
) -> (String, String) {
    let key = kept::run(folder, keygen, &["-q", "-a", "13", "-f", "KSK"], &[zone]);
    let public = std::fs::read_to_string(folder.join(format!("{key}.key"))).unwrap();
    std::fs::write(folder.join("plain"), format!("{text}{public}\n")).unwrap();
    let chain: &[&str] = match chain {
        Chain::Nsec => &[],
        Chain::Nsec3 => &["-3", "-"],
        Chain::OptOut => &["-3", "aabbccdd", "-H", "5", "-A"],
    };
    let arguments = [&["-q", "-z", "-g"], chain].concat();
    kept::run(folder, signzone, &arguments, &["-o", zone, "-f", "signed", "plain", &key]);
    (zone.to_owned(), std::fs::read_to_string(folder.join("signed")).unwrap())
}

/// Owners of the zones' records, names that the tests of static zones ask about, and some of others.
fn names(zones: &[(String, String)]) -> Vec<Vec<u8>> {
    let mut names: Vec<String> =
        [".", "example.", "com.", "other.example.", "xstatic.example.", "test."]
            .map(str::to_owned)
            .into();
    for (zone, text) in zones {
        let apex = zone.trim_end_matches('.');
        let below = |name: &str| match (name, apex) {
            ("@", _) => format!("{apex}."),
            (_, "") => format!("{name}."),
            _ => format!("{name}.{apex}."),
        };
        names.push(format!("{apex}."));
        for line in text.lines().filter(|line| !line.starts_with([' ', '\t', ';', '$', ')', '"'])) {
            let Some(owner) = line.split_whitespace().next() else { continue };
            let owner = if owner.ends_with('.') { owner.to_owned() } else { below(owner) };
            names.push(owner.to_ascii_lowercase());
        }
        if text.contains("alias-of-alias") {
            names.extend(NAMES.iter().map(|name| below(name)));
        }
        if zone.starts_with('z') {
            names.extend(generated::names(zone));
        }
    }
    names.sort();
    names.dedup();
    names.iter().map(|name| wire(name)).collect()
}

fn wire(name: &str) -> Vec<u8> {
    let name: domain::base::Name<Vec<u8>> = domain::base::Name::vec_from_str(name).unwrap();
    name.as_slice().to_vec()
}

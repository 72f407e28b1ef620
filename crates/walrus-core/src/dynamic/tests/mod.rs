//! Updates against small zones: every code of RFC 2136, and a naive model of section 3.4.

mod against_a_model;
mod codes;
mod journal;
mod rules;

use walrus_dns::DomainName;

use super::{
    PendingSets, UpdateGround, UpdateMessage, UpdateRecord, UpdateRefused, UpdateRule, UpdateRules,
    decide_next,
};
use crate::zone::{Zone, ZoneDifference, read_zone};

const ZONE: &str = r#"
@ 3600 SOA ns1 host.master 41 7200 3600 1209600 300
@ 3600 NS ns1
@ 3600 NS ns2.example.net.
ns1 60 A 192.0.2.1
a 60 A 192.0.2.2
a 60 A 192.0.2.3
a 60 TXT "one"
mail 60 MX 10 Mail.example.net.
alias 60 CNAME a
deep.under.here 60 TXT "x"
"#;

fn name(text: &str) -> DomainName {
    match text {
        "@" => "example".parse(),
        text if text.ends_with('.') => text.parse(),
        text => format!("{text}.example").parse(),
    }
    .unwrap()
}

fn zone() -> Zone {
    zone_of(ZONE)
}

fn zone_of(text: &str) -> Zone {
    let read = read_zone("zone", text.as_bytes(), &name("@"));
    read.unwrap_or_else(|problems| panic!("{problems:?}")).zone
}

/// Records as lines of a zone file without TTL; `-` before a line is class NONE, `*` class ANY.
/// Types without data are written `TYPE`, any type `ANY`.
fn records(lines: &[&str]) -> Vec<UpdateRecord> {
    lines.iter().map(|line| record(line)).collect()
}

fn record(line: &str) -> UpdateRecord {
    let (class, line) = match line.as_bytes()[0] {
        b'-' => (254, &line[1..]),
        b'*' => (255, &line[1..]),
        _ => (1, line),
    };
    let words: Vec<&str> = line.split(' ').collect();
    let number = |kind: &str| match kind {
        "ANY" => 255,
        "AXFR" => 252,
        "NSEC" => 47,
        "OPT" => 41,
        kind => kind.parse::<domain::base::iana::Rtype>().unwrap().to_int(),
    };
    if let [owner, kind] = words[..] {
        let (name, record_type) = (name(owner), number(kind));
        return UpdateRecord { name, record_type, class, ttl: 0, data: [].into() };
    }
    // Read as a zone file has it; DNAME, which that does not have, as the same as CNAME.
    let line = &line.replace(" DNAME ", " CNAME ");
    let is_dname = words[1] == "DNAME";
    let words: Vec<&str> = line.split(' ').collect();
    let text = format!("@ 1 SOA a b 1 1 1 1 1\n@ 1 NS a.\nx 77 {}\n", words[1..].join(" "));
    let text = if words[1] == "SOA" {
        format!("@ 77 {}\n@ 1 NS a.\n", words[1..].join(" "))
    } else {
        text
    };
    let read = zone_of(&text);
    let number = number(words[1]);
    let at = if words[1] == "SOA" { name("@") } else { name("x") };
    let data = read.set(&at, number).unwrap().data().next().unwrap().into();
    let ttl = if class == 1 { 77 } else { 0 };
    let record_type = if is_dname { 39 } else { number };
    UpdateRecord { name: name(words[0]), record_type, class, ttl, data }
}

fn everything() -> UpdateRules {
    UpdateRules(vec![UpdateRule::default()])
}

fn message(prerequisites: &[&str], changes: &[&str]) -> UpdateMessage {
    let mut prerequisites = records(prerequisites);
    prerequisites.iter_mut().for_each(|record| record.ttl = 0);
    UpdateMessage { zone: name("@"), prerequisites, changes: records(changes) }
}

fn decide(
    zone: &Zone,
    message: &UpdateMessage,
    rules: &UpdateRules,
) -> Result<ZoneDifference, UpdateRefused> {
    let services = [name("www"), name("svc.deep")];
    let hosts = [name("fra1")];
    let ground = UpdateGround { zone, services: &services, hosts: &hosts };
    super::decide(&ground, message, rules)
}

/// The zone's text after these changes.
fn after(changes: &[&str]) -> String {
    let zone = zone();
    let difference = decide(&zone, &message(&[], changes), &everything()).unwrap();
    text(&zone.with_difference(&difference).unwrap())
}

fn text(zone: &Zone) -> String {
    let mut text = String::new();
    crate::zone::write_zone(zone, &mut text).unwrap();
    text
}

//! Identities as a whole: who would be refused.

use crate::config::{Context, Problem, SourceFile, parse};

const BASE: &str = "zone = \"example.com\"\nnameservers = [\"ns1.example.net\"]\n\
    dns.listen = [\"192.0.2.53\"]\nnode.name = \"ns1\"\nnode.roles = [\"controller\", \"director\"]\n\
    group.listen = [\"127.0.0.1\"]\n";
const SERVERS: &str = "[[cluster]]\nname = \"east\"\nreporter = true\n\
    servers = [{ name = \"e1\", addresses = [\"192.0.2.1\"] }, \
    { name = \"e2\", addresses = [\"192.0.2.2\"] }, { name = \"e3\", addresses = [\"192.0.2.3\"] }]\n";

fn identity(role: &str, name: &str) -> String {
    let hash = crate::world::TokenHash::of(&format!("{role} {name}")).to_hex();
    format!("[[identity]]\nname = \"{name}\"\nrole = \"{role}\"\ntoken_sha256 = \"{hash}\"\n")
}

/// The warnings, or the problems.
fn read(text: &str) -> Result<String, String> {
    let files = [SourceFile { name: "a.toml".into(), text: text.to_owned() }];
    let context = Context { hostname: "ns1", read: &|_| Err("no such file".into()) };
    let lines = |problems: Vec<Problem>| -> String {
        problems.iter().map(|problem| format!("{problem}\n")).collect()
    };
    parse(&files, &context).map(|parsed| lines(parsed.warnings)).map_err(lines)
}

/// The first identity of a role must not cut off all others at the reload that lets it in.
#[test]
fn nobody_is_cut_off_by_what_was_written_for_another() {
    let (reporter, node) = (|name| identity("reporter", name), |name| identity("node", name));
    let nodes = "dnssec.nodes = [\"ns1\", \"ns2\"]\n";
    let authority = "group.client_authority = \"clients.pem\"\n";
    let by = |shared: bool| format!("group.shared_token = {shared}\n");
    for (above, below, refused) in [
        (String::new(), String::new(), None),
        (String::new(), reporter("e1"), Some("the Reporter of `e2`")),
        (String::new(), reporter("e1") + &reporter("e2") + &reporter("e3"), None),
        // Of another role.
        (String::new(), node("ns2"), None),
        (authority.to_owned(), String::new(), Some("the Reporter of `e1`")),
        (authority.to_owned(), reporter("e1"), Some("the Reporter of `e2`")),
        (authority.to_owned() + &by(false), String::new(), None),
        (authority.to_owned() + &by(true), reporter("e1"), None),
        (by(true), reporter("e1"), None),
        (by(false), reporter("e1"), None),
        (nodes.to_owned(), String::new(), None),
        (nodes.to_owned(), node("ns3"), Some("the node `ns2`")),
        (nodes.to_owned(), node("ns2"), None),
        (nodes.to_owned() + &by(true), node("ns3"), None),
    ] {
        let text = format!("{BASE}{above}{SERVERS}{below}");
        match (read(&text), refused) {
            (Ok(_), None) => {}
            (Err(told), Some(wanted)) => {
                assert!(told.contains(wanted), "{text}{told}");
                assert!(told.contains("write shared_token = true into [group]"), "{told}");
            }
            (found, _) => panic!("{text}{found:?}"),
        }
    }
    // Who writes it is reminded, and who takes certificates only is not.
    let warned = |text: &str| {
        let said = read(&format!("{BASE}{text}")).unwrap();
        said.contains("`e2` has no [[identity]], so it will be refused, as 1 more")
    };
    assert!(warned(&format!("{}{SERVERS}{}", by(false), reporter("e1"))));
    assert!(!warned(&format!("{authority}{}{SERVERS}{}", by(false), reporter("e1"))));
    assert!(!warned(&format!("{}{SERVERS}{}", by(true), reporter("e1"))));
}

/// Who needs no token is refused by none.
#[test]
fn reporters_in_this_process_and_over_nats_are_not_counted() {
    let reporters = "node.roles = [\"controller\", \"director\", \"reporter\"]\n";
    let base = BASE.replace("node.roles = [\"controller\", \"director\"]\n", reporters);
    let own = "[reporter]\nserver = \"e3\"\n";
    let two = identity("reporter", "e1") + &identity("reporter", "e2");
    assert_eq!(read(&format!("{base}{SERVERS}{two}{own}")), Ok(String::new()));
    let elsewhere = format!("{own}controllers = [\"192.0.2.9\"]\n");
    let refused = read(&format!("{base}{SERVERS}{two}{elsewhere}")).unwrap_err();
    assert!(refused.contains("the Reporter of `e3` has no [[identity]]"), "{refused}");

    let nats = "group.nats.servers = [\"127.0.0.1:4222\"]\n";
    let warned = read(&format!("{BASE}{nats}{SERVERS}{}", identity("reporter", "e1"))).unwrap();
    let told = "`e2` has no [[identity]], so that it can speak over NATS alone, as 1 more";
    assert!(warned.contains(told), "{warned}");
    let decided = format!("{BASE}{nats}group.shared_token = false\n{SERVERS}{two}");
    assert!(!read(&decided).unwrap().contains("no [[identity]]"));
}

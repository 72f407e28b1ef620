//! `[[name_server]]` as people write it, and what they are told of it.

use crate::config::{Context, Parsed, Problem, SourceFile, parse};

/// Two areas and services in two zones, with these tables.
fn checked(rest: &str) -> Result<Parsed, Vec<Problem>> {
    let text = format!(
        "nameservers_unused = 0\n[[zone]]\nname = \"example.com\"\nnameservers = [\"ns.example.net\"]\n\
         [[zone]]\nname = \"example.org\"\nnameservers = [\"ns.example.net\"]\n\
         [[cluster]]\nname = \"a\"\nservers = [{{ name = \"a1\", addresses = [\"192.0.2.1\"] }}]\n\
         [[area]]\nname = \"north\"\n[[area]]\nname = \"south\"\n\
         [[service]]\nname = \"www.example.com\"\n{rest}"
    );
    let text = text.replacen("nameservers_unused = 0\n", "", 1);
    let files = [SourceFile { name: "walrus.toml".into(), text }];
    parse(&files, &Context { hostname: "one", read: &|_| Ok(String::new()) })
}

fn told(problems: &[Problem]) -> String {
    problems.iter().map(|problem| format!("{problem}\n")).collect()
}

const ROLE: &str = "[node]\nroles = [\"controller\", \"updater\"]\n";

#[test]
fn a_name_server_is_read_with_the_names_that_it_publishes() {
    let parsed = checked(&format!(
        "[[service]]\nname = \"a.b.example.org\"\n[[name_server]]\narea = \"north\"\n\
         address = \"127.0.0.1\"\nzone = \"north.example.net\"\nttl = \"20s\"\n\
         key = {{ name = \"walrus-north\", secret_file = \"north.key\" }}\n{ROLE}"
    ))
    .unwrap_or_else(|problems| panic!("{}", told(&problems)));
    assert_eq!(told(&parsed.warnings), "");
    let [one] = &parsed.configuration.name_servers[..] else { panic!("one is written") };
    assert_eq!((one.name.as_str(), one.address.to_string().as_str()), ("north", "127.0.0.1:53"));
    assert_eq!((one.ttl, one.host.to_string().as_str()), (Some(20), "ns.north.example.net"));
    let published: Vec<String> =
        one.services.iter().map(|it| format!("{} {}", it.service, it.target)).collect();
    assert_eq!(
        published,
        ["www.example.com www.north.example.net", "a.b.example.org a.b.north.example.net"]
    );
}

#[test]
fn all_that_is_wrong_with_name_servers_is_told_at_once() {
    let problems = checked(&format!(
        "[[service]]\nname = \"example.org\"\n[[service]]\nname = \"www.example.org\"\n\
         [[name_server]]\narea = \"nord\"\naddress = \"192.0.2.53\"\nzone = \"example.com\"\n\
         services = [\"www.example.com\", \"example.org\", \"w.example.com\", \"www.example.com\"]\n\
         [[name_server]]\narea = \"south\"\naddress = \"0.0.0.0\"\nzone = \"s.example.net\"\n\
         services = [\"www.example.com\", \"www.example.org\"]\n\
         [[name_server]]\narea = \"south\"\naddress = \"0.0.0.0\"\nzone = \"s.example.net\"\n\
         services = [\"www.example.org\"]\n{ROLE}"
    ))
    .unwrap_err();
    let told = told(&problems);
    for part in [
        "there is no area `nord`; add a [[area]] of this name",
        "example.com is the zone of the services' own names, where each is a CNAME",
        "example.org is the apex of its zone, where no CNAME can stand (RFC 1034 section 3.6.2): \
         publish www.example.org instead",
        "there is no service w.example.com",
        "`services` names www.example.com twice",
        "0.0.0.0:53 is nowhere to send updates to",
        "www.example.com and www.example.org would both have their addresses at www.s.example.net",
        "a name server `south` stands already at walrus.toml:",
        "the zone s.example.net at 0.0.0.0:53 is already that of `south`",
    ] {
        assert!(told.contains(part), "{part}\n{told}");
    }
}

#[test]
fn what_does_not_apply_there_is_a_warning() {
    let text = |role: &str| {
        format!(
            "choose = \"random\"\nanswers = 1\nhttps = {{ alpn = [\"h2\"] }}\n[[name_server]]\n\
             area = \"south\"\naddress = \"192.0.2.53\"\nzone = \"s.example.net\"\n\
             [dnssec]\nsign = true\n{role}"
        )
    };
    let warnings = told(&checked(&text(ROLE)).unwrap().warnings);
    for part in [
        "where www.example.com is published into name servers that are already there, `choose` and \
         `answers` do not apply: they give all addresses of an area to whoever asks them",
        "of www.example.com only addresses are published into name servers that are already there, \
         not its HTTPS records",
        "updates to `south` are not signed",
        "example.com is signed by Walrus' own name servers: copies of it in name servers that are already \
         there differ in their CNAMEs, so each must sign its own",
    ] {
        assert!(warnings.contains(part), "{part}\n{warnings}");
    }
    let warnings =
        told(&checked(&text("[dns]\nlisten = [\"127.0.0.1:5300\"]\n")).unwrap().warnings);
    assert!(warnings.contains("[[name_server]] is not used: add \"updater\""), "{warnings}");
    let problems = told(&checked(ROLE).unwrap_err());
    assert!(problems.contains("the role `updater` needs name servers"), "{problems}");
}

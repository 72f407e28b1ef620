//! Transfers to others as people write them, and what they are told of them.

use crate::config::{
    Context, Parsed, Problem, SerialPolicy, SourceFile, TransferredServices, parse,
};

fn checked(zone: &str) -> Result<Parsed, Vec<Problem>> {
    let text = format!(
        "[[zone]]\nname = \"example.com\"\nnameservers = [\"ns.example.net\"]\n{zone}\n\
         [[key]]\nname = \"transfer\"\nsecret_file = \"transfer.key\"\n\
         [node]\nroles = [\"controller\", \"director\"]\n\
         [dns]\nlisten = [\"127.0.0.1:5300\"]\n"
    );
    let files = [SourceFile { name: "walrus.toml".into(), text }];
    parse(&files, &Context { hostname: "one", read: &|_| Ok(String::new()) })
}

fn told(zone: &str) -> String {
    let problems = checked(zone).expect_err("that cannot be used");
    problems.iter().map(|problem| format!("{problem}\n")).collect()
}

#[test]
fn rules_and_targets_are_read_and_are_each_nodes_own() {
    let parsed = checked(
        "transfer_to = [{ from = \"192.0.2.0/24\", key = \"transfer\" }, { key = \"transfer\" }]\n\
         notify = [{ address = \"192.0.2.2\", key = \"transfer\" }, { address = \"192.0.2.3:5353\", source = \"192.0.2.53\" }]\n\
         services_in_transfers = \"none\"\nserial = \"increment\"",
    )
    .expect("there is no problem");
    assert_eq!(parsed.warnings, []);
    let transfers = &parsed.configuration.zones[0].transfers;
    assert_eq!((transfers.transfer_to.len(), transfers.notify.len()), (2, 2));
    assert_eq!(transfers.notify[0].address.to_string(), "192.0.2.2:53");
    assert_eq!(transfers.notify[0].source, None);
    assert_eq!(transfers.notify[1].source, Some([192, 0, 2, 53].into()));
    assert_eq!(transfers.services, TransferredServices::None);
    assert_eq!(transfers.serial, SerialPolicy::Increment);
    let plain = checked("").expect("there is no problem");
    assert_eq!(plain.configuration.digest, parsed.configuration.digest);
}

#[test]
fn what_would_give_the_zone_away_or_to_nobody_is_told() {
    assert!(told("transfer_to = [{}]").contains("to everybody"));
    assert!(told("notify = [{ address = \"192.0.2.2\" }]").contains("nobody may have the zone"));
    let other_family = "transfer_to = [{ key = \"transfer\" }]\n\
                        notify = [{ address = \"192.0.2.2\", source = \"2001:db8::1\" }]";
    assert!(told(other_family).contains("another family"));
    assert!(told("serial = \"increment\"").contains("nobody may have the zone"));
    assert!(told("transfer_to = [{ key = \"transfr\" }]").contains("did you mean \"transfer\"?"));
    assert!(told("transfer_to = [{ from = \"192.0.2.1/24\" }]").contains("has bits set behind"));
    let signed = told("dnssec = \"sign\"\ntransfer_to = [{ key = \"transfer\" }]");
    assert!(signed.contains("is not transferred to others"), "{signed}");
    let warned = checked("transfer_to = [{ from = \"192.0.2.0/24\" }]").expect("it works");
    assert!(warned.warnings[0].message.contains("add a `key`"));
}

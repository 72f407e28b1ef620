//! PowerDNS Authoritative Server 4: lines of `pdns.conf`, and a script of `pdnsutil`.

use std::fmt::Write as _;

use super::{File, Ground};

pub(super) fn files(ground: &Ground<'_>) -> Vec<File> {
    vec![settings(ground), script(ground)]
}

fn settings(ground: &Ground<'_>) -> File {
    let text = format!(
        "# PowerDNS, for {} of Walrus: add it to pdns.conf.\ndnsupdate=yes\n\
         # Who may update a zone is said for each zone, by its key.\nallow-dnsupdate-from=\n",
        ground.server.name
    );
    File { name: "pdns.conf.walrus".to_owned(), text }
}

fn script(ground: &Ground<'_>) -> File {
    let zone = &ground.server.zone;
    let mut text = format!(
        "#!/bin/sh\n# PowerDNS, for {} of Walrus: run it where the zone files are, with what pdnsutil needs to\n\
         # find its settings (such as --config-name=NAME) as arguments.\nset -e\n\
         pdnsutil \"$@\" load-zone {zone} {}\n",
        ground.server.name,
        super::zones::file_name(&zone.to_string())
    );
    if let Some((key, algorithm, secret)) = ground.key() {
        let _ = write!(
            text,
            "pdnsutil \"$@\" import-tsig-key {key} {algorithm} '{secret}'\n\
             pdnsutil \"$@\" set-meta {zone} TSIG-ALLOW-DNSUPDATE {key}\n\
             pdnsutil \"$@\" set-meta {zone} ALLOW-DNSUPDATE-FROM 0.0.0.0/0 ::/0\n"
        );
    } else {
        let _ = writeln!(text, "pdnsutil \"$@\" set-meta {zone} ALLOW-DNSUPDATE-FROM 127.0.0.1/32");
    }
    let _ = write!(
        text,
        "# The serial rises with each update, so that secondaries and Walrus see it.\n\
         pdnsutil \"$@\" set-meta {zone} SOA-EDIT-DNSUPDATE INCREASE\n"
    );
    for apex in ground.balanced_zones() {
        let _ = write!(
            text,
            "# If it is there already, leave this out and add its CNAME lines by `pdnsutil edit-zone`.\n\
             pdnsutil \"$@\" load-zone {apex} {}\n",
            super::zones::file_name(&apex)
        );
    }
    File { name: "powerdns.sh".to_owned(), text }
}

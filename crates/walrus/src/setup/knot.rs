//! Knot DNS 3: a file to include in `knot.conf`.

use std::fmt::Write as _;

use super::{File, Ground};

pub(super) fn files(ground: &Ground<'_>) -> Vec<File> {
    let zone = &ground.server.zone;
    let name = &ground.server.name;
    let mut text = format!(
        "# Knot DNS, for {name} of Walrus: include it in knot.conf behind its own sections.\n"
    );
    let by = match ground.key() {
        Some((key, algorithm, secret)) => {
            let _ = write!(
                text,
                "key:\n  - id: {key}\n    algorithm: {algorithm}\n    secret: {secret}\n"
            );
            format!("key: {key}")
        }
        None => "address: 127.0.0.1 # unsigned: add `key` to the name server".to_owned(),
    };
    // Whoever signs a question must be let to ask (Knot looks for a rule then).
    let _ = write!(
        text,
        "acl:\n  - id: walrus-{name}\n    {by}\n    action: [query, update]\n    \
         update-type: [{}]\nzone:\n  - domain: {zone}.\n    file: \"{}\"\n    \
         acl: walrus-{name} # and one for the secondary's transfer\n",
        ground.types().join(", "),
        ground.zone_file(&zone.to_string())
    );
    for apex in ground.balanced_zones() {
        let _ = write!(
            text,
            "  # If it is there already, leave this out and add its CNAME lines and this acl.\n  \
             - domain: {apex}.\n    file: \"{}\"\n    acl: walrus-{name}-ask\n",
            ground.zone_file(&apex)
        );
    }
    // References must be known before they are used.
    let ask = format!("  - id: walrus-{name}-ask\n    {by}\n    action: query\nzone:\n");
    let text = text.replacen("zone:\n", &ask, 1);
    vec![File { name: "knot.conf.walrus".to_owned(), text }]
}

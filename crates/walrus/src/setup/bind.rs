//! BIND 9: a file to include in `named.conf`.

use std::fmt::Write as _;

use super::{File, Ground};

pub(super) fn files(ground: &Ground<'_>) -> Vec<File> {
    let zone = &ground.server.zone;
    let mut text = format!(
        "// BIND, for {} of Walrus: include it in named.conf. named must be able to write the\n\
         // directory of {zone}'s file, for its journal.\n",
        ground.server.name
    );
    let policy = match ground.key() {
        Some((key, algorithm, secret)) => {
            let _ = write!(
                text,
                "key \"{key}\" {{\n    algorithm {algorithm};\n    secret \"{secret}\";\n}};\n"
            );
            let types = ground.types().join(" ");
            format!("update-policy {{ grant {key} subdomain {zone}. {types}; }};")
        }
        None => "allow-update { localhost; }; // unsigned: add `key` to the name server".to_owned(),
    };
    let _ = write!(
        text,
        "zone \"{zone}\" {{\n    type primary;\n    file \"{}\";\n    {policy}\n    \
         // For a secondary: allow-transfer {{ ...; }}; also-notify {{ ...; }};\n}};\n",
        ground.zone_file(&zone.to_string())
    );
    for apex in ground.balanced_zones() {
        let _ = write!(
            text,
            "// If it is there already, leave this out and add the CNAME lines to its file.\n\
             zone \"{apex}\" {{\n    type primary;\n    file \"{}\";\n}};\n",
            ground.zone_file(&apex)
        );
    }
    vec![File { name: "named.conf.walrus".to_owned(), text }]
}

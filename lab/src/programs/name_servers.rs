//! Name servers of the root, the top level and whatever is served as ever.

use std::path::Path;

use anyhow::{Result, bail};

use super::{first_address, text, write};
use crate::network::Node;

pub(super) fn nsd(node: &Node, zones: &[(String, String)], folder: &Path) -> Result<Vec<String>> {
    if zones.is_empty() {
        bail!("nsd on {0} has nothing to serve: write a `zone {0} NAME`", node.name);
    }
    let address = first_address(node)?;
    let folder_text = text(folder);
    let mut config = format!(
        "server:\n ip-address: {address}\n username: \"\"\n zonesdir: \"{folder_text}\"\n \
         pidfile: \"\"\n database: \"\"\n zonelistfile: \"{folder_text}/zone.list\"\n \
         xfrdir: \"{folder_text}\"\n server-count: 1\nremote-control:\n control-enable: no\n"
    );
    for (number, (name, content)) in zones.iter().enumerate() {
        let file = write(folder, &format!("zone{number}"), content)?;
        config.push_str(&format!("zone:\n name: \"{name}\"\n zonefile: \"{file}\"\n"));
    }
    let file = write(folder, "nsd.conf", &config)?;
    Ok(["-d", "-c", &file].map(str::to_owned).into())
}

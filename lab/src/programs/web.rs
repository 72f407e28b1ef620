//! What serves clients and carries messages: nginx, Apache and NATS.

use std::fs;
use std::path::Path;

use anyhow::Result;

use super::{Given, filled_in, first_address, text, write};
use crate::network::Node;

/// A page that says the node's name, `/healthz`, and `/stub_status`, on all of its addresses.
pub(super) fn nginx(node: &Node, folder: &Path) -> Result<Vec<String>> {
    let folder_text = text(folder);
    let temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|of| format!("{of}_temp_path {folder_text}/{of};"))
        .join(" ");
    let name = &node.name;
    let config = format!(
        "daemon off; master_process off; pid {folder_text}/pid; error_log stderr;\n\
         events {{ }}\n\
         http {{ access_log off; {temporary}\n\
         server {{ listen 80; default_type text/plain;\n\
         location / {{ return 200 \"{name}\\n\"; }}\n\
         location /stub_status {{ stub_status; }} }} }}\n"
    );
    let file = write(folder, "nginx.conf", &config)?;
    Ok(["-p", &folder_text, "-e", "stderr", "-c", &file].map(str::to_owned).into())
}

/// The same pages as files, and `/server-status`. It reads the page as `nobody`, in one process.
pub(super) fn apache(node: &Node, folder: &Path) -> Result<Vec<String>> {
    let folder_text = text(folder);
    fs::create_dir_all(folder.join("pages"))?;
    for page in ["index.html", "healthz"] {
        write(&folder.join("pages"), page, &format!("{}\n", node.name))?;
    }
    let modules = ["mpm_event", "authz_core", "dir", "status"].map(|module| {
        format!("LoadModule {module}_module /usr/lib/apache2/modules/mod_{module}.so\n")
    });
    let config = format!(
        "{}ServerRoot {folder_text}\nServerName {}\nPidFile {folder_text}/pid\nListen 80\n\
         ErrorLog {folder_text}/errors\nDocumentRoot {folder_text}/pages\n\
         DirectoryIndex index.html\nUser nobody\nGroup nogroup\nServerLimit 1\nStartServers 1\n\
         ThreadLimit 40\nThreadsPerChild 40\nMaxRequestWorkers 40\nExtendedStatus On\n\
         <Location /server-status>\nSetHandler server-status\n</Location>\n",
        modules.concat(),
        node.name
    );
    let file = write(folder, "apache.conf", &config)?;
    Ok(["-X", "-f", &file].map(str::to_owned).into())
}

/// By the node's `config`, or open to everybody on port 4222.
pub(super) fn nats(node: &Node, given: &Given, folder: &Path) -> Result<Vec<String>> {
    let config = match &given.config {
        Some(config) => filled_in(config, &given.values, node, folder)?,
        None => format!("listen: \"{}:4222\"\n", first_address(node)?),
    };
    let file = write(folder, "nats.conf", &config)?;
    Ok(["-c", &file].map(str::to_owned).into())
}

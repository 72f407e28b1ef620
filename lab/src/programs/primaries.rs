//! Name servers that were there before Walrus, each with what `walrus setup` writes for it. What they kept is found
//! again after a restart; nothing is set up twice.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use super::{Given, Program, find, first_address, text, write};
use crate::network::Node;

pub(super) fn bind(node: &Node, given: &Given, folder: &Path) -> Result<Vec<String>> {
    let (files, _) = set_up(node, given, folder)?;
    let (address, folder_text, files) = (first_address(node)?, text(folder), text(&files));
    let config = format!(
        "options {{ directory \"{files}\"; pid-file none; session-keyfile \"{folder_text}/session.key\";\n\
         lock-file none; listen-on {{ {address}; }}; listen-on-v6 {{ none; }}; recursion no;\n\
         dnssec-validation no; }};\ncontrols {{ }};\ninclude \"{files}/named.conf.walrus\";\n"
    );
    let file = write(folder, "named.conf", &config)?;
    Ok(["-g", "-4", "-n", "1", "-c", &file].map(str::to_owned).into())
}

pub(super) fn knot(node: &Node, given: &Given, folder: &Path) -> Result<Vec<String>> {
    let (files, _) = set_up(node, given, folder)?;
    let (address, files) = (first_address(node)?, text(&files));
    let config = format!(
        "server:\n  rundir: \"{files}\"\n  listen: {address}@53\n  udp-workers: 1\n  tcp-workers: 1\n  \
         background-workers: 1\ndatabase:\n  storage: \"{files}\"\ncontrol:\n  \
         listen: \"{files}/control\"\nlog:\n  - target: stderr\n    any: info\n\
         include: \"{files}/knot.conf.walrus\"\n"
    );
    let file = write(folder, "knot.conf", &config)?;
    Ok(["-c", &file].map(str::to_owned).into())
}

pub(super) fn powerdns(node: &Node, given: &Given, folder: &Path) -> Result<Vec<String>> {
    const SCHEMA: &str = "/usr/share/pdns-backend-sqlite3/schema/schema.sqlite3.sql";
    let (files, is_new) = set_up(node, given, folder)?;
    let place = text(&files);
    let own = fs::read_to_string(files.join("pdns.conf.walrus"))?;
    let config = format!(
        "launch=gsqlite3\ngsqlite3-database={place}/pdns.sqlite3\nlocal-address={}\nlocal-port=53\n\
         socket-dir={place}\nsecurity-poll-suffix=\ndaemon=no\nguardian=no\n{own}",
        first_address(node)?
    );
    write(&files, "pdns.conf", &config)?;
    let directory = format!("--config-dir={place}");
    if is_new {
        run(&find("sqlite3")?, &["pdns.sqlite3", &format!(".read {SCHEMA}")], &files)?;
        run(Path::new("/bin/sh"), &["powerdns.sh", &directory], &files)?;
    }
    Ok(vec![directory])
}

/// The folder with the files, and whether they were made just now.
fn set_up(node: &Node, given: &Given, folder: &Path) -> Result<(PathBuf, bool)> {
    let Some(ground) = &given.set_up else {
        bail!("what is it to serve? Write `setup bind {} from NODE for AREA`", node.name)
    };
    let files = folder.join("set-up");
    if files.exists() {
        return Ok((files, false));
    }
    let config = write(folder, "walrus.toml", &ground.config)?;
    let place = text(&files);
    let arguments = ["setup", &ground.kind, &config, "--area", &ground.area, "--into", &place];
    let zones = ["--zone-directory", &place];
    run(&Program::Walrus.path()?, &[&arguments[..], &zones[..]].concat(), folder)?;
    Ok((files, true))
}

fn run(program: &Path, arguments: &[&str], place: &Path) -> Result<()> {
    let said = Command::new(program).args(arguments).current_dir(place).output();
    let said = said.with_context(|| format!("{} does not start", program.display()))?;
    if !said.status.success() {
        let said = String::from_utf8_lossy(&said.stderr).into_owned();
        bail!("{} {}: {}", program.display(), arguments.join(" "), said.trim());
    }
    Ok(())
}

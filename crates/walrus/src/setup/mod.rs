//! `walrus setup`: what to add to name servers that are already there, as files to copy.

mod bind;
mod knot;
mod powerdns;
mod zones;

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use walrus_core::config::{Configuration, NameServerSettings};
use walrus_director::update::{make_secret_file, read_secret_text};

use crate::cli::Failure;
use crate::load::{self, LoadError};
use crate::output::{complain, say};

/// `walrus setup`.
#[derive(Debug, Args)]
pub(crate) struct SetupArguments {
    /// What the name server is.
    kind: Kind,
    /// The configuration with its `[[name_server]]`.
    config: PathBuf,
    /// Only those of this area; default all.
    #[arg(long, value_name = "AREA")]
    area: Option<String>,
    /// Write the files into this directory instead of printing them.
    #[arg(long, value_name = "DIR")]
    into: Option<PathBuf>,
    /// Where the name server keeps zone files, if not where its Debian package does.
    #[arg(long, value_name = "DIR")]
    zone_directory: Option<PathBuf>,
}

/// Name servers that there are words for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Kind {
    /// BIND 9.
    Bind,
    /// Knot DNS 3.
    Knot,
    /// PowerDNS Authoritative Server 4.
    #[value(name = "powerdns")]
    PowerDns,
}

/// One file to copy.
struct File {
    name: String,
    text: String,
}

/// What all kinds are made from.
struct Ground<'a> {
    configuration: &'a Configuration,
    server: &'a NameServerSettings,
    /// The secret of its key in base64.
    secret: Option<String>,
    zone_directory: PathBuf,
}

/// Prints or writes the files for each name server that is meant.
pub(crate) fn run(arguments: &SetupArguments) -> Result<(), Failure> {
    let checked = load::check(&arguments.config).map_err(LoadError::into_failure)?;
    let configuration = &checked.configuration;
    let meant: Vec<&NameServerSettings> = configuration
        .name_servers
        .iter()
        .filter(|server| arguments.area.as_deref().is_none_or(|area| server.area.as_str() == area))
        .collect();
    if meant.is_empty() {
        return Err(Failure::No(match &arguments.area {
            Some(area) => format!(
                "no [[name_server]] of {} is of the area `{area}`",
                arguments.config.display()
            ),
            None => format!(
                "{} has no [[name_server]]: write one with area, address, zone and key",
                arguments.config.display()
            ),
        }));
    }
    for server in &meant {
        let files = files(arguments, configuration, server)?;
        let folder = arguments.into.as_ref().map(|into| match meant.len() {
            1 => into.clone(),
            _ => into.join(server.name.as_str()),
        });
        match folder {
            Some(folder) => write(&folder, &files)?,
            None => print(server, &files)?,
        }
    }
    Ok(())
}

fn files(
    arguments: &SetupArguments,
    configuration: &Configuration,
    server: &NameServerSettings,
) -> Result<Vec<File>, Failure> {
    let ground = Ground {
        configuration,
        server,
        secret: secret(server)?,
        zone_directory: arguments.zone_directory.clone().unwrap_or_else(|| {
            PathBuf::from(match arguments.kind {
                Kind::Bind => "/var/lib/bind",
                Kind::Knot => "/var/lib/knot",
                Kind::PowerDns => ".",
            })
        }),
    };
    let mut files = match arguments.kind {
        Kind::Bind => bind::files(&ground),
        Kind::Knot => knot::files(&ground),
        Kind::PowerDns => powerdns::files(&ground),
    };
    files.extend(zones::files(&ground));
    Ok(files)
}

/// The key's secret, made if there is none yet.
fn secret(server: &NameServerSettings) -> Result<Option<String>, Failure> {
    let Some(key) = &server.key else { return Ok(None) };
    if make_secret_file(key).map_err(anyhow::Error::from)? {
        complain(&format!("made {} with a new secret", key.secret_file.display()));
    }
    Ok(Some(read_secret_text(key).map_err(anyhow::Error::from)?))
}

fn print(server: &NameServerSettings, files: &[File]) -> Result<(), Failure> {
    for file in files {
        say(&format!("==== {} for {} ====\n{}\n", file.name, server.address, file.text))?;
    }
    Ok(())
}

fn write(folder: &Path, files: &[File]) -> Result<(), Failure> {
    let failed = |path: &Path, error: std::io::Error| {
        Failure::CouldNot(format!("{} cannot be written: {error}", path.display()))
    };
    std::fs::create_dir_all(folder).map_err(|error| failed(folder, error))?;
    for file in files {
        let path = folder.join(&file.name);
        write_secret(&path, &file.text).map_err(|error| failed(&path, error))?;
        say(&format!("{}\n", path.display()))?;
    }
    Ok(())
}

/// Only its owner can read it, also where a file stood that others could read.
fn write_secret(path: &Path, text: &str) -> std::io::Result<()> {
    use std::io::Write as _;
    use std::os::unix::fs::OpenOptionsExt as _;

    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    let new = path.with_file_name(name);
    match std::fs::remove_file(&new) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut options = std::fs::OpenOptions::new();
    let mut file = options.write(true).create_new(true).mode(0o600).open(&new)?;
    file.write_all(text.as_bytes())?;
    std::fs::rename(&new, path)
}

impl Ground<'_> {
    /// Where the name server has the file of a zone.
    fn zone_file(&self, zone: &str) -> String {
        self.zone_directory.join(zones::file_name(zone)).display().to_string()
    }

    /// Types of records that the key must be let to change.
    fn types(&self) -> Vec<&'static str> {
        let mut types = vec!["A", "AAAA", "TXT"];
        if self.server.adopt {
            // What is taken over may be an alias.
            types.push("CNAME");
        }
        types
    }

    /// The key's name and algorithm with its secret.
    fn key(&self) -> Option<(String, &'static str, &str)> {
        let (key, secret) = (self.server.key.as_ref()?, self.secret.as_deref()?);
        Some((key.name.to_string(), key.algorithm.as_str(), secret))
    }

    /// The zones in which the published services have their own names.
    fn balanced_zones(&self) -> Vec<String> {
        let zones = self.configuration.zones.iter().map(|zone| &zone.apex);
        let has = |apex: &&walrus_dns::DomainName| {
            let closest = |name: &walrus_dns::DomainName| {
                let inside = self.configuration.zones.iter().map(|zone| &zone.apex);
                inside.filter(|apex| name.is_within(apex)).max_by_key(|apex| apex.label_count())
            };
            self.server.services.iter().any(|it| closest(&it.service) == Some(*apex))
        };
        zones.filter(has).map(ToString::to_string).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn what_was_readable_for_all_is_not_so_with_a_secret_in_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("named.conf.walrus");
        std::fs::write(&path, "old").unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        std::fs::write(folder.path().join("named.conf.walrus.new"), "left over").unwrap();
        for text in ["secret", "another"] {
            write_secret(&path, text).unwrap();
            assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
            assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        }
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}

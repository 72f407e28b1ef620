//! What a node gives up before it starts: root, and, as a name server alone, all files and ports that its
//! configuration does not name.

use std::path::{Path, PathBuf};

use walrus_core::config::{Configuration, DnstapOutput, SandboxMode};
use walrus_host::log::chain;
use walrus_host::privileges::{Belongings, User, become_user};
use walrus_host::sandbox::{Allowed, enter};

use crate::cli::Failure;
use crate::load::{Checked, LoadError, folder_of};
use crate::zone_files;

/// Ports below this one are opened with a right only.
const LOW_PORTS: u16 = 1024;
/// Where name servers and resolvers listen.
const DNS_PORT: u16 = 53;

/// What a process has given up.
#[derive(Clone, Debug, Default)]
pub(crate) struct Confined {
    /// In words, for the log and `status`.
    pub(crate) by: Vec<String>,
    /// What it may still do, if it is in a sandbox.
    allowed: Option<Allowed>,
}

impl Confined {
    /// What another configuration needs that this process can no longer have; a problem each.
    pub(crate) fn refuses(&self, new: &Checked, path: &Path) -> Vec<String> {
        let Some(allowed) = &self.allowed else { return Vec::new() };
        let lacking = allowed.lacks(&allowed_by(new, path)).into_iter();
        lacking
            .map(|what| format!("{what} since the start: restart, for `sandbox` of [node]"))
            .collect()
    }

    /// Tells what may be behind it where the system refuses something: what a zone file includes anew, and new files
    /// of prefixes, are not known when the sandbox is put up.
    pub(crate) fn explain(&self, error: LoadError) -> LoadError {
        let explained = |text: String| {
            let refused = ["Permission denied", "Operation not permitted"];
            if self.allowed.is_none() || !refused.iter().any(|refused| text.contains(refused)) {
                return text;
            }
            format!(
                "{text}; this process is in a sandbox with the folders of the files that the \
                 configuration named at the start: put it into one of them, restart, or write sandbox = \"off\" into [node] \
                 and restart"
            )
        };
        match error {
            LoadError::Problems(problems) => {
                LoadError::Problems(problems.into_iter().map(explained).collect())
            }
            LoadError::Unreadable(text) => LoadError::Unreadable(explained(text)),
        }
    }
}

/// Gives up root, if a user is configured. To be called before a second thread starts.
pub(crate) fn become_configured_user(
    configuration: &Configuration,
    path: &Path,
) -> Result<Option<String>, Failure> {
    let node = &configuration.node;
    let Some(name) = &node.user else { return Ok(None) };
    let failed = |error: walrus_host::privileges::PrivilegesError| Failure::CouldNot(chain(&error));
    let user = User::find(name, node.group.as_deref()).map_err(failed)?;
    let low_ports = listening(configuration).any(|port| port < LOW_PORTS);
    let belongings = Belongings { state: &node.state, configuration: path, low_ports };
    let kept = become_user(&user, belongings).map_err(failed)?;
    let low_ports = kept.low_ports.then(|| "the right to open low ports".to_owned());
    let mut text = format!("user {name}");
    for (index, kept) in low_ports.into_iter().chain(kept.beyond).enumerate() {
        text.push_str(if index == 0 { ", with " } else { " and " });
        text.push_str(&kept);
    }
    Ok(Some(text))
}

/// Gives up what is configured to be given up. To be called before a second thread starts.
pub(crate) fn confine(
    checked: &Checked,
    path: &Path,
    on_a_test_clock: bool,
) -> Result<Confined, Failure> {
    let configuration = &checked.configuration;
    let mut confined = Confined::default();
    confined.by.extend(become_configured_user(configuration, path)?);
    let node = &configuration.node;
    let wanted = node.sandbox != SandboxMode::Off && node.roles.is_director_alone();
    if !wanted || on_a_test_clock {
        return Ok(confined);
    }
    // What is to be written in must be there to be named.
    std::fs::create_dir_all(&node.state).map_err(|error| {
        Failure::CouldNot(format!("cannot make {}: {error}", node.state.display()))
    })?;
    let allowed = allowed_by(checked, path);
    let enforced = enter(&allowed);
    if let Some(lacking) = enforced.lacking.first()
        && node.sandbox == SandboxMode::Required
    {
        let text = format!("[node] sandbox = \"required\": {lacking}");
        return Err(Failure::CouldNot(text));
    }
    enforced.lacking.iter().for_each(|lacking| tracing::warn!(lacking, "the sandbox is not whole"));
    confined.by.extend(enforced.by);
    confined.allowed = Some(allowed);
    Ok(confined)
}

/// Everything that a name server with this configuration needs.
fn allowed_by(checked: &Checked, path: &Path) -> Allowed {
    let Checked { configuration, client_files, .. } = checked;
    let Configuration { zones, geo, node, dns, group, api, dnssec, identities, keys, .. } =
        configuration;
    let included = zone_files::included(configuration);
    let mut allowed = Allowed::default();
    let nats = group.nats.as_ref();
    let named = [
        group.node_token_file.as_ref(),
        group.authority.as_ref(),
        group.join_certificate.as_ref(),
        group.join_key.as_ref(),
        api.token_file.as_ref(),
        dns.cookie_secret_file.as_ref(),
        dns.certificate.as_ref(),
        dns.key.as_ref(),
        nats.and_then(|nats| nats.authority.as_ref()),
        nats.and_then(|nats| nats.certificate.as_ref()),
        nats.and_then(|nats| nats.key.as_ref()),
        nats.and_then(|nats| nats.authentication.file()),
    ];
    let files = named.into_iter().flatten();
    let files = files.chain(zones.iter().filter_map(|zone| zone.file.as_ref()));
    let files = files.chain(&included).chain(client_files).chain(&geo.database);
    let files = files.chain(identities.iter().filter_map(|it| it.token_file.as_ref()));
    let files = files.chain(keys.iter().map(|key| &key.secret_file));
    let own = Some(path).filter(|path| !path.is_dir());
    for file in files.map(PathBuf::as_path).chain(own) {
        allowed.read.insert(absolute(&folder(file)));
        // Where a link leads to: certificates that are renewed are often one.
        allowed.read.insert(folder(&absolute(file)));
    }
    allowed.read.insert(absolute(&folder_of(path)));
    allowed.write.insert(absolute(&node.state));
    let told = dns.decision_log.iter().chain(dns.dnstap.as_ref().map(DnstapOutput::path));
    allowed.write.extend(told.map(|file| absolute(&folder(file))));
    allowed.bind = listening(configuration).collect();
    let peers = nats.iter().flat_map(|nats| &nats.servers).chain(&group.join);
    let ports = peers.filter_map(|peer| peer.rsplit_once(':')?.1.parse().ok());
    let parents = dnssec.parent.iter().map(std::net::SocketAddr::port);
    // Probes go wherever servers listen, and their redirections do.
    let of_catalogs = configuration.catalogs.iter().flat_map(|catalog| &catalog.primaries);
    let primaries = zones.iter().flat_map(|zone| &zone.primaries).chain(of_catalogs);
    let others = parents.chain(primaries.map(|primary| primary.address.port()));
    allowed.connect = (!node.probes).then(|| ports.chain(others).chain([DNS_PORT]).collect());
    allowed
}

/// All ports that are listened at by TCP.
fn listening(configuration: &Configuration) -> impl Iterator<Item = u16> {
    let Configuration { node, dns, group, api, .. } = configuration;
    let dns = dns.listen.iter().chain(&dns.tls_listen).chain(&dns.https_listen);
    let dns = dns.filter(|_| node.roles.director);
    let group = group.listen.iter().filter(|_| node.roles.controller);
    dns.chain(group).chain(&api.listen).map(std::net::SocketAddr::port)
}

/// A file's folder: files are replaced by renaming others over them, and a rule is about the file that was there.
/// Right below the root it is the file alone.
fn folder(file: &Path) -> PathBuf {
    match file.parent() {
        Some(parent) if parent.as_os_str().is_empty() => PathBuf::from("."),
        Some(parent) if parent.parent().is_some() => parent.to_owned(),
        _ => file.to_owned(),
    }
}

fn absolute(path: &Path) -> PathBuf {
    // Links are followed, since rules are about what they lead to.
    let found = path.canonicalize().or_else(|_| std::path::absolute(path));
    found.unwrap_or_else(|_| path.to_owned())
}

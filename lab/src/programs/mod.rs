//! Real programs on nodes: their configuration files, and how they are started and ended.

mod name_servers;
mod primaries;
mod process;
mod resolvers;
mod web;

use std::fs;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, Result, bail};

pub(crate) use self::process::Process;
use crate::network::{Node, Sockets};

/// All that can be started.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Program {
    /// Walrus itself, by the node's `config`.
    Walrus,
    /// Beside a web server, by the node's `config`.
    Reporter,
    /// Web servers.
    Nginx,
    Apache,
    /// Root and top level.
    Nsd,
    Unbound,
    Bind,
    KnotResolver,
    PowerDns,
    /// Name servers that were there before, by the node's `setup`.
    BindPrimary,
    KnotPrimary,
    PowerDnsPrimary,
    /// The group's message server.
    Nats,
}

impl Program {
    const ALL: [(Self, &'static str, &'static str); 13] = [
        (Self::Walrus, "walrus", "walrus"),
        (Self::Reporter, "reporter", "walrus"),
        (Self::Nginx, "nginx", "nginx"),
        (Self::Apache, "apache", "apache2"),
        (Self::Nsd, "nsd", "nsd"),
        (Self::Unbound, "unbound", "unbound"),
        (Self::Bind, "bind", "named"),
        (Self::KnotResolver, "knot-resolver", "kresd"),
        (Self::PowerDns, "powerdns-recursor", "pdns_recursor"),
        (Self::BindPrimary, "bind-primary", "named"),
        (Self::KnotPrimary, "knot-primary", "knotd"),
        (Self::PowerDnsPrimary, "powerdns-primary", "pdns_server"),
        (Self::Nats, "nats", "nats-server"),
    ];

    /// By its name in scenarios.
    ///
    /// # Errors
    /// If there is none of that name.
    pub(crate) fn named(name: &str) -> Result<Self> {
        let found = Self::ALL.iter().find(|(_, known, _)| *known == name);
        let names = Self::ALL.map(|(_, name, _)| name).join(", ");
        found.map(|found| found.0).with_context(|| format!("`{name}` is no program: {names}"))
    }

    /// Its name in scenarios.
    pub(crate) fn name(self) -> &'static str {
        Self::ALL.iter().find(|known| known.0 == self).map_or("", |known| known.1)
    }

    /// What else it needs.
    pub(crate) fn beside(self) -> &'static [&'static str] {
        match self {
            Self::PowerDnsPrimary => &["pdnsutil", "sqlite3"],
            _ => &[],
        }
    }

    /// Where it is installed.
    ///
    /// # Errors
    /// If it is not.
    pub(crate) fn path(self) -> Result<PathBuf> {
        if matches!(self, Self::Walrus | Self::Reporter) {
            let path = std::env::var_os("WALRUS").context(
                "which walrus to try? Use `lab/run`, or set WALRUS to the path of the program",
            )?;
            return Ok(path.into());
        }
        find(Self::ALL.iter().find(|known| known.0 == self).map_or("", |known| known.2))
    }
}

/// The path of a program.
///
/// # Errors
/// If it is not installed.
pub(crate) fn find(program: &str) -> Result<PathBuf> {
    ["/usr/sbin", "/usr/local/sbin", "/usr/bin", "/usr/local/bin", "/sbin", "/bin"]
        .map(|folder| Path::new(folder).join(program))
        .into_iter()
        .find(|path| path.exists())
        .with_context(|| format!("{program} is not installed"))
}

/// What a node has been given to run with.
#[derive(Clone, Debug, Default)]
pub(crate) struct Given {
    /// Its `config`.
    pub(crate) config: Option<String>,
    /// What stands for what in it.
    pub(crate) values: Vec<(String, String)>,
    /// Its `zone`s: name and text.
    pub(crate) zones: Vec<(String, String)>,
    /// Its `sockets`.
    pub(crate) sockets: Option<Arc<Sockets>>,
    /// Its `setup`.
    pub(crate) set_up: Option<Ground>,
}

/// What a name server that was there before is set up from.
#[derive(Clone, Debug)]
pub(crate) struct Ground {
    /// As `walrus setup` calls it.
    pub(crate) kind: String,
    /// Whose it is there.
    pub(crate) area: String,
    /// A Walrus' configuration, nothing left open.
    pub(crate) config: String,
}

/// Starts a program on a node. Its files are in `folder`, where it also says what it does; what it kept there
/// from before is found again.
pub(crate) fn start(
    program: Program,
    node: &Node,
    given: &Given,
    folder: &Path,
    root: Option<Ipv4Addr>,
) -> Result<Process> {
    fs::create_dir_all(folder)?;
    let path = program.path()?;
    let root = || root.context("which node is the root? Write a line `root NODE`");
    let config = |file| {
        let Some(config) = &given.config else {
            bail!("what is {0} to do on {1}? Write its `config {1}`", program.name(), node.name)
        };
        write(folder, file, &filled_in(config, &given.values, node, folder)?)
    };
    let arguments = match program {
        Program::Walrus => vec!["up".to_owned(), config("walrus.toml")?],
        Program::Reporter => vec!["reporter".to_owned(), config("reporter.toml")?],
        Program::Nginx => web::nginx(node, folder)?,
        Program::Apache => web::apache(node, folder)?,
        Program::Nsd => name_servers::nsd(node, &given.zones, folder)?,
        Program::Unbound => resolvers::unbound(node, folder, root()?)?,
        Program::Bind => resolvers::bind(node, folder, root()?)?,
        Program::KnotResolver => resolvers::knot(node, folder, root()?)?,
        Program::PowerDns => resolvers::powerdns(node, folder, root()?)?,
        Program::BindPrimary => primaries::bind(node, given, folder)?,
        Program::KnotPrimary => primaries::knot(node, given, folder)?,
        Program::PowerDnsPrimary => primaries::powerdns(node, given, folder)?,
        Program::Nats => web::nats(node, given, folder)?,
    };
    let Some(sockets) = given.sockets.as_ref().filter(|_| program == Program::Walrus) else {
        return Process::start(node.namespace.command(&path).args(arguments), folder);
    };
    // As systemd does it: the number of the process stands in the environment.
    let mut command = node.namespace.command(Path::new("/bin/sh"));
    command
        .args(["-c", "LISTEN_PID=$$ LISTEN_FDS=2 exec \"$0\" \"$@\""])
        .arg(&path)
        .args(arguments);
    sockets.give_to(&mut command);
    Process::start(&mut command, folder)
}

/// What scenarios leave open in a configuration.
pub(crate) fn filled_in(
    config: &str,
    values: &[(String, String)],
    node: &Node,
    folder: &Path,
) -> Result<String> {
    let address = first_address(node)?.to_string();
    let lab = text(folder.parent().unwrap_or(folder));
    let open = [
        ("<lab>", lab),
        ("<folder>", text(folder)),
        ("<node>", node.name.clone()),
        ("<address>", address),
    ];
    let own = values.iter().fold(config.to_owned(), |config, (name, value)| {
        config.replace(&format!("<{name}>"), value)
    });
    Ok(open.into_iter().fold(own, |config, (from, to)| config.replace(from, &to)))
}

/// Writes a file and gives its path as text.
fn write(folder: &Path, name: &str, content: &str) -> Result<String> {
    let path = folder.join(name);
    fs::write(&path, content).with_context(|| text(&path))?;
    Ok(text(&path))
}

fn text(path: &Path) -> String {
    path.display().to_string()
}

fn first_address(node: &Node) -> Result<Ipv4Addr> {
    node.addresses.first().copied().with_context(|| format!("node {} has no address", node.name))
}

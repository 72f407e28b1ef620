//! The command line: a contract that scripts rely on.
//!
//! Exit codes: 0 done, 1 the answer is no, 2 wrong use, 3 could not (unreachable, port taken);
//! `walrus sim` also 130 and 143, ended by SIGINT and SIGTERM.

pub(crate) mod check;
mod demand;
mod drain;
mod explain;
mod group;
mod identity;
pub(crate) mod keys;
mod moves;
mod plan;
mod run_roles;
mod secondary;
pub(crate) mod sim;
mod status;
mod transferred;
mod vantage;
mod zone;

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::api::ErrorView;
use crate::origin::OriginSettings;
use crate::output::{complain, say_json};

/// Walrus sends every client of a replicated service to the best server for it.
#[derive(Debug, Parser)]
#[command(version, about, max_term_width = 100)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Three areas on loopback with real sockets and web servers; nothing to prepare.
    Demo(DemoArguments),
    /// Run the roles that CONFIG names; SIGHUP reloads it.
    Up(UpArguments),
    /// Say nothing and exit 0, or list every problem of CONFIG and exit 1.
    Check {
        /// A TOML file, or a directory of them.
        config: PathBuf,
        /// Also list warnings, and fail on them.
        #[arg(long)]
        strict: bool,
        /// One JSON object instead of lines.
        #[arg(long)]
        json: bool,
    },
    /// Make the running system read its configuration again; a bad one changes nothing.
    Reload {
        #[command(flatten)]
        api: ApiArguments,
        /// One JSON object instead of a line.
        #[arg(long)]
        json: bool,
    },
    /// Areas, clusters, servers, loads, master and Plan number.
    Status {
        #[command(flatten)]
        api: ApiArguments,
        /// How far clients have followed the latest changes, instead.
        #[arg(long)]
        moves: bool,
        /// One server alone, with what each vantage point says of it.
        #[arg(long, value_name = "NAME", conflicts_with = "moves")]
        server: Option<String>,
        /// One JSON object instead of tables.
        #[arg(long)]
        json: bool,
    },
    /// The Plan in force, or what another configuration would change.
    Plan {
        #[command(flatten)]
        api: ApiArguments,
        /// Show what this configuration would change, decided against the live World.
        #[arg(long, value_name = "CONFIG")]
        diff: Option<PathBuf>,
        /// One JSON object instead of a table.
        #[arg(long)]
        json: bool,
    },
    /// Why a client gets the answer that it gets.
    Explain(ExplainArguments),
    /// The name server at work: rates, names, resolvers, servers, areas and the last decisions.
    Top(TopArguments),
    /// Look at zones.
    #[command(subcommand)]
    Zone(zone::ZoneCommand),
    /// DNSSEC keys of the signed zones: where they stand, and what is done with them.
    Keys(keys::KeysArguments),
    /// Tokens and certificates for Reporters, nodes and operators.
    #[command(subcommand)]
    Identity(identity::IdentityCommand),
    /// What another configuration or policy would do, before it goes live.
    #[command(subcommand)]
    Sim(sim::SimCommand),
    /// Give a server or a cluster no new clients; survives a restart.
    Drain {
        /// A server's or a cluster's name (`server:NAME` or `cluster:NAME` if both exist).
        target: String,
        /// Even if it is the last usable server of a service.
        #[arg(long)]
        force: bool,
        #[command(flatten)]
        api: ApiArguments,
        /// One JSON object instead of a line.
        #[arg(long)]
        json: bool,
    },
    /// Take a drain back.
    Undrain {
        /// As for `drain`.
        target: String,
        #[command(flatten)]
        api: ApiArguments,
        /// One JSON object instead of a line.
        #[arg(long)]
        json: bool,
    },
    /// Print what to add to a name server that is already there, so that it can be kept up to date.
    ///
    /// The key's secret is part of it, and made if its file is not there yet.
    Setup(crate::setup::SetupArguments),
    /// The agent alone: tell a Controller how the web server on this machine fares.
    Reporter {
        /// A TOML file with the section `[reporter]`, or a directory of them.
        config: PathBuf,
    },
    /// A small web server with a status page and a fault switch, for demos and tests.
    Origin {
        /// Where to listen; may be given several times.
        #[arg(long, required = true)]
        listen: Vec<SocketAddr>,
        /// The name that its pages show.
        #[arg(long, default_value = "origin")]
        name: String,
        /// The cluster that its pages show.
        #[arg(long, default_value = "none")]
        cluster: String,
        /// Requests that it claims to serve at once.
        #[arg(long, default_value_t = 64)]
        workers: u32,
        /// End when standard input does: with whoever started it, however that ends.
        #[arg(long, hide = true)]
        until_input_ends: bool,
    },
}

impl Arguments {
    /// Whether the answer is to be one JSON object, a failure too.
    pub(crate) const fn wants_json(&self) -> bool {
        match &self.command {
            Command::Check { json, .. }
            | Command::Reload { json, .. }
            | Command::Status { json, .. }
            | Command::Plan { json, .. }
            | Command::Drain { json, .. }
            | Command::Undrain { json, .. } => *json,
            Command::Explain(explain) => explain.json,
            Command::Top(top) => top.json,
            Command::Keys(keys) => keys.wants_json(),
            Command::Sim(command) => command.wants_json(),
            Command::Identity(command) => command.wants_json(),
            Command::Demo(_)
            | Command::Up(_)
            | Command::Zone(_)
            | Command::Setup(_)
            | Command::Reporter { .. }
            | Command::Origin { .. } => false,
        }
    }
}

/// Does what the command line says.
pub(crate) fn run(arguments: Arguments) -> Result<(), Failure> {
    match arguments.command {
        Command::Demo(demo) => run_roles::demo(&demo),
        Command::Up(up) => run_roles::up(up),
        Command::Check { config, strict, json } => check::run(&config, strict, json),
        Command::Reload { api, json } => drain::reload(&api, json),
        Command::Status { api, moves, server, json } => status::run(&api, moves, server, json),
        Command::Plan { api, diff: Some(config), json } => plan::run_diff(&api, &config, json),
        Command::Plan { api, diff: None, json } => plan::run(&api, json),
        Command::Explain(explain) => explain::run(&explain),
        Command::Top(top) => crate::top::run(&top),
        Command::Zone(command) => zone::run(command),
        Command::Setup(setup) => crate::setup::run(&setup),
        Command::Keys(keys) => keys::run(keys),
        Command::Identity(command) => identity::run(&command),
        Command::Sim(command) => sim::run(&command),
        Command::Drain { target, force, api, json } => drain::drain(&api, target, force, json),
        Command::Undrain { target, api, json } => drain::undrain(&api, target, json),
        Command::Reporter { config } => run_roles::reporter(&config),
        Command::Origin { listen, name, cluster, workers, until_input_ends } => {
            let settings = OriginSettings { listen, name, cluster, workers };
            run_roles::origin(settings, until_input_ends)
        }
    }
}

/// How to reach a running system.
#[derive(Clone, Debug, Args)]
pub(crate) struct ApiArguments {
    /// The API of the running system.
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:8053")]
    pub(crate) api: String,
    /// Holds the token for what changes state; default the one in the state directory.
    #[arg(long, value_name = "FILE", env = "WALRUS_TOKEN_FILE")]
    pub(crate) token_file: Option<PathBuf>,
    /// The state directory: where the token is, and the Plan for `explain --config`.
    #[arg(long, value_name = "DIR", default_value = "/var/lib/walrus")]
    pub(crate) state: PathBuf,
}

/// `walrus demo`.
#[derive(Debug, Args)]
pub(crate) struct DemoArguments {
    /// Where its state goes; default a new directory that is removed at the end.
    #[arg(long, value_name = "DIR")]
    pub(crate) state: Option<PathBuf>,
}

/// `walrus up`.
#[derive(Debug, Args)]
pub(crate) struct UpArguments {
    /// A TOML file, or a directory of them.
    pub(crate) config: PathBuf,
    /// Time advances only when told over this Unix socket.
    #[arg(long, value_name = "SOCKET", hide = true)]
    pub(crate) test_clock: Option<PathBuf>,
    /// Fixes every random choice.
    #[arg(long, hide = true)]
    pub(crate) seed: Option<u64>,
}

/// `walrus explain`.
#[derive(Debug, Args)]
pub(crate) struct ExplainArguments {
    /// The name that is asked for.
    pub(crate) name: String,
    /// The record type.
    #[arg(default_value = "A")]
    pub(crate) record_type: String,
    /// The client, as an address or (as ECS would say it) a prefix.
    #[arg(long, value_name = "IP")]
    pub(crate) client: String,
    /// The resolver that asks; without one the client asks by itself.
    #[arg(long, value_name = "IP")]
    pub(crate) resolver: Option<IpAddr>,
    /// The name server's address that is asked.
    #[arg(long, value_name = "IP")]
    pub(crate) server: Option<IpAddr>,
    /// Explain from this configuration instead of the running system.
    #[arg(long, value_name = "CONFIG")]
    pub(crate) config: Option<PathBuf>,
    /// One JSON object instead of lines.
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) api: ApiArguments,
}

/// `walrus top`.
#[derive(Debug, Args)]
pub(crate) struct TopArguments {
    /// Print tables once and end.
    #[arg(long)]
    pub(crate) once: bool,
    /// One JSON object a line, time after time; with --once a single one.
    #[arg(long)]
    pub(crate) json: bool,
    /// Seconds between two looks.
    #[arg(long, value_name = "SECONDS", default_value_t = 1,
          value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub(crate) every: u64,
    #[command(flatten)]
    pub(crate) api: ApiArguments,
}

/// Why a command did not do what it was asked.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The answer is no (a drain is refused).
    No(String),
    /// The answer is no: everything that is wrong with a configuration, one a line.
    Problems(Vec<String>),
    /// The answer is no, and has been given.
    Told,
    /// The call's words are off.
    WrongUse(String),
    /// It could not be done (unreachable, port taken).
    CouldNot(String),
    /// The answer has been given, and something besides it could not be done (a report beside results).
    Besides(String),
}

impl Failure {
    /// The process's exit code.
    pub(crate) const fn code(&self) -> u8 {
        match self {
            Self::No(_) | Self::Problems(_) | Self::Told => 1,
            Self::WrongUse(_) => 2,
            Self::CouldNot(_) | Self::Besides(_) => 3,
        }
    }

    /// The same after the answer: a script finds one object on standard output, not two.
    pub(crate) fn after_the_answer(self) -> Self {
        match self {
            Self::No(text) | Self::WrongUse(text) | Self::CouldNot(text) => Self::Besides(text),
            other => other,
        }
    }

    /// Says it: to people on standard error, to scripts also as an object on standard output.
    pub(crate) fn tell(&self, json: bool) {
        let (error, problems) = match self {
            Self::Told => return,
            Self::Besides(text) => return complain(&format!("walrus: {text}")),
            Self::No(text) | Self::WrongUse(text) | Self::CouldNot(text) => (text.clone(), &[][..]),
            Self::Problems(problems) => (count(problems.len(), "problem"), problems.as_slice()),
        };
        if json {
            let view = ErrorView { error: error.clone(), problems: problems.to_vec() };
            // Nobody is left to tell if this fails too.
            let _ = say_json("error", &view);
        }
        // Without the program's name before it, so that editors find the place.
        problems.iter().for_each(|problem| complain(problem));
        complain(&format!("walrus: {error}"));
    }
}

fn count(number: usize, noun: &str) -> String {
    if number == 1 { format!("1 {noun}") } else { format!("{number} {noun}s") }
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Self::CouldNot(format!("{error:#}"))
    }
}

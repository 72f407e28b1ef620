//! `walrus sim`: what another configuration or policy would do, before it goes live.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use super::{ApiArguments, Failure};

/// `walrus sim`.
#[derive(Debug, Subcommand)]
pub(crate) enum SimCommand {
    /// Send a log of queries through a proposed configuration: who moves, where the load goes.
    ///
    /// Exits with 1 if a limit is passed, so that a pipeline can stop there.
    Replay(ReplayArguments),
}

/// `walrus sim replay`.
#[derive(Debug, Args)]
pub(crate) struct ReplayArguments {
    /// A decision log (JSON lines) or a dnstap file; `-` is standard input.
    #[arg(long, value_name = "LOG")]
    pub(crate) queries: PathBuf,
    /// The proposed configuration.
    #[arg(long, value_name = "NEW")]
    pub(crate) config: PathBuf,
    /// The configuration to compare with; without one, what the log says was answered.
    #[arg(long, value_name = "OLD")]
    pub(crate) against: Option<PathBuf>,
    /// The World to decide in: a journal, a state directory, or `idle` (all servers up, no load);
    /// without one that of the running system, else of the stored Plan.
    #[arg(long, value_name = "JOURNAL")]
    pub(crate) world: Option<PathBuf>,
    /// Which half of each exchange counts in a dnstap file; without it the one that comes first.
    #[arg(long, value_name = "HALF")]
    pub(crate) dnstap: Option<DnstapHalf>,
    /// The most queries that may go to another cluster, such as `20%`.
    #[arg(long, value_name = "SHARE", value_parser = share)]
    pub(crate) max_moved: Option<f64>,
    /// The most domains of which some queries may go to another cluster.
    #[arg(long, value_name = "SHARE", value_parser = share)]
    pub(crate) max_moved_domains: Option<f64>,
    /// The most queries that may go to another server, of the same cluster or not.
    #[arg(long, value_name = "SHARE", value_parser = share)]
    pub(crate) max_moved_servers: Option<f64>,
    /// The most queries that may lose their servers.
    #[arg(long, value_name = "SHARE", value_parser = share)]
    pub(crate) max_lost: Option<f64>,
    /// The most queries that may come to one server.
    #[arg(long, value_name = "SHARE", value_parser = share)]
    pub(crate) max_server: Option<f64>,
    /// One JSON object instead of tables.
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) api: ApiArguments,
}

/// One half of an exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum DnstapHalf {
    /// AUTH_QUERY and CLIENT_QUERY.
    Queries,
    /// AUTH_RESPONSE and CLIENT_RESPONSE, which say what was answered.
    Replies,
}

impl SimCommand {
    /// Whether the answer is to be one JSON object, a failure too.
    pub(super) const fn wants_json(&self) -> bool {
        match self {
            Self::Replay(replay) => replay.json,
        }
    }
}

pub(super) fn run(command: &SimCommand) -> Result<(), Failure> {
    match command {
        SimCommand::Replay(replay) => crate::sim::replay::run(replay),
    }
}

/// "20%" as 0.2.
fn share(text: &str) -> Result<f64, String> {
    let number = text.strip_suffix('%').and_then(|number| number.trim().parse::<f64>().ok());
    number
        .filter(|number| (0.0..=100.0).contains(number))
        .map(|number| number / 100.0)
        .ok_or_else(|| "a share is written as `20%`, from 0% to 100%".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_percentages() {
        assert_eq!(share("20%"), Ok(0.2));
        assert_eq!(share("0.5 %"), Ok(0.005));
        for wrong in ["20", "0.2", "%", "101%", "-1%", "nan%", ""] {
            assert!(share(wrong).is_err(), "{wrong}");
        }
    }
}

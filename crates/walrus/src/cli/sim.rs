//! `walrus sim`: what another configuration or policy would do, before it goes live.

use std::path::PathBuf;

use clap::builder::RangedU64ValueParser;
use clap::{Args, Subcommand, ValueEnum};
use walrus_sim::simulation::Study;

use super::{ApiArguments, Failure};

/// `walrus sim`.
#[derive(Debug, Subcommand)]
pub(crate) enum SimCommand {
    /// Run a study: its variants with its seeds, on all processors.
    Run(RunArguments),
    /// Two studies or variants side by side, with the same seeds.
    Compare(CompareArguments),
    /// A study over a range of settings.
    Sweep(SweepArguments),
    /// Send a log of queries through a proposed configuration: who moves, where the load goes.
    ///
    /// Exits with 1 if a limit is passed, so that a pipeline can stop there.
    Replay(ReplayArguments),
    /// Small worlds in which everything goes wrong, one a seed: do the rules of the group hold?
    ///
    /// Exits with 1 if a seed breaks a rule.
    Faults(FaultsArguments),
}

/// Settings that replace what a study says.
#[derive(Debug, Args)]
pub(crate) struct SetArguments {
    /// Replaces a setting of the study or of its configuration, such as `service.ttl=60s`; may be
    /// given several times.
    #[arg(long, value_name = "PATH=VALUE", value_parser = set)]
    pub(crate) set: Vec<(String, String)>,
}

/// Which runs, and on how many threads.
#[derive(Debug, Args)]
pub(crate) struct SeedArguments {
    /// Run with this seed alone.
    #[arg(long, value_name = "N", conflicts_with = "seeds")]
    pub(crate) seed: Option<u64>,
    /// Run with these seeds instead of the study's, such as `1-20`.
    #[arg(long, value_name = "A-B", value_parser = seeds)]
    pub(crate) seeds: Option<Seeds>,
    /// Runs at a time; without it one a processor. Results do not depend on it.
    #[arg(long, value_name = "NUMBER", value_parser = RangedU64ValueParser::<usize>::new().range(1..))]
    pub(crate) threads: Option<usize>,
}

/// `1-20` as numbers.
#[derive(Clone, Debug)]
pub(crate) struct Seeds(Vec<u64>);

impl Seeds {
    /// All of them.
    pub(crate) fn list(&self) -> &[u64] {
        &self.0
    }
}

impl SeedArguments {
    /// The seeds that were asked for, else the study's.
    pub(crate) fn of(&self, study: &Study) -> Vec<u64> {
        match (self.seed, &self.seeds) {
            (Some(seed), _) => vec![seed],
            (None, Some(seeds)) => seeds.0.clone(),
            (None, None) => study.seeds.clone(),
        }
    }
}

/// `walrus sim run`.
#[derive(Debug, Args)]
pub(crate) struct RunArguments {
    /// A TOML file.
    pub(crate) study: PathBuf,
    /// Run this variant alone; may be given several times.
    #[arg(long, value_name = "NAME")]
    pub(crate) variant: Vec<String>,
    #[command(flatten)]
    pub(crate) seeds: SeedArguments,
    #[command(flatten)]
    pub(crate) sets: SetArguments,
    /// Write a page with plots and numbers into this directory.
    #[arg(long, value_name = "DIR")]
    pub(crate) report: Option<PathBuf>,
    /// One JSON object with all results instead of a table.
    #[arg(long)]
    pub(crate) json: bool,
}

/// `walrus sim compare`.
#[derive(Debug, Args)]
pub(crate) struct CompareArguments {
    /// `STUDY` or `STUDY:VARIANT`.
    pub(crate) a: String,
    /// The same; `:VARIANT` is another variant of A's study.
    pub(crate) b: String,
    #[command(flatten)]
    pub(crate) seeds: SeedArguments,
    #[command(flatten)]
    pub(crate) sets: SetArguments,
    /// One JSON object instead of a table.
    #[arg(long)]
    pub(crate) json: bool,
}

/// `walrus sim sweep`.
#[derive(Debug, Args)]
pub(crate) struct SweepArguments {
    /// A TOML file.
    pub(crate) study: PathBuf,
    /// The values of a setting: `path=v1,v2,v3` or `path=1..10 step 1`; with several, all
    /// combinations. One value alone is the same for all.
    #[arg(long, required = true, value_name = "PATH=VALUES", value_parser = set)]
    pub(crate) set: Vec<(String, String)>,
    /// Show this measure; may be given several times.
    #[arg(long, value_name = "NAME")]
    pub(crate) measure: Vec<String>,
    /// Run this variant alone; may be given several times.
    #[arg(long, value_name = "NAME")]
    pub(crate) variant: Vec<String>,
    #[command(flatten)]
    pub(crate) seeds: SeedArguments,
    /// Write a page with plots and numbers into this directory.
    #[arg(long, value_name = "DIR")]
    pub(crate) report: Option<PathBuf>,
    /// One JSON object with all measures instead of tables.
    #[arg(long)]
    pub(crate) json: bool,
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
    /// The most lines of the log that may be broken.
    #[arg(long, value_name = "SHARE", value_parser = share)]
    pub(crate) max_broken: Option<f64>,
    /// One JSON object instead of tables.
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) api: ApiArguments,
}

/// `walrus sim faults`.
#[derive(Debug, Args)]
pub(crate) struct FaultsArguments {
    /// Which seeds, such as `1..1000` (both ends included) or `7`.
    #[arg(long, value_name = "FROM..TO", value_parser = seed_range)]
    pub(crate) seeds: Seeds,
    /// Simulated seconds in which things go wrong; a calm of some 20 s follows.
    #[arg(long, value_name = "N", default_value_t = walrus_sim::faults::FAULT_SECONDS,
          value_parser = clap::value_parser!(u64).range(3..=3600))]
    pub(crate) seconds: u64,
    /// Print the whole time line of each seed.
    #[arg(long, conflicts_with = "json")]
    pub(crate) trace: bool,
    /// Runs at a time; without it one a processor. Results do not depend on it.
    #[arg(long, value_name = "NUMBER", value_parser = RangedU64ValueParser::<usize>::new().range(1..))]
    pub(crate) threads: Option<usize>,
    /// One JSON object instead of text.
    #[arg(long)]
    pub(crate) json: bool,
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
            Self::Run(run) => run.json,
            Self::Compare(compare) => compare.json,
            Self::Sweep(sweep) => sweep.json,
            Self::Replay(replay) => replay.json,
            Self::Faults(faults) => faults.json,
        }
    }

    /// As it is called.
    const fn name(&self) -> &'static str {
        match self {
            Self::Run(_) => "sim run",
            Self::Compare(_) => "sim compare",
            Self::Sweep(_) => "sim sweep",
            Self::Replay(_) => "sim replay",
            Self::Faults(_) => "sim faults",
        }
    }
}

pub(super) fn run(command: &SimCommand) -> Result<(), Failure> {
    crate::sim::interruption::listen(command.name())?;
    match command {
        SimCommand::Run(run) => crate::sim::run::run(run),
        SimCommand::Compare(compare) => crate::sim::compare::run(compare),
        SimCommand::Sweep(sweep) => crate::sim::sweep::run(sweep),
        SimCommand::Replay(replay) => crate::sim::replay::run(replay),
        SimCommand::Faults(faults) => crate::sim::faults::run(faults),
    }
}

fn set(text: &str) -> Result<(String, String), String> {
    crate::sim::set(text)
}

/// `1..1000`, as `sim faults` has it.
fn seed_range(text: &str) -> Result<Seeds, String> {
    seeds(&text.replacen("..", "-", 1))
}

fn seeds(text: &str) -> Result<Seeds, String> {
    crate::sim::seeds(text).map(Seeds)
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
    fn a_range_of_seeds_has_both_ends() {
        assert_eq!(seed_range("3..5").unwrap().list(), [3, 4, 5]);
        assert_eq!(seed_range("7").unwrap().list(), [7]);
        assert!(seed_range("5..3").is_err() && seed_range("..").is_err());
    }

    #[test]
    fn shares_are_percentages() {
        assert_eq!(share("20%"), Ok(0.2));
        assert_eq!(share("0.5 %"), Ok(0.005));
        for wrong in ["20", "0.2", "%", "101%", "-1%", "nan%", ""] {
            assert!(share(wrong).is_err(), "{wrong}");
        }
    }
}

//! What a Controller needs under load: many Reporters, many Directors, many probes, against the real program.
//!
//! `lab/load reporters|plans|probes|sandbox [options]`. Walrus runs as a child with a configuration made for the purpose; its
//! CPU time and memory are what the kernel counts for that process alone, so that whoever makes the load does
//! not count.

mod controller;
mod figures;
mod nats;
mod plans;
mod probes;
mod reporters;
mod sandbox;
mod topology;

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};

use figures::Figures;

const USAGE: &str = "usage: lab/load reporters|plans|probes|sandbox|all [--json FILE] [--seconds N]
  reporters  [--count 10000] [--every 5] [--over tcp|tls|nats] [--domains 0]   Reporters of one Controller
             [--tokens shared|own]       ... that bring one token, or each its own
  plans      [--directors 200] [--servers 1000] [--changes 10]                 a Plan's way to many Directors
  probes     [--per-minute 100000] [--kind http|tcp]                           probes of one Controller
  sandbox                                                                      what it costs to send and receive in it";

/// How a Reporter's word comes to the Controller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Carrier {
    Tcp,
    Tls,
    Nats,
}

/// What the command line asks for.
#[derive(Clone, Debug)]
pub(crate) struct Wanted {
    pub(crate) count: usize,
    pub(crate) every: Duration,
    pub(crate) over: Carrier,
    pub(crate) domains: usize,
    /// Each Reporter has an identity and a token of its own.
    pub(crate) own_tokens: bool,
    pub(crate) directors: usize,
    pub(crate) servers: usize,
    pub(crate) changes: usize,
    pub(crate) per_minute: usize,
    pub(crate) is_http: bool,
    /// How long is measured, after all are there.
    pub(crate) seconds: u64,
    json: Option<String>,
}

impl Default for Wanted {
    fn default() -> Self {
        Self {
            count: 10_000,
            every: Duration::from_secs(5),
            over: Carrier::Tls,
            domains: 0,
            own_tokens: false,
            directors: 200,
            servers: 1_000,
            changes: 10,
            per_minute: 100_000,
            is_http: true,
            seconds: 60,
            json: None,
        }
    }
}

fn main() -> ExitCode {
    match run() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(error) => {
            eprintln!("load: {error:#}");
            ExitCode::from(3)
        }
    }
}

/// Whether all goals were reached.
fn run() -> Result<bool> {
    let mut arguments = std::env::args().skip(1);
    let which = arguments.next().context(USAGE)?;
    let wanted = read_arguments(arguments)?;
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let mut all = Vec::new();
    let mut measure = |of: &str| -> Result<()> {
        let figures = runtime.block_on(async {
            match of {
                "reporters" => reporters::measure(&wanted).await,
                "plans" => plans::measure(&wanted).await,
                "probes" => probes::measure(&wanted).await,
                "sandbox" => sandbox::measure(),
                _ => bail!(USAGE),
            }
        })?;
        print!("{figures}");
        all.push(figures);
        Ok(())
    };
    match which.as_str() {
        "all" => ["reporters", "plans", "probes", "sandbox"].into_iter().try_for_each(measure)?,
        one => measure(one)?,
    }
    if let Some(file) = &wanted.json {
        std::fs::write(file, serde_json::to_vec_pretty(&all)?).with_context(|| file.clone())?;
    }
    Ok(all.iter().all(Figures::are_reached))
}

fn read_arguments(mut arguments: impl Iterator<Item = String>) -> Result<Wanted> {
    let mut wanted = Wanted::default();
    while let Some(option) = arguments.next() {
        let value = arguments.next().with_context(|| format!("{option} needs a value; {USAGE}"))?;
        let number = || -> Result<usize> {
            let number = value.parse().ok().filter(|number| (1..=1_000_000).contains(number));
            number
                .with_context(|| format!("{option} {value}: a number from 1 to 1000000 is wanted"))
        };
        match option.as_str() {
            "--count" => wanted.count = number()?,
            "--every" => wanted.every = Duration::from_secs(number()? as u64),
            "--domains" => wanted.domains = number()?,
            "--directors" => wanted.directors = number()?,
            "--servers" => wanted.servers = number()?,
            "--changes" => wanted.changes = number()?,
            "--per-minute" => wanted.per_minute = number()?,
            "--seconds" => wanted.seconds = number()? as u64,
            "--kind" => wanted.is_http = is_http(&value)?,
            "--over" => wanted.over = carrier(&value)?,
            "--tokens" => wanted.own_tokens = are_own(&value)?,
            "--json" => wanted.json = Some(value),
            _ => bail!("`{option}` is not known; {USAGE}"),
        }
    }
    Ok(wanted)
}

fn is_http(text: &str) -> Result<bool> {
    match text {
        "http" => Ok(true),
        "tcp" => Ok(false),
        _ => bail!("--kind {text}: `http` or `tcp` is wanted"),
    }
}

fn are_own(text: &str) -> Result<bool> {
    match text {
        "own" => Ok(true),
        "shared" => Ok(false),
        _ => bail!("--tokens {text}: `shared` or `own` is wanted"),
    }
}

fn carrier(text: &str) -> Result<Carrier> {
    match text {
        "tcp" => Ok(Carrier::Tcp),
        "tls" => Ok(Carrier::Tls),
        "nats" => Ok(Carrier::Nats),
        _ => bail!("--over {text}: `tcp`, `tls` or `nats` is wanted"),
    }
}

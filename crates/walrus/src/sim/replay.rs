//! `walrus sim replay`: a log of queries through a proposed configuration.

use std::fs::File;
use std::io::{self, Read};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;

use walrus_core::answer::ZoneTable;
use walrus_sim::replay::{Half, Log, Proposal, Replay, ReplayError, ReplayOutcome, Sides};

use super::compressed;
use super::progress::Progress;
use super::replay_view::{LimitView, ReplayView, render};
use super::replay_world::{self, Found};
use crate::cli::Failure;
use crate::cli::sim::{DnstapHalf, ReplayArguments};
use crate::load::{self, LoadError};
use crate::output::{say, say_json};

/// Bytes of the log that are read at a time.
const CHUNK: usize = 64 * 1024;

pub(crate) fn run(arguments: &ReplayArguments) -> Result<(), Failure> {
    let (mut log, size) = open(&arguments.queries)?;
    let sides = Sides {
        proposed: proposal(&arguments.config)?,
        against: arguments.against.as_deref().map(proposal).transpose()?,
    };
    let Found { world, mut view, broken, failed } =
        replay_world::find(arguments.world.as_deref(), &arguments.api)?;
    let mut replay = Replay::new(sides, world).map_err(failure)?;
    let is_idle = view.source == "idle";
    let unknown_servers = if is_idle { Vec::new() } else { replay.unknown_servers() };
    read(&mut log, size, arguments, &mut replay)?;
    if let Some(why) = failed.take() {
        return Err(Failure::CouldNot(why));
    }
    let outcome = replay.finish().map_err(failure)?;
    let limits = limits(arguments, &outcome);
    check_judged(arguments, &outcome, &limits)?;
    view.broken = broken.get();
    let exceeded: Vec<String> =
        limits.iter().filter(|limit| limit.exceeded).map(LimitView::text).collect();
    let compared_with = match &arguments.against {
        Some(path) => path.display().to_string(),
        None => "what the log says was answered".to_owned(),
    };
    let view = ReplayView {
        good: exceeded.is_empty(),
        limits,
        compared_with,
        world: view,
        unknown_servers,
        result: super::replay_view::result(&outcome)?,
    };
    if arguments.json {
        say_json("replay", &view)?;
        return if view.good { Ok(()) } else { Err(Failure::Told) };
    }
    say(&render(&view))?;
    if view.good { Ok(()) } else { Err(Failure::No(exceeded.join("; "))) }
}

/// What goes wrong with the words of the call, and what with the rest.
fn failure(error: ReplayError) -> Failure {
    match error {
        ReplayError::NotRecorded(_) | ReplayError::Configuration(_) => {
            Failure::WrongUse(format!("{error} (--against)"))
        }
        ReplayError::NoRecords | ReplayError::Plan(_) => Failure::CouldNot(error.to_string()),
    }
}

/// A configuration as the replay wants it.
fn proposal(path: &Path) -> Result<Proposal, Failure> {
    let loaded = load::check(path)
        .and_then(|checked| checked.load(None))
        .map_err(LoadError::into_failure)?;
    let services: Vec<_> = loaded.topology.services.iter().map(|it| it.name.clone()).collect();
    let zones = ZoneTable::compile(&loaded.zones, &services).map_err(anyhow::Error::from)?;
    let listen = loaded.configuration.dns.listen.first().copied();
    Ok(Proposal {
        topology: loaded.topology,
        map: loaded.map,
        zones: Arc::new(zones),
        digests: loaded.digests,
        listen: listen.unwrap_or(SocketAddr::from((Ipv4Addr::LOCALHOST, 53))),
        udp_size_max: loaded.configuration.dns.udp_size_max,
    })
}

/// Whether there was anything to judge: a gate that saw nothing is not open.
fn check_judged(
    arguments: &ReplayArguments,
    outcome: &ReplayOutcome,
    limits: &[LimitView],
) -> Result<(), Failure> {
    let what = arguments.queries.display();
    if outcome.log.read == 0 {
        let broken = outcome.log.first_broken.first();
        let why = broken.map(|(place, why)| format!(": line {place}: {why}")).unwrap_or_default();
        return Err(Failure::CouldNot(format!("there is no query in {what}{why}")));
    }
    if !limits.is_empty() && outcome.queries <= 0.0 {
        return Err(Failure::CouldNot(format!(
            "no limit can be judged: of the {} queries in {what} none is answered with a server, before \
             or after (is it the log of another system?)",
            outcome.log.read
        )));
    }
    // What loses its servers does not move: that is judged by its own limit, if there is one.
    if !limits.is_empty() && arguments.max_lost.is_none() && outcome.lost.share > 1.0 - 1e-9 {
        return Err(Failure::CouldNot(format!(
            "no limit can be judged: every query in {what} loses its servers (does the configuration \
             belong to this log? --max-lost judges that)"
        )));
    }
    Ok(())
}

/// The log, and its size if it is a file.
fn open(path: &Path) -> Result<(Box<dyn Read>, Option<u64>), Failure> {
    if path == Path::new("-") {
        return Ok((Box::new(io::stdin().lock()), None));
    }
    let unreadable = |error| Failure::CouldNot(format!("cannot read {}: {error}", path.display()));
    let file = File::open(path).map_err(unreadable)?;
    let metadata = file.metadata().map_err(unreadable)?;
    Ok((Box::new(file), metadata.is_file().then_some(metadata.len())))
}

fn read(
    from: &mut dyn Read,
    size: Option<u64>,
    arguments: &ReplayArguments,
    replay: &mut Replay<'_>,
) -> Result<(), Failure> {
    let half = arguments.dnstap.map(|half| match half {
        DnstapHalf::Queries => Half::Queries,
        DnstapHalf::Replies => Half::Replies,
    });
    let mut log = Log::new(half);
    let mut progress = Progress::new();
    let unreadable =
        |error| Failure::CouldNot(format!("cannot read {}: {error}", arguments.queries.display()));
    let beginning = compressed::beginning(&mut *from).map_err(unreadable)?;
    compressed::check_log(&arguments.queries, &beginning)?;
    let mut from = beginning.as_slice().chain(from);
    let (mut chunk, mut done) = (vec![0; CHUNK], 0_u64);
    while !replay.has_failed() {
        let len = match from.read(&mut chunk) {
            Ok(0) => break,
            Ok(len) => len,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(unreadable(error)),
        };
        log.push(&chunk[..len], &mut |found| replay.take(found));
        done += len as u64;
        let share = size.filter(|size| *size > 0).map(|size| done as f64 / size as f64);
        progress.tell(share, &|| format!("{} MiB of the log", done >> 20));
    }
    log.finish(&mut |found| replay.take(found));
    Ok(())
}

/// The limits that were set, and what was found.
fn limits(arguments: &ReplayArguments, outcome: &ReplayOutcome) -> Vec<LimitView> {
    let domains = outcome.domains.count.max(1) as f64;
    let lines = (outcome.log.read + outcome.log.broken).max(1) as f64;
    let most = outcome.servers.iter().map(|server| server.after.share).fold(0.0, f64::max);
    let all = [
        ("max-moved", arguments.max_moved, outcome.moved.share),
        (
            "max-moved-domains",
            arguments.max_moved_domains,
            outcome.moved_domains.count as f64 / domains,
        ),
        ("max-moved-servers", arguments.max_moved_servers, outcome.moved_servers.share),
        ("max-lost", arguments.max_lost, outcome.lost.share),
        ("max-server", arguments.max_server, most),
        ("max-broken", arguments.max_broken, outcome.log.broken as f64 / lines),
    ];
    let limit = |(name, limit, found): (&str, Option<f64>, f64)| {
        let limit = limit?;
        // A limit is a decimal number, and what is found a quotient.
        Some(LimitView { name: name.to_owned(), limit, found, exceeded: found > limit + 1e-9 })
    };
    all.into_iter().filter_map(limit).collect()
}

//! `walrus keys`: what keys zones have, where each stands, and what an operator does about it.
//!
//! Against the running system by default; with `--config` from the files alone, which for changes
//! wants that nothing else uses the state directory.

mod ds;
mod files;

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use walrus_dns::DomainName;
use walrus_host::clock::Clock;
use walrus_host::state::StateDirectory;

use super::{ApiArguments, Failure};
use crate::api::DoneView;
use crate::api::client::Client;
use crate::api::keys::{AddKeyRequest, KeyRequest, KeysView};
use crate::load;
use crate::node::keys::{KeysRefused, NodeKeys};
use crate::output::{Table, complain, say, say_json};

pub(crate) use ds::ds_warnings;

/// `walrus keys`.
#[derive(Debug, Args)]
pub(crate) struct KeysArguments {
    #[command(subcommand)]
    command: KeysCommand,
}

#[derive(Debug, Subcommand)]
enum KeysCommand {
    /// Where each key stands, and what it waits for.
    List {
        /// Only this zone.
        zone: Option<String>,
        #[command(flatten)]
        from: Source,
    },
    /// The DS records to hand to the parent: of keys that are ready for it.
    Ds {
        /// Only this zone.
        zone: Option<String>,
        /// Of all keys that a DS may name, ready or not.
        #[arg(long)]
        all: bool,
        /// Ask the parent, and fail unless it shows just these.
        #[arg(long, conflicts_with = "all")]
        check: bool,
        #[command(flatten)]
        from: Source,
    },
    /// Make a key and roll over to it.
    Add {
        /// The zone.
        zone: String,
        /// csk, ksk or zsk; by default the zone's CSK or KSK.
        #[arg(long)]
        role: Option<String>,
        /// Private keys that are not here are lost for good: forget them, and sign with new ones at
        /// once. Until the parent's old DS has left all caches, resolvers that validate refuse the zone.
        #[arg(long, conflicts_with = "role")]
        lost: bool,
        #[command(flatten)]
        from: Source,
    },
    /// Let a key go as soon as nothing needs it; a successor is made if it has none.
    Retire {
        /// The zone.
        zone: String,
        /// The key's tag, as `walrus keys list` shows it.
        tag: u16,
        #[command(flatten)]
        from: Source,
    },
    /// Take in keys from BIND's files, on the machine where the node runs.
    Import {
        /// The zone.
        zone: String,
        /// `Kzone.+013+12345`, with .key, .private or neither.
        #[arg(required = true)]
        files: Vec<PathBuf>,
        #[command(flatten)]
        from: Source,
    },
    /// Copy a zone's keys, private halves too, into a directory, to bring them to other nodes.
    Export {
        /// The zone.
        zone: String,
        /// Where to; made (mode 0700) if it is not there.
        #[arg(long, value_name = "DIR")]
        to: PathBuf,
        #[command(flatten)]
        from: Source,
    },
}

/// Where keys are looked at.
#[derive(Debug, Args)]
struct Source {
    #[command(flatten)]
    api: ApiArguments,
    /// Use this configuration and its state directory instead of the running system.
    #[arg(long, value_name = "CONFIG")]
    config: Option<PathBuf>,
    /// One JSON object instead of text.
    #[arg(long)]
    json: bool,
}

impl KeysArguments {
    /// Whether the answer is to be one JSON object.
    pub(crate) const fn wants_json(&self) -> bool {
        match &self.command {
            KeysCommand::List { from, .. }
            | KeysCommand::Ds { from, .. }
            | KeysCommand::Add { from, .. }
            | KeysCommand::Retire { from, .. }
            | KeysCommand::Import { from, .. }
            | KeysCommand::Export { from, .. } => from.json,
        }
    }
}

pub(super) fn run(arguments: KeysArguments) -> Result<(), Failure> {
    match arguments.command {
        KeysCommand::List { zone, from } => list(&view(&from, zone.as_deref())?, from.json),
        KeysCommand::Ds { zone, all, check, from } => {
            let view = view(&from, zone.as_deref())?;
            if check { ds::check_parents(&view, &from) } else { ds::say_ds(view, all, from.json) }
        }
        KeysCommand::Add { zone, role, lost, from } => {
            let request = AddKeyRequest { zone, role, lost };
            change(&from, "/keys/add", &request, |keys| keys.add(&request))
        }
        KeysCommand::Retire { zone, tag, from } => {
            let request = KeyRequest { zone, tag };
            change(&from, "/keys/retire", &request, |keys| keys.retire(&request.zone, tag))
        }
        KeysCommand::Import { zone, files, from } => files::import(&zone, &files, &from),
        KeysCommand::Export { zone, to, from } => files::export(&zone, &to, &from),
    }
}

fn view(from: &Source, zone: Option<&str>) -> Result<KeysView, Failure> {
    let mut view: KeysView = match &from.config {
        Some(config) => offline(config)?.0.view(),
        None => Client::with_token_if_any(&from.api)?.get("/keys")?,
    };
    if let Some(zone) = zone {
        let wanted = name(zone)?.to_string();
        view.zones.retain(|zone| zone.zone == wanted);
        if view.zones.is_empty() {
            let text = format!("{wanted} is no zone that is signed there ([dnssec] sign)");
            return Err(Failure::WrongUse(text));
        }
    }
    Ok(view)
}

fn list(view: &KeysView, json: bool) -> Result<(), Failure> {
    if json {
        return say_json("keys", view);
    }
    if view.zones.is_empty() {
        return say("no zone is signed here: write `sign = true` in [dnssec]\n");
    }
    let mut table = Table::new(&["zone", "key", "role", "alg", "state", "made", "DS", "next"]);
    for zone in &view.zones {
        for key in &zone.keys {
            let until = key.until.map(|at| format!(" (until {})", date(at)));
            let next = format!("{}{}", key.next, until.unwrap_or_default());
            let missing = if key.held { "" } else { " (no private key here)" };
            table.row([
                zone.zone.clone(),
                format!("{:05}", key.tag),
                key.role.clone(),
                key.algorithm.to_string(),
                format!("{}{missing}", key.stage.replace('_', " ")),
                date(key.made),
                if key.ds.is_some() { key.at_parent.clone() } else { String::new() },
                next,
            ]);
        }
        if zone.keys.is_empty() {
            let missing = "no key yet".to_owned();
            table.row([zone.zone.clone(), "-".to_owned(), missing]);
        }
    }
    say(&table.render())?;
    for problem in view.zones.iter().flat_map(|zone| &zone.problems) {
        complain(&format!("problem: {problem}"));
    }
    Ok(())
}

fn change<B: serde::Serialize>(
    from: &Source,
    path: &str,
    request: &B,
    offline_change: impl FnOnce(&NodeKeys) -> Result<String, KeysRefused>,
) -> Result<(), Failure> {
    let done = match &from.config {
        None => Client::with_token(&from.api)?.post(path, request)?,
        Some(config) => {
            let (keys, state) = offline(config)?;
            let _held = lock(&state)?;
            DoneView { done: offline_change(&keys).map_err(refused)? }
        }
    };
    if from.json { say_json("done", &done) } else { say(&format!("{}\n", done.done)) }
}

/// Keys from the files alone, and the state directory. With a signer's configuration, keys that
/// are missing are made by the first change.
fn offline(config: &Path) -> Result<(NodeKeys, PathBuf), Failure> {
    let checked = load::check(config).map_err(load::LoadError::into_failure)?;
    let loaded = checked.load(None).map_err(load::LoadError::into_failure)?;
    let state = loaded.configuration.node.state.clone();
    Ok((NodeKeys::at_rest(&loaded, &state, &Clock::real()), state))
}

/// Nobody else changes keys meanwhile.
fn lock(state: &Path) -> Result<StateDirectory, Failure> {
    is_ours(state)?;
    StateDirectory::open(state).map_err(|error| {
        let error = walrus_host::log::chain(&error);
        Failure::CouldNot(format!("{error}; without --config the running system is asked"))
    })
}

/// Files that the superuser writes into a node's directory could not be read by the node.
fn is_ours(state: &Path) -> Result<(), Failure> {
    let owner = |path: &Path| std::fs::metadata(path).ok().map(|found| found.uid());
    // Of another system's processes nothing is known that way: then it is as it is.
    let (Some(owner), Some(us)) = (owner(state), owner(Path::new("/proc/self"))) else {
        return Ok(());
    };
    if owner == us {
        return Ok(());
    }
    Err(Failure::No(format!(
        "{} is another user's (number {owner}), who could not read what is written there: run this \
         as that user, as in `sudo -u '#{owner}' walrus keys ...`",
        state.display()
    )))
}

fn state_of(from: &Source) -> Result<PathBuf, Failure> {
    match &from.config {
        None => Ok(from.api.state.clone()),
        Some(config) => {
            let checked = load::check(config).map_err(load::LoadError::into_failure)?;
            Ok(checked.configuration.node.state)
        }
    }
}

fn name(zone: &str) -> Result<DomainName, Failure> {
    zone.parse().map_err(|error| Failure::WrongUse(format!("`{zone}` is no name: {error}")))
}

fn refused(refused: KeysRefused) -> Failure {
    let text = refused.to_string();
    match refused {
        KeysRefused::Wrong(_) => Failure::WrongUse(text),
        KeysRefused::No(_) => Failure::No(text),
        KeysRefused::Broken(_) => Failure::CouldNot(text),
    }
}

/// A time in seconds since 1970 as `2026-11-22 07:30` (UTC).
pub(super) fn date(unix: u64) -> String {
    // Days since 1 March of the year 0 (H. Hinnant, "chrono-Compatible Low-Level Date Algorithms").
    let days = unix / 86_400 + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    let (hour, minute) = (unix % 86_400 / 3600, unix % 3600 / 60);
    format!("{year}-{month:02}-{day:02} {hour:02}:{minute:02}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_those_of_the_calendar() {
        for (unix, text) in [
            (0, "1970-01-01 00:00"),
            (951_827_696, "2000-02-29 12:34"),
            (1_798_761_599, "2026-12-31 23:59"),
            (4_107_542_400, "2100-03-01 00:00"),
        ] {
            assert_eq!(date(unix), text);
        }
    }
}

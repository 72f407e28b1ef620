//! `walrus keys`: what keys zones have, where each stands, and what an operator does about it.
//!
//! Against the running system by default; with `--config` from the files alone, which for changes
//! wants that nothing else uses the state directory.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::{Args, Subcommand};
use walrus_core::config::{Configuration, ZoneDnssec};
use walrus_core::dnssec::DnsKey;
use walrus_core::dnssec::rollover::ParentView;
use walrus_director::keys::{KeyFiles, KeyStore};
use walrus_dns::DomainName;
use walrus_host::clock::Clock;
use walrus_host::state::StateDirectory;

use super::{ApiArguments, Failure};
use crate::api::DoneView;
use crate::api::client::Client;
use crate::api::keys::{AddKeyRequest, KeyRequest, KeyView, KeysView, ZoneKeysView};
use crate::load;
use crate::node::keys::{KeysRefused, NodeKeys};
use crate::output::{Table, complain, say, say_json};

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
            if check { check_parents(&view, &from) } else { ds(view, all, from.json) }
        }
        KeysCommand::Add { zone, role, lost, from } => {
            let request = AddKeyRequest { zone, role, lost };
            change(&from, "/keys/add", &request, |keys| keys.add(&request))
        }
        KeysCommand::Retire { zone, tag, from } => {
            let request = KeyRequest { zone, tag };
            change(&from, "/keys/retire", &request, |keys| keys.retire(&request.zone, tag))
        }
        KeysCommand::Import { zone, files, from } => import(&zone, &files, &from),
        KeysCommand::Export { zone, to, from } => export(&zone, &to, &from),
    }
}

fn view(from: &Source, zone: Option<&str>) -> Result<KeysView, Failure> {
    let mut view: KeysView = match &from.config {
        Some(config) => offline(config)?.0.view(),
        None => Client::new(&from.api).get("/keys")?,
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

/// Keys whose DS the parent should show: those that are ready; before that, nothing.
fn wanted(zone: &ZoneKeysView) -> impl Iterator<Item = &KeyView> {
    zone.keys.iter().filter(|key| key.wanted)
}

fn ds(mut view: KeysView, all: bool, json: bool) -> Result<(), Failure> {
    if json {
        view.zones.iter_mut().for_each(|zone| zone.keys.retain(|key| all || key.wanted));
        return say_json("keys", &view);
    }
    for zone in &view.zones {
        let mut found = false;
        for key in zone.keys.iter().filter(|key| all || key.wanted) {
            if let Some(ds) = &key.ds {
                found = true;
                say(&format!("{ds}\n"))?;
            }
        }
        if !found {
            let first = zone.keys.iter().find(|key| key.ds.is_some());
            let why = first.map_or("it has no key yet", |key| key.next.as_str());
            let until = first.and_then(|key| key.until);
            let until = until.map_or_else(String::new, |at| format!(" (until {} UTC)", date(at)));
            complain(&format!(
                "{}: no key is ready for the parent: {why}{until}; --all prints DS records all the \
                 same",
                zone.zone
            ));
        }
    }
    Ok(())
}

/// Asks the parents now.
fn check_parents(view: &KeysView, from: &Source) -> Result<(), Failure> {
    let servers = match &from.config {
        Some(config) => {
            let checked = load::check(config).map_err(load::LoadError::into_failure)?;
            checked.configuration.dnssec.parent.clone()
        }
        None => Vec::new(),
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("starting the runtime")?;
    let mut problems = Vec::new();
    for zone in &view.zones {
        let apex = name(&zone.zone)?;
        let shown = runtime.block_on(walrus_host::parent::look(&apex, &servers));
        let shown = shown.map_err(|error| Failure::CouldNot(walrus_host::log::chain(&error)))?;
        problems.extend(ds_problems(&apex, zone, &shown));
    }
    if problems.is_empty() { Ok(()) } else { Err(Failure::Problems(problems)) }
}

/// What of the parent's DS records is not as it should be: tag, algorithm and digest are compared.
fn ds_problems(apex: &DomainName, zone: &ZoneKeysView, shown: &ParentView) -> Vec<String> {
    let key_of = |view: &KeyView| view.public.as_ref().and_then(|it| DnsKey::from_hex(it).ok());
    let names = |ds: &[u8], view: &KeyView| key_of(view).is_some_and(|it| it.matches_ds(apex, ds));
    let mut problems = Vec::new();
    for key in wanted(zone) {
        if !shown.by_all.iter().any(|ds| names(ds, key)) {
            problems.push(format!("{apex}: the parent does not show key {}", key.tag));
        }
    }
    for ds in &shown.by_any {
        if zone.keys.iter().any(|key| names(ds, key)) {
            continue;
        }
        let tag = ds.first_chunk::<2>().map_or(0, |tag| u16::from_be_bytes(*tag));
        let same_tag = zone.keys.iter().any(|key| key.ds.is_some() && key.tag == tag);
        let why = match same_tag {
            true => "has the tag of one of the zone's keys, but another digest or algorithm",
            false => "names none of the zone's keys",
        };
        problems.push(format!("{apex}: the parent's DS {tag} {why}"));
    }
    problems
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

fn import(zone: &str, files: &[PathBuf], from: &Source) -> Result<(), Failure> {
    let zone = name(zone)?;
    let mut read = Vec::new();
    for file in files {
        let found =
            KeyFiles::read(file).map_err(|error| Failure::No(walrus_host::log::chain(&error)))?;
        if found.zone != zone {
            let text = format!("{} holds a key of {}, not of {zone}", file.display(), found.zone);
            return Err(Failure::No(text));
        }
        found.warnings.iter().for_each(|warning| complain(&format!("warning: {warning}")));
        read.push(found.pair);
    }
    let state = state_of(from)?;
    is_ours(&state)?;
    let store = KeyStore::new(&state);
    for pair in &read {
        store
            .add(&zone, pair)
            .map_err(|error| Failure::CouldNot(walrus_host::log::chain(&error)))?;
    }
    for pair in &read {
        let request = KeyRequest { zone: zone.to_string(), tag: pair.public().tag() };
        change(from, "/keys/import", &request, |keys| keys.import(&request.zone, request.tag))?;
    }
    Ok(())
}

fn export(zone: &str, to: &Path, from: &Source) -> Result<(), Failure> {
    let zone = name(zone)?;
    let found = KeyStore::new(&state_of(from)?).load(&zone);
    found.problems.iter().for_each(|problem| complain(&format!("problem: {problem}")));
    if found.pairs.is_empty() {
        let text = "no private key of this zone is in the state directory (--state says where)";
        return Err(Failure::No(text.to_owned()));
    }
    std::os::unix::fs::DirBuilderExt::mode(&mut std::fs::DirBuilder::new(), 0o700)
        .recursive(true)
        .create(to)
        .with_context(|| format!("cannot make {}", to.display()))?;
    for pair in &found.pairs {
        KeyFiles::write(to, &zone, pair)
            .map_err(|error| Failure::CouldNot(walrus_host::log::chain(&error)))?;
    }
    let tags: Vec<String> = found.pairs.iter().map(|pair| tag_text(pair.public())).collect();
    let done = DoneView { done: format!("keys {} are in {}", tags.join(", "), to.display()) };
    if from.json { say_json("done", &done) } else { say(&format!("{}\n", done.done)) }
}

/// What the state says of DS records that make a zone bogus, for `walrus check`: as the parent
/// showed them when it was asked last. Nothing is asked here.
pub(crate) fn ds_warnings(configuration: &Configuration) -> Vec<String> {
    let store = KeyStore::new(&configuration.node.state);
    let mut warnings = Vec::new();
    for zone in &configuration.zones {
        let Some(state) = store.load(&zone.apex).state else { continue };
        match zone.dnssec {
            ZoneDnssec::Sign => warnings.extend(state.ds_mismatch()),
            ZoneDnssec::Off if state.ds_at_parent > 0 => warnings.push(format!(
                "{apex} is not signed (dnssec = \"off\"), but its parent shows a DS: resolvers that \
                 validate refuse the whole zone; let the parent drop it before signing ends",
                apex = zone.apex
            )),
            ZoneDnssec::Off | ZoneDnssec::Keep => {}
        }
    }
    warnings
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

fn tag_text(key: &DnsKey) -> String {
    format!("{:05}", key.tag())
}

/// A time in seconds since 1970 as `2026-11-22 07:30` (UTC).
fn date(unix: u64) -> String {
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
    fn a_ds_is_compared_by_its_digest() {
        let zone: DomainName = "example.com".parse().unwrap();
        let key = DnsKey::from_data(&[&[1, 1, 3, 15][..], &[7; 32]].concat()).unwrap();
        let view = KeyView {
            tag: key.tag(),
            algorithm: 15,
            role: "csk".into(),
            stage: "active".into(),
            made: 0,
            held: true,
            next: String::new(),
            until: None,
            at_parent: "present".into(),
            wanted: true,
            ds: Some(key.ds_text(&zone)),
            public: Some(key.to_hex()),
        };
        let zone_view = ZoneKeysView {
            zone: zone.to_string(),
            signer: true,
            generation: 1,
            keys: vec![view],
            parent_seen: None,
            ds_at_parent: 0,
            problems: Vec::new(),
        };
        let problems = |ds: Vec<u8>| {
            let shown = ParentView { by_all: vec![ds.clone()], by_any: vec![ds], ttl: 1 };
            ds_problems(&zone, &zone_view, &shown).join("\n")
        };
        assert_eq!(problems(key.ds_data(&zone)), "");
        let mut other = key.ds_data(&zone);
        other[20] ^= 1;
        let said = problems(other.clone());
        assert!(said.contains("does not show key") && said.contains("another digest"), "{said}");
        other[0] ^= 1;
        assert!(problems(other).contains("names none of the zone's keys"));
    }

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

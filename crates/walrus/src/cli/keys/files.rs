//! Keys in BIND's files: brought, and taken to other nodes.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use walrus_core::dnssec::DnsKey;
use walrus_director::keys::{KeyFiles, KeyStore};

use super::{Source, change, is_ours, name, state_of};
use crate::api::DoneView;
use crate::api::keys::KeyRequest;
use crate::cli::Failure;
use crate::output::{complain, say, say_json};

pub(super) fn import(zone: &str, files: &[PathBuf], from: &Source) -> Result<(), Failure> {
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

pub(super) fn export(zone: &str, to: &Path, from: &Source) -> Result<(), Failure> {
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

fn tag_text(key: &DnsKey) -> String {
    format!("{:05}", key.tag())
}

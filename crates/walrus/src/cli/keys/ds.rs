//! DS records: for the parent, and what it shows of them.

use std::net::SocketAddr;

use anyhow::Context as _;
use walrus_core::config::{Configuration, ZoneDnssec};
use walrus_core::dnssec::DnsKey;
use walrus_core::dnssec::rollover::ParentView;
use walrus_director::keys::KeyStore;
use walrus_dns::DomainName;

use super::{Source, date, name};
use crate::api::DoneView;
use crate::api::keys::{KeyView, KeysView, ZoneKeysView};
use crate::cli::Failure;
use crate::load;
use crate::output::{complain, say, say_json};

/// Keys whose DS the parent should show: those that are ready; before that, nothing.
fn wanted(zone: &ZoneKeysView) -> impl Iterator<Item = &KeyView> {
    zone.keys.iter().filter(|key| key.wanted)
}

pub(super) fn say_ds(mut view: KeysView, all: bool, json: bool) -> Result<(), Failure> {
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
pub(super) fn check_parents(view: &KeysView, from: &Source) -> Result<(), Failure> {
    let servers = match &from.config {
        Some(config) => {
            let checked = load::check(config).map_err(load::LoadError::into_failure)?;
            checked.configuration.dnssec.parent.clone()
        }
        None => parents_of(view)?,
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
    if !problems.is_empty() {
        return Err(Failure::Problems(problems));
    }
    match from.json {
        true => {
            say_json("done", &DoneView { done: "the parents show just the keys' DS".to_owned() })
        }
        false => Ok(()),
    }
}

/// Whom the running system asks for its parents; empty: those that the DNS names.
fn parents_of(view: &KeysView) -> Result<Vec<SocketAddr>, Failure> {
    let parse = |text: &String| {
        let bad =
            |_| Failure::CouldNot(format!("the node asks `{text}`, which is no ADDRESS:PORT"));
        text.parse().map_err(bad)
    };
    view.parent.iter().map(parse).collect()
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

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::time::Duration;

    use walrus_core::dnssec::Algorithm;
    use walrus_core::dnssec::rollover::{KeyRole, RolloverSettings};
    use walrus_core::world::Name;
    use walrus_director::keys::ZoneKeeper;

    use super::*;

    /// Leaves the state of a signer whose parent has shown a DS of its key, damaged or not.
    fn a_signer_was_here(state: &Path, is_damaged: bool) {
        const NOW: u64 = 1_800_000_000;
        let zone: DomainName = "walrus.example".parse().unwrap();
        let node: Name = "one".parse().unwrap();
        let settings = RolloverSettings {
            algorithm: Algorithm::Ed25519,
            roles: vec![KeyRole::Csk],
            roll_ksk_every: None,
            roll_zsk_every: None,
            margin: Duration::ZERO,
            nodes: [node.clone()].into(),
        };
        let store = KeyStore::new(state);
        let mut keeper = ZoneKeeper::open(store, &zone, node, settings.clone(), NOW);
        keeper.reconfigure(NOW, settings, 60, 60);
        keeper.advance(NOW).unwrap();
        keeper.served(keeper.rollover().state().generation);
        let mut ds = keeper.keys().published[0].ds_data(&zone);
        ds[20] ^= u8::from(is_damaged);
        let shown = ParentView { by_all: vec![ds.clone()], by_any: vec![ds], ttl: 60 };
        keeper.parent_shows(NOW, &shown);
        keeper.advance(NOW).unwrap();
    }

    #[test]
    fn check_warns_of_a_ds_that_does_not_match() {
        for (sign, is_damaged, expected) in [
            (true, false, None),
            (true, true, Some("the parent's DS names none of the zone's keys")),
            (false, false, Some("is not signed (dnssec = \"off\"), but its parent shows a DS")),
        ] {
            let state = tempfile::tempdir().unwrap();
            a_signer_was_here(state.path(), is_damaged);
            let text = format!(
                "zone = \"walrus.example\"\nnameservers = [\"ns1.walrus.example\"]\n\
                 [node]\nname = \"one\"\nstate = \"{}\"\n[dns]\nlisten = [\"127.0.0.1:5300\"]\n\
                 [dnssec]\nsign = {sign}\n\
                 [[cluster]]\nname = \"here\"\n\
                 servers = [{{ name = \"server\", addresses = [\"192.0.2.1\"] }}]\n\
                 [[area]]\nname = \"world\"\nhome = \"here\"\n",
                state.path().display()
            );
            let checked = load::check_text("test.toml", &text).unwrap();
            let warnings = ds_warnings(&checked.configuration);
            assert_eq!(warnings.len(), usize::from(expected.is_some()), "{warnings:?}");
            let is_expected = |warning: &String| expected.is_some_and(|it| warning.contains(it));
            assert!(warnings.iter().all(is_expected), "{warnings:?}");
        }
    }

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
}

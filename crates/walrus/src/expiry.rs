//! Certificates and lists of revocations that run out: what `check`, a reload, the log, `status` and metrics tell of
//! them, days before.
//!
//! Nothing is refused for having run out. It lets nobody in, which is what it is for; but a name server must start
//! and take a reload all the same, and an authority's key is kept far from machines that could renew its list.

use std::path::PathBuf;

use walrus_core::config::Configuration;
use walrus_host::clock::Clock;
use walrus_host::log::chain;
use walrus_host::tls::{ClientAuthority, Expiry, Holds, expiries};

/// One certificate or list, and which setting names its file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Expiring {
    pub(crate) setting: &'static str,
    pub(crate) expiry: Expiry,
    /// Its file is read at each connection, and not at a reload alone.
    is_read_often: bool,
}

impl Expiring {
    pub(crate) fn holds(&self, now_unix_s: u64) -> Holds {
        self.expiry.holds(now_unix_s)
    }

    /// A sentence, if there is something to do.
    pub(crate) fn told(&self, now_unix_s: u64) -> Option<String> {
        self.expiry.told(self.setting, now_unix_s)
    }
}

/// All that the configuration names. What cannot be read is told of by whoever needs it.
pub(crate) fn look(configuration: &Configuration) -> Vec<Expiring> {
    read(named(configuration))
}

/// The same later: what is read at a reload is as it was then, whatever its file holds by now.
pub(crate) fn look_again(configuration: &Configuration, before: &[Expiring]) -> Vec<Expiring> {
    let in_force = before.iter().filter(|it| !it.is_read_often).cloned();
    let often = named(configuration).into_iter().filter(|(.., is_read_often)| *is_read_often);
    in_force.chain(read(often)).collect()
}

/// What is to be told now, a sentence each.
pub(crate) fn warnings(expiring: &[Expiring]) -> Vec<String> {
    let now = Clock::real().unix_ms() / 1000;
    expiring.iter().filter_map(|it| it.told(now)).collect()
}

/// Why the authorities or lists for those who connect will not do: a start or a reload would fail for it.
pub(crate) fn problems(configuration: &Configuration) -> Vec<String> {
    let group = &configuration.group;
    let named = [&group.client_authority, &group.client_revocations];
    let listens = configuration.node.roles.controller && !group.listen.is_empty();
    // A file that is not there is told of as that.
    if !listens || named.into_iter().flatten().any(|path| !path.exists()) {
        return Vec::new();
    }
    let error = ClientAuthority::load(group).err();
    error.map(|error| format!("[group]: {}", chain(&error))).into_iter().collect()
}

fn named(configuration: &Configuration) -> Vec<(&'static str, PathBuf, bool)> {
    let Configuration { dns, group, reporter, .. } = configuration;
    let mut named = vec![
        ("[dns] certificate", &dns.certificate, false),
        ("[group] certificate", &group.certificate, false),
        ("[group] client_authority", &group.client_authority, false),
        ("[group] client_revocations", &group.client_revocations, false),
        ("[group] authority", &group.authority, true),
        ("[group] join_certificate", &group.join_certificate, true),
    ];
    if let Some(nats) = &group.nats {
        named.push(("[group.nats] authority", &nats.authority, true));
        named.push(("[group.nats] certificate", &nats.certificate, true));
    }
    if let Some(reporter) = reporter {
        named.push(("[reporter] authority", &reporter.authority, true));
        named.push(("[reporter] certificate", &reporter.certificate, true));
    }
    let given =
        |(setting, path, often): (_, &Option<PathBuf>, _)| Some((setting, path.clone()?, often));
    named.into_iter().filter_map(given).collect()
}

fn read(files: impl IntoIterator<Item = (&'static str, PathBuf, bool)>) -> Vec<Expiring> {
    let mut all = Vec::new();
    for (setting, path, is_read_often) in files {
        let found = expiries(&path).unwrap_or_default();
        all.extend(found.into_iter().map(|expiry| Expiring { setting, expiry, is_read_often }));
    }
    all
}

//! How a name server stands, for people.

use walrus_dns::DomainName;

use super::name::{Alias, NameState as Known};
use super::{DesiredName, Failure, Updater, Verdict, Why};
use crate::config::NameServerSettings;
use crate::update::status::{NameState, NameStatus, UpdaterStatus};
use crate::world::Time;

impl Updater {
    /// How the name server stands.
    #[must_use]
    pub fn status(&self, now: Time) -> UpdaterStatus {
        let NameServerSettings { name, area, address, zone, .. } = &self.settings;
        let mut names = Vec::new();
        for (wanted, known) in self.wanted() {
            let (state, detail) = state_of(wanted, known);
            names.push(named(&wanted.service, &wanted.target, state, detail));
        }
        for service in self.desired.iter().flat_map(|desired| &desired.missing) {
            let published = self.settings.services.iter().find(|it| it.service == *service);
            let target = published.map_or(service, |it| &it.target);
            let detail = "the Plan does not say where this area's clients go: what is there stays";
            names.push(named(service, target, NameState::Unknown, detail.to_owned()));
        }
        for (service, target) in &self.left {
            let detail =
                "no longer published from here: what is there stays until somebody removes it";
            names.push(named(service, target, NameState::Left, detail.to_owned()));
        }
        let (problem, since) = self.problem_of_all().unzip();
        UpdaterStatus {
            name: name.clone(),
            area: area.clone(),
            address: address.to_string(),
            zone: zone.to_string(),
            desired: self.desired.as_ref().map(|desired| desired.plan.clone()),
            acknowledged: self.acknowledged.clone(),
            is_current: self.desired.as_ref().is_some_and(|desired| self.has(desired)),
            seen: self.seen.clone(),
            last_success_ms: self.last_success.map(|at| millis(now, at)),
            problem,
            problem_ms: since.map_or(0, |since| millis(now, since)),
            keys: self.keys.iter().map(|(zone, keys)| (zone.to_string(), keys.clone())).collect(),
            warnings: self.warnings(),
            names,
            counters: self.counters,
        }
    }

    /// What is wrong with the whole, else with updates of some names; and since when.
    fn problem_of_all(&self) -> Option<(String, Time)> {
        if let Some((failure, since)) = &self.problem {
            return Some((failure.explain(&self.settings), *since));
        }
        let (refusals, since) = self.refusals.as_ref()?;
        let text = refusals.first()?.explain(&self.settings);
        let refused = self.names.values().filter(|name| name.refused.is_some()).count();
        if refused == 0 {
            return None;
        }
        let all = self.names.len();
        let of_some = match refused < all {
            true => format!(" (for {refused} of {all} names)"),
            false => String::new(),
        };
        Some((format!("{text}{of_some}"), *since))
    }

    /// What keeps clients from what is published.
    fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        for (wanted, known) in self.wanted() {
            let DesiredName { service, target, ttl_usual, left_out, .. } = wanted;
            let address = self.settings.address;
            if *left_out > 0 {
                warnings.push(format!("{target}: {left_out} addresses did not fit an answer"));
            }
            match known.alias.as_ref() {
                Some(Alias::Missing) => warnings.push(format!(
                    "{address} has no CNAME for {service}: add `{service}. {ttl_usual} IN CNAME \
                     {target}.`"
                )),
                Some(Alias::Unknown(failure)) => warnings.push(format!(
                    "{address} does not say what {service} leads to ({}): it must serve the zone of \
                     {service}, too, and let the key ask there",
                    failure.short()
                )),
                Some(Alias::To(other, _)) if other != target => warnings.push(format!(
                    "{address} has {service} as an alias of {other}, not of {target}"
                )),
                Some(Alias::To(_, ttl)) if ttl > ttl_usual => warnings.push(format!(
                    "the CNAME of {service} at {address} may be kept for {ttl} s, longer than the \
                     addresses ({ttl_usual} s): who kept it depends on this area's zone for so long; \
                     lower its TTL"
                )),
                _ => {}
            }
        }
        warnings
    }
}

fn state_of(wanted: &DesiredName, name: &Known) -> (NameState, String) {
    match &name.unreadable {
        Some(Failure::NotAuthoritative) => {
            let detail = "the name server does not speak for it: it is within another zone there, or \
                          delegated away by NS records";
            return (NameState::Foreign, detail.to_owned());
        }
        Some(failure) => {
            return (NameState::Waiting, format!("it cannot be read: {}", failure.short()));
        }
        None if name.is_doubtful && name.verdict.is_some() => {
            let detail = "the name server was away since it was read last";
            return (NameState::Waiting, detail.to_owned());
        }
        None => {}
    }
    let refused = name.refused.as_ref();
    let refused = refused.map_or(String::new(), |it| format!("; refused: {}", it.short()));
    match &name.verdict {
        None => (NameState::Waiting, "to be read".to_owned()),
        Some(Verdict::Good) => (NameState::Published, wanted.content.to_string()),
        Some(Verdict::Write { why: Why::Drifted, .. }) => {
            (NameState::Drifted, format!("somebody else put {} there{refused}", name.describe()))
        }
        Some(Verdict::Disputed) => (
            NameState::Disputed,
            format!(
                "another node keeps {} there by other settings, here they make it {}: give both the same \
                 `area` and `ttl`",
                name.describe(),
                wanted.content
            ),
        ),
        Some(Verdict::Write { .. }) => {
            (NameState::Waiting, format!("to have {}{refused}", wanted.content))
        }
        Some(Verdict::Foreign(why)) => (NameState::Foreign, why.clone()),
        Some(Verdict::Newer(plan)) => {
            (NameState::Newer, format!("Plan {plan} is there, newer than ours"))
        }
    }
}

fn named(
    service: &DomainName,
    target: &DomainName,
    state: NameState,
    detail: String,
) -> NameStatus {
    NameStatus { service: service.to_string(), target: target.to_string(), state, detail }
}

fn millis(now: Time, then: Time) -> u64 {
    u64::try_from(now.since(then).as_millis()).unwrap_or(u64::MAX)
}

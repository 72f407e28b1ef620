//! Who gives answers out, by which Plan, and since when.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::Serialize;

use crate::control::heard::shorten;
use crate::message::{KeptNameServer, KeptNameServers, NAME_SERVERS_MAX};
use crate::plan::PlanNumber;
use crate::world::{Name, Time};

/// So many are known at once; of more, those heard of last.
pub(super) const ANSWERERS_MAX: usize = 4096;

/// Who was not heard of for so long is taken for gone: no move waits for it any more.
const GONE_AFTER: Duration = Duration::from_secs(3600);

/// Whoever answers clients' resolvers.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Answerer {
    /// A Director, by its node.
    Director(Name),
    /// A name server that is already there, by the address and zone that are kept.
    NameServer(String, String),
}

impl Answerer {
    /// For status; the name, should nothing else be known of it any more.
    pub(super) fn kind(&self) -> (AnswererKind, String) {
        match self {
            Self::Director(name) => (AnswererKind::Director, name.to_string()),
            Self::NameServer(address, zone) => {
                (AnswererKind::NameServer, format!("{address} {zone}"))
            }
        }
    }
}

/// What is known of one.
#[derive(Clone, Debug)]
pub(super) struct Known {
    /// What people call it.
    pub(super) name: Name,
    /// The Plan that it answers by; `None` if that is not known.
    pub(super) held: Option<PlanNumber>,
    /// Since when it has held that, as far as is known.
    pub(super) since: Time,
    pub(super) heard_at: Time,
    /// Why it does not go on, for people.
    pub(super) problem: Option<String>,
    /// It should have been heard since: what it answers by now is not known.
    pub(super) is_silent: bool,
    /// Whose clients ask it for what; `None`: anybody's, for anything.
    scope: Option<Scope>,
    /// Who tells of it.
    by: Name,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Scope {
    area: Name,
    /// Empty: all.
    services: Vec<String>,
    ttl: Option<Duration>,
}

impl Known {
    fn holds(&mut self, held: Option<PlanNumber>, now: Time) {
        if self.held != held {
            (self.held, self.since) = (held, now);
        }
    }

    /// How long its answers may be cached, if that is its own affair.
    pub(super) fn ttl(&self) -> Option<Duration> {
        self.scope.as_ref()?.ttl
    }

    /// Whether clients of any of these areas get answers for the service here.
    pub(super) fn answers(&self, service: &str, areas: &[Name]) -> bool {
        self.scope.as_ref().is_none_or(|scope| {
            (scope.services.is_empty() || scope.services.iter().any(|it| it == service))
                && areas.contains(&scope.area)
        })
    }
}

/// What kind of name server it is, as status shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum AnswererKind {
    /// One of Walrus' own.
    Director,
    /// One that is already there and takes updates.
    NameServer,
}

/// All of them.
#[derive(Clone, Debug, Default)]
pub(super) struct Answering {
    all: BTreeMap<Answerer, Known>,
    /// Nodes that say hello as Directors do, and answer nobody.
    silent: BTreeSet<Name>,
    /// Those that were forgotten and that moves still have.
    gone: Vec<Answerer>,
}

impl Answering {
    pub(super) fn get(&self, who: &Answerer) -> Option<&Known> {
        self.all.get(who)
    }

    /// All that were heard of late.
    pub(super) fn all(&self) -> impl Iterator<Item = (&Answerer, &Known)> {
        self.all.iter()
    }

    /// Those that were forgotten since this was asked last.
    pub(super) fn take_gone(&mut self) -> Vec<Answerer> {
        std::mem::take(&mut self.gone)
    }

    /// Forgets whoever was not heard of for long.
    pub(super) fn forget(&mut self, now: Time) {
        self.keep(|_, known| now.since(known.heard_at) < GONE_AFTER);
    }

    fn keep(&mut self, stays: impl Fn(&Answerer, &Known) -> bool) {
        let gone = self.all.extract_if(.., |who, known| !stays(who, known));
        self.gone.extend(gone.map(|(who, _)| who));
    }

    /// A Director fell silent, or is heard again. Gives it if that is news.
    pub(super) fn silent(&mut self, director: &Name, is_silent: bool) -> Option<Answerer> {
        let who = Answerer::Director(director.clone());
        let known = self.all.get_mut(&who)?;
        (std::mem::replace(&mut known.is_silent, is_silent) != is_silent).then_some(who)
    }

    /// A Director says what it answers by; without a Plan it answers nothing. Gives it if that is news.
    pub(super) fn director(
        &mut self,
        name: &Name,
        held: Option<PlanNumber>,
        problem: Option<String>,
        now: Time,
    ) -> Option<Answerer> {
        let held = held.filter(|_| !self.silent.contains(name))?;
        let who = Answerer::Director(name.clone());
        let is_news = self
            .all
            .get(&who)
            .is_none_or(|known| known.is_silent || known.held.as_ref() != Some(&held));
        let known = self.entry(&who, name, None, now);
        (known.problem, known.is_silent) = (problem, false);
        known.holds(Some(held), now);
        is_news.then_some(who)
    }

    /// A node tells of the name servers that it keeps up to date; of those that it no longer tells of, nobody else
    /// knows. Gives those that are new or changed.
    pub(super) fn kept(&mut self, by: &Name, kept: KeptNameServers, now: Time) -> Vec<Answerer> {
        if !kept.answers_nothing {
            self.silent.remove(by);
        } else if self.silent.len() < ANSWERERS_MAX {
            self.silent.insert(by.clone());
            let own = Answerer::Director(by.clone());
            self.keep(|who, _| *who != own);
        }
        let (mut named, mut news) = (BTreeSet::new(), Vec::new());
        for told in kept.name_servers.into_iter().take(NAME_SERVERS_MAX) {
            let KeptNameServer { name, area, address, zone, services, .. } = told;
            let (plan, problem) = (told.plan, told.problem);
            let ttl = told.ttl_seconds.map(|seconds| Duration::from_secs(seconds.into()));
            let who = Answerer::NameServer(shorten(address), shorten(zone));
            let scope = Some(Scope { area, services, ttl });
            let before = self.all.get(&who).map(|known| (known.held.clone(), known.scope.clone()));
            let known = self.entry(&who, by, scope, now);
            // Of two that keep the same one, who saw it take a Plan knows.
            if plan >= known.held || known.by == *by {
                (known.name, known.by) = (name, by.clone());
                known.problem = problem.map(shorten);
                // One that is not read yet has what it had.
                let held = plan.or_else(|| known.held.clone());
                known.holds(held, now);
            }
            if before != Some((known.held.clone(), known.scope.clone())) {
                news.push(who.clone());
            }
            named.insert(who);
        }
        self.keep(|who, known| {
            !matches!(who, Answerer::NameServer(..)) || known.by != *by || named.contains(who)
        });
        news
    }

    fn entry(&mut self, who: &Answerer, by: &Name, scope: Option<Scope>, now: Time) -> &mut Known {
        if !self.all.contains_key(who) && self.all.len() >= ANSWERERS_MAX {
            let oldest = self.all.iter().min_by_key(|(_, known)| known.heard_at);
            if let Some(oldest) = oldest.map(|(who, _)| who.clone()) {
                self.all.remove(&oldest);
                self.gone.push(oldest);
            }
        }
        let known = self.all.entry(who.clone()).or_insert_with(|| Known {
            name: by.clone(),
            held: None,
            since: now,
            heard_at: now,
            problem: None,
            is_silent: false,
            scope: None,
            by: by.clone(),
        });
        (known.scope, known.heard_at) = (scope, now);
        known
    }
}

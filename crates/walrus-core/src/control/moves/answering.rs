//! Who gives answers out, by which Plan, and since when.
//!
//! Of a Director its own word counts. A name server that is already there may be kept by several nodes: what each says of it is
//! kept by node, and it has a Plan when all that speak say so. So nobody vouches for what another one keeps; the price is that
//! one that cannot reach it any more holds the estimate back, and is told of by name.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use serde::Serialize;

use crate::control::heard::shorten;
use crate::message::{KeptNameServer, KeptNameServers, NAME_SERVERS_MAX};
use crate::plan::PlanNumber;
use crate::world::{Name, Time};

/// So many are known at once; of more, those heard of last.
pub(super) const ANSWERERS_MAX: usize = 4096;

/// So many nodes' words of one name server are kept; of more, those said last.
const TELLERS_MAX: usize = 16;

/// Who was not heard of for so long is taken for gone: no move waits for it any more.
const GONE_AFTER: Duration = Duration::from_secs(3600);

/// A node that is heard, and has not said for so long which name servers it keeps, keeps none any more. Three times as long as
/// there is ever between two such words.
const WORDS_LAST: Duration = Duration::from_secs(60);

/// Whoever answers clients' resolvers.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Answerer {
    /// A Director, by its node.
    Director(Name),
    /// A name server that is already there, by the address and zone that are kept; and by the node that keeps it, if
    /// the address means another host on each.
    NameServer { address: String, zone: String, on: Option<Name> },
}

impl Answerer {
    fn name_server(by: &Name, told: &KeptNameServer) -> Self {
        let (address, zone) = (shorten(told.address.clone()), shorten(told.zone.clone()));
        let on = is_of_the_node(&address).then(|| by.clone());
        Self::NameServer { address, zone, on }
    }

    /// For status; the name, should nothing else be known of it any more.
    pub(super) fn kind(&self) -> (AnswererKind, String) {
        match self {
            Self::Director(name) => (AnswererKind::Director, name.to_string()),
            Self::NameServer { address, zone, .. } => {
                (AnswererKind::NameServer, format!("{address} {zone}"))
            }
        }
    }
}

/// Whether each node means another host by it.
fn is_of_the_node(address: &str) -> bool {
    let ip = address.parse::<SocketAddr>().map(|it| it.ip().to_canonical());
    ip.is_ok_and(|ip| {
        let is_link_local = match ip {
            IpAddr::V4(ip) => ip.is_link_local(),
            IpAddr::V6(ip) => ip.is_unicast_link_local(),
        };
        ip.is_loopback() || ip.is_unspecified() || is_link_local
    })
}

/// What is known of one.
#[derive(Clone, Debug, Default)]
pub(super) struct Known {
    /// What is said of it, by who says so; never empty, and of a Director its own word alone.
    words: BTreeMap<Name, Word>,
}

/// What one node says of an answerer.
#[derive(Clone, Debug)]
pub(super) struct Word {
    /// What people call it.
    pub(super) name: Name,
    /// The Plan that it answers by; `None` if that is not known.
    pub(super) held: Option<PlanNumber>,
    /// Since when it has held that, as far as is known.
    since: Time,
    pub(super) heard_at: Time,
    /// Why it does not go on, for people.
    pub(super) problem: Option<String>,
    /// Who says so should have been heard since.
    is_silent: bool,
    /// Whose clients ask it for what; `None`: anybody's, for anything, as of a Director.
    scope: Option<Scope>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Scope {
    area: Name,
    /// Empty: all.
    services: Vec<String>,
    ttl: Option<Duration>,
}

impl Known {
    /// The words that count: of nodes that are silent only where no other one speaks.
    fn words(&self) -> impl Iterator<Item = (&Name, &Word)> {
        let speaks = self.words.values().any(|word| !word.is_silent);
        self.words.iter().filter(move |(_, word)| !speaks || !word.is_silent)
    }

    /// The word that says least for it, and whose it is: `rank` is the higher, the better a Plan is. Of those that
    /// say the same, one that says why.
    pub(super) fn worst<R: Ord>(
        &self,
        rank: impl Fn(Option<&PlanNumber>) -> R,
    ) -> Option<(&Name, &Word)> {
        self.words().min_by_key(|(_, word)| (rank(word.held.as_ref()), word.problem.is_none()))
    }

    /// Whether anybody says that it holds this Plan or a later one of the same epoch and Controller.
    pub(super) fn is_said_to_hold(&self, plan: &PlanNumber) -> bool {
        self.words.values().any(|word| word.held.as_ref().is_some_and(|held| held.follows(plan)))
    }

    /// Since when all of them have said what they do.
    pub(super) fn since(&self) -> Time {
        self.words().map(|(_, word)| word.since).max().unwrap_or(Time::ZERO)
    }

    /// Whether several nodes tell of it.
    pub(super) fn is_told_by_several(&self) -> bool {
        self.words.len() > 1
    }

    /// A Director should have been heard since: what it answers by now is not known. Of what a silent node keeps, what it said last is.
    pub(super) fn is_silent(&self) -> bool {
        self.words.values().all(|word| word.is_silent && word.scope.is_none())
    }

    /// How long its answers may be cached, if that is its own affair; `planned`: as the Plan says.
    pub(super) fn ttl(&self, planned: Duration) -> Option<Duration> {
        let scopes = self.words().filter_map(|(_, word)| word.scope.as_ref());
        scopes.map(|scope| scope.ttl.unwrap_or(planned)).max()
    }

    /// Whether clients of any of these areas get answers for the service here.
    pub(super) fn answers(&self, service: &str, areas: &[Name]) -> bool {
        let answers = |scope: &Scope| {
            (scope.services.is_empty() || scope.services.iter().any(|it| it == service))
                && areas.contains(&scope.area)
        };
        self.words().any(|(_, word)| word.scope.as_ref().is_none_or(answers))
    }

    fn heard_at(&self) -> Time {
        self.words.values().map(|word| word.heard_at).max().unwrap_or(Time::ZERO)
    }

    /// Takes a word in. Gives whether it is news.
    fn take(&mut self, by: &Name, mut word: Word) -> bool {
        if let Some(before) = self.words.get(by) {
            // One that is not read yet has what it had.
            word.held = word.held.or_else(|| before.held.clone());
            if word.held == before.held {
                word.since = before.since;
            }
            let is_same = (&word.held, &word.scope, word.is_silent)
                == (&before.held, &before.scope, before.is_silent);
            self.words.insert(by.clone(), word);
            return !is_same;
        }
        if self.words.len() >= TELLERS_MAX {
            let oldest = self.words.iter().min_by_key(|(_, word)| word.heard_at);
            let oldest = oldest.map(|(by, _)| by.clone());
            oldest.and_then(|by| self.words.remove(&by));
        }
        self.words.insert(by.clone(), word);
        true
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

/// A node that keeps name servers.
#[derive(Clone, Copy, Debug)]
struct Teller {
    /// When it last said which.
    said_at: Time,
    /// It says hello as Directors do, and answers nobody.
    answers_nothing: bool,
}

/// All of them.
#[derive(Clone, Debug, Default)]
pub(super) struct Answering {
    all: BTreeMap<Answerer, Known>,
    /// At most as many as answerers.
    tellers: BTreeMap<Name, Teller>,
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

    /// Forgets whoever was not heard of for long. Gives those of which less is said than before.
    pub(super) fn forget(&mut self, now: Time) -> Vec<Answerer> {
        let is_old = |at: Time| now.since(at) >= GONE_AFTER;
        self.tellers.retain(|_, teller| !is_old(teller.said_at));
        self.drop_words(|_, _, word| is_old(word.heard_at))
    }

    /// Forgets words, and whom nobody tells of any more. Gives those of whom others still do.
    fn drop_words(&mut self, ends: impl Fn(&Answerer, &Name, &Word) -> bool) -> Vec<Answerer> {
        let (mut fewer, gone) = (Vec::new(), &mut self.gone);
        self.all.retain(|who, known| {
            let count = known.words.len();
            known.words.retain(|by, word| !ends(who, by, word));
            match known.words.len() {
                0 => gone.push(who.clone()),
                left if left < count => fewer.push(who.clone()),
                _ => {}
            }
            !known.words.is_empty()
        });
        fewer
    }

    /// A node fell silent, or is heard again. Gives those of whom that is news.
    pub(super) fn silent(&mut self, node: &Name, is_silent: bool) -> Vec<Answerer> {
        let news = self.all.iter_mut().filter_map(|(who, known)| {
            let word = known.words.get_mut(node)?;
            let was_silent = std::mem::replace(&mut word.is_silent, is_silent);
            (was_silent != is_silent).then(|| who.clone())
        });
        news.collect()
    }

    /// A Director says what it answers by; without a Plan it answers nothing. Gives those of whom that is news.
    pub(super) fn director(
        &mut self,
        name: &Name,
        held: Option<PlanNumber>,
        problem: Option<String>,
        now: Time,
    ) -> Vec<Answerer> {
        let mut news = self.end_words(name, now);
        let answers_nothing = self.tellers.get(name).is_some_and(|it| it.answers_nothing);
        if held.is_none() || answers_nothing {
            return news;
        }
        let who = Answerer::Director(name.clone());
        let (name, by) = (name.clone(), name);
        let (heard_at, is_silent) = (now, false);
        let word = Word { name, held, since: now, heard_at, problem, is_silent, scope: None };
        if self.entry(&who).take(by, word) {
            news.push(who);
        }
        news
    }

    /// A node that speaks and says no more which name servers it keeps has started anew, and keeps none.
    fn end_words(&mut self, node: &Name, now: Time) -> Vec<Answerer> {
        let ended = |teller: &Teller| now.since(teller.said_at) >= WORDS_LAST;
        if !self.tellers.get(node).is_some_and(ended) {
            return Vec::new();
        }
        self.tellers.remove(node);
        self.drop_words(|who, by, _| by == node && matches!(who, Answerer::NameServer { .. }))
    }

    /// A node tells of all name servers that it keeps up to date. Gives those of which that is news.
    pub(super) fn kept(&mut self, by: &Name, kept: KeptNameServers, now: Time) -> Vec<Answerer> {
        let answers_nothing = kept.answers_nothing;
        if self.tellers.len() < ANSWERERS_MAX || self.tellers.contains_key(by) {
            self.tellers.insert(by.clone(), Teller { said_at: now, answers_nothing });
        }
        let (mut named, mut news) = (BTreeSet::new(), Vec::new());
        for told in kept.name_servers.into_iter().take(NAME_SERVERS_MAX) {
            let who = Answerer::name_server(by, &told);
            if self.entry(&who).take(by, Word::of(told, now)) {
                news.push(who.clone());
            }
            named.insert(who);
        }
        news.extend(self.drop_words(|who, teller, _| {
            teller == by
                && match who {
                    Answerer::NameServer { .. } => !named.contains(who),
                    Answerer::Director(_) => answers_nothing,
                }
        }));
        news
    }

    /// What is known of one: nothing, if it is new.
    fn entry(&mut self, who: &Answerer) -> &mut Known {
        if !self.all.contains_key(who) && self.all.len() >= ANSWERERS_MAX {
            let oldest = self.all.iter().min_by_key(|(_, known)| known.heard_at());
            if let Some(oldest) = oldest.map(|(who, _)| who.clone()) {
                self.all.remove(&oldest);
                self.gone.push(oldest);
            }
        }
        self.all.entry(who.clone()).or_default()
    }
}

impl Word {
    fn of(told: KeptNameServer, now: Time) -> Self {
        let KeptNameServer { name, area, services, ttl_seconds, plan, problem, .. } = told;
        let ttl = ttl_seconds.map(|seconds| Duration::from_secs(seconds.into()));
        Self {
            name,
            held: plan,
            since: now,
            heard_at: now,
            problem: problem.map(shorten),
            is_silent: false,
            scope: Some(Scope { area, services, ttl }),
        }
    }
}

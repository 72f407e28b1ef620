//! How several nodes see the servers: who says what of whom, and what that comes to.
//!
//! **Problem.** One node that probes cannot tell a dead server from a broken way to it. If the Controller's own
//! uplink fails, all servers look dead to it, and its Plans would send the world's clients to wherever it happens to
//! see; and a server that half of the world cannot reach may look well from where the Controller stands.
//!
//! **Rule.** Every node that probes is a *vantage point*. Each counts its own results (`rise`, `fall`) and tells the
//! Controllers what it made of them, not the results: nothing is counted twice. A server is down if as many of those
//! that tell of it see it down as its probe's `down_when` says: by default more than half. So with two, one of whom
//! sees it up, it stays in: a client that is sent there may have to try another address, while a server that is taken out for
//! one broken way is lost for all. `down_when` = N asks for N, or for all of them if there are fewer: where
//! nobody else is left who could agree, a dead server must go all the same.
//!
//! Who was silent for `sights_last` has no vote, nor has a *blind* one: it sees no server up, and the ones it sees
//! down stand in two clusters or more, while somebody else sees some up. That is its own uplink. So it is while the
//! blind are half of all at most: that many uplinks do not fail together, and whoever sees what most do not
//! may as well lie. If nobody sees any up, all count: then it is true, or all are cut off, which [`super::silence`]
//! and [`super::cut_off`] tell from each other. If nobody tells of a server, it is taken for what it was.
//!
//! *Newcomers* have not looked yet. Until one has had the time to find a server out, it may say either; a verdict that
//! hangs on what it will say is none yet, and what was goes on: else the first to speak after a start would decide
//! alone, whose way may be the broken one. Of a server that nobody told of before all are newcomers. After a start, and
//! after nobody was heard, all is left as it was until each has had its turn to speak. `timing.rs` says how long these
//! take. What a vantage point said before it started anew counts until it has said something else, or for `sights_last`. A
//! word about another target ([`target`]) is none.
//!
//! Every Controller reckons from the words that it hears, so all who hear the same come to the same, and a side that
//! is cut off has its own vantage points alone once the others' words have ended.
//!
//! **When it is wrong.** Where most vantage points stand behind one link, that link's fault is every server's: put
//! them where clients are. A server dead for real stays in until half of them have found out: with probes of
//! one interval that is the median's detection time instead of one's, and one message.
//!
//! **Example.** eu, us, asia and ns1 probe fra1. Its provider loses the way to Asia: asia sees it down, 1 of 4, and it stays in.
//! Then it dies: eu and us say so, 3 of 4, and it is out: "3 of 4 vantage points see it down (asia, eu, us; ns1
//! sees it up)".

mod attend;
mod ballot;
mod differ;
mod lines;
mod lookout;
mod point;
mod status;
mod target;
mod teller;
mod timing;

use std::collections::BTreeMap;
use std::time::Duration;

use super::Refusal;
use super::heard::shorten;
use super::probes::Probes;
use crate::message::{Role, SIGHTS_MAX, Sights};
use crate::world::{Name, ServerId, Time, Topology};

pub(super) use ballot::Outcome;
use ballot::Votes;
use differ::Differences;
use point::Point;
use target::Same;
use timing::{SILENCE_MIN, finds_out_within, gathered_within};

pub(super) use point::{Seen, Word};
pub(super) use target::Targets;

pub use lookout::{Look, Lookout};
pub use status::{DisagreementStatus, SeenStatus, VantagePointStatus, WaitStatus};
pub(super) use teller::Teller;

/// The most vantage points that are heard: as many as Controllers.
const POINTS_MAX: usize = 64;

/// What was not said again for so many times the silence is forgotten: a node that goes on speaking but has
/// no such server any more.
const WORDS_LAST: u32 = 3;

/// All servers are judged anew no more often, whatever is said.
const ALL_APART: Duration = Duration::from_millis(100);

/// What all vantage points say.
#[derive(Clone, Debug)]
pub(super) struct Vantage {
    /// This Controller.
    name: Name,
    own: Point,
    others: BTreeMap<(Role, Name), Other>,
    differences: Differences,
    /// Who was silent for so long has no vote.
    silence: Duration,
    /// So long a newcomer may need for any server.
    finds_out_within: Duration,
    /// What words must be about.
    targets: Targets,
    /// Since when anybody tells of a server, by id: so long those are waited for who do not yet.
    told_since: Vec<Option<Time>>,
    swept: Time,
    /// Since when this Controller looks itself, if it does.
    own_began: Option<Time>,
    /// Since when others are listened to after nobody was heard.
    gathers_since: Option<Time>,
    /// Who has a vote, as of the last change.
    votes: Votes,
    /// When all servers are to be judged anew, if they are.
    all_due: Option<Time>,
    all_judged_at: Time,
    told_at: Option<Time>,
}

/// Another one.
#[derive(Clone, Debug)]
struct Other {
    session: u64,
    /// Since when it is waited for where it has not spoken. One that started again before it could find
    /// anything out is not waited for anew: it may do so for ever.
    began: Time,
    /// When its session began.
    session_began: Time,
    /// So long the words count that it said in the session before and not yet in this one.
    old_until: Option<Time>,
    heard_at: Time,
    point: Point,
}

impl Vantage {
    pub(super) fn new(name: Name) -> Self {
        Self {
            name,
            own: Point::default(),
            others: BTreeMap::new(),
            differences: Differences::default(),
            silence: SILENCE_MIN,
            finds_out_within: Duration::ZERO,
            targets: Targets::default(),
            told_since: Vec::new(),
            swept: Time::ZERO,
            own_began: None,
            gathers_since: None,
            votes: Votes::default(),
            all_due: None,
            all_judged_at: Time::ZERO,
            told_at: None,
        }
    }

    /// Others may speak whom nobody has heard yet: until each of them has had its turn, all stays as it was.
    pub(super) fn gather(&mut self, now: Time) {
        self.gathers_since = Some(now);
    }

    /// Takes over another topology, keeping what was said of servers that stay.
    pub(super) fn retarget(
        &mut self,
        (old, new): (&Topology, &Topology),
        probes: &Probes,
        silence: Duration,
        now: Time,
    ) {
        self.silence = timing::silence(silence);
        let probes_of = new.servers.iter().filter_map(|server| server.probe.as_ref());
        let within = probes_of.map(|probe| finds_out_within(probe, self.silence)).max();
        self.finds_out_within = within.unwrap_or_default();
        let before = std::mem::replace(&mut self.targets, Targets::of(new));
        let same = Same { old: (old, &before), new: (new, &self.targets) };
        for other in self.others.values_mut() {
            other.point.carry(&same);
        }
        self.told_since = same.carry(&mut self.told_since);
        self.differences.carry(&same);
        self.own = Point::default();
        self.own_began = probes.next_wake().map(|_| self.own_began.unwrap_or(now));
        for id in ids(new) {
            self.own.set(id, probes.sight(id, now), new);
        }
        self.own.reckon(new);
        ids(new).for_each(|id| self.note_told(id, now));
        self.compare_all(new, now);
    }

    /// This Controller's own probes found something else out about a server.
    pub(super) fn look(
        &mut self,
        id: ServerId,
        probes: &Probes,
        topology: &Topology,
        now: Time,
    ) -> Vec<ServerId> {
        self.own.set(id, probes.sight(id, now), topology);
        self.own.reckon(topology);
        self.note_told(id, now);
        self.settle(vec![id], now)
    }

    /// Another vantage point speaks.
    ///
    /// # Errors
    /// If it is none, says too much, or the table is full.
    pub(super) fn hear(
        &mut self,
        (role, name, session): (Role, Name, u64),
        sights: Sights,
        topology: &Topology,
        now: Time,
    ) -> Result<Said, Refusal> {
        if sights.len() > SIGHTS_MAX {
            return Err(Refusal::TooManySights(sights.len()));
        }
        if role == Role::Reporter || (role == Role::Controller && name == self.name) {
            return Err(Refusal::NoVantagePoint(name));
        }
        let key = (role, name);
        self.make_room(&key, now)?;
        if self.others.is_empty() {
            self.gather(now);
        }
        let silence = self.silence;
        let fresh = || Other {
            session,
            began: now,
            session_began: now,
            old_until: None,
            heard_at: now,
            point: Point::default(),
        };
        let other = self.others.entry(key).or_insert_with(fresh);
        let is_another = now.since(other.heard_at) >= silence;
        if is_another {
            *other = fresh();
        } else if other.session != session {
            // It began anew, and has to look before it says anything.
            if now.since(other.session_began) >= self.finds_out_within {
                other.began = now;
            }
            (other.session, other.session_began) = (session, now);
            other.old_until.get_or_insert(now + silence);
        }
        other.heard_at = now;
        let (mut changed, mut up) = (Vec::new(), Vec::new());
        for (name, word) in words(sights, now) {
            let Some(id) = topology.server(name.as_str()) else { continue };
            let Some(target) = self.targets.get(id) else { continue };
            // Who looks at something else no longer sees what it saw here.
            let word = word.filter(|(_, of)| of.is_none_or(|of| of == target)).map(|(it, _)| it);
            up.extend(word.as_ref().is_some_and(Word::is_up).then_some(id));
            changed.extend(other.point.set(id, word, topology).then_some(id));
        }
        if !changed.is_empty() {
            other.point.reckon(topology);
            changed.iter().for_each(|id| self.note_told(*id, now));
        }
        if is_another {
            self.votes_changed(now);
            return Ok(Said { changed: Vec::new(), up });
        }
        Ok(Said { changed: self.settle(changed, now), up })
    }

    /// Forgets who was silent for long enough to lose his vote, and words that were not said again.
    pub(super) fn sweep(&mut self, topology: &Topology, now: Time) {
        if self.next_silence().is_none_or(|at| now < at) {
            return;
        }
        let silence = self.silence;
        let before = self.others.len();
        self.others.retain(|_, other| now.since(other.heard_at) < silence);
        let mut all = self.others.len() != before;
        for other in self.others.values_mut() {
            if other.old_until.take_if(|until| *until <= now).is_some() {
                let began = other.session_began;
                all |= other.point.forget(|word| word.at < began, topology);
            }
        }
        if now.since(self.swept) >= silence {
            self.swept = now;
            let over = |word: &Word| now.since(word.at) >= silence * WORDS_LAST;
            for other in self.others.values_mut() {
                all |= other.point.forget(over, topology);
            }
        }
        if all {
            ids(topology).for_each(|id| self.note_told(id, now));
            self.votes_changed(now);
        }
    }

    /// Whether anybody tells of a server, and since when.
    fn note_told(&mut self, id: ServerId, now: Time) {
        let is_told = self.own.word(id).is_some()
            || self.others.values().any(|other| other.point.word(id).is_some());
        if let Some(since) = self.told_since.get_mut(id.index()) {
            *since = is_told.then(|| since.unwrap_or(now));
        }
    }

    /// Whether all servers are to be judged now: one message may change what all come to, and there may be many.
    pub(super) fn takes_all(&mut self, topology: &Topology, now: Time) -> bool {
        if self.all_due.take_if(|at| *at <= now).is_none() {
            return false;
        }
        self.all_judged_at = now;
        self.compare_all(topology, now);
        true
    }

    /// When that is.
    pub(super) const fn all_due(&self) -> Option<Time> {
        self.all_due
    }

    /// When somebody has been silent for long enough, or words are to be looked through.
    pub(super) fn next_silence(&self) -> Option<Time> {
        let ends = |other: &Other| {
            let silent = other.heard_at + self.silence;
            other.old_until.map_or(silent, |until| until.min(silent))
        };
        let silent = self.others.values().map(ends).min()?;
        Some(silent.min(self.swept + self.silence))
    }

    /// This process did not listen: it is not the others who were silent.
    pub(super) fn hear_anew(&mut self, now: Time) {
        for other in self.others.values_mut() {
            other.heard_at = now;
            other.point.hear_anew(now);
        }
    }

    /// How this Controller sees a server itself.
    pub(super) fn own(&self, id: ServerId) -> Option<&Word> {
        self.own.word(id)
    }

    /// How many vantage points have a word on a server, and so probe it.
    pub(super) fn points_that_tell_of(&self, id: ServerId) -> usize {
        let points = std::iter::once(&self.own).chain(self.others.values().map(|it| &it.point));
        points.filter(|point| point.word(id).is_some()).count()
    }

    fn make_room(&mut self, key: &(Role, Name), now: Time) -> Result<(), Refusal> {
        if self.others.contains_key(key) || self.others.len() < POINTS_MAX {
            return Ok(());
        }
        let silence = self.silence;
        self.others.retain(|_, other| now.since(other.heard_at) < silence);
        if self.others.len() < POINTS_MAX {
            return Ok(());
        }
        Err(Refusal::TooManyVantagePoints(self.others.len()))
    }

    /// Whose verdict may have changed, beside that of all if others have a vote now.
    fn settle(&mut self, changed: Vec<ServerId>, now: Time) -> Vec<ServerId> {
        if self.votes != self.reckon_votes() {
            self.votes_changed(now);
            return Vec::new();
        }
        for id in &changed {
            self.compare(*id, now);
        }
        changed
    }

    fn votes_changed(&mut self, now: Time) {
        self.votes = self.reckon_votes();
        self.all_due.get_or_insert(now.max(self.all_judged_at + ALL_APART));
    }

    fn compare_all(&mut self, topology: &Topology, now: Time) {
        self.votes = self.reckon_votes();
        for id in ids(topology) {
            self.compare(id, now);
        }
    }

    fn compare(&mut self, id: ServerId, now: Time) {
        let ballot = self.ballot(id, crate::world::DownWhen::Majority);
        let differs = !ballot.down.is_empty() && !ballot.up.is_empty();
        self.differences.note(id, differs, now);
    }
}

/// Servers to be probed that a point cannot tell of.
fn unseen(point: &Point, topology: &Topology) -> Vec<ServerId> {
    let is_probed =
        |id: &ServerId| topology.servers.get(id.index()).is_some_and(|it| it.probe.is_some());
    ids(topology).filter(is_probed).filter(|id| point.word(*id).is_none()).collect()
}

/// All servers of a topology.
fn ids(topology: &Topology) -> impl Iterator<Item = ServerId> + use<> {
    (0..u32::try_from(topology.servers.len()).unwrap_or(u32::MAX)).map(ServerId)
}

/// What one message of another vantage point comes to.
#[derive(Debug)]
pub(super) struct Said {
    /// Servers whose verdict may be another now.
    pub(super) changed: Vec<ServerId>,
    /// Servers that it sees up where they are probed here, too.
    pub(super) up: Vec<ServerId>,
}

/// What is said of each server, and of which target if that is said (not by older versions); `None` where the speaker no longer sees
/// it. The last word on one counts.
fn words(sights: Sights, now: Time) -> impl Iterator<Item = (Name, Option<(Word, Option<u16>)>)> {
    let Sights { up, up_targets, down, unseen } = sights;
    let targets = up_targets.into_iter().map(Some).chain(std::iter::repeat(None));
    let up = up.into_iter().zip(targets).map(|(name, target)| (name, target, Seen::Up));
    let down = down.into_iter().map(move |down| {
        let unseen = Duration::from_millis(down.unseen_ms).as_nanos();
        let unseen = u64::try_from(unseen).unwrap_or(u64::MAX);
        let up_at = Time::from_nanos(now.as_nanos().saturating_sub(unseen));
        (down.server, down.target, Seen::Down { reason: shorten(down.reason), up_at })
    });
    let seen = up.chain(down);
    let seen = seen.map(move |(name, of, seen)| (name, Some((Word { seen, at: now }, of))));
    unseen.into_iter().map(|name| (name, None)).chain(seen)
}

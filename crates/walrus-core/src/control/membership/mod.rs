//! A Controller's place in a group of several: who is there, who is master, what is exchanged.
//!
//! **Problem.** There is a Controller in every area, and any of them may die or be cut off. One of those that hear
//! each other must be master, soon, without asking a clock or a quorum: the smaller side of a partition wants one too.
//!
//! **Rule.** As in Spread, who joined first is first. A Controller that starts listens for one detection time,
//! then takes 1 + the highest *join number* that it has stored or heard of, stores it, and says it. Three times a
//! detection time each says that it is there, what it knows, and whom it hears ([`Presence`]); at once if
//! something in that changes. Who was silent for a detection time is gone. From this each reckons the master
//! ([`view`]); all others are standbys: they take in reports, probe, and judge servers as the master does, and follow its
//! Plan, so that taking over needs no more than a number: the highest epoch seen or stored + 1.
//!
//! **Who is dead and speaks.** Somebody who once listened, and may speak in its name, may say again what a Controller
//! said that is dead since. Words are taken once each ([`crate::message::Senders`]), but a process that has just started has
//! taken none yet, and clocks are not compared. So each presence names the sessions of those that its sender hears: who
//! does not name the session of this process one detection time after its first word was perhaps never alive
//! since, and people are told. It counts all the same: the same is seen where only one direction works, and
//! whoever did not defer then would be a second master for as long as that lasts (seeds 445 and 588 of the faults showed
//! it); and whoever may speak in a Controller's name need not repeat old words, but can say new ones.
//!
//! **When it is wrong.** See [`view`]. Two Controllers that were given one name: the one with the higher session goes on,
//! the other is a standby as long as it hears it; both say so.
//!
//! **Example.** Detection 3 s. one dies at 0 s, having been heard at -0.2 s. At 2.8 s two and three take it for gone; two has
//! the lower join number, begins epoch 8 after 7, and publishes a Plan that moves nobody.

mod exchange;
mod peers;
mod standby;
mod status;
mod view;
mod wanted;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use super::contest::{Contest, SeenAt};
use super::{Candidacy, Controller, Effect, Refusal};
use crate::message::{Heard, Message, Presence};
use crate::plan::{Plan, PlanNumber};
use crate::world::{Name, Override, Overrides, Target, Time};

use exchange::Exchange;
use peers::{Peers, Proof};
use wanted::Wanted;

pub use status::{ConflictStatus, GroupStatus, PeerStatus};

/// Between two presences, whatever changes.
const SAID_APART: Duration = Duration::from_millis(100);

/// A Director says three times in a detection time that it is there; who misses six of these words, and five seconds,
/// counts as silent.
const DIRECTOR_SILENT_MIN: Duration = Duration::from_secs(5);

/// That there is another of the same name is said again after this.
const TWIN_SAID_APART: Duration = Duration::from_secs(60);

/// How a Controller begins in a group.
#[derive(Clone, Debug, Default)]
pub struct GroupStart {
    /// As in its messages: rises with each start.
    pub session: u64,
    /// The highest join number that it ever used; 0 if none ([`Effect::StoreJoined`]).
    pub joined: u64,
    /// The program's version, for people.
    pub program: String,
}

/// What a Controller knows of its group.
#[derive(Clone, Debug)]
pub(super) struct Membership {
    start: GroupStart,
    started: Time,
    detection: Duration,
    /// Its own join number, once it has one.
    joined: Option<u64>,
    /// Of all join numbers that it has stored or heard of.
    highest_joined: u64,
    peers: Peers,
    /// Who was heard when that was looked at last.
    live: BTreeSet<Name>,
    /// Who was in doubt then.
    doubted: BTreeSet<Name>,
    twin: Option<Twin>,
    master: Option<Name>,
    pub(super) is_master: bool,
    exchange: Exchange,
    wanted: Wanted,
    /// Another's Plan that a master heard: it may have to follow that one, and will not hear it again.
    set_aside: Option<Arc<Plan>>,
    /// Notices that a standby did not tell, in case that the master has died with them.
    untold: standby::Untold,
    /// When a master that is behind somebody's number begins its next epoch.
    contest: Contest,
    said: Option<Presence>,
    said_at: Time,
    /// Until then nobody can have answered; `None` before this Controller's first word.
    answered_from: Option<Time>,
    next_heartbeat: Time,
    /// Something came in since this was looked at.
    news: bool,
    /// It has said that it ends.
    is_leaving: bool,
    /// When this is to be looked at again.
    due: Option<Time>,
}

/// Another Controller of the same name.
#[derive(Clone, Debug)]
struct Twin {
    session: u64,
    presence: Presence,
    heard_at: Time,
    warned: Time,
}

impl Membership {
    pub(super) fn new(
        start: GroupStart,
        detection: Duration,
        overrides: &Overrides,
        now: Time,
    ) -> Self {
        Self {
            highest_joined: start.joined,
            start,
            started: now,
            detection,
            joined: None,
            peers: Peers::default(),
            live: BTreeSet::new(),
            doubted: BTreeSet::new(),
            twin: None,
            master: None,
            is_master: false,
            exchange: Exchange::new(overrides, now),
            wanted: Wanted::default(),
            set_aside: None,
            untold: standby::Untold::default(),
            contest: Contest::new(SeenAt::Director, now),
            said: None,
            said_at: now,
            answered_from: None,
            next_heartbeat: now,
            news: true,
            is_leaving: false,
            due: None,
        }
    }

    /// The twin, if it was heard within the detection time.
    fn twin(&self, now: Time) -> Option<&Twin> {
        self.twin.as_ref().filter(|twin| now.since(twin.heard_at) < self.detection)
    }

    /// Whether another Controller of the same name goes on instead of this one.
    fn has_stepped_back(&self, now: Time) -> bool {
        self.twin(now).is_some_and(|twin| twin.session > self.start.session)
    }

    fn hear_of(&mut self, presence: &Presence) {
        let joined = presence.heard.iter().map(|heard| heard.joined).chain([presence.joined]);
        self.highest_joined = joined.fold(self.highest_joined, u64::max);
    }

    /// The join number, once others' have been listened for.
    fn join(&mut self, now: Time) -> Option<u64> {
        if self.joined.is_some() || now < self.started + self.detection {
            return None;
        }
        // Nobody can drive the others' out of what is believed; those that join alike are told apart by name.
        self.highest_joined = (self.highest_joined + 1).min(peers::JOINED_MAX - 1);
        self.joined = Some(self.highest_joined);
        self.joined
    }

    /// Who is heard and may be dead: until its own first words have been answered, that is nobody.
    fn in_doubt(&self, now: Time) -> BTreeSet<Name> {
        let is_early = self.answered_from.is_none_or(|until| now < until);
        let doubted = (!is_early).then(|| self.peers.in_doubt(self.detection, now));
        doubted.into_iter().flatten().cloned().collect()
    }

    /// Who is heard.
    fn view(&self, now: Time) -> Vec<view::Peer<'_>> {
        self.peers.view(self.detection, now)
    }

    /// The master in this Controller's eyes.
    fn elect(&self, own: &Name, hears: bool, now: Time) -> Option<Name> {
        let mut peers = self.view(now);
        let own_candidacy = self.joined.map(|joined| Candidacy { joined, hears });
        // The other one of this name is who the others hear: it counts among the peers.
        let twin = self.twin(now).filter(|twin| twin.session > self.start.session);
        if let Some(twin) = twin {
            peers.retain(|peer| peer.name != own);
            let joined = twin.presence.joined;
            let candidacy = Candidacy { joined, hears: twin.presence.hears };
            return view::master(
                own,
                Some(candidacy),
                &peers,
                self.peers.left(self.detection, now),
            );
        }
        view::master(own, own_candidacy, &peers, self.peers.left(self.detection, now))
    }

    /// What it says of itself.
    fn presence(
        &self,
        (own, joined, hears): (&Name, u64, bool),
        [plan, marks]: [Option<PlanNumber>; 2],
        now: Time,
    ) -> Presence {
        Presence {
            joined,
            hears,
            plan,
            marks,
            mute: view::is_mute(own, &self.view(now)),
            leaving: self.is_leaving,
            heard: self.peers.heard(self.detection, now),
            overrides: self.exchange.digest().clone(),
            program: self.start.program.clone(),
        }
    }

    /// When something is due next but the heartbeat, if nothing comes in. To be kept: what has just become silent
    /// is no longer seen here.
    fn reckon_due(&self, own: &Name, is_behind: bool, now: Time) -> Option<Time> {
        let joins = self.joined.is_none().then(|| self.started + self.detection);
        let silence = self.peers.next_silence(self.detection, now);
        let twin = self.twin(now).map(|twin| twin.heard_at + self.detection);
        let epoch = (is_behind && self.is_master).then_some(self.contest.not_before());
        let exchange = self.exchange_at(own, now);
        let due = [joins, silence, twin, epoch, self.wanted.next(), exchange];
        due.into_iter().flatten().min()
    }

    /// When something is due.
    fn next(&self) -> Option<Time> {
        if self.is_leaving {
            return None;
        }
        if self.news {
            return Some(Time::ZERO);
        }
        let heartbeat = self.joined.map(|_| self.next_heartbeat);
        self.due.into_iter().chain(heartbeat).min()
    }

    fn hears_and_is_heard_by(&self, own: &Name, other: &Name, now: Time) -> bool {
        self.view(now).iter().any(|peer| peer.name == other && peer.hears(own))
    }

    fn exchange_at(&self, own: &Name, now: Time) -> Option<Time> {
        self.joined?;
        let digest = self.exchange.digest();
        let mut live = self.peers.live(self.detection, now);
        let differs = live.any(|(_, peer)| peer.presence.overrides != *digest);
        self.exchange.next(differs || self.peers.hear_of_others(own, self.detection, now))
    }
}

impl Controller {
    /// Whether its Plans are the ones to be realised. One that is in no group always is master.
    #[must_use]
    pub fn is_master(&self) -> bool {
        self.group.as_ref().is_none_or(|group| group.is_master)
    }

    /// Who is master in its eyes; `None` while it knows of none.
    #[must_use]
    pub fn master(&self) -> Option<&Name> {
        self.group.as_ref().map_or(Some(&self.name), |group| group.master.as_ref())
    }

    /// Its join number, once it has one; `None` too without a group.
    #[must_use]
    pub fn joined(&self) -> Option<u64> {
        self.group.as_ref()?.joined
    }

    pub(super) fn presence(
        &mut self,
        name: Name,
        session: u64,
        presence: Presence,
    ) -> Result<(), Refusal> {
        let group = self.group.as_mut().ok_or(Refusal::NoGroup)?;
        peers::check(&presence)?;
        if name != self.name {
            let (plan, marks) = (presence.plan.clone(), presence.marks.clone());
            group.hear_of(&presence);
            let twin = group.twin(self.now).map(|twin| twin.session);
            let proof = Proof {
                own: &self.name,
                session: group.start.session,
                twin: twin.filter(|twin| *twin > group.start.session),
            };
            group.peers.take((name, session, presence), proof, group.detection, self.now)?;
            group.news = true;
            if let Some(marks) = marks {
                self.note_marks(marks);
            }
            return plan.map_or(Ok(()), |plan| self.numbering.note(&plan));
        }
        if session == group.start.session {
            return Ok(());
        }
        group.hear_of(&presence);
        group.news = true;
        self.twin_heard(session, presence);
        Ok(())
    }

    /// Another Controller of this name.
    fn twin_heard(&mut self, session: u64, presence: Presence) {
        let Some(group) = self.group.as_mut() else { return };
        let now = self.now;
        let known = group.twin.as_ref().filter(|twin| twin.session == session);
        let warned = known.map(|twin| twin.warned);
        let is_due = warned.is_none_or(|warned| now.since(warned) >= TWIN_SAID_APART);
        let warned = if is_due { now } else { warned.unwrap_or(now) };
        if let Some(plan) = &presence.plan {
            // It is plausible: that was checked.
            let _ = self.numbering.note(plan);
        }
        group.twin = Some(Twin { session, presence, heard_at: now, warned });
        if is_due {
            let text = status::twin_text(&self.name, session, group.start.session);
            self.warn(text);
        }
    }

    /// When the group wants something done next.
    pub(super) fn next_of_group(&self) -> Option<Time> {
        Some(self.group.as_ref()?.next()?.max(self.now))
    }

    /// Something changed that the group may want to know.
    pub(super) fn attend_soon(&mut self) {
        if let Some(group) = self.group.as_mut() {
            group.news = true;
        }
    }

    /// An operator set this here.
    pub(super) fn say_override(&mut self, target: Target, entry: Override) {
        if let Some(group) = self.group.as_mut() {
            group.exchange.set_here(target, entry);
            group.news = true;
        }
    }

    /// Another's override was merged.
    pub(super) fn override_merged(&mut self) {
        if let Some(group) = self.group.as_mut() {
            group.exchange.merged();
            group.news = true;
        }
    }

    /// Another configuration is in force.
    pub(super) fn reconfigure_group(&mut self) {
        if let Some(group) = self.group.as_mut() {
            group.detection = self.configuration.control.detection;
            group.news = true;
        }
    }

    /// The whole process stood still: nobody counts as gone for what was not listened to.
    pub(super) fn hear_group_anew(&mut self) {
        if let Some(group) = self.group.as_mut() {
            group.peers.hear_anew(&group.live, self.now);
            group.news = true;
            self.demand.hear_anew(self.now);
        }
    }

    /// Joins, finds out who is there and who is master, and takes over or stands back.
    pub(super) fn attend_group(&mut self) {
        let now = self.now;
        let is_due = |group: &mut Membership| group.next().is_some_and(|at| at <= now);
        let Some(mut group) = self.group.take_if(is_due) else { return };
        group.news = false;
        if let Some(joined) = group.join(now) {
            self.effects.push_back(Effect::StoreJoined(joined));
            group.next_heartbeat = now;
        }
        self.see_who_is_there(&mut group);
        self.cut_off.peers(group.peers.last_word(), !group.live.is_empty());
        let hears = self.hears(now);
        let master = group.elect(&self.name, hears, now);
        let is_master = master.as_ref() == Some(&self.name)
            && group.joined.is_some()
            && !group.has_stepped_back(now);
        group.master = master;
        let was_master = std::mem::replace(&mut group.is_master, is_master);
        if is_master && !was_master {
            self.take_over(&mut group);
        } else if was_master && !is_master {
            let master = group.master.as_ref().map_or("nobody", Name::as_str);
            self.warn(format!("this Controller is a standby now: the master is {master}"));
            if let Some(plan) = group.set_aside.take() {
                self.adopt(plan);
            }
        } else if is_master && self.numbering.is_behind() {
            self.contest(&mut group);
        }
        group.exchange.renew(&self.overrides);
        let agreed = (group.exchange.digest(), group.exchange.own());
        let differs = group.peers.compare(agreed, group.detection, now)
            || group.peers.hear_of_others(&self.name, group.detection, now);
        let said = group.exchange.say(differs && group.joined.is_some(), now);
        self.effects.extend(said.into_iter().map(Effect::Say));
        if let Some(plan) = self.plan.as_ref().filter(|_| group.wanted.take(now)) {
            self.effects.push_back(Effect::SendPlan(plan.clone()));
        }
        group.due = group.reckon_due(&self.name, self.numbering.is_behind(), now);
        self.group = Some(group);
    }

    /// Notes who is there, and tells of those that no longer are.
    fn see_who_is_there(&mut self, group: &mut Membership) {
        let now = self.now;
        group.peers.forget(now);
        let live = group.peers.live(group.detection, now).map(|(name, _)| name.clone()).collect();
        let before = std::mem::replace(&mut group.live, live);
        if before.is_empty() != group.live.is_empty() {
            self.event = true;
        }
        for silent in before.difference(&group.live) {
            let Some(peer) = group.peers.get(silent) else { continue };
            let how = if peer.presence.leaving { "has ended" } else { "is heard no longer" };
            self.warn(format!("Controller {silent} {how}"));
        }
        let doubted = group.in_doubt(now);
        for name in doubted.difference(&group.doubted) {
            self.warn(format!(
                "Controller {name} is heard, but does not say that it hears this one: either this one's words do not \
                 reach it, or it is dead and somebody repeats what it said"
            ));
        }
        for name in group.doubted.difference(&doubted).filter(|name| group.live.contains(*name)) {
            self.warn(format!("Controller {name} says that it hears this one"));
        }
        group.doubted = doubted;
        let silence = (group.detection * 2).max(DIRECTOR_SILENT_MIN);
        for (director, is_silent) in self.demand.find_silent(&self.name, silence, now) {
            self.moves.silent(&director, is_silent, now);
            let how = if is_silent { "is heard no longer" } else { "is heard again" };
            self.warn(format!("Director {director} {how}"));
        }
    }

    /// A master that is behind somebody's number goes above it, if the time has come.
    fn contest(&mut self, group: &mut Membership) {
        let Some(above) = self.numbering.highest() else { return };
        let (own, other, now) = (&self.name, &above.controller, self.now);
        if group.hears_and_is_heard_by(own, other, now) {
            group.contest.is_over(group.detection);
        }
        if group.contest.not_before() <= now {
            group.contest.goes_above((own, other), group.detection, now);
            self.go_above();
        }
    }

    /// Whether this Controller and another hear each other.
    pub(super) fn hear_each_other(&self, other: &Name) -> bool {
        let group = self.group.as_ref();
        group.is_some_and(|group| group.hears_and_is_heard_by(&self.name, other, self.now))
    }

    /// What it says of itself now, once it has joined. One that has stepped back for another of its name says so
    /// too: else nobody could tell that there are two.
    fn own_presence(&self) -> Option<Presence> {
        let group = self.group.as_ref()?;
        let own = (&self.name, group.joined?, self.hears(self.now));
        let numbers = [self.numbering.highest(), self.marks.highest().cloned()];
        Some(group.presence(own, numbers, self.now))
    }

    /// It ends now, in good order: the others need not wait for its silence. It says so, and from then on is master no
    /// more and says nothing; what is polled after this is to be carried out before the end.
    pub fn leave(&mut self, now: Time) {
        self.now = self.now.max(now);
        let Some(group) = self.group.as_mut().filter(|group| !group.is_leaving) else { return };
        (group.is_leaving, group.is_master, group.master) = (true, false, None);
        if let Some(presence) = self.own_presence() {
            self.effects.push_back(Effect::Say(Message::Presence(presence)));
        }
    }

    /// Says that it is there, if it is time or something changed. To be called when all else is decided.
    pub(super) fn say_presence(&mut self) {
        let Some(presence) = self.own_presence() else { return };
        let (now, Some(group)) = (self.now, self.group.as_mut()) else { return };
        if group.is_leaving {
            return;
        }
        let is_news = group.said.as_ref().is_none_or(|said| !says_the_same(said, &presence));
        if is_news {
            let soonest = if group.said.is_some() { group.said_at + SAID_APART } else { now };
            group.next_heartbeat = group.next_heartbeat.min(soonest);
        }
        if group.next_heartbeat <= now {
            group.next_heartbeat = now + group.detection / 3;
            group.said_at = now;
            group.answered_from.get_or_insert(now + group.detection);
            group.said = Some(presence.clone());
            self.effects.push_back(Effect::Say(Message::Presence(presence)));
        }
    }
}

/// By what those that are heard know that they are meant.
const fn named(heard: &Heard) -> (&Name, Option<u64>) {
    (&heard.name, heard.session)
}

/// Whether a presence tells nothing new but the state of others, who say that themselves.
fn says_the_same(said: &Presence, presence: &Presence) -> bool {
    (said.joined, said.hears, said.mute) == (presence.joined, presence.hears, presence.mute)
        && (&said.plan, &said.marks, &said.overrides)
            == (&presence.plan, &presence.marks, &presence.overrides)
        && said.heard.iter().map(named).eq(presence.heard.iter().map(named))
}

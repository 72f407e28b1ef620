//! What a Controller can tell of its group.

use serde::Serialize;

use super::view;
use crate::control::Controller;
use crate::plan::PlanNumber;
use crate::world::{Name, Override, Target, Time};

/// The group as one Controller sees it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct GroupStatus {
    /// Its own session.
    pub session: u64,
    /// Its own join number; `None` while it listens for others'.
    pub joined: Option<u64>,
    /// Whom it takes for the master.
    pub master: Option<Name>,
    /// Whether that is itself.
    pub is_master: bool,
    /// Whether it knows how servers fare.
    pub hears: bool,
    /// Whether it had peers, hears none now, and has lost more than half of all servers.
    pub cut_off: bool,
    /// The Controllers that all hear each other, itself among them.
    pub side: Vec<Name>,
    /// All others that were heard of late.
    pub peers: Vec<PeerStatus>,
    /// Another Controller has the same name: which of the two goes on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub twin: Option<String>,
    /// What different sides asked for differently while they did not hear each other, the latest last.
    pub conflicts: Vec<ConflictStatus>,
}

/// Another Controller.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PeerStatus {
    /// Its name.
    pub name: Name,
    /// Its session.
    pub session: u64,
    /// Its join number.
    pub joined: u64,
    /// Whether it was heard within the detection time.
    pub heard: bool,
    /// Since it was heard last, in milliseconds.
    pub age_ms: u64,
    /// It is heard, and counts for nothing: it has not shown that it hears this Controller, and so may be dead.
    pub unproved: bool,
    /// Whether it knows how servers fare.
    pub hears: bool,
    /// Whether it says that it hears this Controller.
    pub hears_this: bool,
    /// The Controllers that it says it hears.
    pub hears_peers: Vec<Name>,
    /// The highest Plan number that it knows of.
    pub plan: Option<PlanNumber>,
    /// Its overrides are the same as here.
    pub same_overrides: bool,
    /// Its program's version.
    pub program: String,
}

/// An override that two sides set differently.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ConflictStatus {
    /// What it is about.
    pub target: Target,
    /// What holds now.
    pub kept: Override,
    /// What was set elsewhere, and does not hold.
    pub lost: Override,
    /// Since it was found, in milliseconds.
    pub age_ms: u64,
}

pub(super) fn twin_text(name: &Name, other: u64, own: u64) -> String {
    let goes_on = if other > own {
        "that one goes on, and this one is a standby"
    } else {
        "this one goes on"
    };
    format!(
        "another Controller is called {name} (session {other}; here {own}): {goes_on}; give one of them another \
         name"
    )
}

impl Controller {
    pub(in crate::control) fn group_status(&self, now: Time) -> Option<GroupStatus> {
        let group = self.group.as_ref()?;
        let in_doubt = group.in_doubt(now);
        let peers = group.peers.iter().map(|(name, peer)| PeerStatus {
            name: name.clone(),
            session: peer.session,
            joined: peer.presence.joined,
            heard: peer.is_live(group.detection, now),
            age_ms: u64::try_from(now.since(peer.heard_at).as_millis()).unwrap_or(u64::MAX),
            unproved: in_doubt.contains(name),
            hears: peer.presence.hears,
            hears_this: peer.presence.heard.iter().any(|heard| heard.name == self.name),
            hears_peers: peer.presence.heard.iter().map(|heard| heard.name.clone()).collect(),
            plan: peer.presence.plan.clone(),
            same_overrides: peer.presence.overrides == *group.exchange.digest(),
            program: peer.presence.program.clone(),
        });
        let twin = group.twin(now);
        Some(GroupStatus {
            session: group.start.session,
            joined: group.joined,
            master: group.master.clone(),
            is_master: group.is_master,
            hears: self.hears(now),
            cut_off: self.cut_off.is_active(),
            side: view::side(&self.name, &group.view(now)),
            peers: peers.collect(),
            twin: twin.map(|twin| twin_text(&self.name, twin.session, group.start.session)),
            conflicts: group.exchange.conflicts(now),
        })
    }
}

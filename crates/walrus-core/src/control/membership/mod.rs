//! A Controller's place in a group of several: who is there, who is master, what is exchanged.

mod status;

use std::sync::Arc;

use super::{Controller, Refusal};
use crate::message::Presence;
use crate::plan::{Plan, PlanNumber};
use crate::world::{Name, Override, Target};

pub use status::{ConflictStatus, GroupStatus, PeerStatus};

/// How a Controller begins in a group.
#[derive(Clone, Debug, Default)]
pub struct GroupStart {
    /// As in its messages: rises with each start.
    pub session: u64,
    /// The highest join number that it ever used; 0 if none ([`super::Effect::StoreJoined`]).
    pub joined: u64,
    /// The program's version, for people.
    pub program: String,
}

impl Controller {
    /// Whether its Plans are the ones to be realised. One that is alone always is master.
    #[must_use]
    pub const fn is_master(&self) -> bool {
        true
    }

    /// The Plan in force: its own as master, else the one that it adopted.
    #[must_use]
    pub const fn plan(&self) -> Option<&Arc<Plan>> {
        self.plan.as_ref()
    }

    pub(super) fn presence(&mut self, _: Name, _: u64, _: Presence) -> Result<(), Refusal> {
        Ok(())
    }

    pub(super) fn plan_heard(&mut self, _: Arc<Plan>) -> Result<(), Refusal> {
        Ok(())
    }

    pub(super) fn plan_wanted(&mut self, _: Name, _: Option<PlanNumber>) -> Result<(), Refusal> {
        Ok(())
    }

    pub(super) fn overrides(
        &mut self,
        _: &Name,
        _: Vec<(Target, Override)>,
    ) -> Result<(), Refusal> {
        Ok(())
    }
}

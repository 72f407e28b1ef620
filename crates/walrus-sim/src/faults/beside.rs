//! What goes on within a process that is Controller and Director: Plans that way, and what was seen back.

use std::sync::Arc;

use walrus_core::message::Message;
use walrus_core::plan::Plan;

use super::run::Run;
use super::world::NodeId;

impl Run<'_> {
    /// A Controller's Plan goes to the Director of its process.
    pub(super) fn give_beside(&mut self, controller: NodeId, plan: &Arc<Plan>) {
        let Some(director) = self.world.director_beside(controller) else { return };
        let took = self.directors[director].give(plan);
        self.took(director, took);
        self.poll(self.world.controllers + director);
    }

    /// What a Director saw it tells the Controller of its process, with the Plan and the marks that it knows.
    pub(super) fn tell_beside(&mut self, node: NodeId, message: &Message) {
        let Some(controller) = self.world.controller_beside(node) else { return };
        let Message::Observation(observation) = message else { return };
        let director = &self.directors[node - self.world.controllers];
        let numbers = (director.plan().map(|plan| plan.number.clone()), director.marks());
        self.controllers[controller].hear_beside(self.now, numbers, observation.clone());
        self.poll(controller);
    }
}

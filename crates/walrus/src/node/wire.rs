//! What flows between the roles of one process.

use std::sync::Arc;

use tokio::sync::{mpsc, watch};
use tokio::time::sleep;
use walrus_controller::ControllerHandle;
use walrus_core::message::Message;
use walrus_core::plan::{Plan, PlanNumber};
use walrus_director::DirectorHandle;

use super::Node;
use super::group::{self, Joined};
use super::plan_taker::{AGAIN_AFTER, PlanTaker, Taken};
use super::staleness;
use super::tell_acknowledged::{tell_controller, tell_group};
use super::tell_changes::tell_changes;
use super::vantage;

/// This node's part in a group over NATS.
pub(super) struct Group {
    /// What is heard; `None` where the Controller hears it, or without a group.
    pub(super) joined: Option<Joined>,
    pub(super) session: u64,
    /// To whoever follows the group's Plans.
    pub(super) given: watch::Sender<Option<Arc<Plan>>>,
    /// Where answers to this node's Reporter go.
    pub(super) answers: Option<mpsc::Sender<Message>>,
}

/// Connects Controller, name server and group, as far as they are here, and the log.
pub(super) fn connect(node: &Arc<Node>, group: Group, applied: watch::Sender<Option<PlanNumber>>) {
    let Group { joined, session, given, answers } = group;
    let held = node.director().and_then(DirectorHandle::plan);
    let roles = node.loaded().configuration.node.roles;
    if let Some(bus) = node.bus().filter(|_| roles.director || roles.updater) {
        let hello = group::say_hello(node.clone(), bus.clone(), session, applied.subscribe());
        node.keep(tokio::spawn(hello));
    }
    let looks = node.controller().is_none() && node.loaded().configuration.node.probes;
    if let Some(bus) = node.bus().filter(|_| looks) {
        node.keep(tokio::spawn(vantage::watch(node.clone(), bus.clone())));
    }
    if let Some(bus) = node.bus().filter(|_| node.controller().is_none() && joined.is_some()) {
        node.keep(tokio::spawn(staleness::watch(node.clone(), bus.clone())));
    }
    if node.director().is_some() && (node.controller().is_some() || node.bus().is_some()) {
        node.keep(tokio::spawn(tell_observations(node.clone())));
    }
    match (node.controller(), node.director(), joined) {
        (Some(controller), director, _) => {
            node.keep(tokio::spawn(tell_changes(controller.plan(), held)));
            if let Some(director) = director {
                let told = tell_held(node.clone(), controller.clone(), applied.subscribe());
                node.keep(tokio::spawn(told));
                let plans =
                    plans_to_director(node.clone(), controller.clone(), director.clone(), applied);
                node.keep(tokio::spawn(plans));
            }
        }
        (None, _, Some(joined)) => {
            node.keep(tokio::spawn(tell_changes(given.subscribe(), given.borrow().clone())));
            let follow = group::follow(node.clone(), joined, answers, given, applied);
            node.keep(tokio::spawn(follow));
        }
        (None, _, None) => {}
    }
    if let Some(bus) = node.bus().filter(|_| roles.updater) {
        node.keep(tokio::spawn(tell_group(node.clone(), bus.clone())));
    }
    if let Some(controller) = node.controller.clone().filter(|_| roles.updater) {
        node.keep(tokio::spawn(tell_controller(node.clone(), controller)));
    }
}

/// Gives each new Plan to the name server. One that is refused leaves the old in force, and is tried again.
async fn plans_to_director(
    node: Arc<Node>,
    controller: ControllerHandle,
    director: DirectorHandle,
    applied: watch::Sender<Option<PlanNumber>>,
) {
    let mut plans = controller.plan();
    let taker = PlanTaker::new(node, applied);
    loop {
        let plan = plans.borrow_and_update().clone();
        let mut is_refused = false;
        if let Some(plan) = plan {
            match (taker.take(&plan).await, controller.plan_cause()) {
                (Taken::InForce, Some(taken_at)) => director.tell_cause(taken_at),
                (taken, _) => is_refused = taken == Taken::Refused,
            }
        }
        tokio::select! {
            changed = plans.changed() => if changed.is_err() {
                return;
            },
            () = sleep(AGAIN_AFTER), if is_refused => {}
        }
    }
}

/// Tells the Controller that is here at once when the name server answers by another Plan.
async fn tell_held(
    node: Arc<Node>,
    controller: ControllerHandle,
    mut applied: watch::Receiver<Option<PlanNumber>>,
) {
    let Some(director) = node.director().cloned() else { return };
    let name = node.loaded().configuration.node.name.clone();
    loop {
        let held = director.plan().map(|plan| plan.number.clone());
        let refused = node.refused_plan();
        let told = controller.director_hello(name.clone(), held, refused).await;
        if told.is_err() || applied.changed().await.is_err() {
            return;
        }
    }
}

/// Tells what the name server saw: the Controller that is here, with the Plan that it holds, and the
/// group.
async fn tell_observations(node: Arc<Node>) {
    let Some(director) = node.director().cloned() else { return };
    // As it was started, like all of `[node]` and `[dns]`: a reload changes neither.
    let configuration = node.loaded().configuration;
    let (name, every) = (configuration.node.name.clone(), configuration.dns.observe_every);
    loop {
        let awake = node.clock.sleep(every).await;
        let held = director.plan().map(|plan| plan.number.clone());
        // Gathering may wait a moment for threads that are busy with a batch.
        let observer = director.clone();
        let Ok(observation) = tokio::task::spawn_blocking(move || observer.observe()).await else {
            return;
        };
        if let Some(bus) = node.bus() {
            group::say_observation(bus, &observation);
        }
        if let Some(controller) = node.controller() {
            let refused = node.refused_plan();
            let told = controller.director_hello(name.clone(), held, refused).await;
            if told.is_err() || controller.observe(name.clone(), observation).await.is_err() {
                return;
            }
        }
        drop(awake);
    }
}

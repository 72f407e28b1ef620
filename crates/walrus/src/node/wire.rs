//! What flows between the roles of one process.

use std::sync::Arc;

use tokio::sync::watch;
use walrus_controller::ControllerHandle;
use walrus_core::plan::PlanNumber;
use walrus_director::DirectorHandle;

use super::Node;
use super::tell_changes::tell_changes;
use super::updaters::tell_controller;

/// Connects Controller and name server, if both are here, and the log.
pub(super) fn connect(node: &Arc<Node>, applied: watch::Sender<Option<PlanNumber>>) {
    if let Some(controller) = node.controller.clone() {
        let held = node.director().and_then(DirectorHandle::plan);
        node.keep(tokio::spawn(tell_changes(controller, held)));
    }
    if let Some(controller) = node.controller.clone()
        && node.loaded().configuration.node.roles.updater
    {
        node.keep(tokio::spawn(tell_controller(node.clone(), controller)));
    }
    let (Some(controller), Some(director)) = (&node.controller, &node.director) else { return };
    node.keep(tokio::spawn(plans_to_director(controller.clone(), director.clone(), applied)));
    node.keep(tokio::spawn(observations_to_controller(
        node.clone(),
        controller.clone(),
        director.clone(),
    )));
}

/// Gives each new Plan to the name server. A Plan is compiled on a thread that may block; one
/// that is refused leaves the old in force.
async fn plans_to_director(
    controller: ControllerHandle,
    director: DirectorHandle,
    applied: watch::Sender<Option<PlanNumber>>,
) {
    let mut plans = controller.plan();
    loop {
        let plan = plans.borrow_and_update().clone();
        if let Some(plan) = plan {
            let number = plan.number.clone();
            let held = director.plan().map(|plan| plan.number.clone());
            if held.as_ref() != Some(&number) {
                let applying = director.clone();
                let done = tokio::task::spawn_blocking(move || applying.apply_plan(plan)).await;
                match (done, controller.plan_cause()) {
                    (Ok(Err(refused)), _) => {
                        tracing::warn!("Plan {number} is not answered from: {refused}");
                    }
                    (Ok(Ok(())), Some(taken_at)) => director.tell_cause(taken_at),
                    _ => {}
                }
            }
            applied.send_replace(Some(number));
        }
        if plans.changed().await.is_err() {
            return;
        }
    }
}

/// Tells the Controller what the name server saw, and which Plan it holds.
async fn observations_to_controller(
    node: Arc<Node>,
    controller: ControllerHandle,
    director: DirectorHandle,
) {
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
        let told = controller.director_hello(name.clone(), held).await;
        if told.is_err() || controller.observe(name.clone(), observation).await.is_err() {
            return;
        }
        drop(awake);
    }
}

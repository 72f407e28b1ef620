//! One process with the roles that its configuration names, wired together by channels of core
//! types: the Controller's Plans go to the name server, what that saw goes back.

mod access;
mod announce;
mod ask;
pub(crate) mod confine;
pub(crate) mod descriptors;
mod expire;
mod follow;
mod group;
pub(crate) mod keys;
mod plan_taker;
mod roll;
mod secondaries;
mod staleness;
mod start;
mod tell_acknowledged;
mod tell_changes;
mod transfers;
pub(crate) mod updaters;
mod vantage;
mod wire;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;
use walrus_controller::ControllerHandle;
use walrus_core::message::RefusedPlan;
use walrus_core::plan::{Plan, PlanNumber};
use walrus_director::{DirectorHandle, Secondaries};
use walrus_host::bus::Bus;
use walrus_host::clock::Clock;
use walrus_host::group::GroupDoor;
use walrus_host::seed::Seed;
use walrus_host::shutdown::Shutdown;
use walrus_host::state::StateDirectory;

use crate::expiry::Expiring;
use crate::load::Loaded;

pub(crate) use access::{Caller, Denied};
use confine::Confined;

pub(crate) use ask::explain_without_one;
pub(crate) use start::{Opened, run_reporter};

/// For what is still to be written down at the end: a disk that hangs is not waited for without end.
const STORED_WITHIN: Duration = Duration::from_secs(5);

/// What a node starts with besides its configuration.
#[derive(Debug)]
pub(crate) struct Start {
    /// What time it is.
    pub(crate) clock: Clock,
    /// Fixes every random choice, and one worker answers.
    pub(crate) seed: Option<u64>,
    /// Where its configuration came from; `None` if it cannot be read again.
    pub(crate) path: Option<PathBuf>,
    /// What the process has given up.
    pub(crate) confined: Confined,
}

/// A running node.
#[derive(Debug)]
pub(crate) struct Node {
    /// What is in force. Locked for a moment only, and by nobody who answers.
    loaded: Mutex<Loaded>,
    /// One reload at a time.
    reloading: tokio::sync::Mutex<()>,
    path: Option<PathBuf>,
    confined: Confined,
    state: Arc<StateDirectory>,
    clock: Clock,
    seed: Seed,
    shutdown: Shutdown,
    /// Who may use the API.
    access: Mutex<Arc<access::Access>>,
    controller: Option<ControllerHandle>,
    director: Option<DirectorHandle>,
    /// Certificates and lists that run out some day, as last looked at.
    expiring: Mutex<Arc<Vec<Expiring>>>,
    /// Zones that come from other primaries, if this node is a name server.
    secondaries: Option<Secondaries>,
    /// Name servers that are already there.
    updaters: updaters::Updaters,
    /// Of the zones that the name server signs.
    keys: Arc<keys::NodeKeys>,
    /// The newest Plan that was given to the name server, carried out or not, as the wire last told.
    applied: watch::Receiver<Option<PlanNumber>>,
    /// The one that it does not carry out.
    refused: Mutex<Option<RefusedPlan>>,
    group: Vec<SocketAddr>,
    /// Who may connect there.
    door: Option<GroupDoor>,
    /// The group over NATS.
    bus: Option<Bus>,
    api_address: Option<SocketAddr>,
    tasks: Mutex<Vec<JoinHandle<()>>>,
    /// Of a node without a Controller: carries the group's Plans out, and ends when they are stored.
    follower: Mutex<Option<JoinHandle<()>>>,
}

impl Node {
    /// What is in force now.
    pub(crate) fn loaded(&self) -> Loaded {
        self.loaded.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The name server, if this node is one.
    pub(crate) const fn director(&self) -> Option<&DirectorHandle> {
        self.director.as_ref()
    }

    /// The keys of the zones that are signed here.
    pub(crate) const fn keys(&self) -> &Arc<keys::NodeKeys> {
        &self.keys
    }

    /// Zones that come from other primaries, if this node is a name server.
    pub(crate) const fn secondaries(&self) -> Option<&Secondaries> {
        self.secondaries.as_ref()
    }

    /// What keeps name servers that are already there up to date.
    pub(crate) const fn updaters(&self) -> &updaters::Updaters {
        &self.updaters
    }

    /// The Controller, if this node is one.
    pub(crate) const fn controller(&self) -> Option<&ControllerHandle> {
        self.controller.as_ref()
    }

    /// The connection to the group over NATS.
    pub(crate) const fn bus(&self) -> Option<&Bus> {
        self.bus.as_ref()
    }

    /// Where Reporters connect.
    pub(crate) fn group_addresses(&self) -> &[SocketAddr] {
        &self.group
    }

    /// The Plan in force: the name server's, else the Controller's, else the one that other name servers are to have.
    pub(crate) fn plan(&self) -> Option<Arc<Plan>> {
        match (&self.director, &self.controller) {
            (Some(director), _) => director.plan(),
            (None, Some(controller)) => controller.plan().borrow().clone(),
            (None, None) => self.updaters.plan(),
        }
    }

    /// The Plan that came and that the name server does not answer from.
    pub(crate) fn refused_plan(&self) -> Option<RefusedPlan> {
        self.refused.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set_refused_plan(&self, refused: Option<RefusedPlan>) {
        *self.refused.lock().unwrap_or_else(PoisonError::into_inner) = refused;
    }

    /// Waits until the name server answers from the Controller's newest Plan, or has refused it.
    pub(crate) async fn plan_applied(&self) {
        let (Some(controller), Some(_)) = (&self.controller, &self.director) else { return };
        let wanted = controller.plan().borrow().as_ref().map(|plan| plan.number.clone());
        let mut applied = self.applied.clone();
        // An end of the wire means that the node stops; then nobody waits for answers any more.
        let _ = applied.wait_for(|number| *number >= wanted).await;
    }

    /// Ends all roles and waits until what they had to store is stored.
    pub(crate) async fn stop(&self) {
        self.shutdown.request();
        self.updaters.stop();
        if let Some(controller) = &self.controller {
            let stored = tokio::time::timeout(STORED_WITHIN, controller.ended()).await;
            if stored.is_err() {
                tracing::error!(
                    state = %self.state.path().display(),
                    "the disk did not take what was to be stored within {} s: ending without it, the \
                     newest Plan or drains may be lost",
                    STORED_WITHIN.as_secs()
                );
            }
        }
        if let Some(secondaries) = &self.secondaries {
            let _ = tokio::time::timeout(STORED_WITHIN, secondaries.stop()).await;
        }
        let tasks = std::mem::take(&mut *self.tasks.lock().unwrap_or_else(PoisonError::into_inner));
        for task in tasks {
            task.abort();
        }
        let follower = self.follower.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(follower) = follower {
            let _ = tokio::time::timeout(STORED_WITHIN, follower).await;
        }
        if let Some(bus) = &self.bus {
            bus.end().await;
        }
        // Last: clients are answered while disk and group are waited for.
        if let Some(director) = &self.director {
            director.shutdown();
        }
    }

    fn keep(&self, task: JoinHandle<()>) {
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner).push(task);
    }
}

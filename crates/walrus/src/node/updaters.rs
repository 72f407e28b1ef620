//! The name servers that are already there and that this node keeps up to date.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;
use walrus_core::config::{Configuration, NameServerSettings};
use walrus_core::plan::{Plan, PlanNumber};
use walrus_core::update::{UpdaterStatus, compare_keys};
use walrus_director::update::{SecretFiles, UpdaterHandle, UpdaterStart, spawn};
use walrus_host::clock::Clock;
use walrus_host::seed::Seed;
use walrus_host::shutdown::Shutdown;

/// One task for each; all follow one Plan, whoever makes it.
#[derive(Debug)]
pub(crate) struct Updaters {
    plans: watch::Receiver<Option<Arc<Plan>>>,
    clock: Clock,
    seed: Seed,
    secrets: SecretFiles,
    acknowledgements: Arc<watch::Sender<u64>>,
    running: Mutex<Vec<Running>>,
}

#[derive(Debug)]
struct Running {
    handle: UpdaterHandle,
    /// Ends this one alone: its name server was taken out of the configuration.
    end: Shutdown,
}

impl Updaters {
    /// Those of the configuration, if the role is one of this node's. Plans come from its Controller, or
    /// from whoever sends them into `plans`.
    pub(super) fn start(
        configuration: &Configuration,
        plans: watch::Receiver<Option<Arc<Plan>>>,
        clock: Clock,
        seed: Seed,
    ) -> Self {
        let (secrets, running) = (SecretFiles::default(), Mutex::new(Vec::new()));
        let acknowledgements = Arc::new(watch::Sender::new(0));
        let updaters = Self { plans, clock, seed, secrets, acknowledgements, running };
        if configuration.node.roles.updater {
            updaters.reconfigure(&configuration.name_servers);
        }
        updaters
    }

    /// The Plan that they carry out.
    pub(super) fn plan(&self) -> Option<Arc<Plan>> {
        self.plans.borrow().clone()
    }

    /// These and no others from now on. A task goes on if its zone is still the same one.
    pub(super) fn reconfigure(&self, wanted: &[NameServerSettings]) {
        let mut running = self.lock();
        running.retain(|it| {
            let stays = wanted.iter().any(|settings| is_same(settings, &it.handle.settings()));
            if !stays {
                it.end.request();
            }
            stays
        });
        for settings in wanted {
            let same = running.iter().find(|it| is_same(settings, &it.handle.settings()));
            match same {
                Some(it) if it.handle.settings() == *settings => {}
                Some(it) => it.handle.reconfigure(settings.clone()),
                None => running.push(self.start_one(settings)),
            }
        }
        let place = |it: &Running| {
            wanted.iter().position(|settings| is_same(settings, &it.handle.settings()))
        };
        running.sort_by_key(place);
    }

    fn start_one(&self, settings: &NameServerSettings) -> Running {
        let end = Shutdown::new();
        let part = format!("updater/{}/{}", settings.address, settings.zone);
        // It ends by its own shutdown, or with the process: nothing of it must be stored.
        let (handle, _task) = spawn(UpdaterStart {
            settings: settings.clone(),
            plans: self.plans.clone(),
            secrets: self.secrets.clone(),
            seed: self.seed.for_part(&part),
            clock: self.clock.clone(),
            acknowledgements: self.acknowledgements.clone(),
            shutdown: end.clone(),
        });
        Running { handle, end }
    }

    /// How each stands, in the order of the configuration.
    pub(crate) fn status(&self) -> Vec<UpdaterStatus> {
        let mut all: Vec<UpdaterStatus> = self.lock().iter().map(|it| it.handle.status()).collect();
        compare_keys(&mut all);
        all
    }

    /// The same, with the TTL of its own that each is to publish with, if it has one, in seconds.
    pub(super) fn with_ttl(&self) -> Vec<(UpdaterStatus, Option<u32>)> {
        let of = |it: &Running| (it.handle.status(), it.handle.settings().ttl);
        self.lock().iter().map(of).collect()
    }

    /// Changes whenever one of them has acknowledged another Plan.
    pub(super) fn acknowledgements(&self) -> watch::Receiver<u64> {
        self.acknowledgements.subscribe()
    }

    /// The newest Plan that any of the name servers has.
    pub(super) fn seen(&self) -> Option<PlanNumber> {
        self.lock().iter().filter_map(|it| it.handle.seen()).max()
    }

    /// Ends all of them.
    pub(super) fn stop(&self) {
        self.lock().drain(..).for_each(|it| it.end.request());
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Running>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether both are about the same zone of the same name server, so that what is known of it holds.
fn is_same(one: &NameServerSettings, other: &NameServerSettings) -> bool {
    one.address == other.address && one.zone == other.zone && one.name == other.name
}

//! Gathers what the answering threads counted: for observations, for metrics and `walrus top`.

use std::sync::Arc;
use std::time::{Duration, Instant};

use walrus_core::world::Observation;

use crate::counters::CounterSnapshot;
use crate::director::{Control, DirectorHandle, Locked, lock};
use crate::latency::Latency;
use crate::replies::Replies;
use crate::serving::Serving;
use crate::traffic::Traffic;

/// How long whoever wants the threads' counts waits for them. One that is busy hands over after its
/// batch, one that receives after some milliseconds; nothing else waits meanwhile, so that only
/// threads that get no processor time are left out.
const HAND_OVER: Duration = Duration::from_secs(1);

/// How often threads are woken again: one that was woken while its counts were looked at sleeps on.
const WAKE_AGAIN: Duration = Duration::from_millis(10);

/// Traffic is gathered at most this often, however many look.
const TRAFFIC_EVERY: Duration = Duration::from_millis(500);

impl DirectorHandle {
    /// What was seen since the last call. To be called every `observe_every`; it waits until all
    /// threads have told, usually some milliseconds, for a second at most: counts of a thread that
    /// hangs so long come the next time. Plans are carried out meanwhile.
    #[must_use]
    pub fn observe(&self) -> Observation {
        let _alone = lock(&self.inner().collecting);
        let mut control = self.collect(true);
        control.gathering.finish(self.inner().clock.now())
    }

    /// What went through so far. Threads are asked twice a second at most, and for their domains
    /// every ten seconds. It waits for them as [`Self::observe`] does.
    #[must_use]
    pub fn traffic(&self) -> Arc<Traffic> {
        let _alone = lock(&self.inner().collecting);
        let control = self.control();
        if let Some((looked, traffic)) = &control.traffic.told
            && looked.elapsed() < TRAFFIC_EVERY
        {
            return Arc::clone(traffic);
        }
        let at = self.inner().clock.now();
        let with_domains = control.traffic.recent.is_time_for_domains(at);
        drop(control);
        let mut control = self.collect(with_domains);
        let at = self.inner().clock.now();
        let mut traffic = Traffic {
            at,
            counters: CounterSnapshot::default(),
            replies: Replies::default(),
            latency: Latency::default(),
            services: control.traffic.services(),
            recent: control.traffic.recent.told(),
        };
        for thread in &self.inner().counters {
            traffic.counters.add(thread);
            traffic.replies.add(&thread.replies);
            traffic.latency.add(&thread.latency);
        }
        let traffic = Arc::new(traffic);
        control.traffic.told = Some((Instant::now(), Arc::clone(&traffic)));
        traffic
    }

    /// Has the threads hand over what they counted, and takes it in. Domains take most of the work.
    /// To be called with `collecting` held.
    fn collect(&self, with_domains: bool) -> Locked<'_> {
        let domains = with_domains.then_some(self.inner().domains_max);
        let begun = Instant::now();
        let mut asked: Option<(Arc<Serving>, Instant)> = None;
        loop {
            match &mut asked {
                // Under a newer table threads would not hear; what they go over with tells only
                // what was counted until then.
                Some((serving, woken))
                    if !self.inner().current.is_other_than(serving.generation) =>
                {
                    if serving.has_all_tallies() {
                        break;
                    }
                    if woken.elapsed() >= WAKE_AGAIN {
                        self.inner().wakers.wake();
                        *woken = Instant::now();
                    }
                }
                _ => {
                    let serving = self.inner().current.load();
                    serving.want_tallies(domains);
                    self.inner().wakers.wake();
                    asked = Some((serving, Instant::now()));
                }
            }
            if begun.elapsed() >= HAND_OVER {
                break;
            }
            std::thread::park_timeout(Duration::from_micros(200));
        }
        // Else it would be kept for one that is in use.
        drop(asked);
        let mut control = self.control();
        self.sweep(&mut control);
        control.traffic.recent.turn(self.inner().clock.now(), with_domains);
        control
    }

    /// Takes in what threads left, and frees tables that no thread uses any more.
    pub(crate) fn sweep(&self, locked: &mut Locked<'_>) {
        let Control { retired, gathering, traffic, .. } = &mut **locked;
        let current = self.inner().current.load();
        for serving in retired.iter().chain([&current]) {
            serving.collect(|serving, tally| {
                gathering.add(serving, tally);
                traffic.add(serving, tally);
            });
        }
        let unused: Vec<_> =
            retired.extract_if(.., |serving| Arc::strong_count(serving) == 1).collect();
        locked.freed.extend(unused);
    }
}

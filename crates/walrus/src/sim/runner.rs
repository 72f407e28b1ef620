//! Many runs side by side, on as many threads as there are processors.
//!
//! A run knows nothing of the others, and results are put in the order of the jobs: how many threads
//! there are cannot be seen in them.

use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc;
use std::time::Duration;

use super::progress::Progress;
use crate::cli::Failure;

/// Runs of one call: more is a mistake in a range.
pub(super) const RUNS_MAX: usize = 100_000;

/// How often the terminal is told how far all is.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// How far each run is, in thousandths.
const WHOLE: u64 = 1000;

/// What a run is told by as it goes on: its share of the whole; it breaks off if nobody wants it any
/// more.
pub(super) type Tell<'a> = dyn FnMut(f64) -> ControlFlow<()> + 'a;

/// As many threads as are of use: one a processor, unless the call says otherwise.
pub(super) fn threads(asked: Option<usize>) -> usize {
    let processors = || std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    asked.unwrap_or_else(processors)
}

/// Carries all jobs out; results in their order.
///
/// # Errors
/// The first that goes wrong; those that are under way then are broken off.
pub(super) fn run_all<J: Sync, T: Send>(
    jobs: &[J],
    threads: usize,
    run: &(dyn Fn(&J, &mut Tell<'_>) -> Result<T, String> + Sync),
) -> Result<Vec<T>, Failure> {
    let done: Vec<AtomicU64> = jobs.iter().map(|_| AtomicU64::new(0)).collect();
    let (next, stop) = (AtomicUsize::new(0), AtomicBool::new(false));
    let work = |sender: mpsc::Sender<(usize, Result<T, String>)>| {
        while !stop.load(Ordering::Relaxed) {
            let place = next.fetch_add(1, Ordering::Relaxed);
            let Some(job) = jobs.get(place) else { break };
            let mut tell = |share: f64| {
                done[place].store((share * WHOLE as f64) as u64, Ordering::Relaxed);
                if stop.load(Ordering::Relaxed) {
                    ControlFlow::Break(())
                } else {
                    ControlFlow::Continue(())
                }
            };
            let result = run(job, &mut tell);
            done[place].store(WHOLE, Ordering::Relaxed);
            if sender.send((place, result)).is_err() {
                break;
            }
        }
    };
    let mut results: Vec<Option<T>> = jobs.iter().map(|_| None).collect();
    let failed = std::thread::scope(|scope| {
        let (sender, receiver) = mpsc::channel();
        for _ in 0..threads.min(jobs.len()) {
            let sender = sender.clone();
            scope.spawn(|| work(sender));
        }
        drop(sender);
        collect(&receiver, &mut results, &done, &stop)
    });
    if let Some(error) = failed {
        return Err(Failure::CouldNot(error));
    }
    let all: Vec<T> = results.into_iter().flatten().collect();
    if all.len() < jobs.len() {
        return Err(Failure::CouldNot("a run ended without a result: a bug to report".to_owned()));
    }
    Ok(all)
}

/// Takes results in as they come, and tells how far all is; the first error, if one came.
fn collect<T>(
    receiver: &mpsc::Receiver<(usize, Result<T, String>)>,
    results: &mut [Option<T>],
    done: &[AtomicU64],
    stop: &AtomicBool,
) -> Option<String> {
    let mut progress = Progress::new();
    let (mut ended, mut failed) = (0, None);
    loop {
        match receiver.recv_timeout(LOOK_EVERY) {
            Ok((place, result)) => {
                ended += 1;
                match result {
                    Ok(result) => results[place] = Some(result),
                    Err(error) => {
                        stop.store(true, Ordering::Relaxed);
                        failed.get_or_insert(error);
                    }
                }
            }
            Err(mpsc::RecvTimeoutError::Timeout) => {}
            Err(mpsc::RecvTimeoutError::Disconnected) => return failed,
        }
        let sum: u64 = done.iter().map(|it| it.load(Ordering::Relaxed)).sum();
        let share = sum as f64 / (WHOLE * done.len() as u64) as f64;
        progress.tell(Some(share), &|| format!("{ended} of {} runs", done.len()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_are_in_the_order_of_jobs_however_many_threads() {
        let jobs: Vec<u64> = (0..50).collect();
        let run = |job: &u64, tell: &mut Tell<'_>| {
            // The first take longest, so that later ones overtake them.
            for _ in 0..(50 - job) * 100 {
                assert!(tell(0.5).is_continue());
            }
            Ok(job * job)
        };
        let one = run_all(&jobs, 1, &run).unwrap();
        assert_eq!(one, jobs.iter().map(|job| job * job).collect::<Vec<_>>());
        for threads in [2, 7, 64] {
            assert_eq!(run_all(&jobs, threads, &run).unwrap(), one);
        }
    }

    #[test]
    fn a_run_that_fails_stops_the_others() {
        let jobs: Vec<u64> = (0..8).collect();
        let run = |job: &u64, tell: &mut Tell<'_>| {
            if *job == 0 {
                return Err("it cannot be".to_owned());
            }
            // For ever, unless somebody says stop.
            while tell(0.1).is_continue() {
                std::thread::yield_now();
            }
            Err("stopped".to_owned())
        };
        match run_all::<_, u64>(&jobs, 4, &run) {
            Err(Failure::CouldNot(text)) => assert_eq!(text, "it cannot be"),
            other => panic!("{other:?}"),
        }
    }
}

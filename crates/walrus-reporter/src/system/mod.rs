//! Statistics of the machine: what one reading holds, and what two readings tell (thesis 5.1).
//!
//! [`System`] is all that differs between operating systems: a new one is a file like `linux.rs`
//! that implements it for a `Machine` of its own, and a `cfg` line here. What it cannot find out it
//! leaves `None`; nothing is guessed. All that follows from two readings is pure and shared.

#[cfg(target_os = "linux")]
mod linux;
#[cfg(not(target_os = "linux"))]
mod unsupported;

#[cfg(target_os = "linux")]
pub use linux::Machine;
#[cfg(not(target_os = "linux"))]
pub use unsupported::Machine;

use walrus_core::world::Statistics;

/// An operating system that can be asked how its machine fares.
pub trait System {
    /// The machine now. What is absent is `None` in the reading.
    ///
    /// # Errors
    /// If not even that can be read without which there are no statistics worth sending.
    fn read(&self) -> Result<SystemReading, SystemError>;

    /// The processes of this moment; cheap enough to be asked for between units.
    fn processes(&self) -> Option<Processes>;
}

/// Counters and gauges of one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SystemReading {
    /// CPU time since the machine started.
    pub cpu: CpuCounters,
    /// Memory that could be allocated and stay in RAM, reclaimable cache included, in bytes.
    pub memory_free_bytes: Option<u64>,
    /// All memory, in bytes.
    pub memory_total_bytes: Option<u64>,
    /// Written to swap since the machine started, in bytes.
    pub paged_out_bytes: Option<u64>,
    /// Free memory and free swap together, in bytes.
    pub virtual_free_bytes: Option<u64>,
    /// Share of the last ten seconds in which every task waited for memory, in hundredths of a
    /// percent (the finest that Linux tells).
    pub memory_pressure_basis_points: Option<u32>,
    /// Runnable and blocked processes.
    pub processes: Option<Processes>,
    /// Processors in use.
    pub processors: Option<u32>,
}

impl SystemReading {
    /// Memory pressure as a share, 0 to 1.
    #[must_use]
    pub fn memory_pressure(&self) -> Option<f64> {
        self.memory_pressure_basis_points.map(|points| f64::from(points) / 10_000.0)
    }

    /// Fills in what this reading and an earlier one tell together.
    ///
    /// Counters that went back (a container moved to another host, say) give nothing rather than
    /// something absurd.
    pub fn describe_since(&self, earlier: &Self, statistics: &mut Statistics) {
        if let Some(shares) = self.cpu.shares_since(&earlier.cpu) {
            statistics.cpu_user = Some(shares.user);
            statistics.cpu_system = Some(shares.system);
            statistics.cpu_idle = Some(shares.idle);
        }
        statistics.memory_free_bytes = self.memory_free_bytes;
        statistics.memory_total_bytes = self.memory_total_bytes;
        statistics.paged_out_bytes = self
            .paged_out_bytes
            .zip(earlier.paged_out_bytes)
            .and_then(|(now, then)| now.checked_sub(then));
        statistics.virtual_free_bytes = self.virtual_free_bytes;
        statistics.memory_pressure = self.memory_pressure();
        statistics.runnable = self.processes.map(|processes| processes.runnable);
        statistics.blocked = self.processes.map(|processes| processes.blocked);
        statistics.processors = self.processors;
    }
}

/// Processes (or threads) at one moment, or in the mean over some.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Processes {
    /// Runnable, the Reporter itself not counted.
    pub runnable: u64,
    /// Waiting for input or output.
    pub blocked: u64,
}

/// The mean over the moments of a unit. How many processes happen to wait for a disk at one moment
/// says little; the thesis likens the number to the load average, which is a mean, too.
#[derive(Debug, Default)]
pub struct ProcessMean {
    sum: Processes,
    moments: u64,
}

impl ProcessMean {
    /// One moment more.
    pub const fn add(&mut self, processes: Processes) {
        self.sum.runnable = self.sum.runnable.saturating_add(processes.runnable);
        self.sum.blocked = self.sum.blocked.saturating_add(processes.blocked);
        self.moments = self.moments.saturating_add(1);
    }

    /// The mean since the last time, rounded; `None` if there was no moment.
    pub fn take(&mut self) -> Option<Processes> {
        let Self { sum, moments } = std::mem::take(self);
        let mean = |sum: u64| sum.saturating_add(moments / 2).checked_div(moments);
        Some(Processes { runnable: mean(sum.runnable)?, blocked: mean(sum.blocked)? })
    }
}

/// CPU time since the machine started, all processors together, in the system's own ticks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CpuCounters {
    /// In user code, nice included.
    pub user: u64,
    /// In the kernel, interrupts included.
    pub system: u64,
    /// With nothing to run, whether or not input or output was waited for: a processor that waits
    /// for a disk could serve someone else, and `blocked` tells of the wait.
    pub idle: u64,
    /// Taken by the machine's host for others: in no share, but part of the whole, so that a
    /// starved guest looks busy, which it is.
    pub stolen: u64,
}

impl CpuCounters {
    fn shares_since(&self, earlier: &Self) -> Option<CpuShares> {
        let user = self.user.checked_sub(earlier.user)?;
        let system = self.system.checked_sub(earlier.system)?;
        // The kernel documents that waiting time may shrink by a little.
        let idle = self.idle.saturating_sub(earlier.idle);
        let stolen = self.stolen.saturating_sub(earlier.stolen);
        let all = user.checked_add(system)?.checked_add(idle)?.checked_add(stolen)?;
        if all == 0 {
            return None;
        }
        let share = |ticks: u64| ticks as f64 / all as f64;
        Some(CpuShares { user: share(user), system: share(system), idle: share(idle) })
    }
}

struct CpuShares {
    user: f64,
    system: f64,
    idle: f64,
}

/// Why the machine's statistics could not be read.
#[derive(Debug, thiserror::Error)]
#[error("cannot read {what}: {why}")]
pub struct SystemError {
    /// What was to be read.
    pub what: &'static str,
    /// What went wrong.
    pub why: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cpu(user: u64, system: u64, idle: u64, stolen: u64) -> SystemReading {
        SystemReading {
            cpu: CpuCounters { user, system, idle, stolen },
            ..SystemReading::default()
        }
    }

    #[test]
    fn shares_are_of_the_time_between_two_readings() {
        let mut statistics = Statistics::default();
        cpu(160, 120, 1050, 10).describe_since(&cpu(100, 100, 1000, 0), &mut statistics);
        assert_eq!(statistics.cpu_user, Some(60.0 / 140.0));
        assert_eq!(statistics.cpu_system, Some(20.0 / 140.0));
        assert_eq!(statistics.cpu_idle, Some(50.0 / 140.0));
    }

    #[test]
    fn a_clock_that_stands_or_goes_back_gives_no_shares() {
        for (now, then) in [
            ((5, 5, 5, 0), (5, 5, 5, 0)),
            ((4, 5, 9, 0), (5, 5, 5, 0)),
            ((9, 1, 9, 0), (5, 5, 5, 0)),
        ] {
            let mut statistics = Statistics::default();
            cpu(now.0, now.1, now.2, now.3)
                .describe_since(&cpu(then.0, then.1, then.2, then.3), &mut statistics);
            assert_eq!(statistics.cpu_user, None, "{now:?} since {then:?}");
        }
    }

    #[test]
    fn processes_are_told_in_the_mean() {
        let mut mean = ProcessMean::default();
        assert_eq!(mean.take(), None);
        for (runnable, blocked) in [(1, 0), (2, 0), (6, 1)] {
            mean.add(Processes { runnable, blocked });
        }
        assert_eq!(mean.take(), Some(Processes { runnable: 3, blocked: 0 }));
        assert_eq!(mean.take(), None, "begun anew");
    }

    #[test]
    fn paged_out_is_a_difference_and_the_rest_is_of_now() {
        let reading = |paged, free| SystemReading {
            paged_out_bytes: Some(paged),
            memory_free_bytes: Some(free),
            memory_pressure_basis_points: Some(1250),
            ..SystemReading::default()
        };
        let mut statistics = Statistics::default();
        reading(9000, 5).describe_since(&reading(1000, 7), &mut statistics);
        assert_eq!(statistics.paged_out_bytes, Some(8000));
        assert_eq!(statistics.memory_free_bytes, Some(5));
        assert_eq!(statistics.memory_pressure, Some(0.125));
        reading(10, 5).describe_since(&reading(1000, 7), &mut statistics);
        assert_eq!(statistics.paged_out_bytes, None);
    }
}

//! Statistics of a Linux machine, from `/proc` (five small files, about 0.1 ms a reading).
//!
//! - *paged out* is `pswpout`, what went to swap. `pgpgout` would count every write to a disk,
//!   log files included, which is no shortfall of memory. A kernel without swap has no `pswpout`,
//!   and then nothing is told.
//! - *free memory* is `MemAvailable`: the kernel's own estimate of what could be allocated without
//!   swapping, reclaimable cache included.
//! - *memory pressure* is `full avg10` of `/proc/pressure/memory`: absent before Linux 4.20 or with
//!   `psi=0`.
//! - In a container these files tell of the host unless the runtime (lxcfs, gVisor) replaces them.

use procfs::{Current, CurrentSI, KernelStats, Meminfo, MemoryPressure, VmStat};

use super::{CpuCounters, Processes, System, SystemError, SystemReading};

/// The machine that this program runs on.
#[derive(Clone, Copy, Debug, Default)]
pub struct Machine;

impl System for Machine {
    fn read(&self) -> Result<SystemReading, SystemError> {
        read()
    }

    fn processes(&self) -> Option<Processes> {
        count_processes(&KernelStats::current().ok()?)
    }
}

/// Without `/proc/stat`, so without the CPU, there are no statistics worth sending. Any other file
/// that is absent leaves its fields `None`.
fn read() -> Result<SystemReading, SystemError> {
    let stat = KernelStats::current()
        .map_err(|error| SystemError { what: "/proc/stat", why: error.to_string() })?;
    let mut reading = SystemReading {
        cpu: cpu_counters(&stat),
        processes: count_processes(&stat),
        processors: u32::try_from(stat.cpu_time.len()).ok().filter(|count| *count > 0),
        ..SystemReading::default()
    };
    if let Ok(memory) = Meminfo::current() {
        let free = memory.mem_available.unwrap_or_else(|| {
            memory.mem_free.saturating_add(memory.buffers).saturating_add(memory.cached)
        });
        reading.memory_free_bytes = Some(free);
        reading.memory_total_bytes = Some(memory.mem_total);
        reading.virtual_free_bytes = Some(free.saturating_add(memory.swap_free));
    }
    if let Ok(VmStat(counters)) = VmStat::current() {
        reading.paged_out_bytes = counters
            .get("pswpout")
            .and_then(|pages| u64::try_from(*pages).ok())
            .map(|pages| pages.saturating_mul(procfs::page_size()));
    }
    if let Ok(pressure) = MemoryPressure::current() {
        let percent = f64::from(pressure.full.avg10).clamp(0.0, 100.0);
        reading.memory_pressure_basis_points = Some((percent * 100.0).round() as u32);
    }
    Ok(reading)
}

fn count_processes(stat: &KernelStats) -> Option<Processes> {
    Some(Processes {
        // Whoever reads this file is running: the Reporter itself is not counted.
        runnable: u64::from(stat.procs_running?).saturating_sub(1),
        blocked: u64::from(stat.procs_blocked?),
    })
}

fn cpu_counters(stat: &KernelStats) -> CpuCounters {
    let total = &stat.total;
    // Guest time is already in user and nice.
    CpuCounters {
        user: total.user.saturating_add(total.nice),
        system: total
            .system
            .saturating_add(total.irq.unwrap_or(0))
            .saturating_add(total.softirq.unwrap_or(0)),
        idle: total.idle.saturating_add(total.iowait.unwrap_or(0)),
        stolen: total.steal.unwrap_or(0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_can_be_read() {
        let reading = Machine.read().unwrap();
        assert!(reading.cpu.user + reading.cpu.system + reading.cpu.idle > 0);
        assert!(reading.processors.unwrap() >= 1);
        assert!(reading.memory_free_bytes.unwrap() <= reading.memory_total_bytes.unwrap());
        assert!(reading.virtual_free_bytes >= reading.memory_free_bytes);
    }
}

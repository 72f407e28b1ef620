//! Statistics to one number (papers.md, A1).
//!
//! *The problem.* The thesis gathers a dozen statistics (5.1, 5.2) and compares "the load" with a
//! threshold (6.1), but leaves open how the one comes from the others.
//!
//! *The rule.* The greatest of four parts, each times its weight ([`LoadFormula`], all 1 by
//! default), kept within 0 and 1:
//!
//! | part | from | full when |
//! |---|---|---|
//! | busy | `busy / busy_max` | every worker serves a request |
//! | cpu | `1 - cpu_idle`, else `cpu_user + cpu_system` | no processor idles |
//! | blocked | `blocked / (runnable + blocked + 1)` | all that could run waits for a disk |
//! | memory | `memory_pressure` (Linux PSI, `full avg10`) | all stand still for want of memory |
//!
//! A part whose statistics are missing, or whose weight is 0, does not count. Without any part
//! the load is unknown, which is not 0: such a server counts as below every threshold but has
//! nothing to spare. The greatest, not the sum: the scarcest resource is what a client waits for.
//!
//! *When it is wrong.* Where a full resource is no bottleneck: a batch job that soaks up idle CPU
//! makes a server look full (lower `cpu`); a server that never uses `busy_max` looks idle.
//!
//! *Example.* busy 30 of 40 (0.75), idle 0.4 (0.6), 1 blocked and 2 runnable (0.25): load 0.75.
//! With weights busy 0.5: 0.375, so cpu decides: 0.6.

use crate::world::{LoadFormula, Statistics};

/// The load by this formula, 0 idle to 1 full; `None` if nothing it counts was measured.
pub(super) fn of(statistics: &Statistics, formula: &LoadFormula) -> Option<f64> {
    let busy = match (statistics.busy, statistics.busy_max) {
        (Some(busy), Some(most)) if most > 0 => Some(busy as f64 / most as f64),
        _ => None,
    };
    let cpu = statistics.cpu_idle.map(|idle| 1.0 - idle).or_else(|| {
        let user = statistics.cpu_user?;
        Some(user + statistics.cpu_system.unwrap_or(0.0))
    });
    let blocked = statistics.blocked.map(|blocked| {
        let runnable = statistics.runnable.unwrap_or(0) as f64;
        blocked as f64 / (runnable + blocked as f64 + 1.0)
    });
    let parts = [
        (busy, formula.busy),
        (cpu, formula.cpu),
        (blocked, formula.blocked),
        (statistics.memory_pressure, formula.memory),
    ];
    parts
        .into_iter()
        .filter(|(_, weight)| *weight > 0.0)
        .filter_map(|(part, weight)| Some(part? * weight))
        .reduce(f64::max)
        .map(|load| load.clamp(0.0, 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn example() -> Statistics {
        Statistics {
            busy: Some(30),
            busy_max: Some(40),
            cpu_idle: Some(0.4),
            blocked: Some(1),
            runnable: Some(2),
            ..Statistics::default()
        }
    }

    #[test]
    fn a1_the_greatest_part_is_the_load() {
        let even = LoadFormula::default();
        let load = |statistics: &Statistics| of(statistics, &even);
        assert_eq!(load(&example()), Some(0.75));
        assert_eq!(load(&Statistics { busy: None, ..example() }), Some(0.6));
        let pressed = Statistics { memory_pressure: Some(0.9), ..example() };
        assert_eq!(load(&pressed), Some(0.9));
        let waiting = Statistics { blocked: Some(9), runnable: None, ..Statistics::default() };
        assert_eq!(load(&waiting), Some(0.9));
        let split =
            Statistics { cpu_user: Some(0.3), cpu_system: Some(0.2), ..Statistics::default() };
        assert_eq!(load(&split), Some(0.5));
    }

    #[test]
    fn a1_weights_scale_and_zero_leaves_out() {
        let half = LoadFormula { busy: 0.5, ..LoadFormula::default() };
        assert_eq!(of(&example(), &half), Some(0.6));
        let only_busy = LoadFormula { busy: 1.0, cpu: 0.0, blocked: 0.0, memory: 0.0 };
        assert_eq!(of(&Statistics { busy: None, ..example() }, &only_busy), None);
    }

    #[test]
    fn a1_nothing_measured_is_unknown_and_too_much_is_full() {
        let even = LoadFormula::default();
        assert_eq!(of(&Statistics::default(), &even), None);
        let no_workers = Statistics { busy: Some(3), busy_max: Some(0), ..Statistics::default() };
        assert_eq!(of(&no_workers, &even), None);
        let over = Statistics { busy: Some(50), busy_max: Some(40), ..Statistics::default() };
        assert_eq!(of(&over, &even), Some(1.0));
    }
}

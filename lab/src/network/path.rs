//! What the ways between nodes do to packets.

use std::collections::BTreeMap;
use std::time::Duration;

use walrus_core::world::Generator;

/// One way.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Path {
    /// One way.
    pub(crate) delay: Duration,
    /// Up to so much more, evenly.
    pub(crate) jitter: Duration,
    /// 0 to 1.
    pub(crate) loss: f64,
}

/// All of them, by place.
#[derive(Debug, Default)]
pub(super) struct Paths {
    others: Path,
    set: BTreeMap<(usize, usize), Path>,
    cut: std::collections::BTreeSet<(usize, usize)>,
}

impl Paths {
    pub(super) fn set_all(&mut self, path: Path) {
        self.others = path;
    }

    pub(super) fn set(&mut self, from: usize, to: usize, path: Path) {
        self.set.insert((from, to), path);
    }

    pub(super) fn cut(&mut self, from: usize, to: usize, is_cut: bool) {
        if is_cut {
            self.cut.insert((from, to));
        } else {
            self.cut.remove(&(from, to));
        }
    }

    /// How long a packet takes; `None` if it never arrives.
    pub(super) fn takes(&self, from: usize, to: usize, draw: &mut Generator) -> Option<Duration> {
        if self.cut.contains(&(from, to)) {
            return None;
        }
        let path = self.set.get(&(from, to)).unwrap_or(&self.others);
        if path.loss > 0.0 && draw.share() < path.loss {
            return None;
        }
        let jitter = if path.jitter.is_zero() { 0.0 } else { draw.share() };
        Some(path.delay + path.jitter.mul_f64(jitter))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ways_delay_lose_and_are_cut_one_by_one() {
        let milliseconds = Duration::from_millis;
        let mut paths = Paths::default();
        let mut draw = Generator::new(1);
        paths.set_all(Path { delay: milliseconds(5), ..Path::default() });
        let lossy = Path { delay: milliseconds(40), jitter: milliseconds(2), loss: 0.1 };
        paths.set(0, 1, lossy);
        assert_eq!(paths.takes(1, 0, &mut draw), Some(milliseconds(5)));
        let taken: Vec<_> = (0..10_000).filter_map(|_| paths.takes(0, 1, &mut draw)).collect();
        assert!((8850..9150).contains(&taken.len()), "five deviations of 9,000: {}", taken.len());
        assert!(taken.iter().all(|it| (milliseconds(40)..milliseconds(42)).contains(it)));
        paths.cut(1, 0, true);
        assert_eq!(paths.takes(1, 0, &mut draw), None);
        assert!((0..100).any(|_| paths.takes(0, 1, &mut draw).is_some()), "the other way");
        paths.cut(1, 0, false);
        assert_eq!(paths.takes(1, 0, &mut draw), Some(milliseconds(5)));
    }
}

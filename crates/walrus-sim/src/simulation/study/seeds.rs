//! Seeds as studies and calls write them.

use std::collections::BTreeSet;

/// The most seeds of a study, or of a call.
const SEEDS_MAX: usize = 10_000;

/// Why a text names no seeds.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SeedsError {
    /// This part is neither a number nor a range.
    #[error("seeds are numbers and ranges such as \"1-5, 9\", not \"{0}\"")]
    NoSeeds(String),
    /// One stands there twice: the same run again would be taken for an independent one.
    #[error("seed {0} stands there twice: its run would be the very same, and tell nothing new")]
    Twice(u64),
    /// More than are run.
    #[error("at most {SEEDS_MAX} seeds are run")]
    TooMany,
}

/// Reads `7`, `1-5` or `1-5, 9`.
///
/// # Errors
/// A part that is none, a seed that comes twice, too many of them.
pub fn parse_seeds(text: &str) -> Result<Vec<u64>, SeedsError> {
    let mut seeds = Vec::new();
    let mut known = BTreeSet::new();
    for part in text.split(',').map(str::trim) {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let number = |text: &str| text.trim().parse::<u64>().ok();
        let (Some(first), Some(last)) = (number(first), number(last)) else {
            return Err(SeedsError::NoSeeds(part.to_owned()));
        };
        if last < first {
            return Err(SeedsError::NoSeeds(part.to_owned()));
        }
        // Before anything is laid out for them.
        if last - first >= (SEEDS_MAX - seeds.len()) as u64 {
            return Err(SeedsError::TooMany);
        }
        for seed in first..=last {
            if !known.insert(seed) {
                return Err(SeedsError::Twice(seed));
            }
            seeds.push(seed);
        }
    }
    Ok(seeds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seeds_are_numbers_and_ranges_each_once() {
        assert_eq!(parse_seeds("7"), Ok(vec![7]));
        assert_eq!(parse_seeds("1-3, 9"), Ok(vec![1, 2, 3, 9]));
        assert_eq!(parse_seeds(&u64::MAX.to_string()), Ok(vec![u64::MAX]));
        for wrong in ["", "a", "3-1", "1-", "1,,2", "-1"] {
            assert!(matches!(parse_seeds(wrong), Err(SeedsError::NoSeeds(_))), "{wrong}");
        }
        assert_eq!(parse_seeds("1-5,3"), Err(SeedsError::Twice(3)));
        for many in ["1-10001", "0-18446744073709551615", "1-6000,7000-11000"] {
            assert_eq!(parse_seeds(many), Err(SeedsError::TooMany), "{many}");
        }
    }
}

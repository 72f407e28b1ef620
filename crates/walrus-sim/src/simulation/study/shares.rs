//! How a population's clients are spread over its domains, and drawing one by its share.

use std::cell::RefCell;
use std::sync::Arc;

use walrus_core::world::Generator;

/// Shares of domains, from which one is drawn in constant time (Walker's alias method, as Vose makes
/// its table).
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Shares {
    /// By domain; they add up to 1.
    shares: Box<[f64]>,
    /// By column: how much of it is its own domain, in 2^-32, and whose the rest is.
    columns: Box<[(u32, u32)]>,
}

/// As many shares in all that are kept, of 16 bytes each: a gibibyte.
const KEPT_MAX: u64 = 1 << 26;

/// Shares that were made for a study: each once, whichever variants and points of a sweep have them.
#[derive(Debug, Default)]
pub(super) struct KnownShares {
    list: RefCell<Vec<Known>>,
}

/// Shares with what describes them.
#[derive(Clone, Debug)]
pub(super) struct Known {
    text: String,
    domains: u64,
    shares: Arc<Shares>,
}

impl KnownShares {
    /// With those that were made before.
    pub(super) const fn new(list: Vec<Known>) -> Self {
        Self { list: RefCell::new(list) }
    }

    /// All that were made.
    pub(super) fn into_list(self) -> Vec<Known> {
        self.list.into_inner()
    }

    /// The shares that a text describes; see [`weights`].
    pub(super) fn of(
        &self,
        text: &str,
        domains: u64,
        read: &dyn Fn(&str) -> Result<String, String>,
    ) -> Result<Arc<Shares>, String> {
        let mut list = self.list.borrow_mut();
        if let Some(known) = list.iter().find(|it| it.domains == domains && it.text == text) {
            return Ok(Arc::clone(&known.shares));
        }
        let sum: u64 = list.iter().map(|it| it.domains).sum();
        if sum.saturating_add(domains) > KEPT_MAX {
            return Err(format!(
                "makes, with those of other populations, variants or points of a sweep, more than \
                 {KEPT_MAX} different shares: take fewer domains, or the same for all"
            ));
        }
        let shares = Arc::new(Shares::of(&weights(text, domains, read)?));
        list.push(Known { text: text.to_owned(), domains, shares: Arc::clone(&shares) });
        Ok(shares)
    }
}

impl Shares {
    /// Of weights that are at least 0, not all of them; at most 2^32 of them.
    pub(super) fn of(weights: &[f64]) -> Self {
        let sum: f64 = weights.iter().sum();
        let shares: Box<[f64]> = weights.iter().map(|weight| weight / sum).collect();
        let columns = columns(&shares);
        Self { shares, columns }
    }

    pub(crate) const fn shares(&self) -> &[f64] {
        &self.shares
    }

    /// A domain by its share.
    #[inline]
    pub(crate) fn draw(&self, generator: &mut Generator) -> u32 {
        let (column, rest) = generator.index(self.columns.len() as u32);
        let (own, other) = self.columns[column as usize];
        if rest < own || own == u32::MAX { column } else { other }
    }

    /// So many clients dealt out as nearly by share as whole clients can be (largest remainder).
    pub(crate) fn deal(&self, clients: u64) -> Vec<u32> {
        let exact = |share: &f64| share * clients as f64;
        let mut dealt: Vec<u32> = self.shares.iter().map(|it| exact(it).floor() as u32).collect();
        let left = clients.saturating_sub(dealt.iter().map(|it| u64::from(*it)).sum());
        let mut order: Vec<usize> = (0..dealt.len()).collect();
        let remainder = |domain: usize| exact(&self.shares[domain]).fract();
        order.sort_by(|a, b| remainder(*b).total_cmp(&remainder(*a)));
        for domain in order.into_iter().cycle().take(left as usize) {
            dealt[domain] += 1;
        }
        dealt
    }
}

fn columns(shares: &[f64]) -> Box<[(u32, u32)]> {
    let count = shares.len();
    let mut filled: Vec<f64> = shares.iter().map(|share| share * count as f64).collect();
    let mut columns: Vec<(u32, u32)> = (0..count as u32).map(|own| (u32::MAX, own)).collect();
    let (mut small, mut large): (Vec<usize>, Vec<usize>) =
        (0..count).partition(|domain| filled[*domain] < 1.0);
    while let (Some(low), Some(high)) = (small.pop(), large.last().copied()) {
        let own = (filled[low] * 4_294_967_296.0) as u64;
        columns[low] = (own.min(u64::from(u32::MAX) - 1) as u32, high as u32);
        filled[high] -= 1.0 - filled[low];
        if filled[high] < 1.0 {
            large.pop();
            small.push(high);
        }
    }
    // What rounding has left over is its own.
    columns.into()
}

/// Reads `zipf 1`, `geometric 0.3`, `even` or `file:NAME` as the weights of so many domains. The error is
/// the rest of a sentence that begins with the setting's name.
pub(super) fn weights(
    text: &str,
    domains: u64,
    read: &dyn Fn(&str) -> Result<String, String>,
) -> Result<Vec<f64>, String> {
    let places = 1..=domains;
    if let Some(file) = text.strip_prefix("file:") {
        return traced(file, domains, read);
    }
    let words: Vec<&str> = text.split_whitespace().collect();
    let number = |word: &str, least: f64, most: f64| {
        let number: Option<f64> = word.parse().ok();
        number.filter(|it| (least..=most).contains(it))
    };
    match words.as_slice() {
        ["even"] => Ok(vec![1.0; domains as usize]),
        ["zipf", exponent] => {
            let exponent =
                number(exponent, 0.0, 10.0).ok_or("`zipf` wants an exponent from 0 to 10")?;
            Ok(places.map(|place| (place as f64).powf(-exponent)).collect())
        }
        ["geometric", p] => {
            let p =
                number(p, 1e-6, 0.999_999).ok_or("`geometric` wants a share between 0 and 1")?;
            Ok(places.map(|place| p * (1.0 - p).powf((place - 1) as f64)).collect())
        }
        _ => {
            Err(format!("must be `zipf 1`, `geometric 0.3`, `even` or `file:NAME`, not \"{text}\""))
        }
    }
}

fn traced(
    file: &str,
    domains: u64,
    read: &dyn Fn(&str) -> Result<String, String>,
) -> Result<Vec<f64>, String> {
    let text = read(file).map_err(|why| format!("names `{file}`: {why}"))?;
    let mut weights = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        let line = line.split('#').next().unwrap_or_default().trim();
        if line.is_empty() {
            continue;
        }
        let weight: Option<f64> = line.parse().ok();
        match weight.filter(|weight| weight.is_finite() && *weight >= 0.0) {
            Some(weight) => weights.push(weight),
            None => {
                return Err(format!(
                    "names `{file}`, where line {number} is no weight: \"{line}\""
                ));
            }
        }
    }
    let sum: f64 = weights.iter().sum();
    if weights.len() as u64 != domains || sum <= 0.0 {
        let count = weights.len();
        return Err(format!(
            "names `{file}`, which has {count} weights that add up to {sum}: write a weight for each of \
             the {domains} domains"
        ));
    }
    Ok(weights)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn none(_: &str) -> Result<String, String> {
        Err("no such file".to_owned())
    }

    #[test]
    fn zipf_shares_are_those_of_the_formula() {
        let shares = Shares::of(&weights("zipf 1", 20, &none).unwrap());
        let expected = [0.278, 0.139, 0.093, 0.070, 0.056, 0.046];
        for (share, expected) in shares.shares().iter().zip(expected) {
            assert!((share - expected).abs() < 0.0006, "{share} {expected}");
        }
        assert_eq!(shares.shares().iter().filter(|share| **share > 1.0 / 20.0).count(), 5);
    }

    #[test]
    fn domains_are_drawn_by_their_shares() {
        for text in ["zipf 1", "geometric 0.3", "even", "zipf 2.5"] {
            let shares = Shares::of(&weights(text, 50, &none).unwrap());
            let mut generator = Generator::new(11);
            let draws = 400_000;
            let mut counts = [0_u32; 50];
            (0..draws).for_each(|_| counts[shares.draw(&mut generator) as usize] += 1);
            for (count, share) in counts.iter().zip(shares.shares()) {
                let mean = share * f64::from(draws);
                let deviation = (mean * (1.0 - share)).sqrt();
                assert!((f64::from(*count) - mean).abs() <= 5.0 * deviation + 1.0, "{text}");
            }
        }
    }

    #[test]
    fn clients_are_dealt_out_to_the_last() {
        let shares = Shares::of(&weights("zipf 1", 20, &none).unwrap());
        for clients in [1, 7, 500, 10_001] {
            let dealt = shares.deal(clients);
            assert_eq!(dealt.iter().map(|it| u64::from(*it)).sum::<u64>(), clients);
            let off =
                |(count, share): (&u32, &f64)| (f64::from(*count) - share * clients as f64).abs();
            assert!(dealt.iter().zip(shares.shares()).map(off).all(|off| off < 1.0));
        }
    }

    #[test]
    fn the_same_shares_are_made_once_and_not_without_bound() {
        let known = KnownShares::default();
        let first = known.of("zipf 1", 20, &none).unwrap();
        assert!(Arc::ptr_eq(&first, &known.of("zipf 1", 20, &none).unwrap()));
        assert!(!Arc::ptr_eq(&first, &known.of("zipf 2", 20, &none).unwrap()));
        assert!(!Arc::ptr_eq(&first, &known.of("zipf 1", 21, &none).unwrap()));
        let why = known.of("even", KEPT_MAX, &none).unwrap_err();
        assert!(why.contains("different shares"), "{why}");
        // Nothing was laid out for it, and the next one is made.
        assert!(known.of("even", 20, &none).is_ok());
    }

    #[test]
    fn a_file_has_a_weight_a_line() {
        let read = |_: &str| Ok("# heavy first\n5\n3.5 # comment\n\n1.5\n".to_owned());
        assert_eq!(weights("file:x", 3, &read).unwrap(), [5.0, 3.5, 1.5]);
        let wrong = |_: &str| Ok("1\nmany\n".to_owned());
        assert!(weights("file:x", 2, &wrong).unwrap_err().contains("line 2"));
        assert!(weights("file:x", 4, &read).unwrap_err().contains("3 weights"));
        assert!(weights("file:x", 4, &none).unwrap_err().contains("no such file"));
        assert!(weights("zipf", 4, &none).unwrap_err().contains("zipf 1"));
    }
}

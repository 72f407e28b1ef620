//! What sentences are made of: ways, names, addresses, shares, times.

use std::net::Ipv4Addr;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};

use crate::network::Path;

/// Names that a client asks for in turn.
const NAMES_MAX: usize = 1000;

/// `40ms jitter 2ms loss 1%`.
pub(super) fn path(words: &[&str]) -> Result<Path> {
    let Some((delay, mut rest)) = words.split_first() else { bail!("how long does it take?") };
    let mut path = Path { delay: duration(delay)?, ..Path::default() };
    while !rest.is_empty() {
        rest = match rest {
            ["jitter", jitter, others @ ..] => {
                path.jitter = duration(jitter)?;
                others
            }
            ["loss", loss, others @ ..] => {
                path.loss = percent(loss)?;
                others
            }
            _ => bail!("after the delay comes `jitter 2ms`, `loss 1%`, or nothing"),
        };
    }
    Ok(path)
}

/// `www1..20.gslb` is `www1.gslb` to `www20.gslb`.
pub(super) fn all_names(text: &str) -> Result<Vec<String>> {
    let Some((before, behind)) = text.split_once("..") else { return Ok(vec![text.to_owned()]) };
    let digits = before.trim_end_matches(|letter: char| letter.is_ascii_digit()).len();
    let (label, first) = before.split_at(digits);
    let end = behind.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(behind.len());
    let (last, rest) = behind.split_at(end);
    let (first, last): (usize, usize) = (first.parse()?, last.parse()?);
    if first > last || last - first >= NAMES_MAX {
        bail!("`{text}` has to be 1 to {NAMES_MAX} names");
    }
    Ok((first..=last).map(|number| format!("{label}{number}{rest}")).collect())
}

pub(super) fn ipv4(words: &[&str]) -> Result<Vec<Ipv4Addr>> {
    words.iter().map(|word| word.parse().with_context(|| format!("`{word}`"))).collect()
}

pub(super) fn percent(word: &str) -> Result<f64> {
    let number = word.strip_suffix('%').and_then(|number| number.parse::<f64>().ok());
    let share = number.map(|number| number / 100.0).filter(|share| (0.0..=1.0).contains(share));
    share.with_context(|| format!("`{word}` is no share: write 0% to 100%"))
}

/// `500us`, `5ms`, `2.5s`, `3m`, or several of them: `60s+5s`.
pub(super) fn duration(word: &str) -> Result<Duration> {
    word.split('+').map(one_duration).sum()
}

fn one_duration(word: &str) -> Result<Duration> {
    let split = word.find(|letter: char| letter.is_ascii_alphabetic()).unwrap_or(word.len());
    let (number, unit) = word.split_at(split);
    let scale = match unit {
        "us" => 1e-6,
        "ms" => 1e-3,
        "s" => 1.0,
        "m" => 60.0,
        _ => bail!("`{word}` is no time: write 500us, 5ms, 2.5s or 3m"),
    };
    let number = number.parse::<f64>().ok().filter(|number| (0.0..=86_400.0).contains(number));
    let number = number.with_context(|| format!("`{word}` is no time"))?;
    Ok(Duration::from_secs_f64(number * scale))
}

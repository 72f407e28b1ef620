//! Single words: numbers, times, factors, addresses.

use std::net::IpAddr;
use std::str::FromStr;
use std::time::Duration;

use super::duration::parse_duration;

pub(crate) fn number<T: FromStr>(word: &str) -> Result<T, String> {
    word.parse().map_err(|_| format!("`{word}` is not a number that fits here"))
}

pub(crate) fn time(word: &str) -> Result<Duration, String> {
    parse_duration(word)
        .ok_or_else(|| format!("`{word}` is no time such as 500ms, 90s, 20m or 1.5h"))
}

/// `x20`: so many times.
pub(super) fn times(word: &str) -> Result<f64, String> {
    let number: Option<f64> = word.strip_prefix('x').and_then(|it| it.parse().ok());
    number
        .filter(|it| (0.001..=1000.0).contains(it))
        .ok_or_else(|| format!("`{word}` is no factor such as x20 or x0.5, from x0.001 to x1000"))
}

pub(super) fn address(word: &str) -> Result<IpAddr, String> {
    word.parse().map_err(|_| format!("`{word}` is not an IP address"))
}

pub(super) fn prefix(word: &str) -> Result<(IpAddr, u8), String> {
    let problem = || format!("`{word}` is not a prefix such as 198.51.100.0/24");
    let (address, bits) = word.split_once('/').ok_or_else(problem)?;
    let address: IpAddr = address.parse().map_err(|_| problem())?;
    let bits_max = if address.is_ipv4() { 32 } else { 128 };
    let bits = bits.parse().ok().filter(|bits| *bits <= bits_max).ok_or_else(problem)?;
    Ok((address, bits))
}

//! Single values: TOML in; a value of the wanted kind or what to write instead out.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use toml::de::DeValue;
use walrus_dns::DomainName;

use super::section::Value;
use super::setting::{Kind, duration_text};
use super::suggest::did_you_mean;
use crate::world::{Coordinates, Name};

/// Reads a value of a kind that is neither list nor table. The error is the rest of a sentence
/// that begins with the setting's name.
pub(super) fn read(value: &DeValue<'_>, kind: &Kind) -> Result<Value, String> {
    match kind {
        Kind::Flag => value.as_bool().map(Value::Flag).ok_or_else(|| must(kind, value)),
        Kind::Count(min, max) => count(value, *min, *max).ok_or_else(|| must(kind, value)),
        Kind::Number(min, max) => number(value)
            .filter(|number| (*min..=*max).contains(number))
            .map(Value::Number)
            .ok_or_else(|| must(kind, value)),
        Kind::Share(min, max) => share(value)
            .filter(|share| (*min..=*max).contains(share))
            .map(Value::Number)
            .ok_or_else(|| must(kind, value)),
        Kind::Duration(min, max) => duration(value, *min, *max, kind).map(Value::Duration),
        Kind::Seconds(min, max) => {
            let time = duration(value, u64::from(*min) * 1000, u64::from(*max) * 1000, kind)?;
            let whole = time.subsec_nanos() == 0;
            if whole { Ok(Value::Duration(time)) } else { Err(must(kind, value)) }
        }
        Kind::Coordinates => {
            coordinates(value).map(Value::Coordinates).ok_or_else(|| must_be_list(kind, value))
        }
        Kind::Status => status(value).map(Value::Status).ok_or_else(|| must(kind, value)),
        _ => {
            let text = value.as_str().ok_or_else(|| must(kind, value))?;
            from_text(text, kind)
        }
    }
}

/// A kind that is written as a TOML string.
fn from_text(text: &str, kind: &Kind) -> Result<Value, String> {
    let owned = || Value::Text(text.to_owned());
    match kind {
        Kind::Text | Kind::Path if text.is_empty() => Err("must not be empty".into()),
        Kind::Text => Ok(owned()),
        Kind::Path if text.contains('\0') => Err("is no path: it holds a NUL character".into()),
        Kind::Path => Ok(owned()),
        Kind::Url => url(text, &["http", "https"]).map(|()| owned()),
        Kind::ProbeUrl(scheme) => probe_url(text, scheme).map(|()| owned()),
        Kind::Name => name(text).map(Value::Name),
        Kind::Domain => domain(text).map(Value::Domain),
        Kind::Address => address(text).map(Value::Address),
        Kind::Endpoint(port) => endpoint(text, *port).map(Value::Endpoint),
        Kind::HostPort(port) => host_port(text, *port).map(Value::Text),
        Kind::Word(word) if text == *word => Ok(owned()),
        Kind::OneOf(words) if words.contains(&text) => Ok(owned()),
        Kind::OneOf(words) => Err(match did_you_mean(text, words.iter().copied()) {
            Some(near) => format!("is \"{text}\": did you mean \"{near}\"?"),
            None => format!("must be {}, not \"{}\"", kind.description(), shortened(text)),
        }),
        _ => Err(format!("must be {}, not \"{}\"", kind.description(), shortened(text))),
    }
}

fn must(kind: &Kind, value: &DeValue<'_>) -> String {
    format!("must be {}, not {}", kind.description(), found(value))
}

/// As `must`, where a list of the right kind may hold the wrong things.
fn must_be_list(kind: &Kind, value: &DeValue<'_>) -> String {
    let Some(list) = value.as_array() else { return must(kind, value) };
    let each: Vec<String> = list.iter().take(3).map(|value| found(value.get_ref())).collect();
    let more = if list.len() > each.len() { ", ..." } else { "" };
    format!("must be {}, not [{}{more}]", kind.description(), each.join(", "))
}

/// What stands there, for people.
pub(super) fn found(value: &DeValue<'_>) -> String {
    match value {
        DeValue::String(text) => format!("the text \"{}\"", shortened(text)),
        DeValue::Integer(integer) => shortened(&integer.to_string()),
        DeValue::Float(float) => shortened(&float.to_string()),
        DeValue::Boolean(flag) => flag.to_string(),
        DeValue::Datetime(_) => "a date".into(),
        DeValue::Array(_) => "a list".into(),
        DeValue::Table(_) => "a table".into(),
    }
}

/// Any text, bounded and on one line, to be told back.
pub(super) fn shortened(text: &str) -> String {
    let mut short: String = text.chars().take(60).flat_map(char::escape_debug).collect();
    if text.chars().nth(60).is_some() {
        short.push_str("...");
    }
    short
}

// ---- numbers -----------------------------------------------------------------------------------

fn integer(value: &DeValue<'_>) -> Option<i128> {
    let integer = value.as_integer()?;
    i128::from_str_radix(&integer.as_str().replace('_', ""), integer.radix()).ok()
}

fn count(value: &DeValue<'_>, min: u64, max: u64) -> Option<Value> {
    let count = u64::try_from(integer(value)?).ok()?;
    (min..=max).contains(&count).then_some(Value::Count(count))
}

fn number(value: &DeValue<'_>) -> Option<f64> {
    if let DeValue::Float(float) = value {
        return float
            .as_str()
            .replace('_', "")
            .parse()
            .ok()
            .filter(|number: &f64| number.is_finite());
    }
    // Whole numbers that a setting can hold are far below 2^53, where the conversion is exact.
    integer(value)?.to_string().parse().ok()
}

/// Latitude and longitude in degrees, north and east positive.
fn coordinates(value: &DeValue<'_>) -> Option<Coordinates> {
    let [latitude, longitude] = value.as_array()?.get(..)? else { return None };
    let within = |value: &DeValue<'_>, bound: f64| {
        number(value).filter(|degrees| (-bound..=bound).contains(degrees))
    };
    Some(Coordinates {
        latitude: within(latitude.get_ref(), 90.0)?,
        longitude: within(longitude.get_ref(), 180.0)?,
    })
}

fn share(value: &DeValue<'_>) -> Option<f64> {
    let Some(text) = value.as_str() else {
        return number(value);
    };
    let percent: f64 = text.strip_suffix('%')?.trim_end().parse().ok()?;
    percent.is_finite().then_some(percent / 100.0)
}

// ---- times -------------------------------------------------------------------------------------

fn duration(value: &DeValue<'_>, min: u64, max: u64, kind: &Kind) -> Result<Duration, String> {
    let Some(text) = value.as_str() else {
        // A bare number is the likeliest slip; the seconds that were meant are told back.
        return Err(match integer(value).and_then(|number| u64::try_from(number).ok()) {
            Some(number) => format!("needs a unit: write \"{number}s\" or \"{number}ms\""),
            None => must(kind, value),
        });
    };
    let milliseconds = milliseconds(text).ok_or_else(|| {
        format!(
            "must be a time such as \"30s\", \"500ms\", \"5m\", \"1h\" or \"1d\", not \"{}\"",
            shortened(text)
        )
    })?;
    if (min..=max).contains(&milliseconds) {
        return Ok(Duration::from_millis(milliseconds));
    }
    let (min, max) = (duration_text(min), duration_text(max));
    Err(format!("must be from {min} to {max}, not \"{}\"", shortened(text)))
}

/// A number, fraction allowed, and a unit: "1.5s" is 1500.
fn milliseconds(text: &str) -> Option<u64> {
    let unit_at = text.find(|c: char| c.is_ascii_alphabetic())?;
    let (number, unit) = text.split_at(unit_at);
    let unit: u64 = match unit {
        "ms" => 1,
        "s" => 1000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return None,
    };
    let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(whole) || !digits(fraction) || fraction.len() > 9 {
        return None;
    }
    let denominator = 10_u64.pow(u32::try_from(fraction.len()).ok()?);
    let fraction: u64 = fraction.parse::<u64>().ok()?.checked_mul(unit)?;
    if !fraction.is_multiple_of(denominator) {
        return None;
    }
    whole.parse::<u64>().ok()?.checked_mul(unit)?.checked_add(fraction / denominator)
}

// ---- names and addresses -----------------------------------------------------------------------

fn name(text: &str) -> Result<Name, String> {
    text.parse().map_err(|_| {
        let lower: String = text
            .to_lowercase()
            .chars()
            .map(|c| if c.is_ascii_lowercase() || c.is_ascii_digit() { c } else { '-' })
            .collect();
        let lower = lower.trim_matches('-');
        let hint = match lower.parse::<Name>() {
            Ok(better) => format!(", for example \"{better}\""),
            Err(_) => String::new(),
        };
        format!(
            "must be a name of 1 to 63 of a-z, 0-9 and `-`, not beginning or ending with \
             `-`{hint}, not \"{}\"",
            shortened(text)
        )
    })
}

fn domain(text: &str) -> Result<DomainName, String> {
    text.parse().map_err(|error| {
        format!(
            "must be a domain name such as \"www.example.com\", not \"{}\": {error}",
            shortened(text)
        )
    })
}

fn address(text: &str) -> Result<IpAddr, String> {
    let address: IpAddr = text.parse().map_err(|_| {
        let hint = if text.parse::<SocketAddr>().is_ok() { " (without a port)" } else { "" };
        format!("must be an IPv4 or IPv6 address{hint}, not \"{}\"", shortened(text))
    })?;
    match unusable(address) {
        Some(why) => Err(format!("must be an address that a server can have; {address} is {why}")),
        None => Ok(address),
    }
}

/// Why no client could be sent to an address.
fn unusable(address: IpAddr) -> Option<String> {
    let mapped = match address {
        IpAddr::V6(address) => address.to_ipv4_mapped(),
        IpAddr::V4(_) => None,
    };
    match (address, mapped) {
        _ if address.is_unspecified() => Some("the unspecified address".into()),
        _ if address.is_multicast() => Some("a multicast address".into()),
        (IpAddr::V4(address), _) if address.is_broadcast() => Some("the broadcast address".into()),
        (IpAddr::V6(address), _) if is_link_local(address) => {
            Some("a link-local address, which means nothing elsewhere".into())
        }
        (_, Some(mapped)) => Some(format!("an IPv4 address in IPv6 clothes: write \"{mapped}\"")),
        _ => None,
    }
}

const fn is_link_local(address: Ipv6Addr) -> bool {
    address.segments()[0] & 0xffc0 == 0xfe80
}

fn endpoint(text: &str, port: u16) -> Result<SocketAddr, String> {
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    let endpoint = match (text.parse::<SocketAddr>(), bare.parse::<IpAddr>()) {
        (Ok(endpoint), _) => Some(endpoint),
        (_, Ok(address)) => Some(SocketAddr::new(address, port)),
        _ => None,
    };
    endpoint.filter(|endpoint| !endpoint.ip().is_multicast()).ok_or_else(|| {
        format!(
            "must be an address and port such as \"192.0.2.53:{port}\" or \
             \"[2001:db8::53]:{port}\", not \"{}\"",
            shortened(text)
        )
    })
}

fn host_port(text: &str, port: u16) -> Result<String, String> {
    let wrong = || {
        format!(
            "must be a host and port such as \"walrus.example.com:{port}\", not \"{}\"",
            shortened(text)
        )
    };
    if let Ok(endpoint) = endpoint(text, port) {
        return Ok(endpoint.to_string());
    }
    let (host, port) = match text.rsplit_once(':') {
        Some((host, text)) => (host, text.parse::<u16>().map_err(|_| wrong())?),
        None => (text, port),
    };
    let ascii = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
    let good = host.bytes().all(ascii) && host.parse::<DomainName>().is_ok() && port != 0;
    if good { Ok(format!("{host}:{port}")) } else { Err(wrong()) }
}

// ---- HTTP --------------------------------------------------------------------------------------

fn url(text: &str, schemes: &[&str]) -> Result<(), String> {
    let wrong = |why: &str| format!("{why}, not \"{}\"", shortened(text));
    let rest = schemes
        .iter()
        .find_map(|scheme| text.strip_prefix(scheme)?.strip_prefix("://"))
        .ok_or_else(|| {
            wrong(&format!("must be a URL that begins with {}://", schemes.join(":// or ")))
        })?;
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    if authority.contains('@') {
        return Err(
            "must not hold a user or password: secrets never stand in the configuration".into()
        );
    }
    if authority.is_empty() || text.chars().any(|c| c.is_whitespace() || c.is_control()) {
        return Err(wrong("must be a URL with a host and without spaces"));
    }
    let port = authority.rsplit_once(':').map(|(_, port)| port).filter(|port| !port.ends_with(']'));
    match port.map(str::parse::<u16>) {
        Some(Err(_) | Ok(0)) => Err(wrong("must be a URL whose port is from 1 to 65535")),
        _ => Ok(()),
    }
}

fn probe_url(text: &str, scheme: &str) -> Result<(), String> {
    url(text, &[scheme])?;
    let after = text.split_once("://").and_then(|(_, rest)| rest.strip_prefix("{address}"));
    match after {
        Some(rest) if rest.is_empty() || rest.starts_with(['/', ':', '?']) => Ok(()),
        _ => Err(format!(
            "must name the server by {{address}}, as in \"{scheme}://{{address}}/healthz\" (the \
             name to ask for goes into `host`), not \"{}\"",
            shortened(text)
        )),
    }
}

/// Codes and inclusive ranges, parted by commas, or one code as a number.
fn status(value: &DeValue<'_>) -> Option<Vec<(u16, u16)>> {
    if let Some(code) = integer(value) {
        let code = u16::try_from(code).ok().filter(|code| (100..=599).contains(code))?;
        return Some(vec![(code, code)]);
    }
    let mut ranges = Vec::new();
    for part in value.as_str()?.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let code =
            |text: &str| text.trim().parse::<u16>().ok().filter(|code| (100..=599).contains(code));
        let (first, last) = (code(first)?, code(last)?);
        if first > last {
            return None;
        }
        ranges.push((first, last));
    }
    Some(ranges)
}

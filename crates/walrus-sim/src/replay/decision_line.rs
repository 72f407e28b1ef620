//! A line of the decision log, as a Director writes it.

use std::borrow::Cow;
use std::net::IpAddr;

use serde::Deserialize;
use walrus_core::plan::PlanNumber;

use super::asked::{Asked, Recorded, time};

/// As much of a line as is replayed; what a later version adds is skipped.
#[derive(Deserialize)]
struct Line<'a> {
    #[serde(borrow)]
    kind: Cow<'a, str>,
    #[serde(default)]
    time_unix_ms: u64,
    #[serde(default)]
    weight: Option<u32>,
    resolver: IpAddr,
    #[serde(borrow, default)]
    subnet: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    transport: Option<Cow<'a, str>>,
    #[serde(rename = "do", default)]
    dnssec_ok: bool,
    #[serde(borrow)]
    name: Cow<'a, str>,
    #[serde(rename = "type")]
    record_type: u16,
    #[serde(default)]
    rcode: u16,
    #[serde(borrow, default)]
    area: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    cluster: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    server: Option<Cow<'a, str>>,
    #[serde(default)]
    answered: Vec<IpAddr>,
    #[serde(borrow, default)]
    plan: Option<Cow<'a, str>>,
}

/// Reads a line.
///
/// # Errors
/// Why it is none, in a few words.
pub(super) fn parse(line: &[u8]) -> Result<Asked, String> {
    // Some editors write a mark of UTF-8 before the first line.
    let line = line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line);
    let line: Line<'_> =
        serde_json::from_slice(line).map_err(|error| format!("no decision: {error}"))?;
    if line.kind != "decision" {
        return Err(format!("`kind` is `{}`, not `decision`", short(&line.kind)));
    }
    let name = line.name.parse().map_err(|error| format!("`name`: {error}"))?;
    let subnet = line.subnet.as_deref().map(subnet).transpose()?;
    let plan = line.plan.as_deref().map(number).transpose()?;
    let text = |text: Option<Cow<'_, str>>| text.map(|text| plain(&text));
    Ok(Asked {
        name,
        record_type: line.record_type,
        resolver: line.resolver,
        subnet,
        local: None,
        is_udp: line.transport.as_deref() != Some("tcp"),
        dnssec_ok: line.dnssec_ok,
        unix_ms: time(line.time_unix_ms)?,
        weight: line.weight.unwrap_or(1).max(1),
        plan,
        recorded: Some(Recorded {
            rcode: line.rcode,
            area: text(line.area),
            server: text(line.server),
            cluster: text(line.cluster),
            address: line.answered.first().copied(),
        }),
    })
}

/// "198.51.100.0/24", or "0/0" of a resolver that tells no network.
fn subnet(text: &str) -> Result<(IpAddr, u8), String> {
    let wrong = || format!("`subnet` is `{}`, no network", short(text));
    let (address, bits) = text.split_once('/').ok_or_else(wrong)?;
    let address = if address == "0" { "0.0.0.0" } else { address };
    let address: IpAddr = address.parse().map_err(|_| wrong())?;
    let bits = bits.parse().map_err(|_| wrong())?;
    let longest = if address.is_ipv4() { 32 } else { 128 };
    if bits > longest { Err(wrong()) } else { Ok((address, bits)) }
}

/// A Plan's number as it is shown: "7/one/21".
fn number(text: &str) -> Result<PlanNumber, String> {
    let wrong = || format!("`plan` is `{}`, no number of a Plan", short(text));
    let mut parts = text.split('/');
    let (Some(epoch), Some(controller), Some(sequence), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(wrong());
    };
    Ok(PlanNumber {
        epoch: epoch.parse().map_err(|_| wrong())?,
        controller: controller.parse().map_err(|_| wrong())?,
        sequence: sequence.parse().map_err(|_| wrong())?,
    })
}

/// As much as fits a message.
fn short(text: &str) -> String {
    plain(text).chars().take(40).collect()
}

/// Without what would move a terminal's cursor or colour it: a log is anybody's text.
fn plain(text: &str) -> String {
    let letter = |it: char| if it.is_control() { char::REPLACEMENT_CHARACTER } else { it };
    text.chars().map(letter).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LINE: &str = r#"{"walrus":1,"kind":"decision","time_unix_ms":1795332600123,"weight":1000,
"worker":0,"resolver":"192.0.2.1","subnet":"203.0.113.0/24","transport":"udp","do":false,
"name":"www.walrus.example","type":1,"rcode":0,"area":"here","cluster":"near","server":"near1",
"answered":["192.0.2.1","192.0.2.2"],"scope":24,"ttl":5,"plan":"7/one/21"}"#;

    #[test]
    fn names_are_text_without_controls() {
        let line = LINE.replace("\"near1\"", "\"\\u001b[2Jn\\u0007\"").replace('\n', "");
        let recorded = parse(line.as_bytes()).unwrap().recorded.unwrap();
        assert_eq!(recorded.server.as_deref(), Some("\u{fffd}[2Jn\u{fffd}"));
        let odd = LINE.replace("7/one/21", "\\u001b[2J").replace('\n', "");
        assert!(!parse(odd.as_bytes()).unwrap_err().contains('\u{1b}'));
    }

    #[test]
    fn a_mark_before_the_first_line_is_no_part_of_it() {
        let line = format!("\u{feff}{}", LINE.replace('\n', ""));
        assert!(parse(line.as_bytes()).is_ok());
    }

    #[test]
    fn a_directors_line_is_read() {
        let asked = parse(LINE.as_bytes()).unwrap();
        assert_eq!((asked.weight, asked.unix_ms), (1000, 1_795_332_600_123));
        assert_eq!(asked.subnet, Some(("203.0.113.0".parse().unwrap(), 24)));
        assert_eq!(asked.plan.unwrap().to_string(), "7/one/21");
        let recorded = asked.recorded.unwrap();
        assert_eq!(recorded.server.as_deref(), Some("near1"));
        assert_eq!(recorded.address, Some("192.0.2.1".parse().unwrap()));
    }

    #[test]
    fn what_is_missing_or_new_does_no_harm_and_what_is_wrong_is_told() {
        let few = r#"{"kind":"decision","resolver":"::1","name":".","type":28,"later":[{}]}"#;
        assert_eq!(parse(few.as_bytes()).unwrap().weight, 1);
        let none = LINE.replace("\"203.0.113.0/24\"", "\"0/0\"");
        assert_eq!(parse(none.as_bytes()).unwrap().subnet.unwrap().1, 0);
        for (from, to, told) in [
            ("decision", "round", "`kind` is `round`"),
            ("www.walrus.example", "www..example", "`name`"),
            ("203.0.113.0/24", "203.0.113.0/33", "no network"),
            ("203.0.113.0/24", "203.0.113.0", "no network"),
            ("7/one/21", "7/one", "no number of a Plan"),
            ("7/one/21", "7/One/21", "no number of a Plan"),
            ("192.0.2.1\",\"subnet", "192.0.2.256\",\"subnet", "no decision"),
            ("\"type\":1", "\"type\":70000", "no decision"),
            ("1795332600123", "18446744073709551615", "beyond any"),
        ] {
            let error = parse(LINE.replace(from, to).replace('\n', "").as_bytes()).unwrap_err();
            assert!(error.contains(told), "{to}: {error}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_line_or_none(bytes: Vec<u8>, place in 0..LINE.len(), byte: u8) {
            let _ = parse(&bytes);
            let mut damaged = LINE.as_bytes().to_vec();
            damaged[place] = byte;
            let _ = parse(&damaged);
            let _ = parse(&LINE.as_bytes()[..place]);
        }
    }
}

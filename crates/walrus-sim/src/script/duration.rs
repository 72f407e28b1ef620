//! Times in the words of scenarios, time lines and populations: `500ms`, `90s`, `20m`, `1.5h`, `2d`.

use std::time::Duration;

/// No time is longer: two years.
const SECONDS_MAX: f64 = 731.0 * 86_400.0;

/// A time with its unit, of at most two years; a bare 0 is one as well.
pub(crate) fn parse_duration(word: &str) -> Option<Duration> {
    let split = word.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(word.len());
    let (number, unit) = word.split_at(split);
    let number: f64 = number.parse().ok().filter(|number| *number >= 0.0)?;
    let factor = match unit {
        "ms" => 0.001,
        "s" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        "d" => 86_400.0,
        "" if number == 0.0 => 1.0,
        _ => return None,
    };
    Some(number * factor).filter(|time| *time <= SECONDS_MAX).map(Duration::from_secs_f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_units() {
        let cases = [
            ("1.5s", Some(1500)),
            ("2m", Some(120_000)),
            ("1.5h", Some(5_400_000)),
            ("0.3s", Some(300)),
            ("7ms", Some(7)),
            ("0", Some(0)),
            ("5", None),
            ("x", None),
            ("-1s", None),
            ("300000d", None),
            ("9999999999999999h", None),
            ("infs", None),
        ];
        for (text, millis) in cases {
            assert_eq!(parse_duration(text), millis.map(Duration::from_millis), "{text}");
        }
    }
}

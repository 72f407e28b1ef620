//! Any JSON document: the numbers are found by dotted paths (`pools.0.busy`).
//!
//! A part of a path that is a number picks from an array, any other a member of an object. A
//! number may be written as text, and a fraction is rounded down.

use serde_json::Value;

use super::{ParseError, WebStatus};

/// Where the numbers stand.
pub(super) struct Paths<'a> {
    pub(super) hits: Option<&'a str>,
    pub(super) busy: Option<&'a str>,
    pub(super) busy_max: Option<&'a str>,
}

pub(super) fn parse(text: &str, paths: &Paths<'_>) -> Result<WebStatus, ParseError> {
    let document: Value = serde_json::from_str(text).map_err(|_| ParseError::NotAStatusPage {
        expected: "JSON",
        advice: "let the URL name a page that answers with JSON",
    })?;
    let find = |path: Option<&str>| path.map(|path| number_at(&document, path)).transpose();
    Ok(WebStatus {
        hits_total: find(paths.hits)?,
        busy: find(paths.busy)?,
        busy_max: find(paths.busy_max)?,
        counts_own_requests: false,
    })
}

fn number_at(document: &Value, path: &str) -> Result<u64, ParseError> {
    let mut here = document;
    for part in path.split('.') {
        let next = match here {
            Value::Array(items) => part.parse::<usize>().ok().and_then(|at| items.get(at)),
            Value::Object(members) => members.get(part),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => None,
        };
        here = next
            .ok_or_else(|| ParseError::Missing { field: path.to_owned(), found: outline(here) })?;
    }
    let number = match here {
        Value::Number(number) => number.as_u64().or_else(|| whole(number.as_f64()?)),
        Value::String(text) => text.trim().parse().ok(),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    };
    number.ok_or_else(|| ParseError::NotANumber { field: path.to_owned() })
}

fn whole(number: f64) -> Option<u64> {
    // Beyond 2^53 a float no longer tells whole numbers apart.
    (0.0..9_007_199_254_740_992.0).contains(&number).then_some(number as u64)
}

/// What stands where a path ended, for people.
fn outline(value: &Value) -> String {
    match value {
        Value::Object(members) => {
            let names: Vec<&str> = members.keys().take(10).map(String::as_str).collect();
            format!("the members {}", names.join(", ")).chars().take(200).collect()
        }
        Value::Array(items) => format!("an array of {}", items.len()),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
            "no members".to_owned()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str, path: &str) -> Result<u64, ParseError> {
        let paths = Paths { hits: Some(path), busy: None, busy_max: None };
        parse(text, &paths).map(|status| status.hits_total.unwrap())
    }

    #[test]
    fn paths_find_numbers() {
        for (text, path, number) in [
            (r#"{"hits": 7}"#, "hits", 7),
            (r#"{"server": {"requests": {"total": 12}}}"#, "server.requests.total", 12),
            (r#"{"pools": [{"busy": 1}, {"busy": 4}]}"#, "pools.1.busy", 4),
            (r#"{"busy": "19"}"#, "busy", 19),
            (r#"{"busy": 2.9}"#, "busy", 2),
            ("[3]", "0", 3),
        ] {
            assert_eq!(at(text, path), Ok(number), "{path} in {text}");
        }
    }

    #[test]
    fn paths_that_lead_nowhere_say_what_is_there() {
        for (text, path, says) in [
            ("<html>", "hits", "not JSON"),
            (r#"{"hit": 7, "busy": 1}"#, "hits", "`hits` is not on the page; it has the members"),
            (r#"{"a": [1]}"#, "a.1", "an array of 1"),
            (r#"{"a": 1}"#, "a.b", "no members"),
            (r#"{"a": -1}"#, "a", "no number"),
            (r#"{"a": 1e300}"#, "a", "no number"),
            (r#"{"a": {}}"#, "a", "no number"),
        ] {
            let error = at(text, path).unwrap_err().to_string();
            assert!(error.contains(says), "{path} in {text}: {error}");
        }
    }

    #[test]
    fn only_what_is_asked_for_is_told() {
        let paths = Paths { hits: None, busy: Some("b"), busy_max: None };
        let status = parse(r#"{"b": 2}"#, &paths).unwrap();
        assert_eq!((status.hits_total, status.busy, status.busy_max), (None, Some(2), None));
    }
}

//! Names of servers, clusters, areas and nodes.

use std::borrow::Borrow;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::legible;

/// The longest name, in bytes: a DNS label, so that a name can become one.
const LEN_MAX: usize = 63;
/// Characters of a refused text that are shown.
const SHOWN_MAX: usize = 80;

/// A name of a server, cluster, area or node: 1 to 63 of `a-z`, `0-9` and `-`, not beginning or
/// ending with `-`. Cheap to clone.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(Arc<str>);

impl Name {
    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Why a text is no [`Name`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{text}` is not a name: use 1 to 63 of a-z, 0-9 and `-`, not beginning or ending with `-`"
)]
pub struct NameError {
    /// The refused text, as far as it can be shown: anybody may have sent it.
    pub text: String,
}

impl FromStr for Name {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        let good = (1..=LEN_MAX).contains(&text.len())
            && text.bytes().all(allowed)
            && !text.starts_with('-')
            && !text.ends_with('-');
        if good { Ok(Self(text.into())) } else { Err(NameError { text: legible(text, SHOWN_MAX) }) }
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.0, f)
    }
}

impl Borrow<str> for Name {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl Serialize for Name {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_labels() {
        for good in ["a", "fra1", "europe-west", "0", &"a".repeat(63)] {
            assert!(good.parse::<Name>().is_ok(), "{good}");
        }
        for bad in ["", "-a", "a-", "A", "a.b", "a_b", "ä", &"a".repeat(64)] {
            assert!(bad.parse::<Name>().is_err(), "{bad}");
        }
    }

    #[test]
    fn what_is_refused_is_shown_in_part_and_obeyed_by_no_terminal() {
        let text = format!("\u{1b}]0;{}", "x".repeat(60_000));
        let told = text.parse::<Name>().unwrap_err().to_string();
        assert!(told.len() < 250 && !told.contains('\u{1b}'), "{told}");
        assert!(told.starts_with("`\\u{1b}]0;xxx"), "{told}");
    }
}

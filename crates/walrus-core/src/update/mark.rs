//! The mark beside records that are ours: whose they are, and of which Plan.
//!
//! One TXT record with one text, for people and programs:
//! `v=walrus1; owner=walrus; plan=3/berlin/17; content=0123456789abcdef`. What stands behind these fields is left for
//! later versions and skipped.

use std::fmt;
use std::str::FromStr;

use crate::plan::PlanNumber;
use crate::world::Name;

/// Begins every mark of this version.
const VERSION: &str = "v=walrus1";
/// Begins every mark, whatever its version.
const ANY_VERSION: &str = "v=walrus";

/// What a mark says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mark {
    /// The setting `owner` of whoever wrote it.
    pub owner: Name,
    /// The Plan that the records are of: the one with which they last changed, or with which the epoch
    /// began.
    pub plan: PlanNumber,
    /// [`Content::fingerprint`](super::Content::fingerprint) of the records that were written with it, which tells
    /// what another updater wants from what somebody did by hand; `None` in marks of versions that had none.
    pub content: Option<u64>,
}

/// Text that is no mark that can be followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MarkError {
    /// It is something else.
    #[error("it is no mark")]
    NoMark,
    /// Of a version that is not known.
    #[error("its mark is of a newer version of Walrus: update this one")]
    Version,
    /// Begun as a mark, but damaged.
    #[error("its mark is damaged: remove the TXT record and its addresses, or set `adopt = true`")]
    Damaged,
}

impl fmt::Display for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{VERSION}; owner={}; plan={}", self.owner, self.plan)?;
        self.content.map_or(Ok(()), |content| write!(f, "; content={content:016x}"))
    }
}

impl FromStr for Mark {
    type Err = MarkError;

    fn from_str(text: &str) -> Result<Self, MarkError> {
        let mut fields = text.split(';').map(str::trim);
        let version = fields.next().unwrap_or_default();
        if !version.starts_with(ANY_VERSION) {
            return Err(MarkError::NoMark);
        }
        if version != VERSION {
            return Err(MarkError::Version);
        }
        let mut field = |name: &str| {
            let value = fields.next()?.strip_prefix(name)?;
            value.strip_prefix('=')
        };
        let (owner, plan) = (field("owner"), field("plan"));
        let owner = owner.and_then(|owner| owner.parse().ok()).ok_or(MarkError::Damaged)?;
        let plan = plan.and_then(number).ok_or(MarkError::Damaged)?;
        let content = field("content").and_then(|digits| u64::from_str_radix(digits, 16).ok());
        Ok(Self { owner, plan, content })
    }
}

/// `EPOCH/CONTROLLER/SEQUENCE`. An epoch that counting does not come near is none: who may write the zone
/// could otherwise keep all Plans out for ever. How far below that Controllers believe it is theirs to say.
fn number(text: &str) -> Option<PlanNumber> {
    let mut parts = text.split('/');
    let (epoch, controller, sequence) = (parts.next()?, parts.next()?, parts.next()?);
    let number = PlanNumber {
        epoch: epoch.parse().ok()?,
        controller: controller.parse().ok()?,
        sequence: sequence.parse().ok()?,
    };
    (parts.next().is_none() && number.is_plausible()).then_some(number)
}

impl Mark {
    /// The data of its TXT record: one text (RFC 1035 section 3.3.14).
    #[must_use]
    pub fn to_data(&self) -> Vec<u8> {
        let text = self.to_string();
        // Two names of at most 63 bytes and two numbers: below 255.
        let len = u8::try_from(text.len()).unwrap_or(u8::MAX);
        let mut data = vec![len];
        data.extend_from_slice(&text.as_bytes()[..usize::from(len)]);
        data
    }

    /// Reads the data of a TXT record, whose texts count as one.
    ///
    /// # Errors
    /// If it is no mark.
    pub fn from_data(data: &[u8]) -> Result<Self, MarkError> {
        let mut text = Vec::with_capacity(data.len());
        let mut rest = data;
        while let Some((len, after)) = rest.split_first() {
            let (part, next) =
                after.split_at_checked(usize::from(*len)).ok_or(MarkError::NoMark)?;
            text.extend_from_slice(part);
            rest = next;
        }
        std::str::from_utf8(&text).map_err(|_| MarkError::NoMark)?.parse()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn marks_are_read_as_they_are_written() {
        let text = "v=walrus1; owner=walrus; plan=3/berlin/17";
        let mark: Mark = text.parse().unwrap();
        assert_eq!((mark.owner.as_str(), mark.plan.sequence), ("walrus", 17));
        assert_eq!((mark.to_string(), mark.content), (text.to_owned(), None));
        let with_content = Mark { content: Some(0xabc), ..mark.clone() };
        assert_eq!(with_content.to_string(), format!("{text}; content=0000000000000abc"));
        assert_eq!(Mark::from_data(&with_content.to_data()), Ok(with_content));
        assert_eq!(Mark::from_data(&mark.to_data()), Ok(mark.clone()));
        assert_eq!(format!("{text}; since=now").parse(), Ok(mark.clone()), "fields may follow");
        let mut split = vec![9];
        split.extend_from_slice(&text.as_bytes()[..9]);
        split.push(u8::try_from(text.len() - 9).unwrap());
        split.extend_from_slice(&text.as_bytes()[9..]);
        assert_eq!(Mark::from_data(&split), Ok(mark), "some name servers split texts");
    }

    #[test]
    fn what_is_no_mark_is_told_apart() {
        for (text, error) in [
            ("", MarkError::NoMark),
            ("v=spf1 -all", MarkError::NoMark),
            ("v=walrus2; whatever", MarkError::Version),
            ("v=walrus1", MarkError::Damaged),
            ("v=walrus1; owner=Walrus; plan=3/berlin/17", MarkError::Damaged),
            ("v=walrus1; owner=walrus; plan=3/berlin", MarkError::Damaged),
            ("v=walrus1; owner=walrus; plan=3/berlin/17/4", MarkError::Damaged),
            ("v=walrus1; owner=walrus; plan=18446744073709551615/a/1", MarkError::Damaged),
        ] {
            assert_eq!(text.parse::<Mark>(), Err(error), "{text}");
        }
        assert_eq!(Mark::from_data(&[5, b'v']), Err(MarkError::NoMark));
    }

    proptest! {
        #[test]
        fn any_data_is_a_mark_or_none(data in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = Mark::from_data(&data);
        }
    }
}

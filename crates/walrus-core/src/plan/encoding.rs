//! A Plan as bytes: one JSON object with a version and a checksum, for the state directory.
//!
//! `{"walrus":1,"kind":"plan","checksum":"...","plan":{...}}`. The checksum is taken over the
//! Plan's own bytes, so that a file that was cut short or damaged is told from a good one before
//! any of it is believed.

use serde::{Deserialize, Serialize};

use super::{Plan, PlanInvalid};
use crate::world::Digest;

/// The version of the envelope.
const VERSION: u32 = 1;
const KIND: &str = "plan";
/// Where the head ends and the Plan begins.
const SEAM: &[u8] = b",\"plan\":";
/// The seam stands within so many bytes, in whatever is ours.
const HEAD_LEN_MAX: usize = 4096;

/// Why bytes are no Plan, or a Plan that is not to be trusted.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// Cut short, or no Plan at all.
    #[error("this is no saved Plan, or only the beginning of one")]
    NoPlan,
    /// Of a later program.
    #[error("the saved Plan has version {0}, this program reads version {VERSION}")]
    Version(u32),
    /// The bytes are not those that were written.
    #[error("the saved Plan's checksum does not fit: the file is damaged or was edited")]
    Checksum,
    /// A field is missing or of another type.
    #[error("the saved Plan cannot be read")]
    Malformed(#[from] serde_json::Error),
    /// The Plan contradicts itself.
    #[error("the saved Plan is not valid")]
    Invalid(#[from] PlanInvalid),
}

#[derive(Serialize, Deserialize)]
struct Head {
    walrus: u32,
    kind: String,
    checksum: Digest,
}

/// The Plan as bytes.
#[must_use]
pub fn to_bytes(plan: &Plan) -> Vec<u8> {
    let text = |result: Result<Vec<u8>, serde_json::Error>| {
        result.unwrap_or_else(|_| unreachable!("Plans have string keys only"))
    };
    let body = text(serde_json::to_vec(plan));
    let checksum = Digest::of([&body[..]]);
    let mut bytes =
        text(serde_json::to_vec(&Head { walrus: VERSION, kind: KIND.to_owned(), checksum }));
    // The head's closing brace moves behind the Plan.
    bytes.pop();
    bytes.extend_from_slice(SEAM);
    bytes.extend_from_slice(&body);
    bytes.extend_from_slice(b"}\n");
    bytes
}

/// The Plan in these bytes, checked: whoever holds it may index and add up without fear.
///
/// # Errors
/// If the bytes are cut short or damaged, or the Plan is of another format or contradicts itself.
pub fn from_bytes(bytes: &[u8]) -> Result<Plan, PlanError> {
    let head_area = &bytes[..bytes.len().min(HEAD_LEN_MAX)];
    let seam = head_area.windows(SEAM.len()).position(|window| window == SEAM);
    let (head, rest) = bytes.split_at(seam.ok_or(PlanError::NoPlan)?);
    let head: Head = serde_json::from_slice(&[head, b"}"].concat())?;
    if head.kind != KIND {
        return Err(PlanError::NoPlan);
    }
    if head.walrus != VERSION {
        return Err(PlanError::Version(head.walrus));
    }
    let body = rest[SEAM.len()..].trim_ascii_end().strip_suffix(b"}").ok_or(PlanError::NoPlan)?;
    if Digest::of([body]) != head.checksum {
        return Err(PlanError::Checksum);
    }
    let plan: Plan = serde_json::from_slice(body)?;
    plan.validate()?;
    Ok(plan)
}

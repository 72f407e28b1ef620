//! DNSSEC without a private key: what is to be signed, by which keys and for how long.
//!
//! Nothing here signs. What must be signed goes out as a [`SignRequest`]; whoever holds the private
//! keys carries it out and puts the result into [`Signatures`]; the next look finds it there. So the
//! same functions say what is missing, build the signed zone, and can be tested without keys.
//!
//! Algorithms 13 (ECDSA P-256 with SHA-256, RFC 6605) and 15 (Ed25519, RFC 8080), whose signatures
//! are 64 bytes both.

mod bitmap;
mod key;
mod key_text;
mod nsec3;
mod plausible_time;
pub mod rollover;
mod set;
mod sign_zone;
mod signatures;
mod signed_stream;
mod unsigned;
mod validity;
mod walk;

pub use crate::world::{Algorithm, Denial};
pub use bitmap::types_of_bitmap;
pub use key::{DnsKey, DnsKeyError, FLAG_REVOKE, FLAG_SEP, FLAG_ZONE, ZoneKeys};
pub use plausible_time::{CONFIRM, ClockNews, EARLIEST, JUMP, PlausibleTime};
pub use set::{Covered, SignRequest, SignedBy, phase, sign_set};
pub use sign_zone::{
    SignBatch, SignedBefore, SignedService, SignedZone, ZoneSigning, sign_zone, sign_zone_by,
};
pub use signatures::{Signature, SignatureId, Signatures};
pub use unsigned::unsigned;
pub use validity::{Validity, ValidityPolicy};

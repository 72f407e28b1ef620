//! The client's side: a request signed, its replies checked (RFC 8945 sections 5.3 and 5.4).

use ring::hmac;

use super::record::{
    BAD_KEY, BAD_SIGNATURE, BAD_TIME, BAD_TRUNCATION, Found, NO_ERROR, Variables, algorithm_name,
    are_same, sign_mac,
};
use super::{FUDGE, SharedKey};

/// So many replies in a row may be unsigned (RFC 8945 section 5.3.1), but for the first and the last.
const UNSIGNED_MAX: u32 = 99;

/// Why a reply is not believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReplyRefused {
    /// It cannot be read.
    #[error("the signed reply is malformed")]
    Malformed,
    /// It has no signature where it needs one.
    #[error("the reply is not signed: does the other side know the key?")]
    Unsigned,
    /// Signed with another key.
    #[error("the reply is signed with another key")]
    OtherKey,
    /// Its signature is wrong.
    #[error("the reply's signature is wrong: is the secret the same on both sides?")]
    WrongSignature,
    /// It was signed at another time.
    #[error("the reply was signed at another time: look at both clocks")]
    WrongTime,
    /// The other side does not know the key (BADKEY).
    #[error("the other side does not know this key, or not with this algorithm (BADKEY)")]
    KeyUnknown,
    /// The other side found the request's signature wrong (BADSIG, BADTRUNC).
    #[error("the other side finds the signature wrong: is the secret the same? (BADSIG)")]
    SignatureRefused,
    /// The other side's clock differs (BADTIME).
    #[error("the other side's clock is {ahead} s ahead of this one (BADTIME)")]
    ClockDiffers {
        /// In seconds; negative is behind.
        ahead: i64,
    },
}

impl SharedKey {
    /// Puts a signature behind a request.
    pub fn sign_request(&self, request: &mut Vec<u8>, now: u64) -> ReplyVerifier {
        let variables =
            Variables { time_signed: now, fudge: FUDGE, error: NO_ERROR, other: Vec::new() };
        let mut digest = self.digest();
        digest.update(request);
        variables.sign(self, &mut digest);
        let mac = digest.sign();
        let names = (self.name().as_wire(), algorithm_name(self.0.algorithm));
        variables.put_behind(request, names, mac.as_ref());
        let mut digest = self.digest();
        sign_mac(mac.as_ref(), &mut digest);
        ReplyVerifier { key: self.clone(), digest, is_first: true, unsigned: 0 }
    }
}

/// Checks the replies to one request, one after the other.
pub struct ReplyVerifier {
    key: SharedKey,
    /// Over the last MAC, and what came unsigned since.
    digest: hmac::Context,
    is_first: bool,
    unsigned: u32,
}

impl std::fmt::Debug for ReplyVerifier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ReplyVerifier").field("key", &self.key).finish_non_exhaustive()
    }
}

impl ReplyVerifier {
    /// Checks the next reply's signature and takes it off. Between two signed ones up to 99 may come without: they are
    /// proven by the next signature, so what they say counts only after [`Self::finish`].
    ///
    /// # Errors
    /// If it is not believed. By TCP nothing of the exchange is then; by UDP anybody may have sent it, and another is
    /// waited for (RFC 8945 section 5.4).
    pub fn verify(&mut self, reply: &mut Vec<u8>, now: u64) -> Result<(), ReplyRefused> {
        let found = Found::in_message(reply).map_err(|_| ReplyRefused::Malformed)?;
        let Some(found) = found else {
            if self.is_first || self.unsigned == UNSIGNED_MAX {
                return Err(ReplyRefused::Unsigned);
            }
            self.unsigned += 1;
            self.digest.update(reply);
            return Ok(());
        };
        // These two come unsigned: there is no key that both know.
        match found.variables.error {
            BAD_KEY => return Err(ReplyRefused::KeyUnknown),
            BAD_SIGNATURE | BAD_TRUNCATION => return Err(ReplyRefused::SignatureRefused),
            _ => {}
        }
        let algorithm = algorithm_name(self.key.0.algorithm);
        if found.key != *self.key.name() || found.algorithm != algorithm {
            return Err(ReplyRefused::OtherKey);
        }
        let mut signed = reply.clone();
        found.take_off(&mut signed);
        // What is not believed leaves all as it was: another reply may follow.
        let mut digest = self.digest.clone();
        digest.update(&signed);
        if self.is_first {
            found.variables.sign(&self.key, &mut digest);
        } else {
            found.variables.sign_timers(&mut digest);
        }
        if !are_same(digest.sign().as_ref(), &found.mac) {
            return Err(ReplyRefused::WrongSignature);
        }
        if found.variables.error == BAD_TIME {
            return Err(ReplyRefused::ClockDiffers { ahead: ahead(&found.variables, now) });
        }
        if !found.variables.are_of(now) {
            return Err(ReplyRefused::WrongTime);
        }
        self.digest = self.key.digest();
        sign_mac(&found.mac, &mut self.digest);
        (self.is_first, self.unsigned) = (false, 0);
        *reply = signed;
        Ok(())
    }

    /// Whether all that came is proven: the last reply was signed.
    ///
    /// # Errors
    /// If it was not, or none came.
    pub fn finish(&self) -> Result<(), ReplyRefused> {
        let is_proven = !self.is_first && self.unsigned == 0;
        if is_proven { Ok(()) } else { Err(ReplyRefused::Unsigned) }
    }
}

/// By how much the clock of a BADTIME reply is ahead.
fn ahead(variables: &Variables, now: u64) -> i64 {
    let theirs = variables.other.iter().fold(0u64, |time, byte| time << 8 | u64::from(*byte));
    let ahead = i128::from(theirs) - i128::from(now);
    i64::try_from(ahead).unwrap_or(i64::MAX)
}

//! The server's side: requests checked, replies signed, and what is said to a signature that is wrong
//! (RFC 8945 section 5.2).

use std::sync::Arc;

use walrus_dns::DomainName;

use super::record::{
    BAD_KEY, BAD_SIGNATURE, BAD_TIME, BAD_TRUNCATION, Found, NO_ERROR, Variables, algorithm_name,
    are_same, sign_mac,
};
use super::{FUDGE, SharedKey, TsigKeys};

/// The shortest MAC that is one at all, cut short (RFC 8945 section 5.2.2.1); never below half of it either.
const MAC_SIZE_MIN: usize = 10;
const RCODE_FORMERR: u8 = 1;
const RCODE_NOTAUTH: u8 = 9;
const HEADER_SIZE: usize = 12;

/// Why a signed request is not believed.
#[derive(Clone, Debug, thiserror::Error)]
pub enum TsigRefusal {
    /// The record cannot be read, is not the last or not alone.
    #[error("it, or its TSIG record, is malformed (FORMERR)")]
    Malformed,
    /// No such key, or one of another algorithm.
    #[error("its key, or the key's algorithm, is not known here (BADKEY)")]
    UnknownKey,
    /// Signed with another secret, or changed on its way.
    #[error("its signature is wrong: is the secret the same on both sides? (BADSIG)")]
    WrongSignature,
    /// Only a part of the signature is there, and that is right.
    #[error("its signature is cut short (BADTRUNC)")]
    ShortSignature {
        /// Who signs the reply that says so.
        signer: ReplySigner,
    },
    /// Signed rightly, at another time.
    #[error("it was signed at another time: look at both clocks (BADTIME)")]
    WrongTime {
        /// Who signs the reply that says so.
        signer: ReplySigner,
        /// When the request was signed, in seconds since 1970.
        signed_at: u64,
    },
    /// Signed rightly, and not of long ago; but whether it was taken before is not known any more.
    #[error(
        "its key has signed so much since that nobody knows whether it was taken before: sign it anew, and fewer than 4096 \
         in ten minutes with one key (BADTIME)"
    )]
    Forgotten {
        /// Who signs the reply that says so.
        signer: ReplySigner,
        /// When the request was signed, in seconds since 1970.
        signed_at: u64,
    },
}

/// A request whose signature is right.
#[derive(Clone, Debug)]
pub(crate) struct Signed {
    /// Who signs the replies.
    pub(crate) signer: ReplySigner,
    /// Without the signature, under the id that it was signed with.
    request: Vec<u8>,
}

impl TsigKeys {
    /// Checks a request's signature and takes it off. `None`: it has none.
    ///
    /// # Errors
    /// If it has one that is not believed; then the request is as it was, for [`TsigRefusal::reply`].
    pub fn verify(
        &self,
        request: &mut Vec<u8>,
        now: u64,
    ) -> Result<Option<ReplySigner>, TsigRefusal> {
        let mut named = None;
        match self.check(request, now, &mut named) {
            Ok(None) => Ok(None),
            Ok(Some(signed)) => Ok(Some(self.take(signed, request))),
            Err(refusal) => {
                self.counts.add_refusal(&refusal, named.as_ref(), now);
                Err(refusal)
            }
        }
    }

    /// Checks a request's signature before it is taken: nothing is counted or told. `None`: it has none. A signature that
    /// is wrong costs a hash over the message, as much as a right one.
    ///
    /// # Errors
    /// As [`Self::verify`].
    pub(crate) fn look(&self, request: &[u8], now: u64) -> Result<Option<Signed>, TsigRefusal> {
        self.check(request, now, &mut None)
    }

    /// [`Self::verify`] for a request whose signature may have been found right by [`Self::look`]: then it is believed, as
    /// long as the key is the same, and the time one at which it may have come.
    ///
    /// # Errors
    /// As [`Self::verify`].
    pub(crate) fn verify_once(
        &self,
        signed: Option<Signed>,
        request: &mut Vec<u8>,
        now: u64,
    ) -> Result<Option<ReplySigner>, TsigRefusal> {
        match signed {
            Some(signed) if self.holds_still(&signed.signer, now) => {
                Ok(Some(self.take(signed, request)))
            }
            _ => self.verify(request, now),
        }
    }

    /// Whether a signature that was right lately would be so now: a reload may have given its key another secret, and
    /// repeats are remembered for no longer than they may come.
    fn holds_still(&self, signer: &ReplySigner, now: u64) -> bool {
        let key = self.keys.get(signer.key());
        key.is_some_and(|key| Arc::ptr_eq(&key.0, &signer.key.0))
            && signer.signed_at.abs_diff(now) <= u64::from(FUDGE)
    }

    fn take(&self, signed: Signed, request: &mut Vec<u8>) -> ReplySigner {
        self.counts.add_good();
        *request = signed.request;
        signed.signer
    }

    /// Refuses a request that was signed rightly, since nobody knows any more whether it was taken before: as
    /// RFC 8945 section 5.2.3 has it for one that is older than what came since.
    pub(crate) fn refuse_forgotten(&self, signer: ReplySigner, now: u64) -> TsigRefusal {
        let (key, signed_at) = (signer.key().clone(), signer.signed_at);
        let refusal = TsigRefusal::Forgotten { signer, signed_at };
        self.counts.add_refusal(&refusal, Some(&key), now);
        refusal
    }

    fn check(
        &self,
        request: &[u8],
        now: u64,
        named: &mut Option<DomainName>,
    ) -> Result<Option<Signed>, TsigRefusal> {
        let found = Found::in_message(request).map_err(|_| TsigRefusal::Malformed)?;
        let Some(found) = found else { return Ok(None) };
        *named = Some(found.key.clone());
        let key = self.keys.get(&found.key);
        let key = key.filter(|key| found.algorithm == algorithm_name(key.0.algorithm));
        let key = key.ok_or(TsigRefusal::UnknownKey)?;
        let whole = key.mac_size();
        if found.mac.len() > whole || found.mac.len() < MAC_SIZE_MIN.max(whole / 2) {
            return Err(TsigRefusal::Malformed);
        }
        let mut signed = request.to_vec();
        found.take_off(&mut signed);
        let mut digest = key.digest();
        digest.update(&signed);
        found.variables.sign(key, &mut digest);
        // RFC 8945 section 5.2.2: the MAC before the time, and of it as much as there is.
        if !are_same(&digest.sign().as_ref()[..found.mac.len()], &found.mac) {
            return Err(TsigRefusal::WrongSignature);
        }
        let is_short = found.mac.len() < whole;
        let signed_at = found.variables.time_signed;
        let signer = ReplySigner { key: key.clone(), before: found.mac, is_first: true, signed_at };
        // Sections 5.2.3 and 5.2.4: the time before what is too short for us.
        if !found.variables.are_of(now) {
            return Err(TsigRefusal::WrongTime { signer, signed_at });
        }
        if is_short {
            return Err(TsigRefusal::ShortSignature { signer });
        }
        Ok(Some(Signed { signer, request: signed }))
    }
}

impl TsigRefusal {
    /// The reply to the request that is refused, which is the request as it came; `None` if it was no request.
    #[must_use]
    pub fn reply(self, request: &[u8], now: u64) -> Option<Vec<u8>> {
        let found = Found::in_message(request).ok().flatten();
        let error = match (&self, &found) {
            (Self::Malformed, _) | (_, None) => return refused(request, RCODE_FORMERR),
            (Self::UnknownKey, _) => BAD_KEY,
            (Self::WrongSignature, _) => BAD_SIGNATURE,
            (Self::ShortSignature { .. }, _) => BAD_TRUNCATION,
            (Self::WrongTime { .. } | Self::Forgotten { .. }, _) => BAD_TIME,
        };
        let mut reply = refused(request, RCODE_NOTAUTH)?;
        match self {
            Self::WrongTime { mut signer, signed_at }
            | Self::Forgotten { mut signer, signed_at } => {
                let other = now.to_be_bytes()[2..].to_vec();
                let variables = Variables { time_signed: signed_at, fudge: FUDGE, error, other };
                signer.sign_with(&mut reply, variables);
                return Some(reply);
            }
            Self::ShortSignature { mut signer } => {
                let other = Vec::new();
                let variables = Variables { time_signed: now, fudge: FUDGE, error, other };
                signer.sign_with(&mut reply, variables);
                return Some(reply);
            }
            _ => {}
        }
        let found = found?;
        let Variables { time_signed, fudge, .. } = found.variables;
        let unsigned = Variables { time_signed, fudge, error, other: Vec::new() };
        unsigned.put_behind(&mut reply, (found.key.as_wire(), &found.algorithm), &[]);
        Some(reply)
    }
}

/// A reply of header and question alone.
fn refused(request: &[u8], rcode: u8) -> Option<Vec<u8>> {
    const RESPONSE: u8 = 0x80;
    /// Opcode and RD are as they were.
    const KEPT: u8 = 0x79;
    let mut reply = request.get(..HEADER_SIZE)?.to_vec();
    if reply[2] & RESPONSE != 0 {
        return None;
    }
    reply[2] = RESPONSE | (reply[2] & KEPT);
    reply[3] = rcode;
    reply[4..].fill(0);
    if let Some(end) = end_of_question(request) {
        reply[5] = 1;
        reply.extend_from_slice(&request[HEADER_SIZE..end]);
    }
    Some(reply)
}

/// Where the one question ends, if it is one.
fn end_of_question(request: &[u8]) -> Option<usize> {
    let message = domain::base::Message::from_slice(request).ok()?;
    let mut questions = message.question();
    (message.header_counts().qdcount() == 1).then_some(())?;
    questions.next()?.ok()?;
    let end = questions.pos();
    // A name with a pointer in it could not be copied.
    let name = request.get(HEADER_SIZE..end.checked_sub(4)?)?;
    DomainName::from_wire(name).is_ok().then_some(end)
}

/// Signs the replies to one request, one after the other.
#[derive(Clone, Debug)]
pub struct ReplySigner {
    key: SharedKey,
    /// The MAC of the message before: first the request's.
    before: Vec<u8>,
    is_first: bool,
    /// When the request was signed, in seconds since 1970.
    signed_at: u64,
}

impl ReplySigner {
    /// With which the request was signed.
    #[must_use]
    pub fn key(&self) -> &DomainName {
        self.key.name()
    }

    /// The signature of the request, before anything was signed.
    pub(crate) fn request_mac(&self) -> &[u8] {
        &self.before
    }

    /// When the request was signed, in seconds since 1970.
    pub(crate) const fn signed_at(&self) -> u64 {
        self.signed_at
    }

    /// The most bytes that a signature adds.
    #[must_use]
    pub fn size(&self) -> usize {
        self.key.signature_size()
    }

    /// Puts a signature behind the next reply: a whole message whose additional section is the last.
    pub fn sign(&mut self, reply: &mut Vec<u8>, now: u64) {
        let variables =
            Variables { time_signed: now, fudge: FUDGE, error: NO_ERROR, other: Vec::new() };
        self.sign_with(reply, variables);
    }

    fn sign_with(&mut self, reply: &mut Vec<u8>, variables: Variables) {
        let mut digest = self.key.digest();
        sign_mac(&self.before, &mut digest);
        digest.update(reply);
        if self.is_first {
            variables.sign(&self.key, &mut digest);
        } else {
            variables.sign_timers(&mut digest);
        }
        let mac = digest.sign();
        let names = (self.key.name().as_wire(), algorithm_name(self.key.0.algorithm));
        variables.put_behind(reply, names, mac.as_ref());
        self.before = mac.as_ref().to_vec();
        self.is_first = false;
    }
}

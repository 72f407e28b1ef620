//! Messages that came already: whoever repeats an update, a client that missed the reply or a stranger who has recorded it, is told
//! what the first was told, and nothing is done a second time.
//!
//! Each key has a share of its own, so that nobody makes room for a repeat of what another has signed. Where a share
//! is full, the updates that were signed first are forgotten, and whatever that key signed until then is refused: as
//! RFC 8945 section 5.2.3 would have it for all that is older than the newest, which would refuse clients, too, that
//! share a key, and datagrams that overtake each other.

use std::collections::BTreeMap;

use walrus_dns::DomainName;

use crate::tsig::{FUDGE, ReplySigner};

/// So many are kept of a key: seven a second, as long as they are kept; so many within one second are more than a disk
/// takes.
const KEPT_OF_KEY_MAX: usize = 4096;
/// A message is believed for five minutes before and after the time at which it was signed; and once more if
/// somebody puts the clock back by as much.
const KEPT_SECS: u64 = 600;

/// What updates were told, by the key that signed them.
#[derive(Debug, Default)]
pub(super) struct Repeats(BTreeMap<DomainName, OfKey>);

#[derive(Debug, Default)]
struct OfKey {
    /// Codes by when it was signed, in seconds since 1970, and its signature.
    codes: BTreeMap<(u64, Box<[u8]>), u16>,
    /// Of what was signed until then some is forgotten.
    forgotten_to: u64,
}

/// What is known of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Seen {
    /// It has not been taken.
    Never,
    /// It was told this code.
    Told(u16),
    /// It may have been taken.
    Forgotten,
}

impl Repeats {
    /// What is known of the message with this signature; `now` is seconds since 1970.
    pub(super) fn look(&self, signer: &ReplySigner, now: u64) -> Seen {
        let Some(of_key) = self.0.get(signer.key()) else { return Seen::Never };
        let signed_at = signer.signed_at();
        let told = of_key.codes.get(&(signed_at, signer.request_mac().into()));
        match told {
            Some(code) => Seen::Told(*code),
            // What was signed by a clock that went ahead of this one hinders nobody once that is put right.
            None if signed_at <= of_key.forgotten_to
                && of_key.forgotten_to <= now.saturating_add(u64::from(FUDGE)) =>
            {
                Seen::Forgotten
            }
            None => Seen::Never,
        }
    }

    /// Keeps what a message is told; `now` is seconds since 1970.
    pub(super) fn keep(&mut self, signer: &ReplySigner, code: u16, now: u64) {
        let of_key = self.0.entry(signer.key().clone()).or_default();
        of_key.codes.insert((signer.signed_at(), signer.request_mac().into()), code);
        while let Some(((signed_at, _), _)) = of_key.codes.first_key_value() {
            let signed_at = *signed_at;
            let is_old = signed_at.saturating_add(KEPT_SECS) < now;
            if !is_old && of_key.codes.len() <= KEPT_OF_KEY_MAX {
                break;
            }
            of_key.codes.pop_first();
            if !is_old {
                of_key.forgotten_to = of_key.forgotten_to.max(signed_at);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use walrus_core::config::TsigAlgorithm;

    use super::*;
    use crate::tsig::{SharedKey, TsigKeys};

    /// Of a message with this number.
    fn signer(key: &str, number: u16, signed_at: u64) -> ReplySigner {
        let key = SharedKey::new(key.parse().unwrap(), TsigAlgorithm::HmacSha256, b"secret");
        let mut message = [&number.to_be_bytes()[..], &[0; 10]].concat();
        let _ = key.sign_request(&mut message, signed_at);
        let keys: TsigKeys = [key].into_iter().collect();
        keys.look(&message, signed_at).unwrap().unwrap().signer
    }

    #[test]
    fn a_repeat_is_known_for_as_long_as_it_would_be_believed() {
        let mut repeats = Repeats::default();
        let [one, two, three] = [(1, 1000), (2, 1500), (3, 1700)].map(|it| signer("k", it.0, it.1));
        repeats.keep(&one, 0, 1000);
        repeats.keep(&two, 8, 1500);
        assert_eq!(
            (repeats.look(&one, 1500), repeats.look(&two, 1500)),
            (Seen::Told(0), Seen::Told(8))
        );
        assert_eq!(repeats.look(&three, 1700), Seen::Never);
        assert_eq!(repeats.look(&signer("other", 1, 1000), 1500), Seen::Never);
        repeats.keep(&three, 5, 1700);
        assert_eq!(repeats.look(&one, 1700), Seen::Never, "nobody believes it any more");
        assert_eq!(repeats.look(&two, 1700), Seen::Told(8));
    }

    #[test]
    fn no_key_has_another_forget_and_what_it_forgets_of_its_own_is_refused() {
        let mut repeats = Repeats::default();
        let others = signer("other", 1, 1000);
        repeats.keep(&others, 7, 1000);
        // More a second than any disk takes, so that little is needed here.
        let max = KEPT_OF_KEY_MAX as u16;
        let at = |number: u16| 1000 + u64::from(number) / 100;
        for number in 0..max + 150 {
            repeats.keep(&signer("k", number, at(number)), 0, at(number));
        }
        let now = at(max + 150);
        assert_eq!(repeats.look(&others, now), Seen::Told(7));
        assert_eq!(repeats.0.values().map(|it| it.codes.len()).max(), Some(KEPT_OF_KEY_MAX));
        assert_eq!(repeats.look(&signer("k", 0, 1000), now), Seen::Forgotten);
        // Somebody else's of the same second is not known apart.
        assert_eq!(repeats.look(&signer("k", 50_000, 1001), now), Seen::Forgotten);
        assert_eq!(repeats.look(&signer("k", 50_000, 1002), now), Seen::Never);
        assert_eq!(repeats.look(&signer("k", max, at(max)), now), Seen::Told(0));
        // The clock was ahead, and is put back.
        assert_eq!(repeats.look(&signer("k", 50_000, 500), 500), Seen::Never);
    }
}

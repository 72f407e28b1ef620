//! Until when certificates and lists of revocations hold, and what to tell before they run out.

use std::path::{Path, PathBuf};

use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, CertificateRevocationListDer};

use super::dates::{CertificateWords, ListWords, name_of};
use super::{TlsError, read};

const DAY_S: u64 = 86_400;
/// So long before it runs out something is told of; of what holds for a short time, a quarter of that. Those who
/// renew certificates of 90 days do so a month before, and hear nothing.
const TOLD_BEFORE_S: u64 = 14 * DAY_S;
/// Certificates and lists of one file that are looked at.
const OF_A_FILE_MAX: usize = 1000;

/// A certificate or a list of revocations in a file, and when it holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expiry {
    /// The file.
    pub path: PathBuf,
    /// A list of revocations, in place of a certificate.
    pub is_list: bool,
    /// Whose certificate, or which authority's list.
    pub name: String,
    /// First Unix second at which it holds.
    pub begins_unix_s: u64,
    /// Last Unix second at which it holds.
    pub ends_unix_s: u64,
}

/// How something stands that holds for a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Holds {
    /// For long enough.
    Yes,
    /// Not for much longer.
    NotForLong,
    /// No more.
    NoMore,
}

impl Expiry {
    /// How it stands at this Unix second.
    #[must_use]
    pub fn holds(&self, now_unix_s: u64) -> Holds {
        let whole = self.ends_unix_s.saturating_sub(self.begins_unix_s);
        let left = self.ends_unix_s.checked_sub(now_unix_s);
        match left {
            None => Holds::NoMore,
            Some(left) if left < TOLD_BEFORE_S.min(whole / 4) => Holds::NotForLong,
            Some(_) => Holds::Yes,
        }
    }

    /// What is to be told of it at this Unix second, if anything; `setting` names the file.
    #[must_use]
    pub fn told(&self, setting: &str, now_unix_s: u64) -> Option<String> {
        let holds = self.holds(now_unix_s);
        let left = self.ends_unix_s.abs_diff(now_unix_s);
        let time = match (left / DAY_S, left / 3600) {
            (0, 0) => "less than an hour".to_owned(),
            (0, 1) => "1 hour".to_owned(),
            (0, hours) => format!("{hours} hours"),
            (1, _) => "1 day".to_owned(),
            (days, _) => format!("{days} days"),
        };
        let when = match holds {
            Holds::Yes => return None,
            Holds::NotForLong => format!("runs out in {time}"),
            Holds::NoMore => format!("ran out {time} ago"),
        };
        let (what, then, how) = match (self.is_list, holds) {
            (true, Holds::NoMore) => (
                "the list of revocations of",
                ", so no certificate of that authority is believed",
                "put a newer list there (`walrus identity revoke`, `openssl ca -gencrl`) and reload",
            ),
            (true, _) => (
                "the list of revocations of",
                ", and from then on no certificate of that authority is believed",
                "put a newer list there (`walrus identity revoke`, `openssl ca -gencrl`) and reload",
            ),
            (false, _) => ("the certificate", "", "put a newer one there and reload"),
        };
        let (name, path) = (&self.name, self.path.display());
        Some(format!("{setting}: {what} `{name}` in {path} {when}{then}: {how}"))
    }
}

/// All certificates and lists of a PEM file; what cannot be understood of it is left out.
///
/// # Errors
/// If the file cannot be read.
pub fn expiries(path: &Path) -> Result<Vec<Expiry>, TlsError> {
    let bytes = read(path)?;
    let made = |is_list, name: &[u8], valid: (u64, u64)| Expiry {
        path: path.to_owned(),
        is_list,
        name: name_of(name),
        begins_unix_s: valid.0,
        ends_unix_s: valid.1,
    };
    let mut all = Vec::new();
    for certificate in CertificateDer::pem_slice_iter(&bytes).flatten().take(OF_A_FILE_MAX) {
        let words = CertificateWords::read(&certificate);
        all.extend(words.map(|words| made(false, words.subject, words.valid)));
    }
    for list in CertificateRevocationListDer::pem_slice_iter(&bytes).flatten().take(OF_A_FILE_MAX) {
        let words = ListWords::read(&list);
        all.extend(words.map(|words| made(true, words.issuer, words.valid)));
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expiry(days: u64, is_list: bool) -> Expiry {
        Expiry {
            path: "/etc/clients.pem".into(),
            is_list,
            name: "our authority".to_owned(),
            begins_unix_s: 1000 * DAY_S,
            ends_unix_s: (1000 + days) * DAY_S,
        }
    }

    #[test]
    fn it_is_told_in_time_and_not_for_all_of_a_short_time() {
        for (days, at, told) in [
            (365, 0, None),
            (365, 350, None),
            (365, 352, Some("runs out in 13 days: put a newer one")),
            (365, 364, Some("runs out in 1 day:")),
            (365, 366, Some("ran out 1 day ago: put a newer one")),
            (8, 5, None),
            (8, 7, Some("runs out in 1 day")),
            (1, 0, None),
        ] {
            let text = expiry(days, false).told("[group] certificate", (1000 + at) * DAY_S);
            assert_eq!(text.is_some(), told.is_some(), "{days} {at}: {text:?}");
            assert!(text.is_none_or(|text| text.contains(told.unwrap())), "{days} {at}");
        }
        let list = expiry(30, true).told("[group] client_revocations", 1029 * DAY_S + 3600 * 21);
        assert_eq!(
            list.unwrap(),
            "[group] client_revocations: the list of revocations of `our authority` in \
             /etc/clients.pem runs out in 3 hours, and from then on no certificate of that authority is \
             believed: put a newer list there (`walrus identity revoke`, `openssl ca -gencrl`) and reload"
        );
    }
}

//! Requests by client prefix, as a Reporter tells them: checked before anything of them is used.

use std::time::Duration;

use super::COVERED_MAX_MS;
use crate::control::Refusal;
use crate::world::{Domain, RequestCounts};

/// Requests that were understood.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::control) struct CheckedRequests {
    pub(super) covered: Duration,
    /// Without what may be overcount; as far as answers tell clients apart.
    pub(super) domains: Vec<(Domain, u64)>,
    pub(super) rest: u64,
}

impl CheckedRequests {
    /// # Errors
    /// If there are too many, they cover no time or more than a day, or a prefix is none.
    pub(in crate::control) fn new(counts: &RequestCounts) -> Result<Self, Refusal> {
        if !(1..=COVERED_MAX_MS).contains(&counts.duration_ms) {
            return Err(Refusal::RequestsDuration(counts.duration_ms));
        }
        if counts.domains.len() > RequestCounts::DOMAINS_MAX {
            return Err(Refusal::TooManyPrefixes(counts.domains.len()));
        }
        let mut rest = counts.rest;
        let mut domains = Vec::with_capacity(counts.domains.len());
        for counted in &counts.domains {
            let domain: Domain = counted.domain.parse().map_err(|_| {
                // A sender must not choose how long our words are.
                Refusal::NoPrefix(counted.domain.chars().take(50).collect())
            })?;
            let domain = domain.of_client();
            let error = counted.error.min(counted.queries);
            domains.push((domain, counted.queries - error));
            rest = rest.saturating_add(error);
        }
        Ok(Self { covered: Duration::from_millis(counts.duration_ms), domains, rest })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world::DomainCount;

    fn counts(duration_ms: u64, domain: &str) -> RequestCounts {
        let domain = DomainCount { domain: domain.to_owned(), queries: 7, error: 3 };
        RequestCounts { duration_ms, domains: vec![domain], rest: 5 }
    }

    #[test]
    fn requests_are_checked() {
        let good = CheckedRequests::new(&counts(1000, "198.51.100.0/24")).unwrap();
        assert_eq!(good.domains, [("198.51.100.0/24".parse().unwrap(), 4)]);
        assert_eq!(good.rest, 8);
        let address = CheckedRequests::new(&counts(1000, "198.51.100.7")).unwrap();
        assert_eq!(address.domains, good.domains);
        for millis in [0, COVERED_MAX_MS + 1, u64::MAX] {
            let refused = CheckedRequests::new(&counts(millis, "198.51.100.0/24"));
            assert_eq!(refused, Err(Refusal::RequestsDuration(millis)));
        }
        let garbage = "x".repeat(1 << 20);
        let refused = CheckedRequests::new(&counts(1000, &garbage)).unwrap_err();
        assert!(refused.to_string().len() < 200, "{refused}");
        let mut many = counts(1000, "198.51.100.0/24");
        many.domains = vec![many.domains[0].clone(); RequestCounts::DOMAINS_MAX + 1];
        assert_eq!(CheckedRequests::new(&many), Err(Refusal::TooManyPrefixes(513)));
        let most = DomainCount { queries: u64::MAX, error: u64::MAX, ..many.domains[0].clone() };
        let full = RequestCounts { domains: vec![most], rest: u64::MAX, ..many };
        assert_eq!(CheckedRequests::new(&full).unwrap().rest, u64::MAX);
    }
}

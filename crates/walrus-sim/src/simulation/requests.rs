//! Who asked each server since its last report, as its Reporter counts an access log: by space-saving.

use walrus_core::world::{Heavy, RequestCounts, SpaceSaving};

/// Hits by server and domain.
#[derive(Debug)]
pub(super) enum Requests {
    /// Reports say nothing of domains.
    Uncounted,
    /// By server and domain. Where all domains have a place, space-saving gives the same.
    All { domains: usize, hits: Vec<u32> },
    /// By server.
    Heaviest(Vec<SpaceSaving<u32>>),
}

impl Requests {
    /// Domains that a Reporter counts between two reports.
    pub(super) const COUNTED_MAX: usize = 8 * RequestCounts::DOMAINS_MAX;

    pub(super) fn new(is_counted: bool, servers: usize, domains: usize) -> Self {
        match domains {
            _ if !is_counted => Self::Uncounted,
            0..=Self::COUNTED_MAX => Self::All { domains, hits: vec![0; servers * domains] },
            _ => {
                Self::Heaviest((0..servers).map(|_| SpaceSaving::new(Self::COUNTED_MAX)).collect())
            }
        }
    }

    /// A page was served.
    #[inline]
    pub(super) fn add(&mut self, server: usize, domain: u32, more: u16) {
        match self {
            Self::Uncounted => {}
            Self::All { domains, hits } => {
                if let Some(hits) = hits.get_mut(server * *domains + domain as usize) {
                    *hits = hits.saturating_add(u32::from(more));
                }
            }
            Self::Heaviest(servers) => {
                if let Some(counts) = servers.get_mut(server) {
                    counts.add(domain, u64::from(more));
                }
            }
        }
    }

    /// What was counted for a server since the last call: the heaviest domains and the others' hits;
    /// `None` if it is not counted.
    pub(super) fn take(&mut self, server: usize) -> Option<(Vec<Heavy<u32>>, u64)> {
        match self {
            Self::Uncounted => None,
            Self::All { domains, hits } => {
                let row = hits.get_mut(server * *domains..(server + 1) * *domains)?;
                let counted = (0_u32..).zip(row.iter_mut()).filter(|(_, hits)| **hits > 0);
                let taken = |(domain, hits): (u32, &mut u32)| {
                    let count = u64::from(std::mem::take(hits));
                    Heavy { key: domain, count, error: 0 }
                };
                let mut heavy: Vec<Heavy<u32>> = counted.map(taken).collect();
                heavy.sort_by_key(|heavy| std::cmp::Reverse(heavy.count));
                let kept = heavy.len().min(RequestCounts::DOMAINS_MAX);
                let rest = heavy[kept..].iter().map(|heavy| heavy.count).sum();
                heavy.truncate(kept);
                Some((heavy, rest))
            }
            Self::Heaviest(servers) => {
                servers.get_mut(server).map(|counts| counts.take(RequestCounts::DOMAINS_MAX))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_and_the_heaviest_tell_the_same_while_all_have_a_place() {
        let mut all = Requests::new(true, 2, Requests::COUNTED_MAX);
        let mut heaviest = Requests::new(true, 2, Requests::COUNTED_MAX + 1);
        assert!(matches!(heaviest, Requests::Heaviest(_)));
        for page in 0..10_000_u32 {
            let (server, domain) = ((page % 2) as usize, page * page % 1009);
            all.add(server, domain, 1 + (page % 7) as u16);
            heaviest.add(server, domain, 1 + (page % 7) as u16);
        }
        for server in 0..2 {
            let told = all.take(server);
            assert!(told.as_ref().is_some_and(|(heavy, _)| heavy.len() > 100));
            assert_eq!(told, heaviest.take(server));
            assert_eq!(all.take(server), Some((Vec::new(), 0)));
        }
        assert_eq!(Requests::new(false, 2, 9).take(1), None);
    }
}

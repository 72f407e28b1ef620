//! Numbers for names that several configurations and a log share, and for the shares in which
//! servers come first.

use std::collections::BTreeMap;

use walrus_dns::DomainName;

/// Places in distributions that are kept, before what was counted by them is to be added up.
const PLACES_MAX: usize = 1 << 20;
/// Names told apart of each kind: those of the configurations, and a bounded number of others that a
/// log brings.
const NAMES_MAX: usize = 1 << 18;
/// The number of everything that is not told apart.
pub(super) const OTHER: u32 = NAMES_MAX as u32;

/// A server and where it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    pub(super) server: u32,
    pub(super) cluster: u32,
}

/// Who comes first in an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Choice {
    /// Servers with these shares: a place in [`Names::distribution`].
    Expected(u32),
    /// This one did.
    Drawn(Place),
    /// There is no server to give, or the answer is the same whichever is chosen.
    Nobody,
}

/// All names and distributions so far.
#[derive(Debug, Default)]
pub(super) struct Names {
    services: Table,
    areas: Table,
    servers: Table,
    clusters: Table,
    distributions: Vec<Vec<(Place, f64)>>,
    /// By their shares' bits.
    known: BTreeMap<Vec<(Place, u64)>, u32>,
    /// In all distributions.
    places: usize,
}

/// Texts with their numbers.
#[derive(Debug, Default)]
struct Table {
    numbers: BTreeMap<String, u32>,
    texts: Vec<String>,
}

impl Table {
    /// Beyond the bound everything is [`OTHER`].
    fn number(&mut self, text: &str) -> u32 {
        if let Some(number) = self.numbers.get(text) {
            return *number;
        }
        if self.texts.len() >= NAMES_MAX {
            return OTHER;
        }
        let number = self.texts.len() as u32;
        self.numbers.insert(text.to_owned(), number);
        self.texts.push(text.to_owned());
        number
    }

    fn text(&self, number: u32) -> &str {
        self.texts.get(number as usize).map_or("(other)", String::as_str)
    }
}

impl Names {
    pub(super) fn service(&mut self, name: &DomainName) -> u32 {
        self.services.number(&name.to_string())
    }

    pub(super) fn area(&mut self, name: &str) -> u32 {
        self.areas.number(name)
    }

    pub(super) fn place(&mut self, server: &str, cluster: &str) -> Place {
        Place { server: self.servers.number(server), cluster: self.clusters.number(cluster) }
    }

    pub(super) fn service_name(&self, service: u32) -> &str {
        self.services.text(service)
    }

    pub(super) fn area_name(&self, area: u32) -> &str {
        self.areas.text(area)
    }

    pub(super) fn server_name(&self, server: u32) -> &str {
        self.servers.text(server)
    }

    pub(super) fn cluster_name(&self, cluster: u32) -> &str {
        self.clusters.text(cluster)
    }

    /// The choice with these shares, in any order; a server may come several times.
    pub(super) fn choice(&mut self, shares: Vec<(Place, f64)>) -> Choice {
        let mut sums: BTreeMap<Place, f64> = BTreeMap::new();
        for (place, share) in shares {
            *sums.entry(place).or_default() += share;
        }
        sums.retain(|_, share| *share > 0.0);
        if sums.is_empty() {
            return Choice::Nobody;
        }
        let key: Vec<(Place, u64)> =
            sums.iter().map(|(place, it)| (*place, it.to_bits())).collect();
        if let Some(known) = self.known.get(&key) {
            return Choice::Expected(*known);
        }
        self.places += sums.len();
        let number = self.distributions.len() as u32;
        self.known.insert(key, number);
        self.distributions.push(sums.into_iter().collect());
        Choice::Expected(number)
    }

    /// Whether distributions are to be forgotten before more come.
    pub(super) const fn is_full(&self) -> bool {
        self.places >= PLACES_MAX
    }

    /// Forgets all distributions; nobody may know a number of one any more.
    pub(super) fn forget_distributions(&mut self) {
        self.distributions.clear();
        self.known.clear();
        self.places = 0;
    }

    /// The shares of an expected choice; they add up to 1.
    pub(super) fn distribution(&self, number: u32) -> &[(Place, f64)] {
        self.distributions.get(number as usize).map_or(&[], Vec::as_slice)
    }
}

//! What a run knows of a population: how large it is now, how far everything is.

use std::collections::BTreeMap;
use std::f64::consts::TAU;
use std::time::Duration;

use walrus_core::map::Map;

use super::resolver::Network;
use super::study::{Arrivals, Population, RecordType, Setup};
use crate::query::query_bytes;
use crate::system::{Question, SystemError};

/// A population in a run.
#[derive(Debug)]
pub(super) struct Crowd {
    /// The query of its resolvers; a client subnet's prefix stands at its end.
    pub(super) query: Vec<u8>,
    /// Bytes of that prefix; 0 if none is sent.
    pub(super) prefix_len: usize,
    /// Round-trip times by name server and by cluster, in nanoseconds.
    pub(super) name_server_distances: Box<[u64]>,
    pub(super) cluster_distances: Box<[u64]>,
    /// A bit for each of the nearest name servers; 0 where nobody knows.
    pub(super) nearest_name_servers: u32,
    /// Clients of a closed population that are there.
    pub(super) active: u64,
    /// Clients, or sessions of an open population, that ever came.
    pub(super) came: u64,
    pub(super) swell: Option<Swell>,
}

/// A population grows to so many times its size, stays so, and shrinks again.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Swell {
    pub(super) from: f64,
    pub(super) to: f64,
    pub(super) begins: u64,
    /// How long it takes, either way.
    pub(super) within: u64,
    /// When it begins to shrink.
    pub(super) until: u64,
}

impl Swell {
    /// How many times its own size the population has.
    pub(super) fn factor(&self, now: u64) -> f64 {
        let part = |since: u64| match self.within {
            0 => 1.0,
            within => (now.saturating_sub(since) as f64 / within as f64).min(1.0),
        };
        if now < self.until {
            self.from + (self.to - self.from) * part(self.begins)
        } else {
            self.to + (1.0 - self.to) * part(self.until)
        }
    }

    /// Whether it is past.
    pub(super) const fn is_over(&self, now: u64) -> bool {
        now > self.until.saturating_add(self.within)
    }
}

impl Crowd {
    pub(super) fn new(population: &Population, setup: &Setup) -> Result<Self, SystemError> {
        let service = &setup.configuration.topology.services[population.service];
        let network = Network::of(population, 0);
        let question = Question {
            name: service.name.to_string(),
            record_type: match population.record_type {
                RecordType::A => "A".to_owned(),
                RecordType::Aaaa => "AAAA".to_owned(),
            },
            client: network.resolver(),
            subnet: population.subnet.then(|| (network.address(), network.bits)),
            server: None,
        };
        let delay = nanos(setup.queries.delay);
        let distances = &population.name_server_distances;
        let nearest = distances.iter().flatten().min().copied();
        // With some named and some not, nobody can say which is nearest.
        let is_known = distances.len() > 1 && distances.iter().all(Option::is_some);
        let mut nearest_name_servers = 0;
        for (place, distance) in distances.iter().enumerate() {
            if is_known && *distance == nearest {
                nearest_name_servers |= 1 << place;
            }
        }
        Ok(Self {
            query: query_bytes(&question)?,
            prefix_len: if population.subnet { network.prefix_bytes().1 } else { 0 },
            name_server_distances: distances.iter().map(|it| it.unwrap_or(delay)).collect(),
            cluster_distances: population
                .cluster_distances
                .iter()
                .map(|it| it.unwrap_or(0))
                .collect(),
            nearest_name_servers,
            active: 0,
            came: 0,
            swell: None,
        })
    }

    /// Its size now, relative to what the study says.
    pub(super) fn factor(&self, now: u64) -> f64 {
        self.swell.map_or(1.0, |swell| swell.factor(now))
    }

    /// How many clients of a closed population there should be.
    pub(super) fn wanted(&self, population: &Population, now: u64) -> u64 {
        match population.arrivals {
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "bounded")]
            Arrivals::Closed(clients) => (clients as f64 * self.factor(now)).round() as u64,
            Arrivals::Open(_) => 0,
        }
    }

    /// Puts a domain's network into the query.
    pub(super) fn set_subnet(&mut self, network: Network) {
        let (bytes, len) = network.prefix_bytes();
        let at = self.query.len().saturating_sub(self.prefix_len);
        if let (Some(place), Some(prefix)) = (self.query.get_mut(at..), bytes.get(..len))
            && self.prefix_len == len
        {
            place.copy_from_slice(prefix);
        }
    }
}

/// Seconds of a day.
const DAY: f64 = 86_400.0;

/// The activity of this time of day, 1 on average.
pub(super) fn of_day(population: &Population, now: u64) -> f64 {
    if population.daily == 0.0 {
        return 1.0;
    }
    1.0 + population.daily * population.angle(now as f64 / 1e9).cos()
}

/// When a client has thought for so many seconds of an average time of day. In a closed population it is
/// the slower the less active the time of day is, at each moment of its thinking: who begins in the dead
/// of night goes on in the morning. Clients of an open one think as they do; fewer of them come.
#[inline]
pub(super) fn thought(population: &Population, from: u64, seconds: f64) -> u64 {
    if population.daily == 0.0 || matches!(population.arrivals, Arrivals::Open(_)) {
        return from.saturating_add(to_nanos(seconds));
    }
    thought_by_day(population, from, seconds)
}

fn thought_by_day(population: &Population, from: u64, seconds: f64) -> u64 {
    let daily = population.daily;
    // Whole days are as long as they are; of the rest, the integral of the activity is what was thought.
    let rest = seconds % DAY;
    let begin = population.angle(from as f64 / 1e9);
    let swing = daily * DAY / TAU;
    let (mut low, mut high) = (0.0, DAY);
    let mut after: f64 = rest / (1.0 + daily * begin.cos()).max(1e-3);
    for _ in 0..60 {
        after = if low < after && after < high { after } else { f64::midpoint(low, high) };
        let (sine, cosine) = (begin + after / DAY * TAU).sin_cos();
        let too_much = after + swing * (sine - begin.sin()) - rest;
        // A microsecond, which is more than rounding makes.
        if too_much.abs() < 1e-6 {
            break;
        }
        if too_much > 0.0 {
            high = after;
        } else {
            low = after;
        }
        after -= too_much / (1.0 + daily * cosine);
    }
    from.saturating_add(to_nanos(seconds - rest + after))
}

/// In nanoseconds; the end of time beyond.
#[inline]
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "saturates")]
pub(super) fn to_nanos(seconds: f64) -> u64 {
    (seconds * 1e9) as u64
}

/// The nearest clusters of domains: those with the least distance, if the study has one for each cluster
/// of the service; else the home of the area.
#[derive(Debug, Default)]
pub(super) struct Nearest {
    /// Clusters that are nearest together. The first set is empty: nobody can say.
    sets: Vec<Vec<usize>>,
    /// By domain: the number of its set.
    by_domain: Vec<u16>,
}

impl Nearest {
    pub(super) fn new(setup: &Setup) -> Result<Self, SystemError> {
        let topology = &setup.configuration.topology;
        let map =
            Map::build(topology, &[]).map_err(|error| SystemError(format!("the map: {error}")))?;
        let mut this = Self { sets: vec![Vec::new()], by_domain: Vec::new() };
        // By population's service and area: few, so that not each domain is compared with all sets.
        let mut homes: BTreeMap<Option<usize>, u16> = BTreeMap::new();
        for population in &setup.populations {
            let service = &topology.services[population.service];
            let nearest = population.nearest_clusters(service);
            let by_distance = nearest.map(|nearest| this.number_of(nearest));
            for domain in 0..population.shares.shares().len() as u32 {
                let home = || {
                    let area = map.lookup(Network::of(population, domain).address());
                    let area = area.unwrap_or_else(|| topology.world());
                    let home = service.homes.get(area.index()).copied().flatten();
                    home.map(walrus_core::world::ClusterId::index)
                };
                let number = by_distance.unwrap_or_else(|| {
                    let home = home();
                    *homes.entry(home).or_insert_with(|| this.number_of(home.into_iter().collect()))
                });
                this.by_domain.push(number);
            }
        }
        Ok(this)
    }

    fn number_of(&mut self, set: Vec<usize>) -> u16 {
        let known = self.sets.iter().position(|it| *it == set);
        let number = known.unwrap_or_else(|| {
            self.sets.push(set);
            self.sets.len() - 1
        });
        // One a population and one a cluster at most.
        u16::try_from(number).unwrap_or_default()
    }

    /// By domain: the number of its set.
    pub(super) fn by_domain(&self) -> &[u16] {
        &self.by_domain
    }

    /// Whether a cluster is among the nearest; `None` if nobody can say.
    #[inline]
    pub(super) fn has(&self, set: u16, cluster: usize) -> Option<bool> {
        let set = self.sets.get(usize::from(set)).filter(|set| !set.is_empty())?;
        Some(set.contains(&cluster))
    }
}

/// In nanoseconds; the end of time beyond.
pub(super) fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_swell_grows_stays_and_shrinks() {
        let swell = Swell { from: 1.0, to: 21.0, begins: 100, within: 10, until: 200 };
        let cases = [(100, 1.0), (105, 11.0), (110, 21.0), (199, 21.0), (205, 11.0), (300, 1.0)];
        for (now, factor) in cases {
            assert!((swell.factor(now) - factor).abs() < 1e-9, "{now}");
        }
        assert!(!swell.is_over(210) && swell.is_over(211));
    }
}

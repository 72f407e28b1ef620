//! How near clusters are to an area.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{Cluster, ClusterId};

/// The earth's mean radius in kilometres (IUGG).
const EARTH_RADIUS_KM: f64 = 6371.0;

/// So many microseconds there and back for each kilometre of a great circle: light in glass, which
/// no network beats. It makes distances and measured times comparable.
const MICROSECONDS_A_KILOMETRE: u32 = 10;

/// A place on the earth, in degrees.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Coordinates {
    /// From -90 (south) to 90.
    pub latitude: f64,
    /// From -180 (west) to 180.
    pub longitude: f64,
}

impl Coordinates {
    /// The great-circle distance in whole kilometres (haversine formula): whole ones, so that the
    /// last bits of a machine's trigonometry decide nothing.
    #[must_use]
    pub fn kilometres_to(self, other: Self) -> u32 {
        let (from, to) = (self.latitude.to_radians(), other.latitude.to_radians());
        let across = (other.longitude - self.longitude).to_radians();
        let half = |angle: f64| (angle / 2.0).sin().powi(2);
        let part = half(to - from) + from.cos() * to.cos() * half(across);
        let distance = 2.0 * EARTH_RADIUS_KM * part.clamp(0.0, 1.0).sqrt().asin();
        // At most half of the earth's girth.
        distance.round() as u32
    }
}

/// How far a cluster is from an area, and how that is known. The order is "nearer first".
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Distance {
    /// The area's home.
    Home,
    /// In this place, counted from 1, of the area's own list.
    Listed(u32),
    /// A round trip of so many microseconds.
    Microseconds(u32),
    /// So many kilometres of a great circle, which count as ten microseconds each.
    Kilometres(u32),
    /// Nothing is known; the cluster's place, counted from 1, among the service's clusters.
    Unknown(u32),
}

impl Distance {
    /// What it is compared by.
    const fn key(self) -> (u8, u32) {
        match self {
            Self::Home => (0, 0),
            Self::Listed(place) => (1, place),
            Self::Microseconds(microseconds) => (2, microseconds),
            Self::Kilometres(kilometres) => {
                (2, kilometres.saturating_mul(MICROSECONDS_A_KILOMETRE))
            }
            Self::Unknown(place) => (3, place),
        }
    }
}

impl Ord for Distance {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        // Two that are equally far and known in different ways still have an order.
        let source = |distance: &Self| matches!(distance, Self::Kilometres(_));
        self.key().cmp(&other.key()).then(source(self).cmp(&source(other)))
    }
}

impl PartialOrd for Distance {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for Distance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Home => f.write_str("home"),
            Self::Listed(place) => write!(f, "place {place} of its list"),
            Self::Microseconds(microseconds) => {
                write!(f, "{} ms", f64::from(*microseconds) / 1000.0)
            }
            Self::Kilometres(kilometres) => write!(f, "{kilometres} km"),
            Self::Unknown(_) => f.write_str("how far is not known"),
        }
    }
}

/// What the configuration says about how near clusters are to an area, besides its home.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Nearness {
    listed: Vec<ClusterId>,
    milliseconds: Vec<(ClusterId, f64)>,
    coordinates: Option<Coordinates>,
    order: Vec<(ClusterId, Distance)>,
    is_known: Vec<bool>,
}

impl Nearness {
    /// Of an area's list of clusters, the nearest first, round-trip times in milliseconds, and its
    /// coordinates; `clusters` are all. For each cluster the first of these that knows it counts.
    #[must_use]
    pub fn new(
        listed: Vec<ClusterId>,
        milliseconds: Vec<(ClusterId, f64)>,
        coordinates: Option<Coordinates>,
        clusters: &[Cluster],
    ) -> Self {
        let mut distances: Vec<Option<Distance>> = vec![None; clusters.len()];
        let mut tell = |cluster: ClusterId, distance: Distance| {
            if let Some(known) = distances.get_mut(cluster.index()) {
                known.get_or_insert(distance);
            }
        };
        for (place, cluster) in (1..).zip(&listed) {
            tell(*cluster, Distance::Listed(place));
        }
        for (cluster, time) in &milliseconds {
            // Saturates; the configuration has its own, narrower bounds.
            tell(*cluster, Distance::Microseconds((time * 1000.0).round() as u32));
        }
        for (id, cluster) in (0..).map(ClusterId).zip(clusters) {
            if let Some((from, to)) = coordinates.zip(cluster.coordinates) {
                tell(id, Distance::Kilometres(from.kilometres_to(to)));
            }
        }
        let known = (0..).map(ClusterId).zip(&distances);
        let mut order: Vec<(ClusterId, Distance)> =
            known.filter_map(|(id, distance)| Some((id, (*distance)?))).collect();
        order.sort_by_key(|(id, distance)| (*distance, *id));
        let is_known = distances.iter().map(Option::is_some).collect();
        Self { listed, milliseconds, coordinates, order, is_known }
    }

    /// The clusters of which anything is known, nearest first; equally near ones by name.
    #[must_use]
    pub fn nearest_first(&self) -> &[(ClusterId, Distance)] {
        &self.order
    }

    /// Whether anything is known of a cluster.
    #[must_use]
    pub fn knows(&self, cluster: ClusterId) -> bool {
        self.is_known.get(cluster.index()).copied().unwrap_or(false)
    }

    /// As configured: the area's list.
    #[must_use]
    pub fn listed(&self) -> &[ClusterId] {
        &self.listed
    }

    /// As configured: milliseconds of a round trip, in the order of names.
    #[must_use]
    pub fn milliseconds(&self) -> &[(ClusterId, f64)] {
        &self.milliseconds
    }

    /// As configured: where the area is.
    #[must_use]
    pub const fn coordinates(&self) -> Option<Coordinates> {
        self.coordinates
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FRANKFURT: Coordinates = Coordinates { latitude: 50.11, longitude: 8.68 };
    const NEW_YORK: Coordinates = Coordinates { latitude: 40.71, longitude: -74.01 };
    const SYDNEY: Coordinates = Coordinates { latitude: -33.87, longitude: 151.21 };

    #[test]
    fn great_circles_are_as_long_as_an_atlas_says() {
        // Within a half of a hundredth: the earth is no sphere.
        for (from, to, kilometres) in [
            (FRANKFURT, NEW_YORK, 6206_u32),
            (FRANKFURT, SYDNEY, 16_479),
            (FRANKFURT, FRANKFURT, 0),
            (
                Coordinates { latitude: 0.0, longitude: -179.5 },
                Coordinates { latitude: 0.0, longitude: 179.5 },
                111,
            ),
            (
                Coordinates { latitude: 90.0, longitude: 0.0 },
                Coordinates { latitude: -90.0, longitude: 77.0 },
                20_015,
            ),
        ] {
            let found = from.kilometres_to(to);
            assert!(found.abs_diff(kilometres) <= kilometres / 200, "{found} for {kilometres}");
            assert_eq!(found, to.kilometres_to(from));
        }
    }

    #[test]
    fn the_list_comes_first_then_times_and_kilometres_together() {
        let cluster = |name: &str, coordinates| Cluster {
            name: name.parse().unwrap(),
            servers: Vec::new(),
            coordinates,
        };
        let clusters = [
            cluster("a", None),
            cluster("b", Some(SYDNEY)),
            cluster("c", Some(NEW_YORK)),
            cluster("d", Some(FRANKFURT)),
            cluster("e", None),
            cluster("f", Some(FRANKFURT)),
        ];
        let nearness = Nearness::new(
            vec![ClusterId(1)],
            vec![(ClusterId(0), 80.0), (ClusterId(1), 1.0)],
            Some(FRANKFURT),
            &clusters,
        );
        let kilometres = FRANKFURT.kilometres_to(NEW_YORK);
        assert_eq!(
            nearness.nearest_first(),
            [
                (ClusterId(1), Distance::Listed(1)),
                (ClusterId(3), Distance::Kilometres(0)),
                (ClusterId(5), Distance::Kilometres(0)),
                (ClusterId(2), Distance::Kilometres(kilometres)),
                (ClusterId(0), Distance::Microseconds(80_000)),
            ],
            "6,206 km count as 62 ms"
        );
        assert!(!nearness.knows(ClusterId(4)));
        assert!(!Nearness::default().knows(ClusterId(0)));
    }
}

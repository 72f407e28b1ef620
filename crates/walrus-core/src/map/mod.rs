//! Client prefix to area: explicit prefix beats country beats continent, the longest in a kind.
//!
//! All prefixes (a country stands for thousands of them) are flattened once into sorted ranges
//! that cover the whole address space, so that a lookup is one step through a bucket index and a
//! short binary search, however the prefixes were nested; what services look IPv4 clients up in is
//! laid out once more, by cache lines. What belongs to no area is a *hole*:
//! the next `locate` policy is asked there, and at last the area `world`.

mod class_table;
mod compiled;
mod continent;
mod database;
mod flatten;
mod lines;
mod ranges;

use std::net::IpAddr;

pub use class_table::{ClassHit, ClassTable};
pub use compiled::CompiledError;
pub use database::{DatabaseError, GeoDatabase};

use crate::world::{AreaId, ClientSpec, Digest, Topology};
use database::AreasByCode;
use flatten::{Prefix, flatten, overlay};
use ranges::Ranges;

/// The value of a range that belongs to no area.
const HOLE: u16 = u16::MAX;

/// Areas are numbered in 16 bits here; the last number is the hole's.
const AREAS_MAX: usize = HOLE as usize;

/// Which area each address lies in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Map {
    digest: Digest,
    areas: u16,
    ipv4: Ranges<u32>,
    ipv6: Ranges<u128>,
}

impl Map {
    /// Expands the areas' prefixes, countries and continents into ranges.
    ///
    /// Where several databases know an address, the first of them decides. Databases are not read
    /// if no area names a country or continent.
    ///
    /// # Errors
    /// If a database is damaged or of a schema that is not understood, if there is none but an area
    /// needs one, or if there are more areas than can be numbered.
    pub fn build(topology: &Topology, databases: &[GeoDatabase]) -> Result<Self, MapError> {
        let areas = topology.areas.len();
        if areas > AREAS_MAX {
            return Err(MapError::TooManyAreas { areas });
        }
        let (mut ipv4, mut ipv6) = (vec![(0, HOLE)], vec![(0, HOLE)]);
        let codes = AreasByCode::of(topology);
        if let Some(area) = codes.first_area() {
            if databases.is_empty() {
                return Err(MapError::NoDatabase { area: area.to_string() });
            }
            for database in databases.iter().rev() {
                let networks = database.networks(&codes)?;
                ipv4 = overlay(&flatten(networks.ipv4), &ipv4);
                ipv6 = overlay(&flatten(networks.ipv6), &ipv6);
            }
        }
        let (explicit_ipv4, explicit_ipv6) = explicit_prefixes(topology);
        ipv4 = overlay(&flatten(explicit_ipv4), &ipv4);
        ipv6 = overlay(&flatten(explicit_ipv6), &ipv6);
        Ok(Self {
            digest: Self::digest_of(topology, databases),
            areas: u16::try_from(areas).unwrap_or(HOLE),
            ipv4: Ranges::new(ipv4),
            ipv6: Ranges::new(ipv6),
        })
    }

    /// What [`Map::digest`] will be after a build from these: names the cached compiled form.
    #[must_use]
    pub fn digest_of(topology: &Topology, databases: &[GeoDatabase]) -> Digest {
        let mut inputs = String::new();
        for area in &topology.areas {
            inputs.push_str(&format!("area {}\n", area.name));
            for client in &area.clients {
                match client {
                    ClientSpec::Prefix(address, length) => {
                        inputs.push_str(&format!("prefix {address}/{length}\n"));
                    }
                    ClientSpec::Country(code) => inputs.push_str(&format!("country {code}\n")),
                    ClientSpec::Continent(code) => inputs.push_str(&format!("continent {code}\n")),
                }
            }
        }
        let format = compiled::FORMAT.to_be_bytes();
        let texts = [&format[..], inputs.as_bytes()];
        Digest::of(texts.into_iter().chain(databases.iter().map(GeoDatabase::bytes)))
    }

    /// Names the map by what it was made from.
    #[must_use]
    pub const fn digest(&self) -> &Digest {
        &self.digest
    }

    /// How many areas the topology had that this map was made for.
    #[must_use]
    pub const fn areas(&self) -> u16 {
        self.areas
    }

    /// The area of this address; `None` is a hole. An IPv4-mapped IPv6 address is looked up as
    /// IPv4.
    #[must_use]
    pub fn lookup(&self, address: IpAddr) -> Option<AreaId> {
        let area = match address.to_canonical() {
            IpAddr::V4(address) => self.ipv4.value(address.to_bits()),
            IpAddr::V6(address) => self.ipv6.value(address.to_bits()),
        };
        (area != HOLE).then(|| AreaId(u32::from(area)))
    }

    /// Which class each address is in, where areas of one class (those that a service treats
    /// alike) run together. An area beyond the end of `class_of_area` is treated as a hole.
    #[must_use]
    pub fn classes(&self, class_of_area: &[u16], hole: u16) -> ClassTable {
        let class = |area: u16| class_of_area.get(usize::from(area)).copied().unwrap_or(hole);
        ClassTable::new(&self.ipv4.map(class), self.ipv6.map(class))
    }

    /// Ranges of IPv4 and IPv6 after flattening, holes included: what lookups search in.
    #[must_use]
    pub fn range_counts(&self) -> (usize, usize) {
        (self.ipv4.len(), self.ipv6.len())
    }
}

/// Why no map could be built.
#[derive(Debug, thiserror::Error)]
pub enum MapError {
    /// A database cannot be used.
    #[error(transparent)]
    Database(#[from] DatabaseError),
    /// A country or continent is named, but nothing tells who lives there.
    #[error(
        "area `{area}` names a country or continent, but no database is given: name an .mmdb file \
         under `[geo] database`"
    )]
    NoDatabase {
        /// The first such area.
        area: String,
    },
    /// More areas than fit.
    #[error("{areas} areas are too many: a map holds at most {AREAS_MAX}")]
    TooManyAreas {
        /// How many there are.
        areas: usize,
    },
}

/// All explicit prefixes, host bits cleared; IPv4-mapped IPv6 ones as IPv4.
fn explicit_prefixes(topology: &Topology) -> (Vec<Prefix<u32>>, Vec<Prefix<u128>>) {
    let (mut ipv4, mut ipv6) = (Vec::new(), Vec::new());
    for (area, entry) in topology.areas.iter().enumerate() {
        let value = u16::try_from(area).unwrap_or(HOLE);
        for client in &entry.clients {
            let ClientSpec::Prefix(address, length) = *client else { continue };
            match address {
                IpAddr::V4(address) => ipv4.push(Prefix::new(address.to_bits(), length, value)),
                IpAddr::V6(address) => match address.to_ipv4_mapped() {
                    Some(mapped) if length >= 96 => {
                        ipv4.push(Prefix::new(mapped.to_bits(), length - 96, value));
                    }
                    _ => ipv6.push(Prefix::new(address.to_bits(), length, value)),
                },
            }
        }
    }
    (ipv4, ipv6)
}

#[cfg(test)]
pub(crate) mod tests;

//! Countries and continents from the bytes of an `.mmdb` file, of either common schema.
//!
//! GeoLite2 and its kin keep `country.iso_code` and `continent.code`; flat ones keep
//! `country_code`, some with `continent_code`. Where a continent is missing it follows from the
//! country.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;

use maxminddb::{LookupResult, MaxMindDbError, PathElement, Reader, WithinOptions};

use super::HOLE;
use super::continent::continent_of;
use super::flatten::Prefix;
use crate::world::{ClientSpec, Name, Topology};

/// An `.mmdb` file's bytes and what to call it in errors.
#[derive(Clone, PartialEq, Eq)]
pub struct GeoDatabase {
    name: String,
    bytes: Vec<u8>,
}

impl GeoDatabase {
    /// Wraps a file's content; nothing is looked at yet.
    #[must_use]
    pub fn new(name: impl Into<String>, bytes: Vec<u8>) -> Self {
        Self { name: name.into(), bytes }
    }

    /// What the database is called: its path.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// All its networks of which a country or continent is known, with the area or hole that each
    /// falls into.
    pub(super) fn networks(&self, areas: &AreasByCode<'_>) -> Result<Networks, DatabaseError> {
        let damaged =
            |source| DatabaseError::Damaged { name: self.name.clone(), source: Box::new(source) };
        let reader = Reader::from_source(self.bytes.as_slice()).map_err(damaged)?;
        // A sound search tree has one leaf more than nodes. A damaged one may share subtrees and
        // so seem to hold 2^128 networks: stop far before.
        let networks_max = 2 * u64::from(reader.metadata().node_count) + 2;
        let options = WithinOptions::default().include_networks_without_data();
        let mut networks = Networks::default();
        // Records are shared by many networks: each is decoded once.
        let mut known: HashMap<usize, Option<u16>> = HashMap::new();
        let mut seen = 0;
        for result in reader.networks(options).map_err(damaged)? {
            let network = result.map_err(damaged)?;
            seen += 1;
            if seen > networks_max {
                return Err(DatabaseError::Endless { name: self.name.clone() });
            }
            let Some(offset) = network.offset() else { continue };
            let value = match known.get(&offset) {
                Some(value) => *value,
                None => {
                    let value = place(&network).map_err(damaged)?.map(|at| areas.value(&at));
                    known.insert(offset, value);
                    value
                }
            };
            if let Some(value) = value {
                let prefix = network.network().map_err(damaged)?;
                networks.push(prefix.network(), prefix.prefix(), value);
            }
        }
        if networks.is_empty() {
            return Err(DatabaseError::NoCountries { name: self.name.clone() });
        }
        Ok(networks)
    }
}

impl std::fmt::Debug for GeoDatabase {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "GeoDatabase({}, {} bytes)", self.name, self.bytes.len())
    }
}

/// Why a database cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DatabaseError {
    /// It is no `.mmdb` file, or cut short, or damaged.
    #[error("`{name}` is no usable .mmdb file; fetch it anew")]
    Damaged {
        /// Which.
        name: String,
        /// What was found.
        source: Box<MaxMindDbError>,
    },
    /// Its tree has more networks than its nodes allow.
    #[error("`{name}` is damaged: its search tree runs in circles; fetch it anew")]
    Endless {
        /// Which.
        name: String,
    },
    /// It has another subject (autonomous systems, say) or a schema of its own.
    #[error(
        "`{name}` knows no countries: it has neither `country.iso_code` nor `country_code`; use a \
         country or city database"
    )]
    NoCountries {
        /// Which.
        name: String,
    },
}

/// What a database contributes: disjoint prefixes.
#[derive(Default)]
pub(super) struct Networks {
    pub(super) ipv4: Vec<Prefix<u32>>,
    pub(super) ipv6: Vec<Prefix<u128>>,
}

impl Networks {
    fn push(&mut self, address: IpAddr, length: u8, value: u16) {
        match address {
            IpAddr::V4(address) => self.ipv4.push(Prefix::new(address.to_bits(), length, value)),
            IpAddr::V6(address) => self.ipv6.push(Prefix::new(address.to_bits(), length, value)),
        }
    }

    const fn is_empty(&self) -> bool {
        self.ipv4.is_empty() && self.ipv6.is_empty()
    }
}

/// Which area holds which country and continent.
pub(super) struct AreasByCode<'a> {
    countries: BTreeMap<&'a str, u16>,
    continents: BTreeMap<&'a str, u16>,
    first_area: Option<&'a Name>,
}

impl<'a> AreasByCode<'a> {
    pub(super) fn of(topology: &'a Topology) -> Self {
        let (mut countries, mut continents) = (BTreeMap::new(), BTreeMap::new());
        let mut first_area = None;
        for (index, area) in topology.areas.iter().enumerate() {
            let value = u16::try_from(index).unwrap_or(HOLE);
            for client in &area.clients {
                match client {
                    ClientSpec::Prefix(..) => continue,
                    ClientSpec::Country(code) => countries.entry(code.as_str()).or_insert(value),
                    ClientSpec::Continent(code) => continents.entry(code.as_str()).or_insert(value),
                };
                first_area = first_area.or(Some(&area.name));
            }
        }
        Self { countries, continents, first_area }
    }

    /// The first area that names a country or continent, if any does.
    pub(super) const fn first_area(&self) -> Option<&'a Name> {
        self.first_area
    }

    /// Country beats continent; whoever is in neither is in a hole.
    fn value(&self, place: &Place) -> u16 {
        let country = place.country.as_deref().and_then(|code| self.countries.get(code));
        let continent = || self.continents.get(place.continent.as_deref()?);
        country.or_else(continent).copied().unwrap_or(HOLE)
    }
}

/// What a record says about where its networks are.
struct Place {
    country: Option<String>,
    continent: Option<String>,
}

/// The place in a record of either schema; `None` if it names none.
fn place(network: &LookupResult<'_, &[u8]>) -> Result<Option<Place>, MaxMindDbError> {
    const FLAT_COUNTRY: [PathElement<'static>; 1] = [PathElement::Key("country_code")];
    const FLAT_CONTINENT: [PathElement<'static>; 1] = [PathElement::Key("continent_code")];
    const COUNTRY: [PathElement<'static>; 2] =
        [PathElement::Key("country"), PathElement::Key("iso_code")];
    const CONTINENT: [PathElement<'static>; 2] =
        [PathElement::Key("continent"), PathElement::Key("code")];
    let code = |path: &[PathElement<'_>]| -> Result<Option<String>, MaxMindDbError> {
        let text = network.decode_path::<&str>(path)?;
        Ok(text.filter(|text| !text.is_empty()).map(str::to_ascii_uppercase))
    };
    // The flat schema first: databases of that kind may have a text `country` beside it, in which
    // the other path would be an error.
    let (country, continent) = match code(&FLAT_COUNTRY)? {
        Some(country) => (Some(country), code(&FLAT_CONTINENT)?),
        None => (code(&COUNTRY)?, code(&CONTINENT)?),
    };
    let derived = || country.as_deref().and_then(continent_of).map(str::to_owned);
    let continent = continent.or_else(derived);
    Ok((country.is_some() || continent.is_some()).then_some(Place { country, continent }))
}

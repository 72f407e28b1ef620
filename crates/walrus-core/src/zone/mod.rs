//! A zone's static data: what a standard zone file or the configuration says, before it is compiled.

pub(crate) mod arena;
mod beside_services;
pub(crate) mod builder;
mod content;
mod difference;
mod file;
mod host_names;
mod in_the_way;
mod nsec3;
mod own_names;
mod serial;
mod service_fit;

pub use beside_services::addresses_beside_services;
pub use content::{RecordSet, SetView, Sets, Zone};
pub(crate) use difference::serial_of;
pub use difference::{DifferenceError, Record, ZoneDifference};
pub(crate) use file::calendar;
pub use file::{
    IncludedFile, ReadIncluded, ScannedPart, TextPart, ZoneDraft, ZoneFile, ZoneReader, is_data_of,
    read_zone, read_zone_including, write_record, write_zone, zone_of_nameservers,
};
pub use host_names::{HostConflict, HostedZone, HostedZones, add_hosts, add_hosts_that_fit};
pub use in_the_way::InTheWay;
pub use nsec3::{
    HashedLabel, HashedName, Nsec3Chain, Nsec3Parameters, Nsec3Part, Nsec3View, hash_of_label,
    hashed_label, hashed_owner,
};
pub use own_names::{OwnNames, ZonesOwnNames};
pub use service_fit::{ServiceUnfit, unfit_services};

//! A zone's static data: what a standard zone file or the configuration says, before it is compiled.

mod content;
mod file;

pub use content::{RecordSet, SetView, Sets, Zone};
pub use file::{
    IncludedFile, ReadIncluded, ZoneFile, read_zone, read_zone_including, zone_of_nameservers,
};

//! The text of a standard zone file to a [`Zone`], with every problem and its line.
//!
//! The format is RFC 1035 section 5 with `$TTL` (RFC 2308 section 4), unknown types (RFC 3597
//! section 5) and BIND's times with units. A record is scanned by the `domain` crate; cutting the text into records is done
//! here, so that each is known by its line and a bad one does not hide those after it.

mod check;
mod entries;
mod include;
mod made;
mod scan;
mod times;
mod tokens;
mod write;

use walrus_dns::DomainName;

use super::Zone;
use crate::config::Problem;

pub use include::{IncludedFile, ReadIncluded};
pub use made::zone_of_nameservers;
pub use write::{write_record, write_zone};

/// Problems after which the rest goes untold: a file that is no zone file has one in every line.
const PROBLEMS_MAX: usize = 100;

/// A zone file without errors.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ZoneFile {
    /// What it holds.
    pub zone: Zone,
    /// What is served nevertheless but is hardly what was meant.
    pub warnings: Vec<Problem>,
}

/// Reads a zone file. `file` is its name for the problems; relative names stand below `apex` until
/// the first `$ORIGIN`. `$INCLUDE` is refused: [`read_zone_including`] reads it.
///
/// Takes a few seconds and some 300 MiB for a million names in random order.
///
/// # Errors
/// All problems in the order of their lines, but no more than a hundred.
pub fn read_zone(file: &str, text: &[u8], apex: &DomainName) -> Result<ZoneFile, Vec<Problem>> {
    read(file, text, apex, None)
}

/// As [`read_zone`], and `$INCLUDE` reads other files through `include`: at most 8 deep, 1000 in
/// all, and half a gibibyte together.
///
/// An included file begins with the current origin (or the one that `$INCLUDE` names) and owner,
/// which also stand again after it; its `$TTL` goes on to hold, as in BIND.
///
/// # Errors
/// As [`read_zone`]; problems carry the included file's name.
pub fn read_zone_including(
    file: &str,
    text: &[u8],
    apex: &DomainName,
    include: ReadIncluded<'_>,
) -> Result<ZoneFile, Vec<Problem>> {
    read(file, text, apex, Some(include))
}

fn read(
    file: &str,
    text: &[u8],
    apex: &DomainName,
    include: Option<ReadIncluded<'_>>,
) -> Result<ZoneFile, Vec<Problem>> {
    let mut notes = Notes::new(file);
    let records = scan::scan(text, apex, include, &mut notes);
    let zone = check::check(records, apex, &mut notes);
    notes.finish(zone)
}

/// One record as it stands in the file.
#[derive(Debug)]
struct Record {
    owner: DomainName,
    record_type: u16,
    ttl: u32,
    /// Where it begins.
    place: Place,
    /// Uncompressed.
    data: Box<[u8]>,
}

/// A line of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    /// An index into [`Notes::files`].
    file: u16,
    /// From 1; 0 for the whole file.
    line: u32,
}

impl Place {
    /// The zone as a whole.
    const ZONE: Self = Self { file: 0, line: 0 };
}

/// Collects what is wrong.
struct Notes {
    /// The zone file, then those that it includes, as often as it does.
    files: Vec<String>,
    errors: Vec<Problem>,
    warnings: Vec<Problem>,
}

impl Notes {
    fn new(file: &str) -> Self {
        Self { files: vec![file.to_owned()], errors: Vec::new(), warnings: Vec::new() }
    }

    fn error(&mut self, place: Place, column: u32, message: impl Into<String>) {
        let problem = self.problem(place, column, message.into());
        self.errors.push(problem);
    }

    fn warning(&mut self, place: Place, message: impl Into<String>) {
        if self.warnings.len() < PROBLEMS_MAX {
            let problem = self.problem(place, u32::from(place.line > 0), message.into());
            self.warnings.push(problem);
        }
    }

    fn has_errors(&self) -> bool {
        !self.errors.is_empty()
    }

    /// Whether there is room for another error.
    fn is_full(&self) -> bool {
        self.errors.len() >= PROBLEMS_MAX
    }

    /// The number of a file for its [`Place`]s.
    fn add_file(&mut self, name: String) -> u16 {
        let number = u16::try_from(self.files.len()).unwrap_or(u16::MAX);
        self.files.push(name);
        number
    }

    fn problem(&self, place: Place, column: u32, message: String) -> Problem {
        let file = self.files.get(usize::from(place.file)).cloned().unwrap_or_default();
        Problem { file, line: place.line, column, message }
    }

    fn finish(mut self, zone: Zone) -> Result<ZoneFile, Vec<Problem>> {
        if self.errors.is_empty() {
            self.warnings.sort();
            return Ok(ZoneFile { zone, warnings: self.warnings });
        }
        self.errors.sort();
        self.errors.truncate(PROBLEMS_MAX);
        Err(self.errors)
    }
}

#[cfg(test)]
mod tests;

//! The text of a standard zone file to a [`Zone`], with every problem and its line.
//!
//! The format is RFC 1035 section 5 with `$TTL` (RFC 2308 section 4) and unknown types (RFC 3597
//! section 5). A record is scanned by the `domain` crate; cutting the text into records is done
//! here, so that each is known by its line and a bad one does not hide those after it.

mod check;
mod entries;
mod made;
mod scan;

use walrus_dns::DomainName;

use super::Zone;
use crate::config::Problem;

pub use made::zone_of_nameservers;

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
/// the first `$ORIGIN`.
///
/// Takes a few seconds and some 300 MiB for a million names in random order.
///
/// # Errors
/// All problems in the order of their lines, but no more than a hundred.
pub fn read_zone(file: &str, text: &[u8], apex: &DomainName) -> Result<ZoneFile, Vec<Problem>> {
    let mut notes = Notes::new(file);
    let records = scan::scan(text, apex, &mut notes);
    let zone = check::check(records, apex, &mut notes);
    notes.finish(zone)
}

/// One record as it stands in the file.
#[derive(Debug)]
struct Record {
    owner: DomainName,
    record_type: u16,
    ttl: u32,
    /// From 1; where the record begins.
    line: u32,
    /// Uncompressed.
    data: Box<[u8]>,
}

/// Collects what is wrong.
struct Notes<'a> {
    file: &'a str,
    errors: Vec<Problem>,
    warnings: Vec<Problem>,
}

impl<'a> Notes<'a> {
    fn new(file: &'a str) -> Self {
        Self { file, errors: Vec::new(), warnings: Vec::new() }
    }

    fn error(&mut self, line: u32, column: u32, message: impl Into<String>) {
        let problem = self.problem(line, column, message.into());
        self.errors.push(problem);
    }

    fn warning(&mut self, line: u32, message: impl Into<String>) {
        if self.warnings.len() < PROBLEMS_MAX {
            let problem = self.problem(line, u32::from(line > 0), message.into());
            self.warnings.push(problem);
        }
    }

    /// Whether there is room for another error.
    fn is_full(&self) -> bool {
        self.errors.len() >= PROBLEMS_MAX
    }

    fn problem(&self, line: u32, column: u32, message: String) -> Problem {
        Problem { file: self.file.to_owned(), line, column, message }
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

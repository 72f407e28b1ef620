//! The text of a standard zone file to a [`Zone`], with every problem and its line.
//!
//! The format is RFC 1035 section 5 with `$TTL` (RFC 2308 section 4), unknown types (RFC 3597
//! section 5) and BIND's times with units. A record is scanned by the `domain` crate; cutting the text into records is done
//! here, so that each is known by its line and a bad one does not hide those after it.

mod by_domain;
mod chain;
mod check;
mod collect;
mod draft;
mod entries;
mod include;
mod made;
mod origins;
mod parts;
mod plain;
mod records;
mod rewrite;
mod scan;
mod times;
mod tokens;
mod write;

use walrus_dns::DomainName;

use super::Zone;
use crate::config::Problem;

pub use draft::{ZoneDraft, is_data_of};
pub use include::{IncludedFile, ReadIncluded};
pub use made::zone_of_nameservers;
pub use parts::{ScannedPart, TextPart};
pub(crate) use write::calendar;
pub use write::{write_record, write_zone};

pub(super) use collect::SET_LEN_MAX;
use collect::Selection;
use records::Sorted;

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
/// # Errors
/// All problems in the order of their lines, but no more than a hundred.
pub fn read_zone(file: &str, text: &[u8], apex: &DomainName) -> Result<ZoneFile, Vec<Problem>> {
    ZoneReader::new(file, apex).read(text, None)
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
    ZoneReader::new(file, apex).read(text, Some(include))
}

/// How a zone file is read: at once, or in parts on several threads.
///
/// A million names with an address each take about a tenth of a second of a core, and while they
/// are read some 50 MB beside their text.
#[derive(Clone, Copy, Debug)]
pub struct ZoneReader<'a> {
    file: &'a str,
    apex: &'a DomainName,
    selection: Selection,
}

impl<'a> ZoneReader<'a> {
    /// `file` is its name for the problems.
    #[must_use]
    pub const fn new(file: &'a str, apex: &'a DomainName) -> Self {
        Self { file, apex, selection: Selection { signed: false, memory_max: usize::MAX } }
    }

    /// Keeps the signatures, NSEC and NSEC3 records in the file, which is then served as signed as it is.
    #[must_use]
    pub const fn keeping_signatures(mut self, keep: bool) -> Self {
        self.selection.signed = keep;
        self
    }

    /// Refuses a zone whose names and records take more bytes of memory.
    #[must_use]
    pub const fn with_memory_max(mut self, bytes: usize) -> Self {
        self.selection.memory_max = bytes;
        self
    }

    /// Reads a text as a whole; without `include`, `$INCLUDE` is refused.
    ///
    /// # Errors
    /// As [`read_zone`] and [`read_zone_including`].
    pub fn read(
        &self,
        text: &[u8],
        include: Option<ReadIncluded<'_>>,
    ) -> Result<ZoneFile, Vec<Problem>> {
        let mut notes = Notes::new(self.file);
        let max = self.records_max();
        match parts::in_sequence(text, self.apex, include, max, &mut notes) {
            Some(parts) => self.finish(parts, notes),
            // What else is wrong would be wrong because the rest was not read.
            None => {
                notes.errors.sort();
                Err(notes.errors)
            }
        }
    }

    /// Cuts a text into at most so many parts, to be scanned in any order or at the same time.
    #[must_use]
    pub fn split(&self, text: &[u8], parts: usize) -> Vec<TextPart> {
        parts::split(text, self.apex, parts)
    }

    /// Scans a part of a text.
    #[must_use]
    pub fn scan(&self, text: &[u8], part: &TextPart) -> ScannedPart {
        parts::scan(text, self.apex, part, self.records_max())
    }

    /// Puts the parts of a text together, all of them in their order. The result is that of
    /// [`ZoneReader::read`]; the text is freed on the way.
    ///
    /// # Errors
    /// As [`ZoneReader::read`].
    pub fn read_scanned(
        &self,
        text: Vec<u8>,
        parts: Vec<ScannedPart>,
        include: Option<ReadIncluded<'_>>,
    ) -> Result<ZoneFile, Vec<Problem>> {
        match parts::join(&text, self.apex, parts, self.records_max()) {
            Some(parts) => {
                drop(text);
                self.finish(parts, Notes::new(self.file))
            }
            None => self.read(&text, include),
        }
    }

    /// Bytes that records may take until they are a zone: with their places in the text, and each
    /// with its owner. A place in them has 32 bits.
    fn records_max(&self) -> usize {
        self.selection.memory_max.saturating_mul(2).min(u32::MAX as usize - (1 << 17))
    }

    fn finish(
        &self,
        parts: Vec<records::Part>,
        mut notes: Notes,
    ) -> Result<ZoneFile, Vec<Problem>> {
        let collected = {
            let sorted = Sorted::new(parts);
            collect::collect(&sorted, self.apex, self.selection, &mut notes)
        };
        if collected.zone.unfit().is_empty() {
            check::check(&collected, &mut notes);
        }
        notes.finish(collected.zone)
    }
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
    /// The zone is another name server's: what is never answered is no error.
    is_lenient: bool,
}

impl Notes {
    fn new(file: &str) -> Self {
        let (errors, warnings) = (Vec::new(), Vec::new());
        Self { files: vec![file.to_owned()], errors, warnings, is_lenient: false }
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

    /// Something that is never answered: zones that are transferred may hold it (RFC 5936 section 3.5).
    fn occluded(&mut self, place: Place, message: String) {
        if self.is_lenient {
            self.warning(place, message);
        } else {
            self.error(place, 1, message);
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

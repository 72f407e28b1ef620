//! `$INCLUDE` (RFC 1035 section 5.1): other files' text, from whoever may read files, within bounds.

/// A file named by `$INCLUDE`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IncludedFile {
    /// Its name for the problems.
    pub name: String,
    /// Its bytes.
    pub text: Vec<u8>,
}

/// Gives the file for a path as it stands in the zone file, or says why there is none.
pub type ReadIncluded<'a> = &'a dyn Fn(&str) -> Result<IncludedFile, String>;

/// Files inside files; more is a file that includes itself.
pub(super) const DEPTH_MAX: u8 = 8;
/// With the depth alone, a file that includes itself twice would be read 2^8 times, and so on.
const FILES_MAX: usize = 1000;
/// Enough for some ten million records; what is read stays in memory until its end.
const BYTES_MAX: usize = 1 << 29;

/// Reads included files until the bounds are reached.
pub(super) struct Includes<'a> {
    read: Option<ReadIncluded<'a>>,
    files: usize,
    bytes: usize,
}

impl<'a> Includes<'a> {
    pub(super) fn new(read: Option<ReadIncluded<'a>>) -> Self {
        Self { read, files: 0, bytes: 0 }
    }

    /// The file, named in a file that stands `depth` deep (the zone file: 0).
    pub(super) fn read(&mut self, path: &str, depth: u8) -> Result<IncludedFile, String> {
        let Some(read) = self.read else {
            return Err(format!(
                "$INCLUDE is not read here: put the records of {path} in its place"
            ));
        };
        if depth >= DEPTH_MAX {
            return Err(format!(
                "{path} would be included {} files deep, and {DEPTH_MAX} is the most: does a file \
                 include itself?",
                u32::from(depth) + 1
            ));
        }
        self.files += 1;
        if self.files > FILES_MAX {
            return Err(format!("a zone includes at most {FILES_MAX} files"));
        }
        let file = read(path).map_err(|why| format!("cannot include {path}: {why}"))?;
        self.bytes = self.bytes.saturating_add(file.text.len());
        if self.bytes > BYTES_MAX {
            return Err(format!("a zone's included files have at most {BYTES_MAX} bytes together"));
        }
        Ok(file)
    }
}

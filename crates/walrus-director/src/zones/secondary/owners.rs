//! Whose zone each is that a catalog lists, on the disk: a restart must neither give a zone to another catalog nor take
//! another zone of the same name for it (RFC 9432 sections 4.3.1 and 5.4).
//!
//! `STATE/zones/members` has a line for each: the zone, its catalog, and the first label of its entry there in hexadecimal.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;

use data_encoding::HEXLOWER;
use walrus_dns::DomainName;
use walrus_host::regular_file;
use walrus_host::state::write_atomically;

use super::catalogs::MemberOf;

const FILE: &str = "members";
/// What could not be read.
const ASIDE: &str = "members.unread";
/// Of all zones that may be.
const BYTES_MAX: u64 = 64 << 20;

/// By zone.
pub(super) type Owners = BTreeMap<DomainName, MemberOf>;

/// What was written last. What cannot be read is set aside, for whoever can still mend it: its zones are whoever's that lists
/// them.
pub(super) fn read(directory: &Path) -> Owners {
    let path = directory.join(FILE);
    match regular_file::read_text(&path, BYTES_MAX) {
        Ok(text) => text.lines().filter_map(owner).collect(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Owners::new(),
        Err(error) => {
            let aside = directory.join(ASIDE);
            let moved = fs::rename(&path, &aside);
            let (path, aside, is_aside) = (path.display(), aside.display(), moved.is_ok());
            tracing::error!(
                %path, %error, %aside, is_aside,
                "whose zones those of catalogs are is not known: each is the first catalog's that lists it; what could not \
                 be read is set aside"
            );
            Owners::new()
        }
    }
}

fn owner(line: &str) -> Option<(DomainName, MemberOf)> {
    let mut words = line.split(' ');
    let (zone, catalog) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
    let label = HEXLOWER.decode(words.next()?.as_bytes()).ok()?.into();
    Some((zone, MemberOf { catalog, label }))
}

pub(super) fn write(directory: &Path, owners: &Owners) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
    let mut text = String::new();
    for (zone, MemberOf { catalog, label }) in owners {
        // Names are written without spaces.
        let _ = writeln!(text, "{zone} {catalog} {}", HEXLOWER.encode(label));
    }
    write_atomically(directory, FILE, 0o600, text.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn owners_come_back_and_lines_that_are_none_are_left_out() {
        let folder = tempfile::tempdir().unwrap();
        let directory = folder.path().join("zones");
        assert_eq!(read(&directory), Owners::new());
        let one = |zone: &str, label: &[u8]| {
            let catalog = "catalog.example".parse().unwrap();
            (zone.parse().unwrap(), MemberOf { catalog, label: label.into() })
        };
        let owners = Owners::from([
            one("one.example", b"a b\0"),
            one("t\\032\\.wo.example", b"x"),
            one(".", b""),
        ]);
        write(&directory, &owners).unwrap();
        assert_eq!(read(&directory), owners);
        let path = directory.join(FILE);
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, format!("x\nx y\n..  z\none.example c zz\n{text}")).unwrap();
        assert_eq!(read(&directory), owners);
        std::fs::write(&path, b"\xff one.example").unwrap();
        assert_eq!(read(&directory), Owners::new());
        assert!(!path.exists());
        assert_eq!(std::fs::read(directory.join(ASIDE)).unwrap(), b"\xff one.example");
    }
}

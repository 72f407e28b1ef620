//! Where a report goes: whole, or not at all where something is in its way.

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use super::page::GENERATOR;
use crate::cli::Failure;
use crate::sim::interruption;

/// What a report is opened by.
pub(super) const PAGE: &str = "index.html";

/// As far into a page its mark is sought.
const HEAD_LEN: u64 = 4096;

/// In it a report is written, beside where it goes: a move within a folder takes no time.
const UNFINISHED: &str = ".walrus-report-unfinished";

/// Whether a report could be written into this directory; leaves nothing there, not even the directory if
/// there was none.
pub(super) fn check(directory: &Path) -> Result<(), Failure> {
    refuse_others(directory)?;
    let _undisturbed = interruption::undisturbed();
    let missing: Vec<&Path> =
        directory.ancestors().take_while(|it| !it.as_os_str().is_empty() && !it.exists()).collect();
    let made = begin(directory).and_then(|unfinished| fs::remove_dir(&unfinished));
    // The innermost first; what somebody else put something into meanwhile stays.
    missing.iter().for_each(|it| drop(fs::remove_dir(it)));
    made.map_err(cannot(directory))
}

/// Puts files into the directory, one after the other: none before all are written and have a place to go to.
/// What else is in it stays, plots of an older report too.
pub(super) fn place(directory: &Path, files: &[(String, String)]) -> Result<(), Failure> {
    refuse_others(directory)?;
    let _undisturbed = interruption::undisturbed();
    let unfinished = begin(directory).map_err(cannot(directory))?;
    let written = files.iter().try_for_each(|(name, text)| {
        fs::write(unfinished.join(name), text).and_then(|()| check_place(&directory.join(name)))
    });
    let placed = written.and_then(|()| {
        let moved = files
            .iter()
            .try_for_each(|(name, _)| fs::rename(unfinished.join(name), directory.join(name)));
        moved.and_then(|()| fs::remove_dir(&unfinished))
    });
    placed.map_err(|error| {
        // What cannot be taken away either is found by its name, and by the next report.
        let _ = fs::remove_dir_all(&unfinished);
        cannot(directory)(error)
    })
}

/// An empty folder for a report that is being written.
fn begin(directory: &Path) -> io::Result<PathBuf> {
    fs::create_dir_all(directory)?;
    let unfinished = directory.join(UNFINISHED);
    match fs::remove_dir_all(&unfinished) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    fs::create_dir(&unfinished)?;
    Ok(unfinished)
}

/// Whether a file can be moved there: over a file, not over a folder.
fn check_place(file: &Path) -> io::Result<()> {
    match fs::symlink_metadata(file) {
        Ok(there) if there.is_dir() => {
            Err(io::Error::other(format!("there is a folder {}", file.display())))
        }
        _ => Ok(()),
    }
}

/// A page that is no report of ours is not written over: the directory is hardly the one that was meant.
fn refuse_others(directory: &Path) -> Result<(), Failure> {
    let page = directory.join(PAGE);
    // What is no file (a pipe, which may never be read to its end) is none of ours either.
    let is_ours = match fs::metadata(&page) {
        Ok(there) => there.is_file() && is_report(&page).unwrap_or(true),
        Err(_) => true,
    };
    if is_ours {
        return Ok(());
    }
    Err(Failure::WrongUse(format!(
        "{} is no report of `walrus sim`, and would be written over: name another directory with \
         --report",
        page.display()
    )))
}

/// By its first bytes: the mark stands at the beginning of a page.
fn is_report(page: &Path) -> io::Result<bool> {
    let mut beginning = Vec::new();
    File::open(page)?.take(HEAD_LEN).read_to_end(&mut beginning)?;
    Ok(beginning.windows(GENERATOR.len()).any(|part| part == GENERATOR.as_bytes()))
}

fn cannot(what: &Path) -> impl FnOnce(io::Error) -> Failure + use<> {
    let what = what.display().to_string();
    move |error| Failure::CouldNot(format!("cannot write {what}: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap();
        let mut names: Vec<String> =
            entries.map(|it| it.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    fn files(text: &str) -> Vec<(String, String)> {
        let page = format!("{GENERATOR}{text}");
        vec![("a.svg".to_owned(), text.to_owned()), (PAGE.to_owned(), page)]
    }

    #[test]
    fn a_look_leaves_nothing_behind() {
        let folder = tempfile::tempdir().unwrap();
        check(&folder.path().join("deep/in")).unwrap();
        check(folder.path()).unwrap();
        assert!(names(folder.path()).is_empty() && folder.path().exists());
        fs::write(folder.path().join("file"), "x").unwrap();
        assert!(matches!(check(&folder.path().join("file")), Err(Failure::CouldNot(_))));
        assert!(matches!(check(&folder.path().join("file/deep")), Err(Failure::CouldNot(_))));
        assert_eq!(names(folder.path()), ["file"]);
    }

    #[test]
    fn a_report_takes_the_place_of_another_whole_or_not_at_all() {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("out");
        place(&out, &files("one")).unwrap();
        // What one left that was killed in the midst of it.
        fs::create_dir(out.join(UNFINISHED)).unwrap();
        fs::write(out.join(UNFINISHED).join("b.svg"), "half").unwrap();
        fs::write(out.join("mine.txt"), "stays").unwrap();
        place(&out, &files("two")).unwrap();
        assert_eq!(names(&out), ["a.svg", PAGE, "mine.txt"]);
        assert_eq!(fs::read_to_string(out.join("a.svg")).unwrap(), "two");
        // A name that cannot be: what was there stays as it is.
        let mut bad = files("three");
        bad.push(("no/such.svg".to_owned(), String::new()));
        assert!(matches!(place(&out, &bad), Err(Failure::CouldNot(_))));
        assert_eq!(fs::read_to_string(out.join("a.svg")).unwrap(), "two");
        assert_eq!(names(&out), ["a.svg", PAGE, "mine.txt"]);
        // Something in the way of any of them, as of the last plot.
        fs::create_dir(out.join("z.svg")).unwrap();
        let mut taken = files("four");
        taken.insert(1, ("z.svg".to_owned(), String::new()));
        assert!(matches!(place(&out, &taken), Err(Failure::CouldNot(_))));
        assert_eq!(fs::read_to_string(out.join("a.svg")).unwrap(), "two");
        assert_eq!(names(&out), ["a.svg", PAGE, "mine.txt", "z.svg"]);
    }

    #[test]
    fn somebody_else_s_page_is_not_written_over() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(PAGE), "<html>my site</html>").unwrap();
        assert!(matches!(check(folder.path()), Err(Failure::WrongUse(_))));
        assert!(matches!(place(folder.path(), &files("x")), Err(Failure::WrongUse(_))));
        assert_eq!(names(folder.path()), [PAGE]);
        // A folder, or a device without an end, is no page of ours.
        fs::remove_file(folder.path().join(PAGE)).unwrap();
        std::os::unix::fs::symlink("/dev/zero", folder.path().join(PAGE)).unwrap();
        assert!(matches!(check(folder.path()), Err(Failure::WrongUse(_))));
        fs::remove_file(folder.path().join(PAGE)).unwrap();
        fs::create_dir(folder.path().join(PAGE)).unwrap();
        assert!(matches!(check(folder.path()), Err(Failure::WrongUse(_))));
    }
}

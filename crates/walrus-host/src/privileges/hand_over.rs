//! A state directory that is root's becomes the user's, with all in it.
//!
//! Whatever is given away is opened first, never through a link, and given away by what was opened: nobody can put
//! something else in its place meanwhile. A directory follows all that is in it, and the top comes last, so that what was
//! begun and not ended is root's still and is begun again.

use std::ffi::CStr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{
    AtFlags, CWD, Dir, FileType, Gid, Mode, OFlags, Stat, Uid, chownat, fchown, fstat, openat,
    statat,
};
use rustix::io::Errno;

use walrus_core::world::legible;

use super::{PrivilegesError, User};

/// Files that are handed over with the state directory; more than any has.
const FILES_MAX: usize = 1_000_000;
/// Directories within each other; ours are two deep. Each takes a descriptor.
const DEPTH_MAX: usize = 16;
/// Characters of a file's name that is told.
const NAME_MAX: usize = 100;
/// What is the system's even where it is empty, with all in it for the first few.
const SYSTEM: [&str; 16] = [
    "/boot", "/proc", "/sys", "/", "/dev", "/dev/shm", "/etc", "/home", "/media", "/mnt", "/opt",
    "/root", "/run", "/srv", "/tmp", "/var",
];
const SYSTEM_IN_WHOLE: usize = 3;
/// Files that only Walrus calls so: one of them, and the directory is its own with all in it.
const MARKS: [&str; 5] = ["reporter-token", "node-token", "plan.json", "epoch", "overrides.json"];
/// What Walrus has there as well, and others may have elsewhere. It speaks neither for nor against a directory: one
/// with nothing else is Walrus' where it never came further, or what was restored of it.
const BESIDE: [&str; 10] = [
    "lock",
    "token",
    "keys",
    "signatures",
    "certificate.pem",
    "key.pem",
    "epoch.copy",
    "journal.jsonl",
    "journal.old.jsonl",
    "joined",
];
/// Of these, what others have with nothing beside it (a server's certificate and key, keys of anything). It counts
/// beside a lock, or where `keys` are those of zones.
const OFTEN_OTHERS: [&str; 3] = ["keys", "certificate.pem", "key.pem"];
/// In the folder of each zone in `keys`.
const OF_A_ZONE: &str = "state.json";
/// In each new file system of many kinds; it stays root's.
const OF_THE_FILE_SYSTEM: &CStr = c"lost+found";

/// Makes it if there is none. `configuration`: a file or folder that must stay root's. One that is the user's
/// already is not touched: what lies in it may be a link that the user put there to be given more.
pub(super) fn hand_over(
    state: &Path,
    configuration: &Path,
    user: &User,
) -> Result<(), PrivilegesError> {
    let problem = |path: &Path| {
        let path = path.to_owned();
        move |error| PrivilegesError::HandOver { path, error }
    };
    let errno = |error: Errno| problem(state)(error.into());
    if !state.exists() {
        let mut builder = std::fs::DirBuilder::new();
        builder.recursive(true).mode(0o700).create(state).map_err(problem(state))?;
    }
    // Once: whatever links lead there, from here on it is this one.
    let top = state.canonicalize().map_err(problem(state))?;
    let directory = open_directory(CWD, &top).map_err(errno)?;
    let owner = fstat(&directory).map_err(errno)?.st_uid;
    if owner == user.uid {
        return Ok(());
    }
    if owner != 0 {
        let (path, name) = (top, user.name.clone());
        return Err(PrivilegesError::OthersState { path, owner, name });
    }
    if let Some(why) = not_ours(&top, &directory, configuration).map_err(errno)? {
        return Err(PrivilegesError::NotOurs { path: top, why });
    }
    let mut walk = Walk { user, at: top.clone(), left: FILES_MAX };
    walk.give(&directory, DEPTH_MAX).map_err(|error| match error {
        Errno::NFILE | Errno::LOOP => PrivilegesError::Large { path: top, files_max: FILES_MAX },
        Errno::MLINK => PrivilegesError::SecondName { path: walk.at },
        error => problem(&walk.at)(error.into()),
    })
}

/// Why a directory should stay root's.
fn not_ours(
    top: &Path,
    directory: &OwnedFd,
    configuration: &Path,
) -> Result<Option<String>, Errno> {
    let mut system = SYSTEM.iter().map(Path::new).enumerate();
    if system.any(|(at, it)| top == it || (at < SYSTEM_IN_WHOLE && top.starts_with(it))) {
        return Ok(Some("it is the system's".to_owned()));
    }
    let configuration = configuration.canonicalize().unwrap_or_else(|_| configuration.to_owned());
    if configuration.starts_with(top) {
        let why = "the configuration lies in it, which the user could then change";
        return Ok(Some(why.to_owned()));
    }
    let is_file = |name: &&str| {
        let found = statat(directory, *name, AtFlags::SYMLINK_NOFOLLOW);
        found.is_ok_and(|found| kind(&found) == FileType::RegularFile)
    };
    if MARKS.iter().any(is_file) {
        return Ok(None);
    }
    let counts = is_file(&"lock") || has_keys_of_zones(directory);
    let is_foreign = |name: &PathBuf| {
        let is_often_others = OFTEN_OTHERS.iter().any(|others| name.as_os_str() == *others);
        !is_beside(name) || (is_often_others && !counts)
    };
    let foreign = names(directory)?.into_iter().find(is_foreign);
    Ok(foreign.map(|name| {
        let name = legible(&name.to_string_lossy(), NAME_MAX);
        format!("`{name}` lies in it, and nothing that only Walrus makes")
    }))
}

/// Whether Walrus may have made it, or was given it to begin with.
fn is_beside(name: &Path) -> bool {
    let is_map = |name: &str| name.starts_with("map-") && name.ends_with(".bin");
    // Left over from a write that a crash ended.
    let is_unfinished = |name: &str| name.starts_with('.') && name.ends_with(".new");
    let is_beside = |name: &str| BESIDE.contains(&name) || is_map(name) || is_unfinished(name);
    name.to_str().is_some_and(is_beside)
}

/// Whether `keys` in it holds what Walrus keeps for a zone that it signs.
fn has_keys_of_zones(directory: &OwnedFd) -> bool {
    let Ok(keys) = open_directory(directory.as_fd(), "keys") else { return false };
    let is_of_a_zone = |zone: &PathBuf| {
        let found = statat(&keys, zone.join(OF_A_ZONE), AtFlags::SYMLINK_NOFOLLOW);
        found.is_ok_and(|found| kind(&found) == FileType::RegularFile)
    };
    names(&keys).is_ok_and(|zones| zones.iter().any(is_of_a_zone))
}

struct Walk<'a> {
    user: &'a User,
    /// What is looked at, for who has to be told of it.
    at: PathBuf,
    left: usize,
}

impl Walk<'_> {
    /// All in it, then the directory.
    fn give(&mut self, directory: &OwnedFd, depth: usize) -> Result<(), Errno> {
        let depth = depth.checked_sub(1).ok_or(Errno::LOOP)?;
        for name in names(directory)? {
            self.left = self.left.checked_sub(1).ok_or(Errno::NFILE)?;
            self.at.push(&name);
            let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let opened = openat(directory, &name, flags, Mode::empty())?;
            let found = fstat(&opened)?;
            match kind(&found) {
                FileType::Directory => {
                    self.give(&open_directory(directory.as_fd(), &name)?, depth)?;
                }
                // Nothing of ours, and more than a file.
                FileType::BlockDevice | FileType::CharacterDevice => {}
                // Anybody's elsewhere, perhaps. To leave it root's would be to start without it.
                _ if found.st_uid == 0 && found.st_nlink > 1 => return Err(Errno::MLINK),
                _ if found.st_uid == 0 => {
                    let (owner, group) = self.owner();
                    chownat(&opened, c"", owner, group, AtFlags::EMPTY_PATH)?;
                }
                _ => {}
            }
            self.at.pop();
        }
        if fstat(directory)?.st_uid == 0 {
            let (owner, group) = self.owner();
            fchown(directory, owner, group)?;
        }
        Ok(())
    }

    fn owner(&self) -> (Option<Uid>, Option<Gid>) {
        (Some(Uid::from_raw(self.user.uid)), Some(Gid::from_raw(self.user.gid)))
    }
}

fn kind(found: &Stat) -> FileType {
    FileType::from_raw_mode(found.st_mode)
}

fn open_directory<P: rustix::path::Arg>(at: BorrowedFd<'_>, name: P) -> Result<OwnedFd, Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    openat(at, name, flags, Mode::empty())
}

fn names(directory: &OwnedFd) -> Result<Vec<PathBuf>, Errno> {
    let mut names = Vec::new();
    for entry in Dir::read_from(directory)?.take(FILES_MAX) {
        let entry = entry?;
        let name = entry.file_name();
        if ![c".", c"..", OF_THE_FILE_SYSTEM].contains(&name) {
            names.push(PathBuf::from(std::ffi::OsStr::from_bytes(name.to_bytes())));
        }
    }
    Ok(names)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{MetadataExt as _, symlink};

    use super::*;

    const NOBODY: u32 = 65_534;

    struct Tried {
        folder: tempfile::TempDir,
        user: User,
    }

    impl Tried {
        /// `None` for whoever is not root.
        fn new() -> Option<Self> {
            if !rustix::process::geteuid().is_root() {
                // The test tool shows it where it was asked to.
                println!("skipped: only root can give files away");
                return None;
            }
            let user = User { name: "nobody".to_owned(), uid: NOBODY, gid: NOBODY };
            Some(Self { folder: tempfile::tempdir().unwrap(), user })
        }

        fn path(&self, name: &str) -> PathBuf {
            self.folder.path().join(name)
        }

        fn put(&self, name: &str) {
            let path = self.path(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "x").unwrap();
        }

        fn hand_over(&self, state: &Path) -> Result<(), PrivilegesError> {
            hand_over(state, &self.path("etc/walrus.toml"), &self.user)
        }

        fn owner(&self, name: &str) -> u32 {
            self.path(name).symlink_metadata().unwrap().uid()
        }
    }

    #[test]
    fn all_in_it_is_handed_over_and_nothing_beside_it() {
        let Some(tried) = Tried::new() else { return };
        for file in ["etc/walrus.toml", "data/epoch", "data/keys/zone/one.key", "other/secret"] {
            tried.put(file);
        }
        // The directory itself by a link; links in it lead to what is not its own.
        symlink(tried.path("data"), tried.path("state")).unwrap();
        symlink(tried.path("other"), tried.path("data/keys/zone/link")).unwrap();
        tried.hand_over(&tried.path("state")).unwrap();
        for (file, owner) in [
            ("data", NOBODY),
            ("data/epoch", NOBODY),
            ("data/keys/zone", NOBODY),
            ("data/keys/zone/one.key", NOBODY),
            ("data/keys/zone/link", NOBODY),
            ("state", 0),
            ("other", 0),
            ("other/secret", 0),
            ("etc/walrus.toml", 0),
        ] {
            assert_eq!(tried.owner(file), owner, "{file}");
        }
        // One of its own from now on, in which root changes nothing.
        tried.put("data/keys/new");
        tried.hand_over(&tried.path("state")).unwrap();
        assert_eq!(tried.owner("data/keys/new"), 0);
    }

    #[test]
    fn a_file_with_a_second_name_is_told_of_and_not_left_behind_in_silence() {
        let Some(tried) = Tried::new() else { return };
        for file in ["state/epoch", "other/secret"] {
            tried.put(file);
        }
        std::fs::create_dir(tried.path("state/keys")).unwrap();
        let second = tried.path("state/keys/second");
        std::fs::hard_link(tried.path("other/secret"), &second).unwrap();
        let refused = tried.hand_over(&tried.path("state")).unwrap_err().to_string();
        assert!(refused.contains("state/keys/second has a second name"), "{refused}");
        assert_eq!((tried.owner("other/secret"), tried.owner("state")), (0, 0));
        std::fs::remove_file(second).unwrap();
        tried.hand_over(&tried.path("state")).unwrap();
        assert_eq!(tried.owner("state/epoch"), NOBODY);
    }

    #[test]
    fn what_was_half_handed_over_is_handed_over_at_the_next_start() {
        let Some(tried) = Tried::new() else { return };
        let mut deep = PathBuf::from("state");
        tried.put("state/epoch");
        (0..DEPTH_MAX).for_each(|_| deep.push("d"));
        tried.put(deep.join("file").to_str().unwrap());
        let refused = tried.hand_over(&tried.path("state"));
        assert!(matches!(refused, Err(PrivilegesError::Large { .. })), "{refused:?}");
        assert_eq!(tried.owner("state"), 0, "the top comes last");
        std::fs::remove_dir_all(tried.path("state/d/d")).unwrap();
        tried.hand_over(&tried.path("state")).unwrap();
        for file in ["state", "state/epoch", "state/d"] {
            assert_eq!(tried.owner(file), NOBODY, "{file}");
        }
    }

    #[test]
    fn a_new_an_empty_or_a_restored_one_is_handed_over() {
        let Some(tried) = Tried::new() else { return };
        for file in [
            "restored/keys/example.com/state.json",
            "begun/lock",
            "begun/keys/example.com/one.key",
            "begun/key.pem",
            "given/token",
        ] {
            tried.put(file);
        }
        std::fs::create_dir_all(tried.path("volume/lost+found")).unwrap();
        for name in ["volume", "new/state", "restored", "begun", "given"] {
            tried.hand_over(&tried.path(name)).unwrap();
            assert_eq!(tried.owner(name), NOBODY, "{name}");
        }
        assert_eq!(tried.owner("volume/lost+found"), 0);
        assert_eq!(tried.owner("new"), 0);
    }

    #[test]
    fn what_is_not_its_own_stays_roots() {
        let Some(tried) = Tried::new() else { return };
        for file in [
            "etc/walrus.toml",
            "etc/epoch",
            "srv/site/index.html",
            "dpkg/lock",
            "dpkg/status",
            "tls/certificate.pem",
            "tls/key.pem",
            "others/keys/backup/id_ed25519",
        ] {
            tried.put(file);
        }
        for (state, why) in [
            (tried.path("etc"), "the configuration lies in it"),
            (tried.path("etc/../etc/."), "the configuration lies in it"),
            (tried.folder.path().to_owned(), "the configuration lies in it"),
            (tried.path("srv"), "`site` lies in it"),
            (tried.path("dpkg"), "`status` lies in it"),
            (tried.path("tls"), ".pem` lies in it"),
            (tried.path("others"), "`keys` lies in it"),
        ] {
            let refused = tried.hand_over(&state).unwrap_err().to_string();
            assert!(refused.contains(why), "{}: {refused}", state.display());
            assert_eq!(state.metadata().unwrap().uid(), 0, "{}", state.display());
        }
        assert_eq!(tried.owner("etc/walrus.toml"), 0);
    }

    /// Only looked at: a mistake here must not cost whoever runs the tests the machine.
    #[test]
    fn no_directory_of_the_system_is_taken_for_a_state_directory() {
        for (path, why) in [
            ("/", "the system's"),
            ("/etc", "the system's"),
            ("/proc/sys", "the system's"),
            ("/usr/share", "nothing that only Walrus makes"),
        ] {
            let directory = open_directory(CWD, path).unwrap();
            let found = not_ours(Path::new(path), &directory, Path::new("/nonexistent")).unwrap();
            assert!(found.as_ref().is_some_and(|it| it.contains(why)), "{path}: {found:?}");
        }
    }
}

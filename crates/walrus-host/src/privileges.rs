//! Gives root up: an unprivileged user from the start, with the right to open low ports if those are
//! configured, and nothing else.
//!
//! Kernel credentials belong to threads. All of this is to be done before a second one starts, which
//! then has what the first was left with.

use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, lchown};
use std::path::{Path, PathBuf};

use rustix::process::{getegid, geteuid};
use rustix::thread::{
    CapabilitySet, CapabilitySets, clear_ambient_capability_set,
    remove_capability_from_bounding_set, set_capabilities, set_keep_capabilities, set_no_new_privs,
    set_thread_groups, set_thread_res_gid, set_thread_res_uid,
};
use rustix::{fs::Gid, fs::Uid};

/// Files that are handed over with the state directory; more than any has.
const HANDED_OVER_MAX: usize = 1_000_000;
/// Capabilities that a kernel may know: they are bits of 64.
const CAPABILITIES: u32 = 64;

/// Who a process is to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// As it was written.
    pub name: String,
    uid: u32,
    gid: u32,
}

impl User {
    /// By name (from `/etc/passwd` and `/etc/group`) or number; the group is the user's own unless one is
    /// named.
    ///
    /// # Errors
    /// If there is no such user or group, or it is root.
    pub fn find(user: &str, group: Option<&str>) -> Result<Self, PrivilegesError> {
        let passwd = read_table("/etc/passwd")?;
        let groups = read_table("/etc/group")?;
        Self::find_in(user, group, &passwd, &groups)
    }

    fn find_in(
        user: &str,
        group: Option<&str>,
        passwd: &str,
        groups: &str,
    ) -> Result<Self, PrivilegesError> {
        let number = user.parse::<u32>().ok();
        let entry = passwd.lines().find_map(|line| {
            let fields: Vec<&str> = line.split(':').collect();
            let (uid, gid) = (fields.get(2)?.parse().ok()?, fields.get(3)?.parse().ok()?);
            (fields[0] == user || number == Some(uid)).then_some((uid, gid))
        });
        let own_group = entry.map(|(_, gid)| gid);
        let Some(uid) = entry.map(|(uid, _)| uid).or(number) else {
            return Err(PrivilegesError::NoUser(user.to_owned()));
        };
        let gid = match group {
            Some(group) => {
                let found = groups.lines().find_map(|line| {
                    let mut fields = line.split(':');
                    (fields.next()? == group).then(|| fields.nth(1)?.parse().ok())?
                });
                let gid = found.or_else(|| group.parse().ok());
                gid.ok_or_else(|| PrivilegesError::NoGroup(group.to_owned()))?
            }
            // A number that nobody has a name for: a group of the same number.
            None => own_group.unwrap_or(uid),
        };
        if uid == 0 || gid == 0 {
            return Err(PrivilegesError::Root(user.to_owned()));
        }
        Ok(Self { name: user.to_owned(), uid, gid })
    }
}

/// Becomes this user for good, with `state` as its own directory. `low_ports`: keeps the right to open
/// ports below 1024. Tells whether anything was given up: a process that is this user already is left as it is.
///
/// # Errors
/// If the process is neither root nor that user, the directory belongs to somebody else, or the kernel
/// refuses. The process must then end: it may have given up a part only.
pub fn become_user(user: &User, state: &Path, low_ports: bool) -> Result<bool, PrivilegesError> {
    if geteuid().as_raw() == user.uid {
        no_way_back()?;
        return Ok(false);
    }
    if !geteuid().is_root() {
        return Err(PrivilegesError::NotRoot { wanted: user.name.clone(), is: geteuid().as_raw() });
    }
    hand_over(state, user)?;
    let kernel = |what: &'static str| {
        move |error: rustix::io::Errno| PrivilegesError::Kernel { what, error: error.into() }
    };
    let kept = if low_ports { CapabilitySet::NET_BIND_SERVICE } else { CapabilitySet::empty() };
    for bit in 0..CAPABILITIES {
        // What this kernel does not know cannot be had either.
        let _ = remove_capability_from_bounding_set(CapabilitySet::from_bits_retain(1 << bit));
    }
    set_thread_groups(&[]).map_err(kernel("giving up groups"))?;
    let gid = Gid::from_raw(user.gid);
    set_thread_res_gid(gid, gid, gid).map_err(kernel("changing the group"))?;
    set_keep_capabilities(true).map_err(kernel("keeping capabilities"))?;
    let uid = Uid::from_raw(user.uid);
    set_thread_res_uid(uid, uid, uid).map_err(kernel("changing the user"))?;
    let sets =
        CapabilitySets { effective: kept, permitted: kept, inheritable: CapabilitySet::empty() };
    set_capabilities(None, sets).map_err(kernel("giving up capabilities"))?;
    clear_ambient_capability_set().map_err(kernel("giving up ambient capabilities"))?;
    set_keep_capabilities(false).map_err(kernel("keeping no more capabilities"))?;
    no_way_back()?;
    if geteuid().as_raw() != user.uid || getegid().as_raw() != user.gid {
        return Err(PrivilegesError::StillAnother(user.name.clone()));
    }
    Ok(true)
}

/// No program that is started from here has more rights than this process (setuid bits count no more).
fn no_way_back() -> Result<(), PrivilegesError> {
    set_no_new_privs(true).map_err(|error| PrivilegesError::Kernel {
        what: "forbidding new privileges",
        error: error.into(),
    })
}

/// The state directory with all in it, if it is root's: made, or left by a start as root. Once it is the
/// user's, what else lies in it is not touched: it may be a link that the user put there to be given more.
fn hand_over(state: &Path, user: &User) -> Result<(), PrivilegesError> {
    let problem = |path: &Path| {
        let path = path.to_owned();
        move |error| PrivilegesError::HandOver { path, error }
    };
    if !state.exists() {
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(state)
            .map_err(problem(state))?;
    }
    let owner = std::fs::metadata(state).map_err(problem(state))?.uid();
    if owner == user.uid {
        return Ok(());
    }
    if owner != 0 {
        let (path, name) = (state.to_owned(), user.name.clone());
        return Err(PrivilegesError::OthersState { path, owner, name });
    }
    let mut waiting = vec![state.to_owned()];
    let mut left = HANDED_OVER_MAX;
    while let Some(path) = waiting.pop() {
        left = left.checked_sub(1).ok_or_else(|| PrivilegesError::Large(state.to_owned()))?;
        let found = std::fs::symlink_metadata(&path).map_err(problem(&path))?;
        if found.is_dir() {
            for entry in std::fs::read_dir(&path).map_err(problem(&path))? {
                waiting.push(entry.map_err(problem(&path))?.path());
            }
        }
        // A file with a second name may be anybody's elsewhere.
        if found.uid() == 0 && (found.is_dir() || found.nlink() == 1) {
            lchown(&path, Some(user.uid), Some(user.gid)).map_err(problem(&path))?;
        }
    }
    Ok(())
}

fn read_table(path: &str) -> Result<String, PrivilegesError> {
    std::fs::read_to_string(path)
        .map_err(|error| PrivilegesError::HandOver { path: path.into(), error })
}

/// Why root was not given up.
#[derive(Debug, thiserror::Error)]
pub enum PrivilegesError {
    /// An unknown name.
    #[error(
        "[node] user: there is no user `{0}` in /etc/passwd: make it \
         (`useradd --system --no-create-home {0}`), or write its number"
    )]
    NoUser(String),
    /// An unknown group.
    #[error("[node] group: there is no group `{0}` in /etc/group: make it, or write its number")]
    NoGroup(String),
    /// Root, by name or number, or its group.
    #[error("[node] user: `{0}` is root or of root's group: name an unprivileged user and group")]
    Root(String),
    /// Neither root nor the user.
    #[error(
        "[node] user: only root can become `{wanted}`, and this is user {is}: start as root, or as \
         `{wanted}` (`User=` of a systemd unit)"
    )]
    NotRoot {
        /// The configured one.
        wanted: String,
        /// The number of the one that the process is.
        is: u32,
    },
    /// Somebody else's directory.
    #[error(
        "[node] state: {path} belongs to user {owner}, not to `{name}`: `chown -R {name} {path}` if \
         nobody else uses it", path = path.display()
    )]
    OthersState {
        /// The directory.
        path: PathBuf,
        /// The number of its owner.
        owner: u32,
        /// The configured user.
        name: String,
    },
    /// A file or directory that cannot be read, made or given away.
    #[error("cannot hand {path} over to the user", path = path.display())]
    HandOver {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        error: io::Error,
    },
    /// More files than any state directory has.
    #[error("[node] state: {path} has more than {HANDED_OVER_MAX} files: is it the right one?", path = .0.display())]
    Large(PathBuf),
    /// The kernel refuses.
    #[error("cannot give up root: {what}")]
    Kernel {
        /// What was tried.
        what: &'static str,
        /// Why.
        #[source]
        error: io::Error,
    },
    /// The kernel said yes and did not.
    #[error("the process is not `{0}`, although it should be by now")]
    StillAnother(String),
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWD: &str = "root:x:0:0:root:/root:/bin/sh\nbroken\nwalrus:x:990:991::/:/x\n\
                          toor:x:0:0::/:/x\nwheel:x:5:0::/:/x\n";
    const GROUPS: &str = "root:x:0:\nwalrus:x:991:\nadm:x:4:syslog\nbroken\n";

    #[test]
    fn users_are_found_by_name_and_number() {
        let find = |user, group| User::find_in(user, group, PASSWD, GROUPS);
        for (user, group, uid, gid) in [
            ("walrus", None, 990, 991),
            ("990", None, 990, 991),
            ("walrus", Some("adm"), 990, 4),
            ("walrus", Some("77"), 990, 77),
            ("65534", None, 65534, 65534),
        ] {
            let found = find(user, group).unwrap();
            assert_eq!((found.uid, found.gid), (uid, gid), "{user} {group:?}");
        }
        for (user, group, wanted) in [
            ("nobody-here", None, "there is no user `nobody-here`"),
            ("-1", None, "there is no user"),
            ("broken", None, "there is no user"),
            ("walrus", Some("no-group"), "there is no group `no-group`"),
            ("root", None, "is root"),
            ("0", None, "is root"),
            ("toor", None, "is root"),
            ("wheel", None, "is root"),
            ("walrus", Some("root"), "root's group"),
        ] {
            let error = find(user, group).unwrap_err().to_string();
            assert!(error.contains(wanted), "{user} {group:?}: {error}");
        }
    }
}

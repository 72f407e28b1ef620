//! Gives root up: an unprivileged user from the start, with the right to open low ports if those are
//! configured, and nothing else.
//!
//! Kernel credentials belong to threads. All of this is to be done before a second one starts, which
//! then has what the first was left with.

mod hand_over;

use std::io;
use std::path::{Path, PathBuf};

use rustix::process::{getegid, geteuid, getgroups};
use rustix::thread::{
    CapabilitySet, CapabilitySets, capabilities, clear_ambient_capability_set,
    remove_capability_from_bounding_set, set_capabilities, set_keep_capabilities, set_no_new_privs,
    set_thread_groups, set_thread_res_gid, set_thread_res_uid,
};
use rustix::{fs::Gid, fs::Uid};

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

/// What a process has after [`become_user`] that it has not given up.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Kept {
    /// The right to open ports below 1024.
    pub low_ports: bool,
    /// What it was started with and cannot give up by itself, a few words each. Only who was that user
    /// from its start has any.
    pub beyond: Vec<String>,
}

/// What is given to the user, and what is not.
#[derive(Clone, Copy, Debug)]
pub struct Belongings<'a> {
    /// Its own directory.
    pub state: &'a Path,
    /// The configuration, a file or folder, which stays root's.
    pub configuration: &'a Path,
    /// Whether it keeps the right to open ports below 1024.
    pub low_ports: bool,
}

/// Becomes this user for good. Who is that user already gives up what it has beyond.
///
/// # Errors
/// If the process is neither root nor that user, the directory belongs to somebody else or is none to be
/// given away, or the kernel refuses. The process must then end: it may have given up a part only.
pub fn become_user(user: &User, belongings: Belongings<'_>) -> Result<Kept, PrivilegesError> {
    let wanted =
        if belongings.low_ports { CapabilitySet::NET_BIND_SERVICE } else { CapabilitySet::empty() };
    if geteuid().as_raw() == user.uid {
        return keep_no_more(user, wanted);
    }
    if !geteuid().is_root() {
        return Err(PrivilegesError::NotRoot { wanted: user.name.clone(), is: geteuid().as_raw() });
    }
    hand_over::hand_over(belongings.state, belongings.configuration, user)?;
    empty_the_bounding_set();
    set_thread_groups(&[]).map_err(kernel("giving up groups"))?;
    let gid = Gid::from_raw(user.gid);
    set_thread_res_gid(gid, gid, gid).map_err(kernel("changing the group"))?;
    set_keep_capabilities(true).map_err(kernel("keeping capabilities"))?;
    let uid = Uid::from_raw(user.uid);
    set_thread_res_uid(uid, uid, uid).map_err(kernel("changing the user"))?;
    keep_only(wanted)?;
    set_keep_capabilities(false).map_err(kernel("keeping no more capabilities"))?;
    no_way_back()?;
    if geteuid().as_raw() != user.uid || getegid().as_raw() != user.gid {
        return Err(PrivilegesError::StillAnother(user.name.clone()));
    }
    Ok(Kept { low_ports: belongings.low_ports, beyond: Vec::new() })
}

/// For who is that user already, as started by a service manager or in a container: capabilities go, and
/// groups that cannot are told of.
fn keep_no_more(user: &User, wanted: CapabilitySet) -> Result<Kept, PrivilegesError> {
    empty_the_bounding_set();
    // A real or saved user of another number would be a way back.
    let uid = Uid::from_raw(user.uid);
    set_thread_res_uid(uid, uid, uid).map_err(kernel("changing the user"))?;
    let has = capabilities(None).map_err(kernel("asking for capabilities"))?.permitted & wanted;
    let may_change_groups = set_thread_groups(&[]).is_ok();
    let gid = Gid::from_raw(user.gid);
    let has_group = set_thread_res_gid(gid, gid, gid).is_ok();
    keep_only(has)?;
    no_way_back()?;
    let mut beyond = Vec::new();
    if !has_group {
        beyond.push(format!("group {} in place of {}", getegid().as_raw(), user.gid));
    }
    if !may_change_groups {
        let groups = getgroups().map_err(kernel("asking for groups"))?;
        let others = groups.iter().map(|group| group.as_raw()).filter(|group| *group != user.gid);
        let others: Vec<String> = others.map(|group| group.to_string()).collect();
        if !others.is_empty() {
            beyond.push(format!("the groups {}", others.join(", ")));
        }
    }
    Ok(Kept { low_ports: has.contains(CapabilitySet::NET_BIND_SERVICE), beyond })
}

fn empty_the_bounding_set() {
    for bit in 0..CAPABILITIES {
        // What this kernel does not know cannot be had either.
        let _ = remove_capability_from_bounding_set(CapabilitySet::from_bits_retain(1 << bit));
    }
}

fn keep_only(kept: CapabilitySet) -> Result<(), PrivilegesError> {
    let sets =
        CapabilitySets { effective: kept, permitted: kept, inheritable: CapabilitySet::empty() };
    set_capabilities(None, sets).map_err(kernel("giving up capabilities"))?;
    clear_ambient_capability_set().map_err(kernel("giving up ambient capabilities"))
}

fn kernel(what: &'static str) -> impl Fn(rustix::io::Errno) -> PrivilegesError {
    move |error| PrivilegesError::Kernel { what, error: error.into() }
}

/// No program that is started from here has more rights than this process (setuid bits count no more).
fn no_way_back() -> Result<(), PrivilegesError> {
    set_no_new_privs(true).map_err(kernel("forbidding new privileges"))
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
    /// More files than any state directory has, or too deep within each other.
    #[error(
        "[node] state: {path} has more than {files_max} files, or many directories within each \
         other: is it the right one?", path = path.display()
    )]
    Large {
        /// The directory.
        path: PathBuf,
        /// How many may be.
        files_max: usize,
    },
    /// A directory that should stay root's.
    #[error(
        "[node] state: {path} is not handed over, since {why}: name a directory that only Walrus uses \
         (/var/lib/walrus), or give it away yourself (`chown -R`)", path = path.display()
    )]
    NotOurs {
        /// The directory.
        path: PathBuf,
        /// What speaks against it.
        why: String,
    },
    /// A file that has another name, perhaps elsewhere.
    #[error(
        "[node] state: {path} has a second name (a hard link), where it may be somebody else's: \
         remove that one, or put a copy in its place (`cp -p` to another name, then `mv`)",
        path = path.display()
    )]
    SecondName {
        /// The file.
        path: PathBuf,
    },
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

    /// Credentials belong to threads, so that one can give up what the others keep.
    #[test]
    fn who_is_that_user_already_keeps_nothing_that_it_could_give_up() {
        if !geteuid().is_root() {
            println!("skipped: only root has something to give up");
            return;
        }
        let user = User { name: "nobody".to_owned(), uid: 65_534, gid: 65_534 };
        let belongings = |low_ports| {
            let state = Path::new("/nonexistent/state");
            Belongings { state, configuration: Path::new("/nonexistent"), low_ports }
        };
        let bind = CapabilitySet::NET_BIND_SERVICE;
        // With the right to change groups they are changed.
        let much = bind | CapabilitySet::SYS_ADMIN | CapabilitySet::SETGID | CapabilitySet::SETPCAP;
        let permitted = capabilities(None).unwrap().permitted;
        if !permitted.contains(much | CapabilitySet::SETUID) {
            println!("skipped: this root lacks capabilities, as in a container");
            return;
        }
        let started_with = |sets: CapabilitySet, low_ports| {
            let user = user.clone();
            let started = move || {
                set_thread_groups(&[Gid::from_raw(27)]).unwrap();
                set_keep_capabilities(true).unwrap();
                let uid = Uid::from_raw(user.uid);
                set_thread_res_gid(Gid::ROOT, Gid::ROOT, Gid::ROOT).unwrap();
                set_thread_res_uid(uid, uid, uid).unwrap();
                let all = CapabilitySets { effective: sets, permitted: sets, inheritable: sets };
                set_capabilities(None, all).unwrap();
                let kept = become_user(&user, belongings(low_ports)).unwrap();
                (kept, capabilities(None).unwrap(), getgroups().unwrap(), getegid().as_raw())
            };
            std::thread::spawn(started).join().unwrap()
        };
        let (kept, has, groups, group) = started_with(much, true);
        assert_eq!(kept, Kept { low_ports: true, beyond: Vec::new() });
        assert_eq!((has.permitted, has.effective), (bind, bind));
        assert_eq!((has.inheritable, groups, group), (CapabilitySet::empty(), vec![], user.gid));
        // Without it they are told of.
        let (kept, has, ..) = started_with(bind | CapabilitySet::SYS_ADMIN, false);
        assert_eq!(has.permitted, CapabilitySet::empty());
        let beyond = ["group 0 in place of 65534", "the groups 27"].map(str::to_owned).to_vec();
        assert_eq!(kept, Kept { low_ports: false, beyond });
    }
}

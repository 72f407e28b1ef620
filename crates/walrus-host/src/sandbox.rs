//! A sandbox for a process that only answers: files and TCP ports by Landlock, system calls by seccomp.
//!
//! It is put up before a second thread starts and holds for all threads until the end. What is allowed is a list of
//! what the configuration names, so whoever takes the process over through a packet finds no other file, no
//! other TCP peer and no program to start. Kernels differ in what they can enforce: what is missing is told.

mod calls;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use landlock::{
    ABI, Access as _, AccessFs, AccessNet, BitFlags, CompatLevel, Compatible as _, LandlockStatus,
    NetPort, Ruleset, RulesetAttr as _, RulesetCreatedAttr as _, RulesetError, RulesetStatus,
    Scope, path_beneath_rules,
};

/// Newer kernels enforce more only where it is asked for, and what is asked for must be known to be harmless.
const NEWEST: ABI = ABI::V6;

/// What the C library's resolver, the runtime and the program itself look at on every machine.
const SYSTEM: [&str; 18] = [
    "/dev/null",
    "/dev/urandom",
    "/etc/gai.conf",
    "/etc/host.conf",
    "/etc/hosts",
    "/etc/ld.so.cache",
    "/etc/localtime",
    "/etc/nsswitch.conf",
    "/etc/resolv.conf",
    "/etc/services",
    "/lib",
    "/proc/self",
    "/proc/sys/kernel/hostname",
    "/run/systemd/resolve",
    "/sys/devices/system/cpu",
    "/sys/fs/cgroup",
    "/usr/lib",
    "/usr/share/zoneinfo",
];

/// What a sandboxed process may still do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Allowed {
    /// Files, and directories with all below them, that may be read.
    pub read: BTreeSet<PathBuf>,
    /// Directories in which anything may be read, written, made and removed.
    pub write: BTreeSet<PathBuf>,
    /// TCP ports that may be listened at.
    pub bind: BTreeSet<u16>,
    /// TCP ports that may be connected to; `None`: all.
    pub connect: Option<BTreeSet<u16>>,
}

impl Allowed {
    /// What this one does not allow of another, a sentence each: what a reload must not want.
    #[must_use]
    pub fn lacks(&self, other: &Self) -> Vec<String> {
        let within =
            |path: &Path, all: &BTreeSet<PathBuf>| all.iter().any(|it| path.starts_with(it));
        let mut lacking = Vec::new();
        for path in &other.read {
            if !within(path, &self.read) && !within(path, &self.write) {
                lacking.push(format!("{} may not be read", path.display()));
            }
        }
        for path in &other.write {
            if !within(path, &self.write) {
                lacking.push(format!("{} may not be written", path.display()));
            }
        }
        for port in other.bind.difference(&self.bind) {
            lacking.push(format!("TCP port {port} may not be listened at"));
        }
        match (&self.connect, &other.connect) {
            (Some(own), Some(other)) => {
                for port in other.difference(own) {
                    lacking.push(format!("TCP port {port} may not be connected to"));
                }
            }
            (Some(_), None) => lacking.push("only some TCP ports may be connected to".to_owned()),
            (None, _) => {}
        }
        lacking
    }
}

/// What is enforced, in words: for the log and `status`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Enforced {
    /// What is, a few words each.
    pub by: Vec<String>,
    /// What is not and should be, a sentence each.
    pub lacking: Vec<String>,
}

/// Puts the sandbox up around this thread and all that it starts. There is no way out of it.
#[must_use]
pub fn enter(allowed: &Allowed) -> Enforced {
    let mut enforced = Enforced::default();
    match landlock(allowed) {
        Ok((status, abi)) => {
            let port_note = if abi >= 4 { " and TCP ports" } else { "" };
            match status {
                RulesetStatus::FullyEnforced => {
                    enforced.by.push(format!("files{port_note}: Landlock (version {abi})"));
                }
                RulesetStatus::PartiallyEnforced => {
                    enforced.by.push(format!("files{port_note}: Landlock (version {abi})"));
                    enforced.lacking.push(format!(
                        "this kernel's Landlock (version {abi}) knows a part of what is wanted: \
                         version {} knows all",
                        NEWEST as i32
                    ));
                }
                RulesetStatus::NotEnforced => enforced.lacking.push(
                    "this kernel has no Landlock: files and TCP ports are not restricted"
                        .to_owned(),
                ),
            }
        }
        Err(error) => enforced.lacking.push(format!("Landlock: {error}")),
    }
    match calls::forbid() {
        Ok(count) => enforced.by.push(format!("{count} system calls: seccomp")),
        Err(error) => enforced.lacking.push(format!("seccomp: {error}")),
    }
    enforced
}

fn landlock(allowed: &Allowed) -> Result<(RulesetStatus, i32), RulesetError> {
    let read = AccessFs::ReadFile | AccessFs::ReadDir;
    // No devices, sockets or pipes, and nothing to execute.
    let write: BitFlags<AccessFs> = read
        | AccessFs::WriteFile
        | AccessFs::Truncate
        | AccessFs::RemoveFile
        | AccessFs::RemoveDir
        | AccessFs::MakeReg
        | AccessFs::MakeDir
        | AccessFs::Refer;
    let mut network: BitFlags<AccessNet> = AccessNet::BindTcp.into();
    if allowed.connect.is_some() {
        network |= AccessNet::ConnectTcp;
    }
    let port =
        |access: AccessNet| move |port: &u16| Ok::<_, RulesetError>(NetPort::new(*port, access));
    let connect = allowed.connect.iter().flatten();
    let status = Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_all(NEWEST))?
        .handle_access(network)?
        .scope(Scope::from_all(NEWEST))?
        .create()?
        .add_rules(path_beneath_rules(SYSTEM, read))?
        .add_rules(path_beneath_rules(["/dev/null"], read | AccessFs::WriteFile))?
        .add_rules(path_beneath_rules(&allowed.read, read))?
        .add_rules(path_beneath_rules(&allowed.write, write))?
        .add_rules(allowed.bind.iter().map(port(AccessNet::BindTcp)))?
        .add_rules(connect.map(port(AccessNet::ConnectTcp)))?
        .restrict_self()?;
    let abi = match status.landlock {
        LandlockStatus::Available { effective_abi, .. } => effective_abi as i32,
        _ => 0,
    };
    Ok((status.ruleset, abi))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowed() -> Allowed {
        Allowed {
            read: [PathBuf::from("/etc/walrus")].into(),
            write: [PathBuf::from("/var/lib/walrus")].into(),
            bind: [53, 8053].into(),
            connect: Some([4222].into()),
        }
    }

    #[test]
    fn a_reload_may_want_what_is_allowed_and_nothing_else() {
        let same = allowed();
        assert_eq!(same.lacks(&allowed()), Vec::<String>::new());
        let below = Allowed {
            read: ["/etc/walrus/zones/a.zone", "/var/lib/walrus/x"].map(PathBuf::from).into(),
            connect: Some(BTreeSet::new()),
            ..allowed()
        };
        assert_eq!(same.lacks(&below), Vec::<String>::new());
        let other = Allowed {
            read: [PathBuf::from("/etc/walrus2/a.zone")].into(),
            write: [PathBuf::from("/var/log")].into(),
            bind: [53, 5353].into(),
            connect: None,
        };
        assert_eq!(
            same.lacks(&other),
            [
                "/etc/walrus2/a.zone may not be read",
                "/var/log may not be written",
                "TCP port 5353 may not be listened at",
                "only some TCP ports may be connected to",
            ]
        );
        let everywhere = Allowed { connect: None, ..allowed() };
        assert_eq!(everywhere.lacks(&allowed()), Vec::<String>::new());
    }

    /// In a thread of its own, which takes its sandbox with it.
    #[test]
    fn what_is_not_allowed_cannot_be_done() {
        let folder = tempfile::tempdir().unwrap();
        let inside = folder.path().join("state");
        std::fs::create_dir(&inside).unwrap();
        let outside = folder.path().join("secret");
        std::fs::write(&outside, "x").unwrap();
        let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = taken.local_addr().unwrap().port();
        let found = std::thread::spawn(move || {
            let allowed = Allowed {
                write: [inside.clone()].into(),
                connect: Some(BTreeSet::new()),
                ..Allowed::default()
            };
            let enforced = enter(&allowed);
            std::fs::write(inside.join("a"), "b").unwrap();
            std::fs::rename(inside.join("a"), inside.join("c")).unwrap();
            assert_eq!(std::fs::read(inside.join("c")).unwrap(), b"b");
            let threads = std::thread::spawn(|| 7).join().unwrap();
            assert_eq!(threads, 7, "threads still start");
            let denied = |result: std::io::Result<()>| {
                result.is_err_and(|error| error.kind() == std::io::ErrorKind::PermissionDenied)
            };
            let address = std::net::SocketAddr::from(([127, 0, 0, 1], port));
            let attempts = [
                ("read", denied(std::fs::read(&outside).map(|_| ()))),
                ("write", denied(std::fs::write(outside.with_extension("new"), "x"))),
                ("connect", denied(std::net::TcpStream::connect(address).map(|_| ()))),
                ("exec", denied(std::process::Command::new("/bin/true").status().map(|_| ()))),
            ];
            (enforced, attempts)
        });
        let (enforced, attempts) = found.join().unwrap();
        // Each kernel enforces what it says that it does.
        let files = enforced.by.iter().any(|by| by.starts_with("files"));
        let ports = enforced.by.iter().any(|by| by.contains("TCP ports"));
        let calls = enforced.by.iter().any(|by| by.contains("seccomp"));
        let expected =
            [("read", files), ("write", files), ("connect", ports), ("exec", files || calls)];
        assert_eq!(attempts, expected, "{enforced:?}");
    }
}

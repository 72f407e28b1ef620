//! A network namespace without a name: it is there as long as its file is open or a process is in it.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;

/// One namespace.
#[derive(Debug)]
pub(crate) struct Namespace(File);

impl Namespace {
    /// A new one, empty.
    ///
    /// # Errors
    /// If this process may not make any.
    pub(crate) fn new() -> io::Result<Self> {
        // A thread of its own goes there, so that this one stays where it is.
        let made = std::thread::spawn(|| {
            // SAFETY: unshare takes a flag and no memory; it moves this thread alone.
            if unsafe { libc::unshare(libc::CLONE_NEWNET) } != 0 {
                return Err(io::Error::last_os_error());
            }
            File::open("/proc/thread-self/ns/net").map(Self)
        });
        made.join().unwrap_or_else(|_| Err(io::Error::other("the thread broke")))
    }

    /// This thread goes there for good.
    ///
    /// # Errors
    /// If it may not.
    pub(crate) fn enter(&self) -> io::Result<()> {
        enter(self.0.as_raw_fd())
    }

    /// The same place, for another thread to go to.
    ///
    /// # Errors
    /// If this process has too many files open.
    pub(crate) fn again(&self) -> io::Result<Self> {
        self.0.try_clone().map(Self)
    }

    /// A program that runs there and dies with the thread that starts it.
    pub(crate) fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        let place = self.0.as_raw_fd();
        let prepare = move || {
            enter(place)?;
            // SAFETY: prctl with PR_SET_PDEATHSIG takes a signal's number and no memory.
            if unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) } != 0 {
                return Err(io::Error::last_os_error());
            }
            Ok(())
        };
        // SAFETY: between fork and exec only two system calls are made; nothing is allocated, and no lock
        // is taken. The descriptor is open until after the exec: `self` is borrowed by whoever spawns.
        unsafe { command.pre_exec(prepare) };
        command
    }
}

fn enter(place: i32) -> io::Result<()> {
    // SAFETY: setns takes an open descriptor and a flag.
    if unsafe { libc::setns(place, libc::CLONE_NEWNET) } != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

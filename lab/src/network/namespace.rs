//! A network namespace without a name: it is there as long as its file is open or a process is in it. A machine has
//! a namespace of mounts besides: what is written to its /etc, /var, /run and /root is its own, and gone with it.

use std::ffi::CStr;
use std::fs::File;
use std::io;
use std::net::{Ipv4Addr, TcpListener, UdpSocket};
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;

/// Descriptors that nobody uses here.
const ABOVE_ALL: i32 = 500;

/// One namespace.
#[derive(Debug)]
pub(crate) struct Namespace {
    network: File,
    mounts: Option<File>,
}

/// Held open while programs that serve them come and go.
#[derive(Debug)]
pub(crate) struct Sockets {
    udp: OwnedFd,
    tcp: OwnedFd,
}

impl Sockets {
    /// The program finds them as those of a service manager, if it sets LISTEN_PID and LISTEN_FDS to 2.
    pub(crate) fn give_to(&self, command: &mut Command) {
        let (udp, tcp) = (self.udp.as_raw_fd(), self.tcp.as_raw_fd());
        let prepare = move || {
            // SAFETY: fcntl and dup2 take numbers. Both are copied before either is put where it belongs, so
            // that neither is closed that is still wanted.
            let done = unsafe {
                let udp = libc::fcntl(udp, libc::F_DUPFD_CLOEXEC, ABOVE_ALL);
                let tcp = libc::fcntl(tcp, libc::F_DUPFD_CLOEXEC, ABOVE_ALL);
                udp >= 0 && tcp >= 0 && libc::dup2(udp, 3) == 3 && libc::dup2(tcp, 4) == 4
            };
            if done { Ok(()) } else { Err(io::Error::last_os_error()) }
        };
        // SAFETY: between fork and exec only four system calls are made; nothing is allocated, and no lock is taken.
        // The descriptors are open until after the exec: `self` outlives whatever is started with it.
        unsafe { command.pre_exec(prepare) };
    }
}

impl Namespace {
    /// A new one, empty.
    ///
    /// # Errors
    /// If this process may not make any.
    pub(crate) fn new() -> io::Result<Self> {
        on_a_thread(|| {
            unshare(libc::CLONE_NEWNET)?;
            Ok(Self { network: File::open("/proc/thread-self/ns/net")?, mounts: None })
        })
    }

    /// A new one, with files of its own over this machine's.
    ///
    /// # Errors
    /// If this process may not make any, or the kernel knows no overlays.
    pub(crate) fn machine() -> io::Result<Self> {
        on_a_thread(|| {
            unshare(libc::CLONE_NEWNET | libc::CLONE_NEWNS)?;
            mount(c"none", c"/", c"", libc::MS_REC | libc::MS_PRIVATE, c"")?;
            mount(c"tmpfs", c"/run", c"tmpfs", 0, c"mode=755")?;
            for folder in ["/run/lab/etc", "/run/lab/etc-work", "/run/lab/var", "/run/lab/var-work"]
            {
                std::fs::create_dir_all(folder)?;
            }
            let etc = c"lowerdir=/etc,upperdir=/run/lab/etc,workdir=/run/lab/etc-work";
            mount(c"overlay", c"/etc", c"overlay", 0, etc)?;
            let var = c"lowerdir=/var,upperdir=/run/lab/var,workdir=/run/lab/var-work";
            mount(c"overlay", c"/var", c"overlay", 0, var)?;
            mount(c"tmpfs", c"/root", c"tmpfs", 0, c"mode=700")?;
            Ok(Self {
                network: File::open("/proc/thread-self/ns/net")?,
                mounts: Some(File::open("/proc/thread-self/ns/mnt")?),
            })
        })
    }

    /// This thread goes there for good.
    ///
    /// # Errors
    /// If it may not.
    pub(crate) fn enter(&self) -> io::Result<()> {
        enter(self.network.as_raw_fd(), libc::CLONE_NEWNET)
    }

    /// The same network, for another thread to go to.
    ///
    /// # Errors
    /// If this process has too many files open.
    pub(crate) fn again(&self) -> io::Result<Self> {
        Ok(Self { network: self.network.try_clone()?, mounts: None })
    }

    /// Sockets for DNS there, open in this process.
    ///
    /// # Errors
    /// If they cannot be bound.
    pub(crate) fn sockets(&self, address: Ipv4Addr) -> io::Result<Sockets> {
        let place = self.again()?;
        on_a_thread(move || {
            place.enter()?;
            let udp = UdpSocket::bind((address, 53))?;
            let tcp = TcpListener::bind((address, 53))?;
            Ok(Sockets { udp: udp.into(), tcp: tcp.into() })
        })
    }

    /// A program that runs there and dies with the thread that starts it.
    pub(crate) fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        let network = self.network.as_raw_fd();
        let mounts = self.mounts.as_ref().map(File::as_raw_fd);
        let prepare = move || {
            enter(network, libc::CLONE_NEWNET)?;
            if let Some(mounts) = mounts {
                enter(mounts, libc::CLONE_NEWNS)?;
            }
            // SAFETY: prctl with PR_SET_PDEATHSIG takes a signal's number and no memory.
            if unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) } != 0 {
                return Err(io::Error::last_os_error());
            }
            Ok(())
        };
        // SAFETY: between fork and exec only three system calls are made; nothing is allocated, and no lock
        // is taken. The descriptor is open until after the exec: `self` is borrowed by whoever spawns.
        unsafe { command.pre_exec(prepare) };
        command
    }
}

fn enter(place: i32, kind: i32) -> io::Result<()> {
    // SAFETY: setns takes an open descriptor and a flag.
    if unsafe { libc::setns(place, kind) } != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// A thread of its own goes there, so that this one stays where it is.
fn on_a_thread<T: Send>(make: impl FnOnce() -> io::Result<T> + Send) -> io::Result<T> {
    std::thread::scope(|scope| {
        scope.spawn(make).join().unwrap_or_else(|_| Err(io::Error::other("the thread broke")))
    })
}

fn unshare(kinds: i32) -> io::Result<()> {
    // SAFETY: unshare takes flags and no memory; it moves this thread alone.
    if unsafe { libc::unshare(kinds) } != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

fn mount(
    source: &CStr,
    target: &CStr,
    kind: &CStr,
    flags: libc::c_ulong,
    options: &CStr,
) -> io::Result<()> {
    let (from, to, kind) = (source.as_ptr(), target.as_ptr(), kind.as_ptr());
    // SAFETY: four texts that end with a zero and live until the call is over; they are read, not kept.
    if unsafe { libc::mount(from, to, kind, flags, options.as_ptr().cast()) } != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

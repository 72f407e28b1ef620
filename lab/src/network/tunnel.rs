//! A node's way out: a TUN device in its namespace, whose packets this process carries.

use std::fs::{File, OpenOptions};
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use anyhow::{Context as _, Result, bail};

use super::Node;

/// What the device is called in every namespace.
const DEVICE: &str = "wan";

/// Makes the device with the node's addresses, and routes everything there.
pub(super) fn open(node: &Node) -> Result<File> {
    let made = std::thread::scope(|scope| {
        scope.spawn(|| make(node)).join().unwrap_or_else(|_| bail!("the thread broke"))
    });
    let file = made.with_context(|| format!("the TUN device of node {}", node.name))?;
    ip(node, &["link", "set", "lo", "up"])?;
    for address in &node.addresses {
        ip(node, &["address", "add", &format!("{address}/32"), "dev", DEVICE])?;
    }
    ip(node, &["link", "set", DEVICE, "up"])?;
    let mut route = vec!["route", "add", "default", "dev", DEVICE];
    let source = node.addresses.first().map(ToString::to_string);
    if let Some(source) = &source {
        route.extend(["src", source]);
    }
    ip(node, &route)?;
    Ok(file)
}

fn make(node: &Node) -> Result<File> {
    node.namespace.enter()?;
    let mut options = OpenOptions::new();
    options.read(true).write(true).custom_flags(libc::O_NONBLOCK);
    let file = options.open("/dev/net/tun").context("/dev/net/tun")?;
    // SAFETY: all zeros is a valid request: a name of no letters and no flags.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (to, from) in request.ifr_name.iter_mut().zip(DEVICE.bytes()) {
        *to = from.cast_signed();
    }
    request.ifr_ifru.ifru_flags = (libc::IFF_TUN | libc::IFF_NO_PI) as i16;
    // SAFETY: TUNSETIFF reads and writes one ifreq, which lives until it returns.
    if unsafe { libc::ioctl(file.as_raw_fd(), libc::TUNSETIFF, &raw mut request) } != 0 {
        bail!(std::io::Error::last_os_error());
    }
    Ok(file)
}

fn ip(node: &Node, arguments: &[&str]) -> Result<()> {
    let program = crate::programs::find("ip")?;
    let said = node.namespace.command(Path::new(&program)).args(arguments).output()?;
    if !said.status.success() {
        let what = arguments.join(" ");
        bail!("ip {what}: {}", String::from_utf8_lossy(&said.stderr).trim());
    }
    Ok(())
}

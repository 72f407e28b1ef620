//! The simulated Internet: a network namespace for each node, and between each two of them a way with a
//! delay, jitter and loss of its own.
//!
//! Namespaces have no names and no files: they end with this process and leave nothing behind. Nothing in
//! them reaches the machine's own network.

mod fabric;
mod namespace;
mod path;
mod tunnel;

use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context as _, Result, bail};

use self::fabric::Fabric;
pub(crate) use self::namespace::{Namespace, Sockets};
pub(crate) use self::path::Path;
use self::path::Paths;

/// Nodes beyond this would cost more ways than anybody describes.
const NODES_MAX: usize = 64;

/// All nodes; packets flow as long as it is there.
pub(crate) struct Network {
    nodes: Vec<Node>,
    paths: Arc<Mutex<Paths>>,
    fabric: Option<Fabric>,
}

/// One namespace with its addresses.
pub(crate) struct Node {
    pub(crate) name: String,
    pub(crate) addresses: Vec<Ipv4Addr>,
    pub(crate) namespace: Namespace,
}

/// What this machine lacks, or does not let us do; machines with files of their own want more.
pub(crate) fn missing(with_machines: bool) -> Vec<String> {
    let mut missing = Vec::new();
    if !std::path::Path::new("/dev/net/tun").exists() {
        missing.push("there is no /dev/net/tun".to_owned());
    }
    if let Err(error) = Namespace::new() {
        missing.push(format!("network namespaces cannot be made ({error}): it needs root"));
    } else if let Some(error) = Namespace::machine().err().filter(|_| with_machines) {
        missing.push(format!("no files can be laid over this machine's ({error})"));
    }
    if let Err(error) = crate::programs::find("ip") {
        missing.push(error.to_string());
    }
    missing
}

impl Network {
    pub(crate) fn new() -> Self {
        Self { nodes: Vec::new(), paths: Arc::default(), fabric: None }
    }

    /// A node with these addresses; a machine has files of its own.
    pub(crate) fn add(
        &mut self,
        name: &str,
        addresses: &[Ipv4Addr],
        is_machine: bool,
    ) -> Result<()> {
        if self.fabric.is_some() {
            bail!("all nodes must stand before the first program is started");
        }
        if self.nodes.len() >= NODES_MAX {
            bail!("more than {NODES_MAX} nodes");
        }
        if self.nodes.iter().any(|node| node.name == name) {
            bail!("a node of the name `{name}` is already there");
        }
        let taken = |address| self.nodes.iter().any(|node| node.addresses.contains(address));
        if let Some(address) = addresses.iter().find(|address| taken(address)) {
            bail!("{address} belongs to another node");
        }
        let namespace = if is_machine { Namespace::machine() } else { Namespace::new() };
        let namespace =
            namespace.context("a namespace cannot be made: the lab needs to be run as root")?;
        let (name, addresses) = (name.to_owned(), addresses.to_vec());
        self.nodes.push(Node { name, addresses, namespace });
        Ok(())
    }

    pub(crate) fn node(&self, name: &str) -> Result<&Node> {
        let found = self.nodes.iter().find(|node| node.name == name);
        found
            .with_context(|| format!("there is no node `{name}`: add a line `node {name} ADDRESS`"))
    }

    /// Whose address that is.
    pub(crate) fn node_of(&self, address: Ipv4Addr) -> Result<&Node> {
        let found = self.nodes.iter().find(|node| node.addresses.contains(&address));
        found.with_context(|| format!("no node has {address}"))
    }

    /// What all ways are that nothing else is said of.
    pub(crate) fn set_all(&self, path: Path) {
        self.lock().set_all(path);
    }

    /// What the way from one node to another is; the way back is another one.
    pub(crate) fn set(&self, from: &str, to: &str, path: Path) -> Result<()> {
        let (from, to) = (self.place(from)?, self.place(to)?);
        self.lock().set(from, to, path);
        Ok(())
    }

    /// Whether nothing gets from one node to the other; the way back is another one.
    pub(crate) fn cut(&self, from: &str, to: &str, is_cut: bool) -> Result<()> {
        let (from, to) = (self.place(from)?, self.place(to)?);
        self.lock().cut(from, to, is_cut);
        Ok(())
    }

    /// Whether these nodes are cut off from all others, but not from each other.
    pub(crate) fn cut_off(&self, names: &[String], is_cut: bool) -> Result<()> {
        let places = names.iter().map(|name| self.place(name)).collect::<Result<Vec<_>>>()?;
        let mut paths = self.lock();
        for other in (0..self.nodes.len()).filter(|other| !places.contains(other)) {
            for place in &places {
                paths.cut(*place, other, is_cut);
                paths.cut(other, *place, is_cut);
            }
        }
        Ok(())
    }

    /// Lets packets flow, if they do not yet.
    pub(crate) fn start(&mut self, seed: u64) -> Result<()> {
        if self.fabric.is_none() {
            self.fabric = Some(Fabric::start(&self.nodes, Arc::clone(&self.paths), seed)?);
        }
        Ok(())
    }

    fn place(&self, name: &str) -> Result<usize> {
        self.node(name)?;
        Ok(self.nodes.iter().position(|node| node.name == name).unwrap_or_default())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Paths> {
        self.paths.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

//! Carries a scenario out, sentence by sentence, in real time.

mod expect;
mod machine;

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

use crate::client::Client;
use crate::interruption::sleep;
use crate::network::{self, Network};
use crate::programs::{self, Given, Ground, Process, Program, filled_in};
use crate::results::{Outcome, Step};
use crate::script::{Ending, Place, Scenario, SetUp, Statement, Which};

/// A program that ends within this did not start.
const STARTED_AFTER: Duration = Duration::from_millis(150);

/// All that stands on it.
struct Stage {
    network: Network,
    root: Option<Ipv4Addr>,
    given: BTreeMap<String, Given>,
    running: BTreeMap<(Program, String), Process>,
    /// The node that was meant last as one that a client goes to, and the address it went to.
    that: Option<(String, Ipv4Addr)>,
    /// Services of machines, by machine and unit.
    services: BTreeMap<(String, String), Process>,
    /// Where a machine's shell is.
    places: BTreeMap<String, String>,
    clients: BTreeMap<String, Client>,
    folder: tempfile::TempDir,
    begin: Instant,
    /// Since when what is counted is counted.
    mark: f64,
    /// When something was done last: what is expected within a time is expected from then on.
    deed: Instant,
    steps: Vec<Step>,
}

/// What came of it.
pub(crate) fn carry_out(name: &str, scenario: &Scenario) -> Outcome {
    let begin = Instant::now();
    let mut outcome = Outcome::new(name, scenario);
    let folder = match folder() {
        Ok(folder) => folder,
        Err(error) => return outcome.failed(format!("no folder for its files: {error}")),
    };
    let mut stage = Stage {
        network: Network::new(),
        root: None,
        given: BTreeMap::new(),
        running: BTreeMap::new(),
        that: None,
        services: BTreeMap::new(),
        places: BTreeMap::new(),
        clients: BTreeMap::new(),
        folder,
        begin,
        mark: 0.0,
        deed: begin,
        steps: Vec::new(),
    };
    for (place, statement) in &scenario.statements {
        let done = stage.take(statement).and_then(|()| stage.look_after());
        if let Err(error) = done {
            outcome = outcome.failed(format!("{place}: {error:#}"));
            break;
        }
    }
    for (name, client) in &mut stage.clients {
        client.end();
        outcome.tell_client(name, &client.asked());
    }
    outcome.steps = std::mem::take(&mut stage.steps);
    outcome.seconds = begin.elapsed().as_secs_f64();
    if !outcome.is_good() && std::env::var_os("LAB_KEEP").is_some() {
        outcome.kept = Some(stage.folder.keep());
    }
    outcome
}

/// For all files; whoever serves pages as `nobody` finds them, and cannot list the rest.
fn folder() -> std::io::Result<tempfile::TempDir> {
    let folder = tempfile::Builder::new().prefix("walrus-lab-").tempdir()?;
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o711))?;
    Ok(folder)
}

impl Stage {
    fn take(&mut self, statement: &Statement) -> Result<()> {
        match statement {
            Statement::Node(name, addresses) => self.network.add(name, addresses, false),
            Statement::Machine(name, addresses) => self.network.add(name, addresses, true),
            Statement::Paths(path) => {
                self.network.set_all(*path);
                Ok(())
            }
            Statement::PathTo(from, to, path) => self.path(from, to, *path),
            Statement::PathBetween(some, others, path) => {
                self.path(some, others, *path)?;
                self.path(others, some, *path)
            }
            Statement::Root(node) => {
                self.root = self.network.node(node)?.addresses.first().copied();
                Ok(())
            }
            Statement::Config(nodes, text) => nodes.iter().try_for_each(|node| {
                self.given(node)?.config = Some(text.clone());
                Ok(())
            }),
            Statement::Let(nodes, name, value) => nodes.iter().try_for_each(|node| {
                self.given(node)?.values.push((name.clone(), value.clone()));
                Ok(())
            }),
            Statement::Zone(node, name, text) => {
                self.given(node)?.zones.push((name.clone(), text.clone()));
                Ok(())
            }
            Statement::Sockets(node) => self.open_sockets(node),
            Statement::SetUp(set_up) => self.set_up(set_up),
            Statement::Start(which, place) => {
                let node = self.at(place)?;
                self.start(self.which(*which, &node)?, &node)
            }
            Statement::End(which, place, ending) => {
                let node = self.at(place)?;
                self.end(self.which(*which, &node)?, &node, *ending)
            }
            Statement::Restart(program, node) => {
                self.end(*program, node, Ending::Stop)?;
                self.start(*program, node)
            }
            Statement::Cut { from, to, is_cut } => self.cut(from, to.as_deref(), *is_cut),
            Statement::Client(asking) => {
                self.network.start(1)?;
                let node = self.network.node(&asking.node)?;
                let client = Client::start(asking, node, self.begin)?;
                self.clients.insert(client.name.clone(), client);
                self.did(format!("client {} asks {}", asking.client, asking.names.join(" ")));
                Ok(())
            }
            Statement::Command(node, words) => self.command(node, words),
            Statement::Write { node, file, text } => self.write(node, file, text),
            Statement::Shell { node, command, said } => self.shell(node, command, said),
            Statement::Pass(time) => sleep(*time),
            Statement::Mark => {
                self.mark = self.begin.elapsed().as_secs_f64();
                Ok(())
            }
            Statement::Expect(client, expectation) => self.expect(client, expectation),
            Statement::ExpectStatus(expectation) => self.expect_status(expectation),
            Statement::Shares { client, address, by } => self.shares(client, *address, *by),
            Statement::Losses(client) => self.losses(client),
        }
    }

    fn open_sockets(&mut self, node: &str) -> Result<()> {
        self.network.start(1)?;
        let place = self.network.node(node)?;
        let address = place.addresses.first().context("it has no address")?;
        let sockets = Arc::new(place.namespace.sockets(*address)?);
        self.given(node)?.sockets = Some(sockets);
        Ok(())
    }

    fn path(&self, from: &[String], to: &[String], path: network::Path) -> Result<()> {
        let each =
            |one: &String| to.iter().try_for_each(|other| self.network.set(one, other, path));
        from.iter().try_for_each(each)
    }

    fn given(&mut self, node: &str) -> Result<&mut Given> {
        self.network.node(node)?;
        Ok(self.given.entry(node.to_owned()).or_default())
    }

    fn start(&mut self, program: Program, node: &str) -> Result<()> {
        self.network.start(1)?;
        let key = (program, node.to_owned());
        if self.running.contains_key(&key) {
            bail!("{} runs on {node} already", program.name());
        }
        let given = self.given.get(node).cloned().unwrap_or_default();
        let folder = self.folder_of(program, node);
        let place = self.network.node(node)?;
        let process = programs::start(program, place, &given, &folder, self.root)?;
        self.running.insert(key, process);
        self.did(format!("start {} {node}", program.name()));
        sleep(STARTED_AFTER)
    }

    fn set_up(&mut self, set_up: &SetUp) -> Result<()> {
        let from = &set_up.from;
        let given = self.given(from)?.clone();
        let config = given.config.with_context(|| format!("there is no `config {from}` yet"))?;
        let folder = self.folder_of(Program::Walrus, from);
        let config = filled_in(&config, &given.values, self.network.node(from)?, &folder)?;
        let (kind, area) = (set_up.kind.clone(), set_up.area.clone());
        self.given(&set_up.node)?.set_up = Some(Ground { kind, area, config });
        Ok(())
    }

    /// Which program is meant: of web servers the one that runs there, or did.
    fn which(&self, which: Which, node: &str) -> Result<Program> {
        let Which::This(program) = which else {
            let there = |program: &Program| self.folder_of(*program, node).exists();
            let found = [Program::Nginx, Program::Apache].into_iter().find(there);
            return found.with_context(|| format!("no web server ever ran on {node}"));
        };
        Ok(program)
    }

    /// Which node is meant.
    fn at(&mut self, place: &Place) -> Result<String> {
        match place {
            Place::Node(node) => Ok(node.clone()),
            Place::That => Ok(self.that()?.0.clone()),
            Place::Of(client) => {
                let last = self.client(client)?.asked().iter().rev().find_map(|it| it.first);
                let last = last.with_context(|| format!("{client} was told of nobody yet"))?;
                let node = self.network.node_of(last)?.name.clone();
                self.that = Some((node.clone(), last));
                Ok(node)
            }
        }
    }

    fn that(&self) -> Result<&(String, Ipv4Addr)> {
        self.that.as_ref().context("which one is `that`? Write `kill web of CLIENT` before it")
    }

    fn end(&mut self, program: Program, node: &str, ending: Ending) -> Result<()> {
        let key = (program, node.to_owned());
        let missing = || format!("{} does not run on {node}", program.name());
        let verb = match ending {
            Ending::Freeze | Ending::Thaw => {
                let process = self.running.get_mut(&key).with_context(missing)?;
                process.freeze(ending == Ending::Freeze);
                if ending == Ending::Freeze { "freeze" } else { "thaw" }
            }
            Ending::Stop => {
                let begin = Instant::now();
                self.running.remove(&key).with_context(missing)?.stop();
                let took = begin.elapsed().as_secs_f64();
                self.did(format!("stop {} {node}, which takes {took:.2} s", program.name()));
                return Ok(());
            }
            Ending::Kill => {
                self.running.remove(&key).with_context(missing)?.kill();
                "kill"
            }
        };
        self.did(format!("{verb} {} {node}", program.name()));
        Ok(())
    }

    fn cut(&mut self, from: &[String], to: Option<&str>, is_cut: bool) -> Result<()> {
        let verb = if is_cut { "cut" } else { "heal" };
        match (to, from) {
            (Some(to), [from]) => self.network.cut(from, to, is_cut)?,
            _ => self.network.cut_off(from, is_cut)?,
        }
        let whom = to.map_or_else(String::new, |to| format!(" from {to}"));
        self.did(format!("{verb} {}{whom}", from.join(" ")));
        Ok(())
    }

    fn command(&mut self, node: &str, words: &[String]) -> Result<()> {
        self.walrus(node, words)?;
        self.did(format!("walrus {node} {}", words.join(" ")));
        Ok(())
    }

    /// What a command of the node's walrus says.
    fn walrus(&self, node: &str, words: &[String]) -> Result<String> {
        let token = self.folder_of(Program::Walrus, node).join("state/token");
        let place = self.network.node(node)?;
        let mut command = place.namespace.command(&Program::Walrus.path()?);
        let said = command.args(words).env("WALRUS_TOKEN_FILE", token).output()?;
        if !said.status.success() {
            let said = String::from_utf8_lossy(&said.stderr).into_owned();
            bail!("walrus {}: {}", words.join(" "), said.trim());
        }
        Ok(String::from_utf8_lossy(&said.stdout).into_owned())
    }

    fn did(&mut self, what: String) {
        self.deed = Instant::now();
        self.steps.push(Step::deed(self.begin.elapsed(), what));
    }

    /// A program that has ended by itself ends the scenario.
    fn look_after(&mut self) -> Result<()> {
        for ((program, node), process) in &mut self.running {
            if let Some(said) = process.ended() {
                bail!("{} on {node} has ended: {said}", program.name());
            }
        }
        for ((node, unit), process) in &mut self.services {
            if let Some(said) = process.ended() {
                bail!("{unit} on {node} has ended: {said}");
            }
        }
        Ok(())
    }

    fn client(&self, name: &str) -> Result<&Client> {
        self.clients.get(name).with_context(|| format!("there is no client `{name}`"))
    }

    fn folder_of(&self, program: Program, node: &str) -> PathBuf {
        Path::join(self.folder.path(), format!("{}-{node}", program.name()))
    }
}

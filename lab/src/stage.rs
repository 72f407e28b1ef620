//! Carries a scenario out, sentence by sentence, in real time.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

use crate::client::{Asked, Client};
use crate::network::Network;
use crate::programs::{self, Given, Process, Program};
use crate::results::{Outcome, Step};
use crate::script::{Ending, Expectation, Scenario, Statement};

/// Between two looks at what a client got.
const LOOK_EVERY: Duration = Duration::from_millis(5);
/// What was left must not come again for so long.
const LEFT_FOR: Duration = Duration::from_secs(2);
/// A program that ends within this did not start.
const STARTED_AFTER: Duration = Duration::from_millis(150);

/// All that stands on it.
struct Stage {
    network: Network,
    root: Option<Ipv4Addr>,
    given: BTreeMap<String, Given>,
    running: BTreeMap<(Program, String), Process>,
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
    let folder = match tempfile::tempdir() {
        Ok(folder) => folder,
        Err(error) => return outcome.failed(format!("no folder for its files: {error}")),
    };
    let mut stage = Stage {
        network: Network::new(),
        root: None,
        given: BTreeMap::new(),
        running: BTreeMap::new(),
        clients: BTreeMap::new(),
        folder,
        begin,
        mark: 0.0,
        deed: begin,
        steps: Vec::new(),
    };
    for (line, statement) in &scenario.statements {
        let done = stage.take(statement).and_then(|()| stage.look_after());
        if let Err(error) = done {
            outcome = outcome.failed(format!("line {line}: {error:#}"));
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

impl Stage {
    fn take(&mut self, statement: &Statement) -> Result<()> {
        match statement {
            Statement::Node(name, addresses) => self.network.add(name, addresses),
            Statement::Paths(path) => {
                self.network.set_all(*path);
                Ok(())
            }
            Statement::PathBetween(one, other, path) => self.network.set(one, other, *path),
            Statement::Root(node) => {
                self.root = self.network.node(node)?.addresses.first().copied();
                Ok(())
            }
            Statement::Config(nodes, text) => nodes.iter().try_for_each(|node| {
                self.given(node)?.config = Some(text.clone());
                Ok(())
            }),
            Statement::Zone(node, name, text) => {
                self.given(node)?.zones.push((name.clone(), text.clone()));
                Ok(())
            }
            Statement::Start(program, node) => self.start(*program, node),
            Statement::End(program, node, ending) => self.end(*program, node, *ending),
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
            Statement::Pass(time) => {
                std::thread::sleep(*time);
                Ok(())
            }
            Statement::Mark => {
                self.mark = self.begin.elapsed().as_secs_f64();
                Ok(())
            }
            Statement::Expect(client, expectation) => self.expect(client, expectation),
            Statement::Shares { client, address, by } => self.shares(client, *address, *by),
        }
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
        std::thread::sleep(STARTED_AFTER);
        Ok(())
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
                self.running.remove(&key).with_context(missing)?.stop();
                "stop"
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
        let token = self.folder_of(Program::Walrus, node).join("state/token");
        let place = self.network.node(node)?;
        let mut command = place.namespace.command(&Program::Walrus.path()?);
        let said = command.args(words).env("WALRUS_TOKEN_FILE", token).output()?;
        if !said.status.success() {
            let said = String::from_utf8_lossy(&said.stderr).into_owned();
            bail!("walrus {}: {}", words.join(" "), said.trim());
        }
        self.did(format!("walrus {node} {}", words.join(" ")));
        Ok(())
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
        Ok(())
    }

    fn expect(&mut self, client: &str, expectation: &Expectation) -> Result<()> {
        let (what, found, is_good) = match expectation {
            Expectation::Gets(addresses, within) => self.gets(client, addresses, *within)?,
            Expectation::Leaves(addresses, within) => self.leaves(client, addresses, *within)?,
            Expectation::AlwaysServed { but } => {
                let since = self.since_mark(client)?;
                let lost: Vec<&Asked> = since.iter().filter(|it| it.problem.is_some()).collect();
                let mut found = format!("{} of {} not served", lost.len(), since.len());
                if let Some(first) = lost.first() {
                    let problem = first.problem.as_deref().unwrap_or_default();
                    found += &format!(", the first at {:.1} s: {problem}", first.at);
                }
                let is_good = !since.is_empty() && lost.len() <= *but;
                (format!("{client} is always served"), found, is_good)
            }
            Expectation::ShareAbove(address, least) => {
                let share = share(&self.since_mark(client)?, *address);
                let found = format!("{:.1} %", share * 100.0);
                let what = format!("{client}: share of {address} above {:.0} %", least * 100.0);
                (what, found, share > *least)
            }
        };
        self.steps.push(Step::expected(self.begin.elapsed(), what, found, is_good));
        Ok(())
    }

    /// Waits for the first answer since the last deed that has one of these first.
    fn gets(
        &mut self,
        client: &str,
        addresses: &[Ipv4Addr],
        within: Duration,
    ) -> Result<(String, String, bool)> {
        let deed = self.deed.saturating_duration_since(self.begin).as_secs_f64();
        let wanted: Vec<String> = addresses.iter().map(ToString::to_string).collect();
        let what = format!("{client} gets {}", wanted.join(" or "));
        loop {
            self.look_after()?;
            let asked = self.client(client)?.asked();
            let is_it = |it: &&Asked| {
                it.at + it.took >= deed && it.first.is_some_and(|first| addresses.contains(&first))
            };
            if let Some(got) = asked.iter().find(is_it) {
                let after = got.at + got.took - deed;
                let is_good = after <= within.as_secs_f64();
                return Ok((what, format!("after {after:.2} s"), is_good));
            }
            let last = asked.last().and_then(|it| it.first);
            drop(asked);
            if self.deed.elapsed() > within {
                let last = last.map_or_else(|| "nothing".to_owned(), |it| it.to_string());
                let found = format!("not within {:.1} s; last was {last}", within.as_secs_f64());
                return Ok((what, found, false));
            }
            std::thread::sleep(LOOK_EVERY);
        }
    }

    /// Looks for so long, from the last deed on, when one of these came last.
    fn leaves(
        &mut self,
        client: &str,
        addresses: &[Ipv4Addr],
        within: Duration,
    ) -> Result<(String, String, bool)> {
        while self.deed.elapsed() < within + LEFT_FOR {
            self.look_after()?;
            std::thread::sleep(LOOK_EVERY);
        }
        let deed = self.deed.saturating_duration_since(self.begin).as_secs_f64();
        let asked = self.client(client)?.asked();
        let since: Vec<&Asked> = asked.iter().filter(|it| it.at >= deed).collect();
        let is_it = |it: &&&Asked| it.first.is_some_and(|first| addresses.contains(&first));
        let last = since.iter().rfind(is_it).map(|it| it.at - deed);
        let lost = since.iter().filter(|it| it.problem.is_some()).count();
        let wanted: Vec<String> = addresses.iter().map(ToString::to_string).collect();
        let found = match last {
            None => "at once".to_owned(),
            Some(last) => format!("last after {last:.2} s, {lost} of {} not served", since.len()),
        };
        let is_good = !since.is_empty() && last.is_none_or(|last| last <= within.as_secs_f64());
        Ok((format!("{client} leaves {}", wanted.join(" and ")), found, is_good))
    }

    fn shares(&mut self, client: &str, address: Ipv4Addr, by: usize) -> Result<()> {
        let asked = self.since_mark(client)?;
        let shares: Vec<f64> = asked.chunks(by).map(|part| share(part, address)).collect();
        let what = format!("{client}: share of {address} in each {by} answers");
        self.steps.push(Step::shares(self.begin.elapsed(), what, shares));
        Ok(())
    }

    fn client(&self, name: &str) -> Result<&Client> {
        self.clients.get(name).with_context(|| format!("there is no client `{name}`"))
    }

    fn since_mark(&self, client: &str) -> Result<Vec<Asked>> {
        let asked = self.client(client)?.asked();
        Ok(asked.iter().filter(|it| it.at >= self.mark).cloned().collect())
    }

    fn folder_of(&self, program: Program, node: &str) -> PathBuf {
        Path::join(self.folder.path(), format!("{}-{node}", program.name()))
    }
}

/// Of the answers with an address.
fn share(asked: &[Asked], address: Ipv4Addr) -> f64 {
    let answered = asked.iter().filter_map(|it| it.first);
    let (mut all, mut its) = (0_u32, 0_u32);
    for first in answered {
        all += 1;
        its += u32::from(first == address);
    }
    if all == 0 { 0.0 } else { f64::from(its) / f64::from(all) }
}

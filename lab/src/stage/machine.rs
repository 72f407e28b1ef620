//! Machines, as somebody at their shells finds them: files, commands, and services as systemd would run them.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

use super::{STARTED_AFTER, Stage};
use crate::interruption::sleep;
use crate::programs::{Process, Program};
use crate::results::Step;

/// What units run, as they are in `packaging/` and in Debian's packages.
const UNITS: [(&str, &str); 5] = [
    ("named", "mkdir -p /run/named && chown bind: /run/named && exec named -f -u bind"),
    ("nats-server", "exec nats-server -c /etc/nats-server.conf"),
    ("nginx", "exec nginx -g 'daemon off;'"),
    ("walrus", "exec walrus up /etc/walrus/walrus.toml"),
    ("walrus-reporter", "exec walrus reporter /etc/walrus/reporter.toml"),
];
/// Commands that change nothing: what they are to say may take some time to come true.
const LOOKS: [&str; 4] = ["walrus status", "walrus explain", "dig ", "curl "];
/// So long.
const COMES_TRUE_WITHIN: Duration = Duration::from_secs(60);
const LOOK_EVERY: Duration = Duration::from_millis(200);

impl Stage {
    pub(super) fn write(&mut self, node: &str, file: &str, text: &str) -> Result<()> {
        self.network.start(1)?;
        let folder = Path::new(file).parent().unwrap_or(Path::new("/")).display();
        self.fed(node, &format!("mkdir -p {folder} && cat > {file}"), text.as_bytes())?;
        self.did(format!("{node}: {file} is written"));
        Ok(())
    }

    /// Carries a command out and compares what it says.
    pub(super) fn shell(&mut self, node: &str, command: &str, said: &[String]) -> Result<()> {
        self.network.start(1)?;
        let words: Vec<&str> = command.split_whitespace().collect();
        match words[..] {
            ["cd", place] => {
                self.places.insert(node.to_owned(), place.to_owned());
                return Ok(());
            }
            ["scp", ref files @ .., to] => self.copy(node, files, to)?,
            ["systemctl", ref rest @ ..] => self.service(node, rest)?,
            _ => return self.compared(node, command, said),
        }
        self.did(format!("{node}$ {command}"));
        Ok(())
    }

    fn compared(&mut self, node: &str, command: &str, expected: &[String]) -> Result<()> {
        let is_look = LOOKS.iter().any(|look| command.starts_with(look));
        let begin = Instant::now();
        loop {
            self.look_after()?;
            let output = self.in_shell(node, command)?.stdin(Stdio::null()).output()?;
            let said = String::from_utf8_lossy(&output.stdout).into_owned()
                + &String::from_utf8_lossy(&output.stderr);
            let lines: Vec<&str> = said.lines().collect();
            let is_good =
                output.status.success() && (expected.is_empty() || fits(expected, &lines));
            let is_over = !is_look || begin.elapsed() > COMES_TRUE_WITHIN;
            if is_good || is_over {
                let found = if is_good {
                    format!("after {:.2} s", begin.elapsed().as_secs_f64())
                } else {
                    format!("{}, and says\n{said}", output.status)
                };
                let what = format!("{node}$ {command}");
                self.steps.push(Step::expected(self.begin.elapsed(), what, found, is_good));
                if !is_good {
                    bail!("the page says something else");
                }
                return Ok(());
            }
            sleep(LOOK_EVERY)?;
        }
    }

    /// `scp FILES root@ADDRESS:FOLDER`
    fn copy(&mut self, node: &str, files: &[&str], to: &str) -> Result<()> {
        let there = to.strip_prefix("root@").and_then(|to| to.split_once(':'));
        let (address, folder) = there.context("write `scp FILES root@ADDRESS:FOLDER`")?;
        let packed = self
            .in_shell(node, &format!("tar -c --transform s,.*/,, {}", files.join(" ")))?
            .output()?;
        if !packed.status.success() {
            bail!("{}", String::from_utf8_lossy(&packed.stderr).trim());
        }
        let there = self.network.node_of(address.parse()?)?.name.clone();
        self.fed(&there, &format!("tar -x -C {folder}"), &packed.stdout)
    }

    fn service(&mut self, node: &str, words: &[&str]) -> Result<()> {
        let (verb, unit) = match words {
            ["enable", "--now", unit] => ("start", *unit),
            ["kill", "--signal=KILL", unit] => ("kill", *unit),
            [verb @ ("start" | "stop" | "restart"), unit] => (*verb, *unit),
            _ => bail!(
                "systemctl is known to start, stop, restart, `enable --now`, `kill --signal=KILL`"
            ),
        };
        let key = (node.to_owned(), unit.to_owned());
        match (verb, self.services.remove(&key)) {
            ("kill", Some(mut process)) => process.kill(),
            ("start", Some(process)) => {
                self.services.insert(key, process);
                return Ok(());
            }
            (_, Some(mut process)) => process.stop(),
            ("kill" | "stop", None) => bail!("{unit} does not run on {node}"),
            (_, None) => {}
        }
        if matches!(verb, "kill" | "stop") {
            return Ok(());
        }
        let runs = UNITS.iter().find(|(name, _)| *name == unit).map(|(_, runs)| *runs);
        let runs = runs.with_context(|| format!("no unit `{unit}` is known"))?;
        let folder = Path::join(self.folder.path(), format!("{unit}-{node}"));
        std::fs::create_dir_all(&folder)?;
        let process = Process::start(&mut self.in_shell(node, runs)?, &folder)?;
        self.services.insert(key, process);
        sleep(STARTED_AFTER)
    }

    /// Runs it with that on its standard input.
    fn fed(&self, node: &str, command: &str, input: &[u8]) -> Result<()> {
        let mut command = self.in_shell(node, command)?;
        let mut child = command.stdin(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
        // What it does not read it does not want.
        let _ = child.stdin.take().map(|mut stdin| stdin.write_all(input));
        let Output { status, stderr, .. } = child.wait_with_output()?;
        if !status.success() {
            bail!("{}", String::from_utf8_lossy(&stderr).trim());
        }
        Ok(())
    }

    /// By that machine's shell, where it is.
    fn in_shell(&self, node: &str, text: &str) -> Result<Command> {
        let walrus = Program::Walrus.path()?;
        let folder = walrus.parent().unwrap_or(Path::new("/")).display();
        let path = format!("{folder}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
        let place = self.places.get(node).map_or("/root", String::as_str);
        let mut command = self.network.node(node)?.namespace.command(Path::new("/bin/sh"));
        command.arg("-c").arg(format!("cd {place}\n{text}")).env("PATH", path).env("HOME", "/root");
        Ok(command)
    }
}

/// Whether it says that: each line, where `...` stands for any lines, or the rest of one; how long something takes and
/// what is counted is another number each time.
fn fits(expected: &[String], said: &[&str]) -> bool {
    let Some((first, rest)) = expected.split_first() else { return said.is_empty() };
    if first.trim() == "..." {
        return (0..=said.len()).any(|from| fits(rest, &said[from..]));
    }
    let Some((line, others)) = said.split_first() else { return false };
    let (page, line) = (without_numbers(first), without_numbers(line));
    let is_same = match page.split_last() {
        Some((end, begin)) if end == "..." => line.starts_with(begin),
        _ => page == line,
    };
    is_same && fits(rest, others)
}

fn without_numbers(line: &str) -> Vec<String> {
    let of = |word: &str| {
        let bare = word.trim_matches(['(', ')', '"', ',', ';']);
        let is_digest = bare.len() >= 8 && bare.chars().all(|letter| letter.is_ascii_hexdigit());
        let is_address = bare.matches('.').count() >= 3;
        match bare.starts_with(|letter: char| letter.is_ascii_digit()) && !is_address {
            _ if is_digest => "#".to_owned(),
            true => {
                let mut text = word.replace(|letter: char| letter.is_ascii_digit(), "0");
                while let Some(shorter) = text.contains("00").then(|| text.replace("00", "0")) {
                    text = shorter;
                }
                text.replace("0.0", "0")
            }
            false => word.to_owned(),
        }
    };
    line.split_whitespace().map(of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_may_differ_and_addresses_may_not() {
        let expected = |text: &str| text.lines().map(str::to_owned).collect::<Vec<_>>();
        let page = expected("node berlin, Plan 1/berlin/3, in 12.5 s\n...\nlast");
        assert!(fits(&page, &["node berlin, Plan 2/berlin/17, in 9 s", "a", "b", "last"]));
        assert!(!fits(&page, &["node oregon, Plan 2/berlin/17, in 9 s", "last"]));
        assert!(!fits(&expected("192.0.2.1"), &["192.0.2.2"]));
        assert!(fits(&expected("node a, ..."), &["node a, and more"]));
        assert!(fits(&expected("digest 3f8a01bc"), &["digest  00aa11bb"]));
        assert!(!fits(&expected("a"), &["a", "b"]));
    }
}

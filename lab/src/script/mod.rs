//! What stands in a scenario of the lab: one sentence a line, `#` begins a comment.
//!
//! ```text
//! title Clients find their area by round-trip times
//! short                               it belongs to those that `./test` runs
//! vary ttl 2s 10s 60s                 runs once with each of these for <ttl>; those that are short once, with the first
//! node eu 10.1.0.1 10.1.0.2           a namespace with these addresses
//! machine berlin 192.0.2.1            a node with files of its own in /etc, /var, /run, /root
//! area europe eu eu-web anna          these together, in `path`, `cut` and `heal`
//! paths 5ms                           what every way is that nothing else is said of, one way
//! path eu us 40ms jitter 2ms loss 1%  both ways alike; of areas between each two of both
//! root top                            where resolvers begin
//! config eu us                        what the programs of nodes go by, up to the line `end`; <node> is the node's
//!   zone = "www.gslb"                 name, <address> its first address, <folder> a folder of the program's own,
//! end                                 <lab> one that all have
//! let eu near 10.1.0.2                 eu's <near> in its `config`
//! zone top gslb.                      a zone for nsd, in the usual form
//!   ...
//! end
//! setup bind eu-ns from eu for europe what `walrus setup` writes by the config of eu is what eu-ns runs with
//! sockets eu                          its port 53 stays open, as systemd keeps it, and is given to its walrus
//! start walrus eu                     also nginx, apache, reporter, nsd, nats; the resolvers unbound, bind,
//!                                     knot-resolver, powerdns-recursor; the name servers bind-primary, knot-primary,
//!                                     powerdns-primary; again after a kill, it finds what it kept
//! stop walrus eu                      asks it to end; restart walrus eu: and starts it again
//! kill walrus eu  |  freeze walrus eu  |  thaw walrus eu
//! kill web of anna                    the web server that anna was told of last, which is `that` from here on:
//!                                     start web that
//! cut eu eu-web                       these, together, from all others; heal eu eu-web
//! cut eu from us                      what eu sends does not reach us; heal eu from us
//! client anna at eu of 127.0.0.1 asks www.gslb every 500ms [once] [and fetches]
//!                                     of that resolver; `www1..20.gslb` is twenty names in turn; `once`: what is lost
//!                                     is lost; she then gets a page from the first address
//! walrus eu drain fra1                a command of the node's walrus
//! time passes 5s
//! mark                                what is counted is counted from here
//! expect client anna gets 10.1.0.1 10.1.0.2 within 20s     one of these comes first
//! expect client anna leaves 10.1.1.1 within 5s+10s         for so long it is looked at when it came last; she must
//!                                                          have had it, and loses nothing of others
//! expect client anna is always served [but 2]               since the mark, but so many times
//! expect client anna share 10.1.0.1 above 80%               of what she got since the mark
//! expect walrus eu us say /master us within 5s              in `walrus status --json`, since the last deed
//! page docs/src/three-areas.md        what a page of the guide says, as told in lab/src/script/page.rs
//! shares client anna 10.1.0.1 by 20                         its share in each 20 answers, and after how many she
//!                                                          has it for good, told in the results
//! ```

mod page;
mod sentence;
mod words;

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow};

use crate::network::Path;
use crate::programs::Program;

/// A whole one.
#[derive(Debug)]
pub(crate) struct Scenario {
    pub(crate) title: String,
    pub(crate) is_short: bool,
    /// What `{...}` stood for, if it is one of several.
    pub(crate) variant: Option<String>,
    /// With the places where they stand.
    pub(crate) statements: Vec<(String, Statement)>,
}

/// Nodes by the name of their area.
type Areas = BTreeMap<String, Vec<String>>;

/// One sentence.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Statement {
    Node(String, Vec<Ipv4Addr>),
    /// One with files of its own.
    Machine(String, Vec<Ipv4Addr>),
    Paths(Path),
    /// Of each of these to each of those.
    PathBetween(Vec<String>, Vec<String>, Path),
    Root(String),
    Config(Vec<String>, String),
    /// What stands for `<name>` in a node's `config`.
    Let(String, String, String),
    Zone(String, String, String),
    Sockets(String),
    SetUp(SetUp),
    Start(Which, Place),
    End(Which, Place, Ending),
    Restart(Program, String),
    /// Of these, or of the one, from all others, or from that one.
    Cut {
        from: Vec<String>,
        to: Option<String>,
        is_cut: bool,
    },
    Client(Asking),
    Command(String, Vec<String>),
    /// On a machine.
    Write {
        node: String,
        file: String,
        text: String,
    },
    /// A command on a machine, and what it says.
    Shell {
        node: String,
        command: String,
        said: Vec<String>,
    },
    Pass(Duration),
    Mark,
    Expect(String, Expectation),
    ExpectStatus(StatusExpectation),
    Shares {
        client: String,
        address: Ipv4Addr,
        by: usize,
    },
}

/// A program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Which {
    This(Program),
    /// Whichever of the web servers is there.
    Web,
}

/// A node.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Place {
    Node(String),
    /// The one that this client was told of last.
    Of(String),
    /// The one that was meant last by `Of`.
    That,
}

/// Addresses.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Addresses {
    These(Vec<Ipv4Addr>),
    /// Those of the node that was meant last by [`Place::Of`].
    That,
}

/// How a program ends, or stands still.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    Stop,
    Kill,
    Freeze,
    Thaw,
}

/// What a name server that is already there goes by.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct SetUp {
    /// As `walrus setup` calls it.
    pub(crate) kind: String,
    pub(crate) node: String,
    /// The node whose `config` it is in.
    pub(crate) from: String,
    pub(crate) area: String,
}

/// What a client does.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Asking {
    pub(crate) client: String,
    pub(crate) node: String,
    pub(crate) resolver: Ipv4Addr,
    pub(crate) names: Vec<String>,
    pub(crate) every: Duration,
    /// One datagram for each question.
    pub(crate) once: bool,
    pub(crate) fetches: bool,
}

/// What a client is to have got.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Expectation {
    Gets(Addresses, Duration),
    Leaves(Addresses, Duration),
    AlwaysServed { but: usize },
    ShareAbove(Ipv4Addr, f64),
}

/// What nodes are to say of themselves.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct StatusExpectation {
    pub(crate) nodes: Vec<String>,
    /// A JSON pointer (RFC 6901) into `walrus status --json`.
    pub(crate) pointer: String,
    /// As text.
    pub(crate) value: String,
    pub(crate) within: Duration,
}

impl Scenario {
    /// The programs that it starts.
    pub(crate) fn programs(&self) -> impl Iterator<Item = Program> {
        self.statements.iter().filter_map(|(_, statement)| match statement {
            Statement::Start(Which::This(program), _) => Some(*program),
            _ => None,
        })
    }

    /// Whether some of its nodes have files of their own.
    pub(crate) fn has_machines(&self) -> bool {
        self.statements.iter().any(|(_, statement)| matches!(statement, Statement::Machine(..)))
    }

    /// The words of the commands at its machines' shells.
    pub(crate) fn command_words(&self) -> impl Iterator<Item = &str> {
        self.statements.iter().flat_map(|(_, statement)| match statement {
            Statement::Shell { command, .. } => command.split_whitespace(),
            _ => "".split_whitespace(),
        })
    }
}

/// Reads all of it, once for each value that it varies, or says what is wrong in which lines.
pub(crate) fn read(text: &str) -> Result<Vec<Scenario>> {
    let varied = text.lines().find_map(|line| line.strip_prefix("vary "));
    let Some((name, values)) = varied.and_then(|varied| varied.split_once(' ')) else {
        return Ok(vec![read_one(text, None)?]);
    };
    let of = |value: &str| {
        let text = text.replace(&format!("<{name}>"), value);
        read_one(&text, Some(format!("{name} {value}")))
    };
    values.split_whitespace().map(of).collect()
}

fn read_one(text: &str, variant: Option<String>) -> Result<Scenario> {
    let mut scenario =
        Scenario { title: String::new(), is_short: false, variant, statements: Vec::new() };
    let mut areas = Areas::new();
    let mut problems = Vec::new();
    let mut lines = text.lines().enumerate();
    while let Some((index, line)) = lines.next() {
        let sentence = line.split('#').next().unwrap_or_default().trim();
        let words: Vec<&str> = sentence.split_whitespace().collect();
        let mut block = || {
            let inside = lines.by_ref().map(|(_, line)| line).take_while(|it| it.trim() != "end");
            without_indentation(&inside.collect::<Vec<_>>())
        };
        let statement = match words[..] {
            [] | ["vary", ..] => continue,
            ["title", ..] => {
                scenario.title = sentence["title".len()..].trim().to_owned();
                continue;
            }
            ["short"] => {
                scenario.is_short = true;
                continue;
            }
            ["area", area, ref nodes @ ..] if !nodes.is_empty() => {
                areas.insert(area.to_owned(), nodes.iter().map(|it| (*it).to_owned()).collect());
                continue;
            }
            ["page", page] => {
                match page_of(page, &areas) {
                    Ok(statements) => scenario.statements.extend(statements),
                    Err(problem) => problems.push(format!("line {}: {problem:#}", index + 1)),
                }
                continue;
            }
            ["config", ref nodes @ ..] if !nodes.is_empty() => {
                let nodes = nodes.iter().map(|node| (*node).to_owned()).collect();
                Ok(Statement::Config(nodes, block()))
            }
            ["zone", node, name] => Ok(Statement::Zone(node.to_owned(), name.to_owned(), block())),
            _ => sentence::read(&words, &areas),
        };
        match statement {
            Ok(statement) => scenario.statements.push((format!("line {}", index + 1), statement)),
            Err(problem) => problems.push(format!("line {}: {problem:#}", index + 1)),
        }
    }
    if problems.is_empty() { Ok(scenario) } else { Err(anyhow!(problems.join("\n"))) }
}

/// By its path in the repository.
fn page_of(page: &str, areas: &Areas) -> Result<Vec<(String, Statement)>> {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(page);
    let text = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    let statements = page::read(&text, areas).with_context(|| page.to_owned())?;
    Ok(statements.into_iter().map(|(line, it)| (format!("{page}:{line}"), it)).collect())
}

/// In zone files a line that begins with a space belongs to the name before it.
fn without_indentation(lines: &[&str]) -> String {
    let written = lines.iter().filter(|line| !line.trim().is_empty());
    let indentation = written.map(|line| line.len() - line.trim_start().len()).min().unwrap_or(0);
    lines.iter().map(|line| format!("{}\n", line.get(indentation..).unwrap_or_default())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sentences_are_read() {
        let text = "title All of it # and more\nshort\nnode eu 10.1.0.1\narea west us us-web\npath eu west \
                    40ms jitter 2ms loss 1%\nconfig eu\n  zone = \"a\" # kept\nend\ncut eu from us\ncut \
                    west\nclient anna at eu of 127.0.0.1 asks www1..3.gslb every 500ms and fetches\nexpect \
                    client anna gets 10.1.0.1 within 2.5s\nkill web of anna\nexpect walrus eu us say \
                    /master us within 5s\n";
        let scenario = read(text).unwrap().remove(0);
        assert_eq!((scenario.title.as_str(), scenario.is_short), ("All of it", true));
        let path =
            Path { delay: Duration::from_millis(40), jitter: Duration::from_millis(2), loss: 0.01 };
        let eu = || "eu".to_owned();
        let west = || ["us", "us-web"].map(str::to_owned).to_vec();
        let address = Ipv4Addr::new(10, 1, 0, 1);
        let expected = [
            Statement::Node(eu(), vec![address]),
            Statement::PathBetween(vec![eu()], west(), path),
            Statement::Config(vec![eu()], "zone = \"a\" # kept\n".to_owned()),
            Statement::Cut { from: vec![eu()], to: Some("us".to_owned()), is_cut: true },
            Statement::Cut { from: west(), to: None, is_cut: true },
            Statement::Client(Asking {
                client: "anna".to_owned(),
                node: eu(),
                resolver: Ipv4Addr::LOCALHOST,
                names: ["www1.gslb", "www2.gslb", "www3.gslb"].map(str::to_owned).into(),
                every: Duration::from_millis(500),
                once: false,
                fetches: true,
            }),
            Statement::Expect(
                "anna".to_owned(),
                Expectation::Gets(Addresses::These(vec![address]), Duration::from_millis(2500)),
            ),
            Statement::End(Which::Web, Place::Of("anna".to_owned()), Ending::Kill),
            Statement::ExpectStatus(StatusExpectation {
                nodes: ["eu", "us"].map(str::to_owned).to_vec(),
                pointer: "/master".to_owned(),
                value: "us".to_owned(),
                within: Duration::from_secs(5),
            }),
        ];
        let statements: Vec<_> = scenario.statements.into_iter().map(|(_, it)| it).collect();
        assert_eq!(statements, expected);
    }

    #[test]
    fn what_varies_is_put_in() {
        let scenarios = read("title a\nvary ttl 2s 10s\ntime passes <ttl>\n").unwrap();
        let passed = |it: &Scenario| (it.variant.clone().unwrap(), it.statements[0].1.clone());
        let of = |ttl: &str, seconds| {
            (format!("ttl {ttl}"), Statement::Pass(Duration::from_secs(seconds)))
        };
        assert_eq!(scenarios.iter().map(passed).collect::<Vec<_>>(), [of("2s", 2), of("10s", 10)]);
    }

    #[test]
    fn all_problems_are_told_with_their_lines() {
        let text = "node eu 10.1.0.300\n\nstart ngnix eu\npaths fast\nwait\nclient a at b of c\n\
                    expect client a share 10.0.0.1 above 180%\nclient a at b of 127.0.0.1 asks \
                    www9..1.gslb every 1s\n";
        let problems = format!("{:#}", read(text).unwrap_err());
        let lines: Vec<&str> = problems.lines().map(|it| it.split(':').next().unwrap()).collect();
        assert_eq!(
            lines,
            ["line 1", "line 3", "line 4", "line 5", "line 6", "line 7", "line 8"],
            "{problems}"
        );
    }
}

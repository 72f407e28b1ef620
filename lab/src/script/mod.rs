//! What stands in a scenario of the lab: one sentence a line, `#` begins a comment.
//!
//! ```text
//! title Clients find their area by round-trip times
//! short                               it belongs to those that `./test` runs
//! vary ttl 2s 10s 60s                 runs once with each of these for <ttl>; those that are short once, with the first
//! node eu 10.1.0.1 10.1.0.2           a namespace with these addresses
//! machine berlin 192.0.2.1            a node with files of its own in /etc, /var, /run, /root
//! area europe eu eu-web anna          these together, in `path`, `cut` and `heal`, beside others said before
//! paths 5ms                           what every way is that nothing else is said of, one way
//! path eu us 40ms jitter 2ms loss 1%  both ways alike; of areas between each two of both
//! path eu to us 70ms                  one of the two ways
//! include group.part                  what stands in that file beside this one
//! root top                            where resolvers begin
//! config eu us                        what the programs of nodes go by, up to the line `end`; <node> is the node's
//!   zone = "www.gslb"                 name, <address> its first address, <folder> a folder of the program's own,
//! end                                 <lab> one that all have
//! let eu near 10.1.0.2                 eu's <near> in its `config`; let eu,us near: of both
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
//! client anna at eu of 127.0.0.1 asks www.gslb every 500ms [once] [and fetches [from any]]
//!                                     of that resolver; of 127.0.0.1,10.1.9.2: of the second if the first fails;
//!                                     `www1..20.gslb` is twenty names in turn; `once`: what is lost is lost; she then
//!                                     gets a page from the first address, or as browsers do from any of them
//! walrus eu drain fra1                a command of the node's walrus
//! time passes 5s
//! mark                                what is counted is counted from here
//! expect client anna gets 10.1.0.1 10.1.0.2 within 20s     one of these comes first
//! expect client anna leaves 10.1.1.1 within 5s+10s         for so long it is looked at when it came last; she must
//!                                                          have had it, and loses nothing of others
//! expect client anna is always served [but 2]               since the mark, but so many times
//! expect client anna share 10.1.0.1 predicted 90% less 10% after 20   of what she got since the mark, but for the first
//!                                                          20, at most 10 points less are this one; `above 80%`: all
//! expect client anna settles on 10.1.0.1 within 10          it is so many answers before nearly all are this one
//! losses client anna                                        how many since the mark, told in the results
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
    /// Of each of these to each of those, and back.
    PathBetween(Vec<String>, Vec<String>, Path),
    /// The same without the way back.
    PathTo(Vec<String>, Vec<String>, Path),
    Root(String),
    Config(Vec<String>, String),
    /// What stands for `<name>` in the `config` of these nodes.
    Let(Vec<String>, String, String),
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
    Losses(String),
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
    /// Each is asked if those before it fail.
    pub(crate) resolvers: Vec<Ipv4Addr>,
    pub(crate) names: Vec<String>,
    pub(crate) every: Duration,
    /// One datagram for each question.
    pub(crate) once: bool,
    pub(crate) fetches: Fetches,
}

/// Whether a client gets a page from where it is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fetches {
    Nothing,
    /// The first address is all that it tries.
    FromFirst,
    /// As browsers do: one after the other.
    FromAny,
}

/// What a client is to have got.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Expectation {
    Gets(Addresses, Duration),
    Leaves(Addresses, Duration),
    AlwaysServed {
        but: usize,
    },
    Share(Share),
    /// Nearly all are this address after at most so many.
    Settles(Ipv4Addr, usize),
}

/// How many of a client's answers are to be one address.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Share {
    pub(crate) address: Ipv4Addr,
    /// 0 to 1: what the simulator says, where it was asked.
    pub(crate) predicted: Option<f64>,
    /// 0 to 1.
    pub(crate) least: f64,
    /// So many do not count.
    pub(crate) after: usize,
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

/// A line and where it stands.
type Line = (String, String);

/// Reads all of it, once for each value that it varies, or says what is wrong in which lines.
pub(crate) fn read(text: &str) -> Result<Vec<Scenario>> {
    let lines = with_parts(text)?;
    let varied = lines.iter().find_map(|(_, line)| line.strip_prefix("vary "));
    let Some((name, values)) = varied.and_then(|varied| varied.split_once(' ')) else {
        return Ok(vec![read_one(&lines, None)?]);
    };
    let of = |value: &str| {
        let open = format!("<{name}>");
        let put_in = |(place, line): &Line| (place.clone(), line.replace(&open, value));
        let lines: Vec<Line> = lines.iter().map(put_in).collect();
        read_one(&lines, Some(format!("{name} {value}")))
    };
    values.split_whitespace().map(of).collect()
}

/// Its lines, with those of the files that it includes, which include no others.
fn with_parts(text: &str) -> Result<Vec<Line>> {
    let numbered = |text: &str, file: &str| -> Vec<Line> {
        let place = |number: usize| format!("{file}line {number}");
        (1..).zip(text.lines()).map(|(number, line)| (place(number), line.to_owned())).collect()
    };
    let mut all = Vec::new();
    for (place, line) in numbered(text, "") {
        let Some(name) = line.strip_prefix("include ").map(str::trim) else {
            all.push((place, line));
            continue;
        };
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios").join(name);
        let part = std::fs::read_to_string(path).with_context(|| format!("{place}: {name}"))?;
        all.extend(numbered(&part, &format!("{name}, ")));
    }
    Ok(all)
}

fn read_one(lines: &[Line], variant: Option<String>) -> Result<Scenario> {
    let mut scenario =
        Scenario { title: String::new(), is_short: false, variant, statements: Vec::new() };
    let mut areas = Areas::new();
    let mut problems = Vec::new();
    let mut lines = lines.iter();
    while let Some((place, line)) = lines.next() {
        let sentence = line.split('#').next().unwrap_or_default().trim();
        let words: Vec<&str> = sentence.split_whitespace().collect();
        let mut block = || {
            let inside = lines.by_ref().map(|(_, line)| line.as_str());
            without_indentation(&inside.take_while(|it| it.trim() != "end").collect::<Vec<_>>())
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
                let own = nodes.iter().map(|it| (*it).to_owned());
                areas.entry(area.to_owned()).or_default().extend(own);
                continue;
            }
            ["page", page] => {
                match page_of(page, &areas) {
                    Ok(statements) => scenario.statements.extend(statements),
                    Err(problem) => problems.push(format!("{place}: {problem:#}")),
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
            Ok(statement) => scenario.statements.push((place.clone(), statement)),
            Err(problem) => problems.push(format!("{place}: {problem:#}")),
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
                resolvers: vec![Ipv4Addr::LOCALHOST],
                names: ["www1.gslb", "www2.gslb", "www3.gslb"].map(str::to_owned).into(),
                every: Duration::from_millis(500),
                once: false,
                fetches: Fetches::FromFirst,
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
    fn one_way_two_resolvers_and_what_was_predicted_are_read() {
        let text = "node eu 10.1.0.1\npath eu to us 70ms loss 2%\nlet eu,us near 10.1.0.2\nclient anna at eu \
                    of 127.0.0.1,10.1.9.2 asks www.gslb every 1s and fetches from any\nexpect client anna \
                    share 10.1.0.1 predicted 90% less 15% after 20\nexpect client anna settles on 10.1.0.1 \
                    within 10\nlosses client anna\n";
        let statements = read(text).unwrap().remove(0).statements;
        let statements: Vec<_> = statements.into_iter().skip(1).map(|(_, it)| it).collect();
        let [anna, eu, us] = ["anna", "eu", "us"].map(str::to_owned);
        let address = Ipv4Addr::new(10, 1, 0, 1);
        let far = Path { delay: Duration::from_millis(70), loss: 0.02, ..Path::default() };
        assert_eq!(statements[0], Statement::PathTo(vec![eu.clone()], vec![us.clone()], far));
        let near = |nodes| Statement::Let(nodes, "near".to_owned(), "10.1.0.2".to_owned());
        assert_eq!(statements[1], near(vec![eu, us]));
        let Statement::Client(asking) = &statements[2] else { panic!("{statements:?}") };
        assert_eq!(asking.resolvers, [Ipv4Addr::LOCALHOST, Ipv4Addr::new(10, 1, 9, 2)]);
        assert_eq!(asking.fetches, Fetches::FromAny);
        let Statement::Expect(_, Expectation::Share(share)) = &statements[3] else {
            panic!("{statements:?}")
        };
        assert_eq!((share.predicted, share.after), (Some(0.9), 20));
        assert!((share.least - 0.75).abs() < 1e-9, "{share:?}");
        let settles = Expectation::Settles(address, 10);
        assert_eq!(statements[4], Statement::Expect(anna.clone(), settles));
        assert_eq!(statements[5], Statement::Losses(anna));
    }

    #[test]
    fn parts_are_put_in_and_varied() {
        let scenarios = read("title a\nvary ttl 2s 10s\ninclude group.part\n").unwrap();
        let config = |it: &Scenario| {
            let mut configs =
                it.statements.iter().filter_map(|(place, statement)| match statement {
                    Statement::Config(nodes, text) if nodes.iter().any(|node| node == "us-dns") => {
                        Some((place.clone(), text.clone()))
                    }
                    _ => None,
                });
            configs.next_back().unwrap()
        };
        let (place, text) = config(&scenarios[1]);
        assert!(place.starts_with("group.part, line "), "{place}");
        assert!(text.contains("ttl = \"10s\""), "{text}");
        let missing = format!("{:#}", read("\ninclude nothing.part\n").unwrap_err());
        assert!(missing.starts_with("line 2: nothing.part"), "{missing}");
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

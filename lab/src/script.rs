//! What stands in a scenario of the lab: one sentence a line, `#` begins a comment.
//!
//! ```text
//! title Clients find their area by round-trip times
//! short                               it belongs to those that `./test` runs
//! vary ttl 2s 10s 60s                 runs once with each of these for <ttl>; those that are short once, with the first
//! node eu 10.1.0.1 10.1.0.2           a namespace with these addresses
//! paths 5ms                           what every way is that nothing else is said of, one way
//! path eu us 40ms jitter 2ms loss 1%  both ways alike
//! root top                            where resolvers begin
//! config eu us                        the walrus.toml (or nats.conf) of nodes, up to the line `end`; <node> is the
//!   zone = "www.gslb"                 node's name, <address> its first address, <folder> a folder of its own
//! end
//! zone top gslb.                      a zone for nsd, in the usual form
//!   ...
//! end
//! start walrus eu                     also nginx, nsd, unbound, bind, knot-resolver, powerdns-recursor, nats;
//!                                     again after a kill, it finds what it kept
//! stop walrus eu                      asks it to end
//! kill walrus eu  |  freeze walrus eu  |  thaw walrus eu
//! cut eu eu-web                       these, together, from all others; heal eu eu-web
//! cut eu from us                      what eu sends does not reach us; heal eu from us
//! client anna at eu of 127.0.0.1 asks www.gslb every 500ms [and fetches]
//!                                     of that resolver; `www1..20.gslb` is twenty names in turn; she then
//!                                     gets a page from the first address
//! walrus eu drain fra1                a command of the node's walrus
//! time passes 5s
//! mark                                what is counted is counted from here
//! expect client anna gets 10.1.0.1 10.1.0.2 within 20s     one of these comes first
//! expect client anna leaves 10.1.1.1 within 5s+10s         for so long it is looked at when it came last
//! expect client anna is always served [but 2]               since the mark, but so many times
//! expect client anna share 10.1.0.1 above 80%               of what she got since the mark
//! shares client anna 10.1.0.1 by 20                         its share in each 20 answers, told in the results
//! ```

use std::net::Ipv4Addr;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, bail};

use crate::network::Path;
use crate::programs::Program;

/// Names that a client asks for in turn.
const NAMES_MAX: usize = 1000;

/// A whole one.
#[derive(Debug)]
pub(crate) struct Scenario {
    pub(crate) title: String,
    pub(crate) is_short: bool,
    /// What `{...}` stood for, if it is one of several.
    pub(crate) variant: Option<String>,
    /// With the numbers of their lines.
    pub(crate) statements: Vec<(usize, Statement)>,
}

/// One sentence.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Statement {
    Node(String, Vec<Ipv4Addr>),
    Paths(Path),
    PathBetween(String, String, Path),
    Root(String),
    Config(Vec<String>, String),
    Zone(String, String, String),
    Start(Program, String),
    End(Program, String, Ending),
    /// Of these, or of the one, from all others, or from that one.
    Cut {
        from: Vec<String>,
        to: Option<String>,
        is_cut: bool,
    },
    Client(Asking),
    Command(String, Vec<String>),
    Pass(Duration),
    Mark,
    Expect(String, Expectation),
    Shares {
        client: String,
        address: Ipv4Addr,
        by: usize,
    },
}

/// How a program ends, or stands still.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    Stop,
    Kill,
    Freeze,
    Thaw,
}

/// What a client does.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Asking {
    pub(crate) client: String,
    pub(crate) node: String,
    pub(crate) resolver: Ipv4Addr,
    pub(crate) names: Vec<String>,
    pub(crate) every: Duration,
    pub(crate) fetches: bool,
}

/// What a client is to have got.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Expectation {
    Gets(Vec<Ipv4Addr>, Duration),
    Leaves(Vec<Ipv4Addr>, Duration),
    AlwaysServed { but: usize },
    ShareAbove(Ipv4Addr, f64),
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
            ["config", ref nodes @ ..] if !nodes.is_empty() => {
                let nodes = nodes.iter().map(|node| (*node).to_owned()).collect();
                Ok(Statement::Config(nodes, block()))
            }
            ["zone", node, name] => Ok(Statement::Zone(node.to_owned(), name.to_owned(), block())),
            _ => statement(&words),
        };
        match statement {
            Ok(statement) => scenario.statements.push((index + 1, statement)),
            Err(problem) => problems.push(format!("line {}: {problem:#}", index + 1)),
        }
    }
    if problems.is_empty() { Ok(scenario) } else { Err(anyhow!(problems.join("\n"))) }
}

/// In zone files a line that begins with a space belongs to the name before it.
fn without_indentation(lines: &[&str]) -> String {
    let written = lines.iter().filter(|line| !line.trim().is_empty());
    let indentation = written.map(|line| line.len() - line.trim_start().len()).min().unwrap_or(0);
    lines.iter().map(|line| format!("{}\n", line.get(indentation..).unwrap_or_default())).collect()
}

fn statement(words: &[&str]) -> Result<Statement> {
    let owned = |word: &str| word.to_owned();
    Ok(match words {
        ["node", name, addresses @ ..] => Statement::Node(owned(name), ipv4(addresses)?),
        ["paths", rest @ ..] => Statement::Paths(path(rest)?),
        ["path", one, other, rest @ ..] => {
            Statement::PathBetween(owned(one), owned(other), path(rest)?)
        }
        ["root", node] => Statement::Root(owned(node)),
        ["start", program, node] => Statement::Start(Program::named(program)?, owned(node)),
        [verb @ ("stop" | "kill" | "freeze" | "thaw"), program, node] => {
            let ending = match *verb {
                "stop" => Ending::Stop,
                "kill" => Ending::Kill,
                "freeze" => Ending::Freeze,
                _ => Ending::Thaw,
            };
            Statement::End(Program::named(program)?, owned(node), ending)
        }
        [verb @ ("cut" | "heal"), from, "from", to] => {
            let (from, to) = (vec![owned(from)], Some(owned(to)));
            Statement::Cut { from, to, is_cut: *verb == "cut" }
        }
        [verb @ ("cut" | "heal"), from @ ..] if !from.is_empty() => {
            let from = from.iter().map(|it| owned(it)).collect();
            Statement::Cut { from, to: None, is_cut: *verb == "cut" }
        }
        ["client", name, "at", node, "of", resolver, "asks", names, "every", every, rest @ ..] => {
            Statement::Client(Asking {
                client: owned(name),
                node: owned(node),
                resolver: resolver.parse().with_context(|| owned(resolver))?,
                names: all_names(names)?,
                every: duration(every)?,
                fetches: match rest {
                    [] => false,
                    ["and", "fetches"] => true,
                    _ => bail!("after the interval comes nothing, or `and fetches`"),
                },
            })
        }
        ["walrus", node, command @ ..] if !command.is_empty() => {
            Statement::Command(owned(node), command.iter().map(|it| owned(it)).collect())
        }
        ["time", "passes", time] => Statement::Pass(duration(time)?),
        ["mark"] => Statement::Mark,
        ["expect", "client", client, rest @ ..] => {
            Statement::Expect(owned(client), expectation(rest)?)
        }
        ["shares", "client", client, address, "by", by] => Statement::Shares {
            client: owned(client),
            address: address.parse().with_context(|| owned(address))?,
            by: by.parse().ok().filter(|by| *by > 0).context("by how many answers?")?,
        },
        _ => {
            bail!("`{}` is no sentence of the lab (lab/src/script.rs lists them)", words.join(" "))
        }
    })
}

fn expectation(words: &[&str]) -> Result<Expectation> {
    Ok(match words {
        ["gets", addresses @ .., "within", time] if !addresses.is_empty() => {
            Expectation::Gets(ipv4(addresses)?, duration(time)?)
        }
        ["leaves", addresses @ .., "within", time] if !addresses.is_empty() => {
            Expectation::Leaves(ipv4(addresses)?, duration(time)?)
        }
        ["is", "always", "served"] => Expectation::AlwaysServed { but: 0 },
        ["is", "always", "served", "but", but] => {
            Expectation::AlwaysServed { but: but.parse().with_context(|| (*but).to_owned())? }
        }
        ["share", address, "above", share] => {
            let address = address.parse().with_context(|| (*address).to_owned())?;
            Expectation::ShareAbove(address, percent(share)?)
        }
        _ => bail!(
            "`gets ADDRESS.. within 5s`, `leaves ADDRESS.. within 5s`, `is always served`, or `share ADDRESS above 80%`"
        ),
    })
}

fn path(words: &[&str]) -> Result<Path> {
    let Some((delay, mut rest)) = words.split_first() else { bail!("how long does it take?") };
    let mut path = Path { delay: duration(delay)?, ..Path::default() };
    while !rest.is_empty() {
        rest = match rest {
            ["jitter", jitter, others @ ..] => {
                path.jitter = duration(jitter)?;
                others
            }
            ["loss", loss, others @ ..] => {
                path.loss = percent(loss)?;
                others
            }
            _ => bail!("after the delay comes `jitter 2ms`, `loss 1%`, or nothing"),
        };
    }
    Ok(path)
}

/// `www1..20.gslb` is `www1.gslb` to `www20.gslb`.
fn all_names(text: &str) -> Result<Vec<String>> {
    let Some((before, behind)) = text.split_once("..") else { return Ok(vec![text.to_owned()]) };
    let digits = before.trim_end_matches(|letter: char| letter.is_ascii_digit()).len();
    let (label, first) = before.split_at(digits);
    let end = behind.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(behind.len());
    let (last, rest) = behind.split_at(end);
    let (first, last): (usize, usize) = (first.parse()?, last.parse()?);
    if first > last || last - first >= NAMES_MAX {
        bail!("`{text}` has to be 1 to {NAMES_MAX} names");
    }
    Ok((first..=last).map(|number| format!("{label}{number}{rest}")).collect())
}

fn ipv4(words: &[&str]) -> Result<Vec<Ipv4Addr>> {
    words.iter().map(|word| word.parse().with_context(|| format!("`{word}`"))).collect()
}

fn percent(word: &str) -> Result<f64> {
    let number = word.strip_suffix('%').and_then(|number| number.parse::<f64>().ok());
    let share = number.map(|number| number / 100.0).filter(|share| (0.0..=1.0).contains(share));
    share.with_context(|| format!("`{word}` is no share: write 0% to 100%"))
}

/// `500us`, `5ms`, `2.5s`, `3m`, or several of them: `60s+5s`.
fn duration(word: &str) -> Result<Duration> {
    word.split('+').map(one_duration).sum()
}

fn one_duration(word: &str) -> Result<Duration> {
    let split = word.find(|letter: char| letter.is_ascii_alphabetic()).unwrap_or(word.len());
    let (number, unit) = word.split_at(split);
    let scale = match unit {
        "us" => 1e-6,
        "ms" => 1e-3,
        "s" => 1.0,
        "m" => 60.0,
        _ => bail!("`{word}` is no time: write 500us, 5ms, 2.5s or 3m"),
    };
    let number = number.parse::<f64>().ok().filter(|number| (0.0..=86_400.0).contains(number));
    let number = number.with_context(|| format!("`{word}` is no time"))?;
    Ok(Duration::from_secs_f64(number * scale))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sentences_are_read() {
        let text = "title All of it # and more\nshort\nnode eu 10.1.0.1\npath eu us 40ms jitter 2ms \
                    loss 1%\nconfig eu\n  zone = \"a\" # kept\nend\ncut eu from us\nclient anna at eu of \
                    127.0.0.1 asks www1..3.gslb every 500ms and fetches\nexpect client anna gets \
                    10.1.0.1 within 2.5s\n";
        let scenario = read(text).unwrap().remove(0);
        assert_eq!((scenario.title.as_str(), scenario.is_short), ("All of it", true));
        let path =
            Path { delay: Duration::from_millis(40), jitter: Duration::from_millis(2), loss: 0.01 };
        let eu = || "eu".to_owned();
        let expected = [
            Statement::Node(eu(), vec![Ipv4Addr::new(10, 1, 0, 1)]),
            Statement::PathBetween(eu(), "us".to_owned(), path),
            Statement::Config(vec![eu()], "zone = \"a\" # kept\n".to_owned()),
            Statement::Cut { from: vec![eu()], to: Some("us".to_owned()), is_cut: true },
            Statement::Client(Asking {
                client: "anna".to_owned(),
                node: eu(),
                resolver: Ipv4Addr::LOCALHOST,
                names: ["www1.gslb", "www2.gslb", "www3.gslb"].map(str::to_owned).into(),
                every: Duration::from_millis(500),
                fetches: true,
            }),
            Statement::Expect(
                "anna".to_owned(),
                Expectation::Gets(vec![Ipv4Addr::new(10, 1, 0, 1)], Duration::from_millis(2500)),
            ),
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
        let text = "node eu 10.1.0.300\n\nstart apache eu\npaths fast\nwait\nclient a at b of c\n\
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

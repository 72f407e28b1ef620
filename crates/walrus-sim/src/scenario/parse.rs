//! Text to [`Scenario`]: every problem at once, each with its line and what to write instead.

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use super::statement::{Expectation, Line, Scenario, Statement, View};
use crate::duration::parse_duration;
use crate::system::{Question, ServerState};

/// One thing wrong with a scenario.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScenarioProblem {
    /// From 1.
    pub line: usize,
    /// What is wrong and what to write instead.
    pub message: String,
}

impl fmt::Display for ScenarioProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.message)
    }
}

/// Parses a scenario.
///
/// # Errors
/// All problems, in the order of lines.
pub fn parse(text: &str) -> Result<Scenario, Vec<ScenarioProblem>> {
    let mut scenario = Scenario { config: String::new(), seed: 1, lines: Vec::new() };
    let mut problems = Vec::new();
    let mut in_config = false;
    let mut started = false;
    for (index, raw) in text.lines().enumerate() {
        let number = index + 1;
        if in_config {
            if raw.trim() == "end" {
                in_config = false;
            } else {
                scenario.config.push_str(raw);
                scenario.config.push('\n');
            }
            continue;
        }
        let text = raw.split('#').next().unwrap_or_default().trim();
        let words: Vec<&str> = text.split_whitespace().collect();
        let result = match words.as_slice() {
            [] => Ok(()),
            ["config"] => {
                // Keeps line numbers of the TOML the same as those of the scenario.
                scenario.config = "\n".repeat(number);
                in_config = true;
                Ok(())
            }
            ["start"] => {
                started = true;
                Ok(())
            }
            ["seed", seed] => number_of(seed).map(|seed| scenario.seed = seed),
            _ if !started => Err("write `config ... end`, then `start`, before it".to_owned()),
            ["reload", ..] => reload(text).map(|statement| {
                scenario.lines.push(Line { number, text: text.to_owned(), statement });
            }),
            words => statement(words).map(|statement| {
                scenario.lines.push(Line { number, text: text.to_owned(), statement });
            }),
        };
        if let Err(message) = result {
            problems.push(ScenarioProblem { line: number, message });
        }
    }
    if in_config {
        let line = text.lines().count();
        problems.push(ScenarioProblem { line, message: "`config` wants a line `end`".to_owned() });
    }
    if problems.is_empty() { Ok(scenario) } else { Err(problems) }
}

fn statement(words: &[&str]) -> Result<Statement, String> {
    match words {
        ["report", target, what @ ..] => {
            Ok(Statement::Set { target: (*target).to_owned(), state: reported(what)? })
        }
        [verb @ ("kill" | "cut" | "heal" | "overload" | "slow"), target] => {
            let state = match *verb {
                "kill" => ServerState::Killed,
                "cut" => ServerState::Cut,
                "slow" => ServerState::Slow,
                "overload" => ServerState::Busy { busy: 10, max: 10 },
                _ => ServerState::Busy { busy: 0, max: 10 },
            };
            Ok(Statement::Set { target: (*target).to_owned(), state })
        }
        ["drain", target] => Ok(Statement::Drain { target: (*target).to_owned(), force: false }),
        ["drain", target, "force"] => {
            Ok(Statement::Drain { target: (*target).to_owned(), force: true })
        }
        ["undrain", target] => Ok(Statement::Undrain { target: (*target).to_owned() }),
        ["time", "passes", duration] => Ok(Statement::Pass(duration_of(duration)?)),
        ["query", name, record_type, "from", client, rest @ ..] => {
            query(name, record_type, client, rest)
        }
        ["restart"] => Ok(Statement::Restart),
        ["stop", duration] => Ok(Statement::Stop(duration_of(duration)?)),
        ["expect", what @ ..] => Ok(Statement::Expect(expectation(what)?)),
        ["show", "answer"] => Ok(Statement::Show(View::Answer)),
        ["show", "areas"] => Ok(Statement::Show(View::Areas)),
        ["show", "servers"] => Ok(Statement::Show(View::Servers)),
        words => Err(format!(
            "`{}` is no statement; there are report, kill, cut, heal, overload, slow, drain, \
             undrain, reload, restart, stop, time passes, query, expect and show",
            words.join(" ")
        )),
    }
}

/// The texts may have blanks inside, so words are not looked at.
fn reload(text: &str) -> Result<Statement, String> {
    let texts = text.strip_prefix("reload").and_then(|rest| rest.split_once("=>"));
    match texts.map(|(old, new)| (old.trim(), new.trim())) {
        Some((old, new)) if !old.is_empty() => {
            Ok(Statement::Reload { old: old.to_owned(), new: new.to_owned() })
        }
        _ => Err("write `reload OLD => NEW`, texts of the configuration".to_owned()),
    }
}

pub(crate) fn reported(what: &[&str]) -> Result<ServerState, String> {
    match what {
        ["busy", busy, "of", max] => {
            Ok(ServerState::Busy { busy: number_of(busy)?, max: number_of(max)? })
        }
        ["tempfail", reason @ ..] => Ok(ServerState::TempFail(reason.join(" "))),
        ["bypass", reason @ ..] => Ok(ServerState::Bypass(reason.join(" "))),
        ["panic", reason @ ..] => Ok(ServerState::Panic(reason.join(" "))),
        ["silence"] => Ok(ServerState::Silent),
        _ => {
            Err("a report is `busy N of M`, `tempfail`, `bypass`, `panic` or `silence`".to_owned())
        }
    }
}

fn query(
    name: &str,
    record_type: &str,
    client: &str,
    mut rest: &[&str],
) -> Result<Statement, String> {
    let mut question = Question {
        name: name.to_owned(),
        record_type: record_type.to_owned(),
        client: address_of(client)?,
        subnet: None,
        server: None,
    };
    let mut times = 1;
    while let [word, value, tail @ ..] = rest {
        match *word {
            "ecs" => question.subnet = Some(prefix_of(value)?),
            "to" => question.server = Some(address_of(value)?),
            "times" => times = number_of(value)?,
            other => return Err(format!("`{other}`: a query has ecs PREFIX, to IP, times N")),
        }
        rest = tail;
    }
    if rest.is_empty() {
        Ok(Statement::Query { question, times })
    } else {
        Err(format!("`{}` wants a value", rest.join(" ")))
    }
}

fn expectation(what: &[&str]) -> Result<Expectation, String> {
    let addresses = |words: &[&str]| -> Result<Vec<IpAddr>, String> {
        words.iter().map(|word| address_of(word)).collect()
    };
    match what {
        ["answer", list @ ..] if !list.is_empty() => Ok(Expectation::Answer(addresses(list)?)),
        ["answers", "among", list @ ..] if !list.is_empty() => {
            Ok(Expectation::Among(addresses(list)?))
        }
        ["answers", "name", one] => Ok(Expectation::Names(address_of(one)?)),
        ["targets", list @ ..] if !list.is_empty() => {
            Ok(Expectation::Targets(list.iter().map(|&host| host.to_owned()).collect()))
        }
        ["no", "target", host] => Ok(Expectation::NoTarget((*host).to_owned())),
        ["target", host, "between", least, most] => Ok(Expectation::TargetShare {
            target: (*host).to_owned(),
            least: number_of(least.trim_end_matches('%'))?,
            most: number_of(most.trim_end_matches('%'))?,
        }),
        ["share", address, "between", least, most] => Ok(Expectation::Share {
            address: address_of(address)?,
            least: number_of(least.trim_end_matches('%'))?,
            most: number_of(most.trim_end_matches('%'))?,
        }),
        ["ttl", seconds] => Ok(Expectation::Ttl(number_of(seconds)?)),
        ["scope", bits] => Ok(Expectation::Scope(number_of(bits)?)),
        ["rcode", rcode] => Ok(Expectation::Rcode((*rcode).to_owned())),
        ["no", "answer"] => Ok(Expectation::NoAnswer),
        ["no", "notice"] => Ok(Expectation::NoNotice),
        ["refused"] => Ok(Expectation::Refused),
        ["server", server, life] => {
            Ok(Expectation::Server { server: (*server).to_owned(), life: (*life).to_owned() })
        }
        ["area", area, "of", service, "at", clusters @ ..] => Ok(Expectation::Area {
            area: (*area).to_owned(),
            service: (*service).to_owned(),
            clusters: clusters.iter().map(|&cluster| cluster.to_owned()).collect(),
        }),
        ["notice", kind, subject, rest @ ..] if matches!(rest, [] | ["recovered"]) => {
            Ok(Expectation::Notice {
                kind: (*kind).to_owned(),
                subject: (*subject).to_owned(),
                recovered: !rest.is_empty(),
            })
        }
        _ => Err("expect answer, answers among, answers name, share, targets, no target, target, \
                  ttl, scope, rcode, no answer, \
                  server, area, notice, no notice or refused"
            .to_owned()),
    }
}

fn number_of<T: std::str::FromStr>(word: &str) -> Result<T, String> {
    word.parse().map_err(|_| format!("`{word}` is not a number that fits here"))
}

fn address_of(word: &str) -> Result<IpAddr, String> {
    word.parse().map_err(|_| format!("`{word}` is not an IP address"))
}

fn prefix_of(word: &str) -> Result<(IpAddr, u8), String> {
    let problem = || format!("`{word}` is not a prefix such as 198.51.100.0/24");
    let (address, bits) = word.split_once('/').ok_or_else(problem)?;
    let address: IpAddr = address.parse().map_err(|_| problem())?;
    let bits_max = if address.is_ipv4() { 32 } else { 128 };
    let bits = bits.parse().ok().filter(|bits| *bits <= bits_max).ok_or_else(problem)?;
    Ok((address, bits))
}

fn duration_of(word: &str) -> Result<Duration, String> {
    parse_duration(word)
        .ok_or_else(|| format!("`{word}` is not a duration such as 500ms, 5s or 2m"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_problems_with_their_lines() {
        let text = "query early A from 1.2.3.4\nconfig\nx = 1\nend\nstart\nsing\nexpect ttl x\n\
                    time passes 5\nquery a A from 1.2.3.4 ecs 1.2.3.0/33\n\
                    time passes 9999999999999999h\n";
        let lines: Vec<usize> = parse(text).unwrap_err().iter().map(|p| p.line).collect();
        assert_eq!(lines, [1, 6, 7, 8, 9, 10]);
    }

    #[test]
    fn toml_keeps_its_line_numbers() {
        let scenario = parse("# a\nconfig\nx = 1\nend\nstart\n").unwrap();
        assert_eq!(scenario.config.lines().nth(2), Some("x = 1"));
    }

    #[test]
    fn a_query_with_everything() {
        let text =
            "start\nquery www.example.com AAAA from 192.0.2.9 ecs 2001:db8::/32 to ::1 times 3";
        let scenario = parse(text).unwrap();
        let Statement::Query { question, times } = &scenario.lines[0].statement else { panic!() };
        assert_eq!((*times, question.subnet.unwrap().1), (3, 32));
    }
}

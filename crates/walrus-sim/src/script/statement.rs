//! What scenarios say besides what happens: time, questions and what must hold.

use std::net::IpAddr;
use std::time::Duration;

use super::Act;
use super::word::{address, number, prefix, time};
use crate::system::Question;

/// What a line says.
#[derive(Clone, Debug, PartialEq)]
pub enum Statement {
    /// Something happens to servers.
    Act(Act),
    /// Virtual time goes on.
    Pass(Duration),
    /// Time goes on while Controller and name server are stopped, and they go on then.
    Stop(Duration),
    /// The configuration is read again, with a text in it replaced.
    Reload {
        /// What stands in the configuration now.
        old: String,
        /// What stands there after it.
        new: String,
    },
    /// Controller and name server end without notice and start from what is stored.
    Restart,
    /// A client asks, once or several times.
    Query {
        /// What and from where.
        question: Question,
        /// How often.
        times: u32,
    },
    /// Something must hold.
    Expect(Expectation),
    /// Something goes into the golden output.
    Show(View),
}

/// What must hold.
#[derive(Clone, Debug, PartialEq)]
pub enum Expectation {
    /// The last answer has exactly these addresses, in order.
    Answer(Vec<IpAddr>),
    /// Every address of every answer since the last query is one of these.
    Among(Vec<IpAddr>),
    /// At least one of the answers since the last query names this address.
    Names(IpAddr),
    /// So large a part of the answers since the last query, in percent, has this address first.
    Share {
        /// The address.
        address: IpAddr,
        /// At least this.
        least: u32,
        /// At most this.
        most: u32,
    },
    /// The last answer's records point at exactly these hosts: best priority first, then as they
    /// stand.
    Targets(Vec<String>),
    /// No record of the answers since the last query points at this host.
    NoTarget(String),
    /// So large a part of the answers since the last query, in percent, points at this host first.
    TargetShare {
        /// The host.
        target: String,
        /// At least this.
        least: u32,
        /// At most this.
        most: u32,
    },
    /// The TTL of the last answer's records, in seconds.
    Ttl(u32),
    /// The ECS scope of the last answer.
    Scope(u8),
    /// The response code of the last answer, as text (NOERROR, NXDOMAIN).
    Rcode(String),
    /// The last answer has no records in its answer section.
    NoAnswer,
    /// A server's life.
    Server {
        /// Its name.
        server: String,
        /// Lower case, as in `status`.
        life: String,
    },
    /// Where an area points.
    Area {
        /// Its name.
        area: String,
        /// The service's name.
        service: String,
        /// Clusters in order.
        clusters: Vec<String>,
    },
    /// A person was told since the last such line.
    Notice {
        /// panic, dead, nobody_functions; with `recovered` after it for the end of it.
        kind: String,
        /// The server or service.
        subject: String,
        /// Told that it is over.
        recovered: bool,
    },
    /// Nobody was told of anything since the last such line.
    NoNotice,
    /// The last drain or reload was refused.
    Refused,
}

/// What can be shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum View {
    /// The last answer.
    Answer,
    /// Where the areas point and why.
    Areas,
    /// How the servers fare.
    Servers,
}

impl Statement {
    /// Reads one that is no act; `None` if the first word is none of them.
    pub(super) fn read(words: &[&str]) -> Option<Result<Self, String>> {
        let read = match words {
            ["time", "passes", span] => time(span).map(Self::Pass),
            ["time", ..] => Err("write `time passes 5s`".to_owned()),
            ["stop", span] => time(span).map(Self::Stop),
            ["stop", ..] => Err("write `stop 20s`".to_owned()),
            ["restart"] => Ok(Self::Restart),
            ["restart", ..] => Err("`restart` stands alone".to_owned()),
            ["query", name, record_type, "from", client, rest @ ..] => {
                query(name, record_type, client, rest)
            }
            ["query", ..] => Err("write `query www.example.com A from 198.51.100.7`".to_owned()),
            ["expect", what @ ..] => expectation(what).map(Self::Expect),
            ["show", "answer"] => Ok(Self::Show(View::Answer)),
            ["show", "areas"] => Ok(Self::Show(View::Areas)),
            ["show", "servers"] => Ok(Self::Show(View::Servers)),
            ["show", ..] => Err("show `answer`, `areas` or `servers`".to_owned()),
            _ => return None,
        };
        Some(read)
    }

    /// Reads `reload OLD => NEW`. The texts may have blanks inside, so words are not looked at.
    pub(super) fn read_reload(text: &str) -> Result<Self, String> {
        let texts = text.strip_prefix("reload").and_then(|rest| rest.split_once("=>"));
        match texts.map(|(old, new)| (old.trim(), new.trim())) {
            Some((old, new)) if !old.is_empty() => {
                Ok(Self::Reload { old: old.to_owned(), new: new.to_owned() })
            }
            _ => Err("write `reload OLD => NEW`, texts of the configuration".to_owned()),
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
        client: address(client)?,
        subnet: None,
        server: None,
    };
    let mut times = 1;
    while let [word, value, tail @ ..] = rest {
        match *word {
            "ecs" => question.subnet = Some(prefix(value)?),
            "to" => question.server = Some(address(value)?),
            "times" => times = number(value)?,
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
        words.iter().map(|word| address(word)).collect()
    };
    match what {
        ["answer", list @ ..] if !list.is_empty() => Ok(Expectation::Answer(addresses(list)?)),
        ["answers", "among", list @ ..] if !list.is_empty() => {
            Ok(Expectation::Among(addresses(list)?))
        }
        ["answers", "name", one] => Ok(Expectation::Names(address(one)?)),
        ["targets", list @ ..] if !list.is_empty() => {
            Ok(Expectation::Targets(list.iter().map(|&host| host.to_owned()).collect()))
        }
        ["no", "target", host] => Ok(Expectation::NoTarget((*host).to_owned())),
        ["target", host, "between", least, most] => Ok(Expectation::TargetShare {
            target: (*host).to_owned(),
            least: number(least.trim_end_matches('%'))?,
            most: number(most.trim_end_matches('%'))?,
        }),
        ["share", one, "between", least, most] => Ok(Expectation::Share {
            address: address(one)?,
            least: number(least.trim_end_matches('%'))?,
            most: number(most.trim_end_matches('%'))?,
        }),
        ["ttl", seconds] => Ok(Expectation::Ttl(number(seconds)?)),
        ["scope", bits] => Ok(Expectation::Scope(number(bits)?)),
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

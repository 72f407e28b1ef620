//! Runs a scenario against a [`System`] and says what happened, line by line.

use std::fmt::Write as _;
use std::net::IpAddr;

use super::Scenario;
use crate::script::{Act, Expectation, Statement, View};
use crate::system::{Seen, ServerState, System, SystemError};

/// What a run gave.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Every statement with what it showed: compared with the golden output.
    pub transcript: String,
    /// Every expectation that did not hold, with its line.
    pub failures: Vec<String>,
}

/// Runs all statements; a failed expectation does not end the run, an unreachable system does.
pub fn run<S: System>(scenario: &Scenario, system: &mut S) -> Outcome {
    let mut run = Run { config: scenario.config.clone(), ..Run::default() };
    for line in &scenario.lines {
        let _ = writeln!(run.outcome.transcript, "> {}", line.text);
        match run.step(&line.statement, system) {
            Ok(None) => {}
            Ok(Some(failure)) => {
                let text = format!("line {}: `{}`: {failure}", line.number, line.text);
                let _ = writeln!(run.outcome.transcript, "! {failure}");
                run.outcome.failures.push(text);
            }
            Err(error) => {
                run.outcome
                    .failures
                    .push(format!("line {}: `{}`: {error}", line.number, line.text));
                break;
            }
        }
    }
    run.outcome
}

#[derive(Default)]
struct Run {
    outcome: Outcome,
    /// The configuration in force.
    config: String,
    answers: Vec<Answer>,
    notices_seen: usize,
    refused: bool,
}

impl Run {
    /// Carries one statement out; tells what was expected and did not hold.
    fn step<S: System>(
        &mut self,
        statement: &Statement,
        system: &mut S,
    ) -> Result<Option<String>, SystemError> {
        match statement {
            Statement::Act(act) => self.happen(act, system)?,
            Statement::Pass(duration) => system.pass(*duration)?,
            Statement::Reload { old, new } => {
                if !self.config.contains(old.as_str()) {
                    return Ok(Some(format!("the configuration has no `{old}`")));
                }
                let config = self.config.replace(old.as_str(), new);
                self.refused = !system.reload(&config)?;
                if !self.refused {
                    self.config = config;
                }
            }
            Statement::Restart => system.restart()?,
            Statement::Stop(duration) => system.stop(*duration)?,
            Statement::Query { question, times } => {
                self.answers.clear();
                for _ in 0..*times {
                    self.answers.push(Answer::read(&system.ask(question)?)?);
                }
            }
            Statement::Expect(expectation) => return self.judge(expectation, system),
            Statement::Show(view) => {
                let text = self.show(*view, system)?;
                self.outcome.transcript.push_str(&text);
            }
        }
        Ok(None)
    }

    fn happen<S: System>(&mut self, act: &Act, system: &mut S) -> Result<(), SystemError> {
        match act {
            Act::Set { target, state } => system.set(target, state),
            Act::Heal { target } => system.set(target, &ServerState::Busy { busy: 0, max: 10 }),
            Act::Drain { target, force } => {
                self.refused = !system.drain(target, *force)?;
                Ok(())
            }
            Act::Undrain { target } => system.undrain(target),
        }
    }

    fn judge<S: System>(
        &mut self,
        expectation: &Expectation,
        system: &mut S,
    ) -> Result<Option<String>, SystemError> {
        match expectation {
            Expectation::Server { .. } | Expectation::Area { .. } => {
                Ok(judge_state(expectation, &system.look()?))
            }
            Expectation::Notice { .. } | Expectation::NoNotice => {
                let seen = system.look()?;
                let new = seen.notices.get(self.notices_seen..).unwrap_or_default();
                self.notices_seen = seen.notices.len();
                Ok(judge_notices(expectation, new))
            }
            Expectation::Refused => {
                Ok((!self.refused).then(|| "the last drain or reload was not refused".to_owned()))
            }
            about_answers => Ok(self.judge_answers(about_answers)),
        }
    }

    fn judge_answers(&self, expectation: &Expectation) -> Option<String> {
        let Some(last) = self.answers.last() else {
            return Some("nothing was asked yet".to_owned());
        };
        let (holds, was) = match expectation {
            Expectation::Answer(list) => (last.addresses == *list, format!("{:?}", last.addresses)),
            Expectation::Among(list) => {
                let all = || self.answers.iter().flat_map(|answer| &answer.addresses);
                let odd: Vec<_> = all().filter(|address| !list.contains(address)).collect();
                (odd.is_empty() && all().next().is_some(), format!("{odd:?} besides"))
            }
            Expectation::Names(one) => {
                (self.answers.iter().any(|a| a.addresses.contains(one)), "none does".to_owned())
            }
            Expectation::Share { address, least, most } => {
                let first = self.answers.iter().filter(|a| a.addresses.first() == Some(address));
                let percent = first.count() as f64 * 100.0 / self.answers.len() as f64;
                let holds = (f64::from(*least)..=f64::from(*most)).contains(&percent);
                (holds, format!("{percent:.1} %"))
            }
            Expectation::Targets(list) => {
                let targets: Vec<&String> = last.targets.iter().map(|(_, host)| host).collect();
                (list.iter().eq(targets.iter().copied()), format!("{targets:?}"))
            }
            Expectation::NoTarget(host) => {
                let names = |answer: &&Answer| answer.targets.iter().any(|(_, it)| it == host);
                let count = self.answers.iter().filter(names).count();
                (count == 0, format!("in {count} answers"))
            }
            Expectation::TargetShare { target, least, most } => {
                let is_first = |answer: &&Answer| {
                    answer.targets.first().is_some_and(|(_, host)| host == target)
                };
                let first = self.answers.iter().filter(is_first).count();
                let percent = first as f64 * 100.0 / self.answers.len() as f64;
                let holds = (f64::from(*least)..=f64::from(*most)).contains(&percent);
                (holds, format!("{percent:.1} %"))
            }
            Expectation::Ttl(ttl) => (last.ttl == Some(*ttl), format!("{:?}", last.ttl)),
            Expectation::Scope(scope) => (last.scope == Some(*scope), format!("{:?}", last.scope)),
            Expectation::Rcode(rcode) => (last.rcode == *rcode, last.rcode.clone()),
            Expectation::NoAnswer => (last.records == 0, format!("{} records", last.records)),
            _ => return Some("is not about answers".to_owned()),
        };
        (!holds).then(|| format!("it was {was}"))
    }

    fn show<S: System>(&self, view: View, system: &mut S) -> Result<String, SystemError> {
        let mut text = String::new();
        match view {
            View::Answer => {
                for answer in &self.answers {
                    let _ = writeln!(text, "  {answer}");
                }
            }
            View::Areas => {
                for area in system.look()?.areas {
                    let clusters: Vec<String> = area
                        .clusters
                        .iter()
                        .map(|(name, share)| format!("{name} {:.0}%", share * 100.0))
                        .collect();
                    let place = clusters.join(", ");
                    let _ = writeln!(
                        text,
                        "  {} {}: {place} ({})",
                        area.service, area.area, area.reason
                    );
                }
            }
            View::Servers => {
                for server in system.look()?.servers {
                    let load = server.load.map_or("?".to_owned(), |load| format!("{load:.2}"));
                    let _ = writeln!(text, "  {} {} {load}", server.name, server.life);
                }
            }
        }
        Ok(text)
    }
}

fn judge_state(expectation: &Expectation, seen: &Seen) -> Option<String> {
    match expectation {
        Expectation::Server { server, life } => {
            match seen.servers.iter().find(|found| found.name == *server) {
                None => Some("there is no such server".to_owned()),
                Some(found) => (found.life != *life).then(|| format!("it is {}", found.life)),
            }
        }
        Expectation::Area { area, service, clusters } => {
            let found = seen.areas.iter().find(|it| it.area == *area && it.service == *service);
            let Some(found) = found else { return Some("there is no such area".to_owned()) };
            let same = found.clusters.iter().map(|(name, _)| name).eq(clusters);
            (!same).then(|| format!("it is at {:?} ({})", found.clusters, found.reason))
        }
        _ => None,
    }
}

fn judge_notices(expectation: &Expectation, new: &[(String, String, bool)]) -> Option<String> {
    match expectation {
        Expectation::Notice { kind, subject, recovered } => {
            let told = (kind.clone(), subject.clone(), *recovered);
            (!new.contains(&told)).then(|| format!("told was {new:?}"))
        }
        _ => (!new.is_empty()).then(|| format!("told was {new:?}")),
    }
}

/// What matters of a reply, read independently of the code that wrote it.
struct Answer {
    rcode: String,
    records: usize,
    addresses: Vec<IpAddr>,
    /// Priority or preference and host, the best first.
    targets: Vec<(u16, String)>,
    ttl: Option<u32>,
    scope: Option<u8>,
}

impl Answer {
    fn read(reply: &[u8]) -> Result<Self, SystemError> {
        use domain::base::iana::Rcode;
        use domain::base::opt::ClientSubnet;
        use domain::rdata::AllRecordData;

        let bad = |error: &dyn std::fmt::Display| SystemError(format!("the reply is odd: {error}"));
        let message = domain::base::Message::from_octets(reply).map_err(|error| bad(&error))?;
        let rcode: Rcode = message.header().rcode();
        let mut answer = Self {
            rcode: rcode.to_string(),
            records: 0,
            addresses: Vec::new(),
            targets: Vec::new(),
            ttl: None,
            scope: None,
        };
        for record in message.answer().map_err(|error| bad(&error))? {
            let record = record.map_err(|error| bad(&error))?;
            answer.records += 1;
            answer.ttl = Some(record.ttl().as_secs());
            let record = record.into_any_record::<AllRecordData<_, _>>().map_err(|e| bad(&e))?;
            match record.data() {
                AllRecordData::A(a) => answer.addresses.push(IpAddr::V4(a.addr())),
                AllRecordData::Aaaa(aaaa) => answer.addresses.push(IpAddr::V6(aaaa.addr())),
                AllRecordData::Srv(srv) => {
                    answer.targets.push((srv.priority(), srv.target().to_string()));
                }
                AllRecordData::Mx(mx) => {
                    answer.targets.push((mx.preference(), mx.exchange().to_string()));
                }
                AllRecordData::Https(https) => {
                    answer.targets.push((https.priority(), https.target().to_string()));
                }
                AllRecordData::Svcb(svcb) => {
                    answer.targets.push((svcb.priority(), svcb.target().to_string()));
                }
                _ => {}
            }
        }
        answer.targets.sort_by_key(|(priority, _)| *priority);
        if let Some(opt) = message.opt() {
            let subnet = opt.opt().iter::<ClientSubnet>().next();
            answer.scope = subnet.transpose().map_err(|e| bad(&e))?.map(|it| it.scope_prefix_len());
        }
        Ok(answer)
    }
}

impl std::fmt::Display for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.rcode)?;
        for address in &self.addresses {
            write!(f, " {address}")?;
        }
        for (priority, host) in &self.targets {
            write!(f, " {priority} {host}")?;
        }
        if let Some(ttl) = self.ttl {
            write!(f, " ttl {ttl}")?;
        }
        if let Some(scope) = self.scope {
            write!(f, " scope {scope}")?;
        }
        Ok(())
    }
}

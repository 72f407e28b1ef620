//! A study's time line: `at TIME VERB ...` a line, in [the language](crate::script) of scenarios.

use walrus_core::config::settings_file::did_you_mean;
use walrus_core::world::{Name, Target, Time, Topology};

use super::setup::{Deed, Happening, Messages, NameServerSetup};
use crate::script::{self, Act, Event, Sentence, Statement, Way, word};

/// What a time line may name.
pub(super) struct Known<'a> {
    pub(super) topology: &'a Topology,
    pub(super) name_servers: &'a [NameServerSetup],
    pub(super) populations: Vec<&'a str>,
    pub(super) controllers: usize,
}

/// Reads one line; `None` if nothing stands there. The error says what to write instead.
pub(super) fn line(text: &str, known: &Known<'_>) -> Result<Option<Happening>, String> {
    let text = script::without_comment(text);
    if text.is_empty() {
        return Ok(None);
    }
    let (first, rest) = first_word(text);
    if first != "at" {
        return Err(format!("begin with `at TIME`, as in `at 20m kill frankfurt`, not `{first}`"));
    }
    // All that is wrong with the line.
    let (at, what) = first_word(rest);
    match (word::time(at), deed_of(what, known)) {
        (Ok(at), Ok(deed)) => Ok(Some(Happening { at: Time::ZERO + at, deed })),
        (Err(one), Err(other)) => Err(format!("{one}; {other}")),
        (Err(why), _) | (_, Err(why)) => Err(why),
    }
}

/// The first word, and what stands behind the blanks after it.
fn first_word(text: &str) -> (&str, &str) {
    let (first, rest) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
    (first, rest.trim_start())
}

fn deed_of(text: &str, known: &Known<'_>) -> Result<Deed, String> {
    match script::sentence(text)? {
        Sentence::Statement(Statement::Act(act)) => act_of(act, known),
        Sentence::Event(event) => event_of(event, known),
        Sentence::Statement(_) => Err(format!(
            "`{text}` is for scenarios: on a time line stands only what happens{}",
            if text.starts_with("reload") { ", as in `set service.ttl = 30s`" } else { "" }
        )),
    }
}

fn act_of(act: Act, known: &Known<'_>) -> Result<Deed, String> {
    Ok(match act {
        Act::Set { target, state } => Deed::Servers(servers(&target, known)?, state),
        Act::Heal { target } => Deed::Heal(servers(&target, known)?),
        Act::Drain { target: name, force } => Deed::Drain { target: target(&name, known)?, force },
        Act::Undrain { target: name } => Deed::Undrain(target(&name, known)?),
    })
}

fn event_of(event: Event, known: &Known<'_>) -> Result<Deed, String> {
    Ok(match event {
        Event::Speed { target, factor } => Deed::Speed(servers(&target, known)?, factor),
        Event::NameServer { name, reach } => Deed::NameServers(name_servers(&name, known)?, reach),
        Event::Controller { number, reach } => Deed::Controller(controller(&number, known)?, reach),
        Event::Messages { messages, is_cut, way: None } => Deed::Cut(messages, is_cut),
        Event::Messages { messages, is_cut, way: Some(Way { name, controller: to }) } => {
            let controller = to.map(|number| controller(&number, known)).transpose()?;
            let parts = match messages {
                Messages::Reports => servers(&name, known)?,
                Messages::Plans | Messages::Observations => name_servers(&name, known)?,
            };
            Deed::CutSome { messages, parts, controller, is_cut }
        }
        Event::Set { path, value } => Deed::Set(path, value),
        Event::Population { name, factor, within, last } => {
            Deed::Population { populations: populations(&name, known)?, factor, within, last }
        }
    })
}

fn populations(name: &str, known: &Known<'_>) -> Result<Vec<usize>, String> {
    let all = &known.populations;
    match all.iter().position(|it| *it == name) {
        Some(place) => Ok(vec![place]),
        None if name == "everybody" => Ok((0..all.len()).collect()),
        None => Err(no_such("population", name, all.iter().copied())),
    }
}

fn target(name: &str, known: &Known<'_>) -> Result<Target, String> {
    servers(name, known)?;
    let parsed: Name = name.parse().map_err(|_| format!("`{name}` is no name"))?;
    let is_server = known.topology.server(name).is_some();
    Ok(if is_server { Target::Server(parsed) } else { Target::Cluster(parsed) })
}

fn servers(name: &str, known: &Known<'_>) -> Result<Vec<usize>, String> {
    let topology = known.topology;
    if let Some(server) = topology.server(name) {
        return Ok(vec![server.index()]);
    }
    if let Some(cluster) = topology.cluster(name) {
        return Ok(topology.clusters[cluster.index()]
            .servers
            .iter()
            .map(|it| it.index())
            .collect());
    }
    let names = topology.servers.iter().map(|it| it.name.as_str());
    let names = names.chain(topology.clusters.iter().map(|it| it.name.as_str()));
    Err(no_such("server or cluster", name, names))
}

fn name_servers(name: &str, known: &Known<'_>) -> Result<Vec<usize>, String> {
    let named = |it: &NameServerSetup| it.name == name || it.address.to_string() == name;
    let places = known.name_servers.iter().enumerate();
    let found: Vec<usize> = places.filter(|(_, it)| named(it)).map(|(place, _)| place).collect();
    if found.is_empty() {
        return Err(no_such(
            "name server",
            name,
            known.name_servers.iter().map(|it| it.name.as_str()),
        ));
    }
    Ok(found)
}

fn controller(number: &str, known: &Known<'_>) -> Result<usize, String> {
    let number: Option<usize> = number.parse().ok();
    let number = number.filter(|number| (1..=known.controllers).contains(number));
    number.map(|number| number - 1).ok_or_else(|| {
        format!(
            "Controllers have numbers from 1 to {}; write [controllers] count",
            known.controllers
        )
    })
}

fn no_such<'a>(kind: &str, name: &str, known: impl Iterator<Item = &'a str> + Clone) -> String {
    match did_you_mean(name, known.clone()) {
        Some(near) => format!("there is no {kind} `{name}`: did you mean `{near}`?"),
        None => {
            let some: Vec<&str> = known.take(8).collect();
            format!("there is no {kind} `{name}`; there are {}", some.join(", "))
        }
    }
}

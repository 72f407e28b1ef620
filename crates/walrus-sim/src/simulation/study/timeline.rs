//! A study's time line: `at TIME VERB ...` a line, in the words of the scenarios' language.

use std::time::Duration;

use walrus_core::config::settings_file::did_you_mean;
use walrus_core::world::{Name, Target, Time, Topology};

use super::setup::{Deed, Happening, Messages, NameServerSetup, Reach};
use crate::duration::parse_duration;
use crate::scenario::reported;
use crate::system::ServerState;

/// What a time line may name.
pub(super) struct Known<'a> {
    pub(super) topology: &'a Topology,
    pub(super) name_servers: &'a [NameServerSetup],
    pub(super) populations: Vec<&'a str>,
    pub(super) controllers: usize,
}

/// Reads one line; `None` if nothing stands there. The error says what to write instead.
pub(super) fn line(text: &str, known: &Known<'_>) -> Result<Option<Happening>, String> {
    let text = text.split('#').next().unwrap_or_default();
    let words: Vec<&str> = text.split_whitespace().collect();
    let ["at", at, deed @ ..] = words.as_slice() else {
        if words.is_empty() {
            return Ok(None);
        }
        return Err(format!(
            "begin with `at TIME`, as in `at 20m kill frankfurt`, not `{}`",
            words[0]
        ));
    };
    // All that is wrong with the line.
    match (time(at), deed_of(deed, known)) {
        (Ok(at), Ok(deed)) => Ok(Some(Happening { at: Time::ZERO + at, deed })),
        (Err(one), Err(other)) => Err(format!("{one}; {other}")),
        (Err(why), _) | (_, Err(why)) => Err(why),
    }
}

fn deed_of(words: &[&str], known: &Known<'_>) -> Result<Deed, String> {
    match words {
        ["population", name, rest @ ..] => population(name, rest, known),
        ["set", path, "=", value @ ..] if !value.is_empty() => {
            Ok(Deed::Set((*path).to_owned(), value.join(" ")))
        }
        ["set", ..] => Err("write `set service.choose = mrl`: a path, `=` and a value".to_owned()),
        ["drain", name] => Ok(Deed::Drain { target: target(name, known)?, force: false }),
        ["drain", name, "force"] => Ok(Deed::Drain { target: target(name, known)?, force: true }),
        ["undrain", name] => Ok(Deed::Undrain(target(name, known)?)),
        [verb @ ("cut" | "heal"), messages @ ("reports" | "plans" | "observations"), rest @ ..] => {
            let messages = match *messages {
                "reports" => Messages::Reports,
                "plans" => Messages::Plans,
                _ => Messages::Observations,
            };
            cut(messages, *verb == "cut", rest, known)
        }
        [verb @ ("kill" | "cut" | "heal"), kind @ ("nameserver" | "controller"), name] => {
            let reach = match *verb {
                "kill" => Reach::Killed,
                "cut" => Reach::Cut,
                _ => Reach::Well,
            };
            if *kind == "controller" {
                return controller(name, known).map(|number| Deed::Controller(number, reach));
            }
            Ok(Deed::NameServers(name_servers(name, known)?, reach))
        }
        ["kill", name] => Ok(Deed::Servers(servers(name, known)?, ServerState::Killed)),
        ["cut", name] => Ok(Deed::Servers(servers(name, known)?, ServerState::Cut)),
        ["heal", name] => Ok(Deed::Heal(servers(name, known)?)),
        ["slow", name] => Ok(Deed::Servers(servers(name, known)?, ServerState::Slow)),
        ["slow", name, factor] => Ok(Deed::Speed(servers(name, known)?, times(factor)?)),
        ["overload", name] => {
            Ok(Deed::Servers(servers(name, known)?, ServerState::Busy { busy: 10, max: 10 }))
        }
        ["report", name, what @ ..] => Ok(Deed::Servers(servers(name, known)?, reported(what)?)),
        _ => Err(format!(
            "`{}` is nothing that can happen; there are kill, cut, heal, slow, overload, report, drain \
             and undrain NAME; kill, cut and heal nameserver NAME or controller NUMBER; cut and heal \
             reports (of NAME), plans (to AREA) or observations (of AREA); set PATH = VALUE; population NAME xTIMES \
             within TIME for TIME",
            words.join(" ")
        )),
    }
}

/// Whose messages of a kind get lost; everybody's if nobody is named.
fn cut(
    messages: Messages,
    is_cut: bool,
    whose: &[&str],
    known: &Known<'_>,
) -> Result<Deed, String> {
    let (name, to) = match (messages, whose) {
        (_, []) => return Ok(Deed::Cut(messages, is_cut)),
        (Messages::Plans, ["to", name]) => (name, None),
        (Messages::Reports | Messages::Observations, ["of", name]) => (name, None),
        (Messages::Reports | Messages::Observations, ["of", name, "to", "controller", number]) => {
            (name, Some(controller(number, known)?))
        }
        _ => {
            return Err(format!(
                "`{}`: write `cut reports of frankfurt`, `cut reports of frankfurt to controller 2`, `cut \
                 observations of europe` (to a Controller as well), or `cut plans to europe`",
                whose.join(" ")
            ));
        }
    };
    let parts = match messages {
        Messages::Reports => servers(name, known)?,
        Messages::Plans | Messages::Observations => name_servers(name, known)?,
    };
    Ok(Deed::CutSome { messages, parts, controller: to, is_cut })
}

fn population(name: &str, mut rest: &[&str], known: &Known<'_>) -> Result<Deed, String> {
    let all = &known.populations;
    let populations: Vec<usize> = match all.iter().position(|it| *it == name) {
        Some(place) => vec![place],
        None if name == "everybody" => (0..all.len()).collect(),
        None => return Err(no_such("population", name, all.iter().copied())),
    };
    let Some((factor, tail)) = rest.split_first() else {
        return Err("write how much, as in `population everybody x20 within 1m for 10m`".to_owned());
    };
    let factor = times(factor)?;
    let (mut within, mut last) = (Duration::ZERO, None);
    rest = tail;
    while let [word, value, tail @ ..] = rest {
        match *word {
            "within" => within = time(value)?,
            "for" => last = Some(time(value)?),
            _ => return Err(format!("`{word}`: write `within TIME` and `for TIME`")),
        }
        rest = tail;
    }
    if !rest.is_empty() {
        return Err(format!("`{}` wants a time", rest.join(" ")));
    }
    Ok(Deed::Population { populations, factor, within, last })
}

fn times(word: &str) -> Result<f64, String> {
    let number: Option<f64> = word.strip_prefix('x').and_then(|it| it.parse().ok());
    number
        .filter(|it| (0.001..=1000.0).contains(it))
        .ok_or_else(|| format!("`{word}` is no factor such as x20 or x0.5, from x0.001 to x1000"))
}

fn time(word: &str) -> Result<Duration, String> {
    parse_duration(word).ok_or_else(|| format!("`{word}` is no time such as 90s, 20m or 1.5h"))
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

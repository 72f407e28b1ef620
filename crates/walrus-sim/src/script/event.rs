//! What happens on time lines of studies only: to what scenarios do not model or have another word for.

use std::time::Duration;

use super::word::{time, times};

/// Something that a simulated world has and a scenario's has not. Names are those of the script; whoever
/// carries it out looks them up.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Event {
    /// A server or cluster works at so many times its capacity.
    Speed { target: String, factor: f64 },
    /// Name servers, by area or name.
    NameServer { name: String, reach: Reach },
    /// A Controller, by its number.
    Controller { number: String, reach: Reach },
    /// Messages of a kind get lost (or no more): all of them, or those on one way.
    Messages { messages: Messages, is_cut: bool, way: Option<Way> },
    /// A setting of the Walrus configuration changes: path and value.
    Set { path: String, value: String },
    /// The load of a population becomes so many times what it was: it grows within a time, stays for a
    /// time (or for good), and shrinks within the first.
    Population { name: String, factor: f64, within: Duration, last: Option<Duration> },
}

/// How a name server or Controller fares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reach {
    Well,
    /// It has stopped, and starts anew when it is healed.
    Killed,
    /// It runs, and nothing comes from it or to it.
    Cut,
}

/// What travels inside Walrus.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Messages {
    Reports,
    Plans,
    Observations,
}

/// Whose messages: of servers, of name servers, or (Plans) to name servers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Way {
    pub(crate) name: String,
    /// To this Controller alone, by its number.
    pub(crate) controller: Option<String>,
}

impl Event {
    /// Reads one; `None` if the words are none.
    pub(super) fn read(words: &[&str]) -> Option<Result<Self, String>> {
        let read = match words {
            ["population", rest @ ..] => population(rest),
            [
                verb @ ("cut" | "heal"),
                messages @ ("reports" | "plans" | "observations"),
                way @ ..,
            ] => {
                let messages = match *messages {
                    "reports" => Messages::Reports,
                    "plans" => Messages::Plans,
                    _ => Messages::Observations,
                };
                way_of(messages, way).map(|way| Self::Messages {
                    messages,
                    is_cut: *verb == "cut",
                    way,
                })
            }
            [verb @ ("kill" | "cut" | "heal"), kind @ ("nameserver" | "controller"), name] => {
                let reach = match *verb {
                    "kill" => Reach::Killed,
                    "cut" => Reach::Cut,
                    _ => Reach::Well,
                };
                let name = (*name).to_owned();
                Ok(match *kind {
                    "controller" => Self::Controller { number: name, reach },
                    _ => Self::NameServer { name, reach },
                })
            }
            ["slow", target, factor] => {
                times(factor).map(|factor| Self::Speed { target: (*target).to_owned(), factor })
            }
            _ => return None,
        };
        Some(read)
    }

    /// Reads `set PATH = VALUE`. A value may have blanks inside, so words are not looked at.
    pub(super) fn read_set(text: &str) -> Result<Self, String> {
        let parts = text.strip_prefix("set").and_then(|rest| rest.split_once('='));
        match parts.map(|(path, value)| (path.trim(), value.trim())) {
            Some((path, value))
                if !path.is_empty() && !value.is_empty() && !path.contains(char::is_whitespace) =>
            {
                Ok(Self::Set { path: path.to_owned(), value: value.to_owned() })
            }
            _ => Err("write `set service.choose = mrl`: a path, `=` and a value".to_owned()),
        }
    }

    /// What a scenario has instead.
    pub(crate) const fn in_scenarios(&self) -> &'static str {
        match self {
            Self::Speed { .. } => "write `slow NAME` alone: its probes take too long",
            Self::NameServer { .. } | Self::Controller { .. } => {
                "write `restart` or `stop 20s`: there is one Controller and one name server"
            }
            Self::Messages { .. } => "write `cut NAME` or `report NAME silence`, of servers",
            Self::Set { .. } => "write `reload OLD => NEW`",
            Self::Population { .. } => "nobody comes by himself: write `query ... times 20`",
        }
    }
}

/// Whose messages of a kind; everybody's if nobody is named.
fn way_of(messages: Messages, words: &[&str]) -> Result<Option<Way>, String> {
    let way = |name: &str, controller: Option<&str>| {
        let controller = controller.map(str::to_owned);
        Ok(Some(Way { name: name.to_owned(), controller }))
    };
    match (messages, words) {
        (_, []) => Ok(None),
        (Messages::Plans, ["to", name]) => way(name, None),
        (Messages::Reports | Messages::Observations, ["of", name]) => way(name, None),
        (Messages::Reports | Messages::Observations, ["of", name, "to", "controller", number]) => {
            way(name, Some(number))
        }
        _ => Err(format!(
            "`{}`: write `cut reports of frankfurt`, `cut reports of frankfurt to controller 2`, `cut \
             observations of europe` (to a Controller as well), or `cut plans to europe`",
            words.join(" ")
        )),
    }
}

fn population(words: &[&str]) -> Result<Event, String> {
    let [name, factor, rest @ ..] = words else {
        return Err("write how much, as in `population everybody x20 within 1m for 10m`".to_owned());
    };
    let factor = times(factor)?;
    let (mut within, mut last) = (None, None);
    let mut rest = rest;
    while let [word, value, tail @ ..] = rest {
        let told = match *word {
            "within" => within.replace(time(value)?),
            "for" => last.replace(time(value)?),
            _ => return Err(format!("`{word}`: write `within TIME` and `for TIME`")),
        };
        if told.is_some() {
            return Err(format!("`{word}` stands there twice"));
        }
        rest = tail;
    }
    if !rest.is_empty() {
        return Err(format!("`{}` wants a time", rest.join(" ")));
    }
    let within = within.unwrap_or_default();
    Ok(Event::Population { name: (*name).to_owned(), factor, within, last })
}

//! One language for whatever happens: in scenarios, and on the time lines of studies.
//!
//! A line is a sentence; `#` begins a comment, but for one in double quotes. What happens to servers reads alike in
//! both; on a time line the time stands before it (`at 20m kill fra1`), in a scenario lines are carried out one
//! after the other. `reports`, `plans` and `observations` are what is cut and healed, so a server is better called
//! otherwise.
//!
//! ```text
//! report fra1 busy 9 of 10            what its Reporter says from now on, each unit
//! report fra1 tempfail not yet        also: bypass REASON, panic REASON, silence
//! kill fra1                           its Reporter's connection closes, its probes are refused
//! cut fra1                            no report arrives any more, its probes time out
//! heal fra1                           both well again
//! overload frankfurt                  every server of it reports busy 10 of 10
//! slow fra1                           its probes take longer than their timeout
//! drain fra1  |  drain fra1 force  |  undrain fra1
//! ```
//!
//! On time lines alone, for a simulated world has more in it:
//!
//! ```text
//! at 20m slow fra1 x0.5               works at this part of its capacity; without a factor at a tenth
//! at 20m kill nameserver europe       also cut, heal: all of an area, or one by its name
//! at 20m kill controller 1            also cut, heal
//! at 20m cut reports                  also plans, observations; heal reports
//! at 20m cut reports of fra1 to controller 2               also of a cluster; observations of an area
//! at 20m cut plans to europe
//! at 20m set service.choose = mrl     a setting of the Walrus configuration changes
//! at 20m population people x20 within 1m for 10m           everybody: all populations
//! ```
//!
//! In scenarios alone, which say when, ask and look:
//!
//! ```text
//! config                              TOML, indented, up to the line `end`
//!   zone = "example.com"
//!   ...
//! end
//! seed 7                              for every random choice; default 1
//! start                               begins at time zero; reports of idle servers begin
//! reload weight = 2 => weight = 3     reads the configuration again with this text replaced
//! restart                             kills Controller and name server and starts them again
//! stop 20s                            they stand still for so long, as by SIGSTOP, and go on
//! time passes 5s
//! query www.example.com A from 198.51.100.7                the client asks by itself
//! query www.example.com A from 192.0.2.9 ecs 198.51.100.0/24 to 127.0.0.1 times 3
//! expect answer 192.0.2.10 192.0.2.11                      of the last query, in order
//! expect answers among 192.0.2.10 192.0.2.11               each address of each last answer
//! expect answers name 192.0.2.10                           at least one of them has it
//! expect share 192.0.2.10 between 20% 40%                  first in so many of the last answers
//! expect ttl 15  |  expect scope 24  |  expect rcode NXDOMAIN  |  expect no answer
//! expect server fra1 dead             life: living, unknown, drained, bypass, panic, dead
//! expect area europe of www.example.com at frankfurt       the clusters, first is where it points
//! expect notice panic fra1            told since the last such line; `expect no notice`
//! expect refused                      the last drain or reload was refused
//! show answer | show areas | show servers                  into the golden output
//! ```

mod act;
mod duration;
mod event;
mod statement;
pub(crate) mod word;

use walrus_core::config::settings_file::did_you_mean;

pub use act::Act;
pub(crate) use duration::parse_duration;
pub(crate) use event::{Event, Messages, Reach, Way};
pub use statement::{Expectation, Statement, View};

/// What a line says.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Sentence {
    /// In a scenario; an [`Act`] on a time line as well.
    Statement(Statement),
    /// On a time line only.
    Event(Event),
}

/// All first words.
const VERBS: [&str; 17] = [
    "kill",
    "cut",
    "heal",
    "slow",
    "overload",
    "report",
    "drain",
    "undrain",
    "set",
    "population",
    "reload",
    "restart",
    "stop",
    "time",
    "query",
    "expect",
    "show",
];

/// Reads a line without its comment. The error says what to write instead.
pub(crate) fn sentence(text: &str) -> Result<Sentence, String> {
    let words: Vec<&str> = text.split_whitespace().collect();
    match words.first() {
        Some(&"reload") => return Statement::read_reload(text).map(Sentence::Statement),
        Some(&"set") => return Event::read_set(text).map(Sentence::Event),
        Some(&"at") => {
            return Err(
                "`at TIME` begins a line of a study's time line; in a scenario write a line `time \
                        passes 5m` before what happens then"
                    .to_owned(),
            );
        }
        _ => {}
    }
    if let Some(event) = Event::read(&words) {
        return event.map(Sentence::Event);
    }
    if let Some(act) = Act::read(&words) {
        return act.map(Statement::Act).map(Sentence::Statement);
    }
    if let Some(statement) = Statement::read(&words) {
        return statement.map(Sentence::Statement);
    }
    Err(unknown(&words))
}

/// The line without its comment and the blanks around it. What stands in double quotes is no comment.
pub(crate) fn without_comment(line: &str) -> &str {
    let (mut is_quoted, mut is_escaped, mut in_quotes) = (false, false, None);
    for (at, letter) in line.char_indices() {
        match letter {
            _ if is_escaped => is_escaped = false,
            '\\' if is_quoted => is_escaped = true,
            '"' => (is_quoted, in_quotes) = (!is_quoted, None),
            '#' if !is_quoted => return line[..at].trim(),
            '#' => in_quotes = in_quotes.or(Some(at)),
            _ => {}
        }
    }
    // A quote that nothing closes is a letter as others are.
    line[..in_quotes.unwrap_or(line.len())].trim()
}

fn unknown(words: &[&str]) -> String {
    let text = words.join(" ");
    let verb = words.first().copied().unwrap_or_default();
    match did_you_mean(verb, VERBS.iter().copied()) {
        Some(near) if near != verb => {
            format!("`{text}` is nothing that can happen: did you mean `{near}`?")
        }
        _ => format!(
            "`{text}` is nothing that can happen; there are kill, cut, heal, slow, overload, report, drain \
             and undrain NAME; on time lines of studies also kill, cut and heal nameserver NAME or controller \
             NUMBER, cut and heal reports (of NAME), plans (to AREA) or observations (of AREA), slow NAME \
             xTIMES, set PATH = VALUE, population NAME xTIMES within TIME for TIME; in scenarios reload, \
             restart, stop, time passes, query, expect and show"
        ),
    }
}

#[cfg(test)]
mod tests;

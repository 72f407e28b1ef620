//! The language of scenarios: one statement a line, `#` begins a comment.
//!
//! ```text
//! config                              TOML, indented, up to the line `end`
//!   zone = "example.com"
//!   ...
//! end
//! seed 7                              for every random choice; default 1
//! start                               begins at time zero; reports of idle servers begin
//! report fra1 busy 9 of 10            what its Reporter says from now on, each unit
//! report fra1 tempfail not yet        also: bypass REASON, panic REASON, silence
//! kill fra1                           its Reporter's connection closes, its probes are refused
//! cut fra1                            no report arrives any more, its probes time out
//! heal fra1                           both well again
//! overload frankfurt                  every server of it reports busy 10 of 10
//! slow fra1                           its probes take longer than their timeout
//! drain fra1  |  drain fra1 force  |  undrain fra1
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

mod parse;
mod run;
mod statement;

pub(crate) use parse::reported;
pub use parse::{ScenarioProblem, parse};
pub use run::{Outcome, run};
pub use statement::{Expectation, Line, Scenario, Statement, View};

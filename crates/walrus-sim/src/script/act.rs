//! What happens in scenarios and on time lines alike: to servers and clusters, by their names.

use super::word::number;
use crate::system::ServerState;

/// Something happens to a server, or to every server of a cluster.
#[derive(Clone, Debug, PartialEq)]
pub enum Act {
    /// It is in another state from now on.
    Set {
        /// A server's or cluster's name.
        target: String,
        /// The state.
        state: ServerState,
    },
    /// All is well with it again.
    Heal {
        /// A server's or cluster's name.
        target: String,
    },
    /// An operator drains.
    Drain {
        /// A server's or cluster's name.
        target: String,
        /// Even the last usable server.
        force: bool,
    },
    /// An operator takes a drain back.
    Undrain {
        /// A server's or cluster's name.
        target: String,
    },
}

impl Act {
    /// Reads one; `None` if the words are none.
    pub(super) fn read(words: &[&str]) -> Option<Result<Self, String>> {
        let set = |target: &&str, state| Self::Set { target: (*target).to_owned(), state };
        let read = match words {
            ["report", target, what @ ..] => reported(what).map(|state| set(target, state)),
            ["kill", target] => Ok(set(target, ServerState::Killed)),
            ["cut", target] => Ok(set(target, ServerState::Cut)),
            ["slow", target] => Ok(set(target, ServerState::Slow)),
            ["overload", target] => Ok(set(target, ServerState::Busy { busy: 10, max: 10 })),
            ["heal", target] => Ok(Self::Heal { target: (*target).to_owned() }),
            ["drain", target] => Ok(Self::Drain { target: (*target).to_owned(), force: false }),
            ["drain", target, "force"] => {
                Ok(Self::Drain { target: (*target).to_owned(), force: true })
            }
            ["undrain", target] => Ok(Self::Undrain { target: (*target).to_owned() }),
            [verb @ ("report" | "kill" | "cut" | "slow" | "overload" | "heal" | "undrain")] => {
                Err(format!("`{verb}` wants the name of a server or cluster"))
            }
            ["drain", ..] => Err("write `drain NAME` or `drain NAME force`".to_owned()),
            ["slow", _, _, rest @ ..] => Err(format!(
                "`{}`: write `slow NAME` or `slow NAME xTIMES` and nothing behind it",
                rest.join(" ")
            )),
            [
                verb @ ("kill" | "cut" | "heal"),
                kind @ ("nameserver" | "controller"),
                _,
                rest @ ..,
            ] => Err(format!(
                "`{}`: write `{verb} {kind} NAME` and nothing behind it",
                rest.join(" ")
            )),
            [verb @ ("kill" | "cut" | "heal" | "overload" | "undrain"), _, rest @ ..] => {
                Err(format!("`{}`: write `{verb} NAME` and nothing behind it", rest.join(" ")))
            }
            _ => return None,
        };
        Some(read)
    }
}

fn reported(what: &[&str]) -> Result<ServerState, String> {
    match what {
        ["busy", busy, "of", max] => {
            Ok(ServerState::Busy { busy: number(busy)?, max: number(max)? })
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

//! One line's words to what is to be done.

use anyhow::{Context as _, Result, bail};

use super::words::{all_names, duration, ipv4, path, percent};
use super::{
    Addresses, Areas, Asking, Ending, Expectation, Fetches, Place, SetUp, Share, Statement,
    StatusExpectation, Which,
};
use crate::programs::Program;

pub(super) fn read(words: &[&str], areas: &Areas) -> Result<Statement> {
    Ok(match words {
        ["node", name, addresses @ ..] => Statement::Node(owned(name), ipv4(addresses)?),
        ["machine", name, addresses @ ..] => Statement::Machine(owned(name), ipv4(addresses)?),
        ["paths", rest @ ..] => Statement::Paths(path(rest)?),
        ["path", from, "to", to, rest @ ..] => {
            Statement::PathTo(nodes(&[from], areas), nodes(&[to], areas), path(rest)?)
        }
        ["path", one, other, rest @ ..] => {
            Statement::PathBetween(nodes(&[one], areas), nodes(&[other], areas), path(rest)?)
        }
        ["root", node] => Statement::Root(owned(node)),
        ["let", nodes, name, value @ ..] if !value.is_empty() => {
            Statement::Let(nodes.split(',').map(owned).collect(), owned(name), value.join(" "))
        }
        ["sockets", node] => Statement::Sockets(owned(node)),
        ["setup", kind, node, "from", from, "for", area] => Statement::SetUp(SetUp {
            kind: owned(kind),
            node: owned(node),
            from: owned(from),
            area: owned(area),
        }),
        ["start", program, rest @ ..] => Statement::Start(which(program)?, place(rest)?),
        ["restart", program, node] => Statement::Restart(Program::named(program)?, owned(node)),
        [verb @ ("stop" | "kill" | "freeze" | "thaw"), program, rest @ ..] => {
            let ending = match *verb {
                "stop" => Ending::Stop,
                "kill" => Ending::Kill,
                "freeze" => Ending::Freeze,
                _ => Ending::Thaw,
            };
            Statement::End(which(program)?, place(rest)?, ending)
        }
        [verb @ ("cut" | "heal"), from, "from", to] => {
            let (from, to) = (vec![owned(from)], Some(owned(to)));
            Statement::Cut { from, to, is_cut: *verb == "cut" }
        }
        [verb @ ("cut" | "heal"), from @ ..] if !from.is_empty() => {
            Statement::Cut { from: nodes(from, areas), to: None, is_cut: *verb == "cut" }
        }
        ["client", rest @ ..] => client(rest)?,
        ["walrus", node, command @ ..] if !command.is_empty() => {
            Statement::Command(owned(node), command.iter().map(|it| owned(it)).collect())
        }
        ["time", "passes", time] => Statement::Pass(duration(time)?),
        ["mark"] => Statement::Mark,
        ["expect", "client", client, rest @ ..] => {
            Statement::Expect(owned(client), expectation(rest)?)
        }
        ["expect", "walrus", nodes @ .., "say", pointer, value, "within", within] => {
            Statement::ExpectStatus(status(nodes, pointer, value, within)?)
        }
        ["shares", "client", client, address, "by", by] => Statement::Shares {
            client: owned(client),
            address: address.parse().with_context(|| owned(address))?,
            by: by.parse().ok().filter(|by| *by > 0).context("by how many answers?")?,
        },
        ["losses", "client", client] => Statement::Losses(owned(client)),
        _ => {
            let sentence = words.join(" ");
            bail!("`{sentence}` is no sentence of the lab (lab/src/script/mod.rs lists them)")
        }
    })
}

fn owned(word: &str) -> String {
    word.to_owned()
}

/// An area stands for its nodes.
fn nodes(words: &[&str], areas: &Areas) -> Vec<String> {
    let of = |word: &&str| areas.get(*word).cloned().unwrap_or_else(|| vec![owned(word)]);
    words.iter().flat_map(of).collect()
}

fn which(word: &str) -> Result<Which> {
    match word {
        "web" => Ok(Which::Web),
        _ => Program::named(word).map(Which::This),
    }
}

fn place(words: &[&str]) -> Result<Place> {
    Ok(match words {
        ["that"] => Place::That,
        ["of", client] => Place::Of(owned(client)),
        [node] => Place::Node(owned(node)),
        _ => bail!("on which node? Write its name, `of CLIENT`, or `that`"),
    })
}

fn client(words: &[&str]) -> Result<Statement> {
    let [name, "at", node, "of", resolvers, "asks", names, "every", every, rest @ ..] = words
    else {
        bail!(
            "write `client NAME at NODE of RESOLVER asks NAMES every 500ms [once] [and fetches]`"
        );
    };
    let resolvers: Vec<&str> = resolvers.split(',').collect();
    let (once, rest) = match rest {
        ["once", rest @ ..] => (true, rest),
        rest => (false, rest),
    };
    Ok(Statement::Client(Asking {
        client: owned(name),
        node: owned(node),
        resolvers: ipv4(&resolvers)?,
        names: all_names(names)?,
        every: duration(every)?,
        once,
        fetches: match rest {
            [] => Fetches::Nothing,
            ["and", "fetches"] => Fetches::FromFirst,
            ["and", "fetches", "from", "any"] => Fetches::FromAny,
            _ => bail!(
                "after the interval comes nothing, `once`, `and fetches`, or `and fetches from any`"
            ),
        },
    }))
}

fn status(nodes: &[&str], pointer: &str, value: &str, within: &str) -> Result<StatusExpectation> {
    if nodes.is_empty() || !pointer.starts_with('/') {
        bail!("which nodes say what? Write `expect walrus eu us say /master us within 5s`");
    }
    Ok(StatusExpectation {
        nodes: nodes.iter().map(|it| owned(it)).collect(),
        pointer: owned(pointer),
        value: owned(value),
        within: duration(within)?,
    })
}

fn expectation(words: &[&str]) -> Result<Expectation> {
    Ok(match words {
        ["gets", rest @ .., "within", time] if !rest.is_empty() => {
            Expectation::Gets(addresses(rest)?, duration(time)?)
        }
        ["leaves", rest @ .., "within", time] if !rest.is_empty() => {
            Expectation::Leaves(addresses(rest)?, duration(time)?)
        }
        ["is", "always", "served"] => Expectation::AlwaysServed { but: 0 },
        ["is", "always", "served", "but", but] => {
            Expectation::AlwaysServed { but: but.parse().with_context(|| owned(but))? }
        }
        ["share", address, rest @ ..] => Expectation::Share(share(address, rest)?),
        ["settles", "on", address, "within", answers] => {
            let address = address.parse().with_context(|| owned(address))?;
            Expectation::Settles(address, answers.parse().with_context(|| owned(answers))?)
        }
        _ => bail!(
            "`gets ADDRESS.. within 5s`, `leaves ADDRESS.. within 5s`, `is always served`, \
             `share ADDRESS above 80%`, or `settles on ADDRESS within 10`"
        ),
    })
}

fn share(address: &str, words: &[&str]) -> Result<Share> {
    let (predicted, least, rest) = match words {
        ["above", least, rest @ ..] => (None, percent(least)?, rest),
        ["predicted", predicted, "less", less, rest @ ..] => {
            let (predicted, less) = (percent(predicted)?, percent(less)?);
            (Some(predicted), predicted - less, rest)
        }
        _ => bail!("write `above 80%`, or `predicted 90% less 10%`"),
    };
    let after = match rest {
        [] => 0,
        ["after", answers] => answers.parse().with_context(|| owned(answers))?,
        _ => bail!("after that comes nothing, or `after 20`"),
    };
    let address = address.parse().with_context(|| owned(address))?;
    Ok(Share { address, predicted, least, after })
}

fn addresses(words: &[&str]) -> Result<Addresses> {
    Ok(match words {
        ["that"] => Addresses::That,
        _ => Addresses::These(ipv4(words)?),
    })
}

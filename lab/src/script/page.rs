//! A page of the guide, carried out as it stands.
//!
//! What is to be done with its blocks stands before them, in comments that readers do not see. Any sentence of the
//! lab may stand there, and these two, which are about the next block; several of them share it.
//!
//! ```text
//! <!-- lab: on berlin write /etc/walrus/walrus.toml -->
//! <!-- lab: on oregon write /etc/walrus/walrus.toml with berlin=oregon 192.0.2.1=198.51.100.1 -->
//! <!-- lab: on berlin run -->         its lines that begin with `$ `, each of which says what follows it; a command
//!                                     goes on in lines that begin with `> `
//! ```

use anyhow::{Context as _, Result, bail};

use super::{Areas, Statement, sentence};

/// What is to be done with a block, and what stands there for something else.
struct Wish {
    node: String,
    /// Where it is written; else it is run.
    file: Option<String>,
    instead: Vec<(String, String)>,
}

/// All that is to be done on a page, with the numbers of lines.
pub(super) fn read(text: &str, areas: &Areas) -> Result<Vec<(usize, Statement)>> {
    let mut statements = Vec::new();
    let mut wishes: Vec<Wish> = Vec::new();
    let mut lines = (1..).zip(text.lines());
    while let Some((number, line)) = lines.next() {
        if let Some(comment) = line.trim().strip_prefix("<!-- lab:") {
            let words: Vec<&str> = comment.trim_end_matches("-->").split_whitespace().collect();
            match wish(&words).with_context(|| format!("line {number}"))? {
                Some(wish) => wishes.push(wish),
                None => statements.push((
                    number,
                    sentence::read(&words, areas).with_context(|| format!("line {number}"))?,
                )),
            }
        } else if line.starts_with("```") {
            let inside =
                lines.by_ref().map(|(_, line)| line).take_while(|it| !it.starts_with("```"));
            let block: Vec<&str> = inside.collect();
            for wish in wishes.drain(..) {
                statements.extend(carried_out(&wish, &block).into_iter().map(|it| (number, it)));
            }
        }
    }
    if let Some(wish) = wishes.first() {
        bail!("no block follows what is to be done on {}", wish.node);
    }
    Ok(statements)
}

fn wish(words: &[&str]) -> Result<Option<Wish>> {
    let (node, file, rest) = match words {
        ["on", node, "run", rest @ ..] => (node, None, rest),
        ["on", node, "write", file, rest @ ..] => (node, Some((*file).to_owned()), rest),
        _ => return Ok(None),
    };
    let instead = match rest {
        [] => Vec::new(),
        ["with", pairs @ ..] => {
            let pair = |pair: &&str| {
                let (from, to) = pair.split_once('=').context("write `with FROM=TO`")?;
                Ok((from.to_owned(), to.to_owned()))
            };
            pairs.iter().map(pair).collect::<Result<_>>()?
        }
        _ => bail!("after that comes nothing, or `with FROM=TO`"),
    };
    Ok(Some(Wish { node: (*node).to_owned(), file, instead }))
}

fn carried_out(wish: &Wish, block: &[&str]) -> Vec<Statement> {
    let text = |line: &&str| {
        wish.instead.iter().fold((*line).to_owned(), |line, (from, to)| line.replace(from, to))
    };
    let lines: Vec<String> = block.iter().map(text).collect();
    if let Some(file) = &wish.file {
        let (node, file) = (wish.node.clone(), file.clone());
        return vec![Statement::Write { node, file, text: lines.join("\n") + "\n" }];
    }
    let mut commands: Vec<(String, Vec<String>)> = Vec::new();
    for line in lines {
        if let Some(command) = line.strip_prefix("$ ") {
            commands.push((command.to_owned(), Vec::new()));
        } else if let Some((command, said)) = commands.last_mut() {
            match line.strip_prefix("> ") {
                Some(more) if said.is_empty() => *command += &format!("\n{more}"),
                _ => said.push(line),
            }
        }
    }
    let run = |(command, said)| Statement::Shell { node: wish.node.clone(), command, said };
    commands.into_iter().map(run).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_written_and_run_as_comments_say() {
        let text = "# A page\n\n<!-- lab: on a write /etc/x -->\n<!-- lab: on b write /etc/x with a=b -->\n\
                    ```toml\nname = \"a\"\n```\n\n```sh\nnot this\n```\n<!-- lab: cut a -->\n\
                    <!-- lab: on a run -->\n```console\n$ one\nsays\n$ for it\n> do more\n```\n";
        let statements = read(text, &Areas::new()).unwrap();
        let write = |node: &str, text: &str| {
            let (node, file, text) = (node.to_owned(), "/etc/x".to_owned(), text.to_owned());
            Statement::Write { node, file, text }
        };
        let run = |command: &str, said: &[&str]| {
            let said = said.iter().map(|it| (*it).to_owned()).collect();
            Statement::Shell { node: "a".to_owned(), command: command.to_owned(), said }
        };
        let expected = [
            (5, write("a", "name = \"a\"\n")),
            (5, write("b", "nbme = \"b\"\n")),
            (12, Statement::Cut { from: vec!["a".to_owned()], to: None, is_cut: true }),
            (14, run("one", &["says"])),
            (14, run("for it\ndo more", &[])),
        ];
        assert_eq!(statements, expected);
        assert!(read("<!-- lab: on a run -->\n", &Areas::new()).is_err());
        assert!(read("<!-- lab: wait -->\n", &Areas::new()).is_err());
    }
}

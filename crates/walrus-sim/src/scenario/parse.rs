//! Text to [`Scenario`]: every problem at once, each with its line and what to write instead.

use std::fmt;

use crate::script::{self, Sentence, Statement, word};

/// A parsed scenario.
#[derive(Clone, Debug, PartialEq)]
pub struct Scenario {
    /// The configuration as TOML text.
    pub config: String,
    /// Fixes every random choice.
    pub seed: u64,
    /// What happens, in order.
    pub lines: Vec<Line>,
}

/// One statement and where it stands.
#[derive(Clone, Debug, PartialEq)]
pub struct Line {
    /// From 1.
    pub number: usize,
    /// As written, without indentation and comment.
    pub text: String,
    /// What it says.
    pub statement: Statement,
}

/// One thing wrong with a scenario.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScenarioProblem {
    /// From 1.
    pub line: usize,
    /// What is wrong and what to write instead.
    pub message: String,
}

impl fmt::Display for ScenarioProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.message)
    }
}

/// Parses a scenario.
///
/// # Errors
/// All problems, in the order of lines.
pub fn parse(text: &str) -> Result<Scenario, Vec<ScenarioProblem>> {
    let mut scenario = Scenario { config: String::new(), seed: 1, lines: Vec::new() };
    let mut problems = Vec::new();
    let mut in_config = false;
    let mut started = false;
    for (index, raw) in text.lines().enumerate() {
        let number = index + 1;
        if in_config {
            if raw.trim() == "end" {
                in_config = false;
            } else {
                scenario.config.push_str(raw);
                scenario.config.push('\n');
            }
            continue;
        }
        let text = script::without_comment(raw);
        let words: Vec<&str> = text.split_whitespace().collect();
        let result = match words.as_slice() {
            [] => Ok(()),
            ["config"] => {
                // Keeps line numbers of the TOML the same as those of the scenario.
                scenario.config = "\n".repeat(number);
                in_config = true;
                Ok(())
            }
            ["start"] => {
                started = true;
                Ok(())
            }
            ["seed", seed] => word::number(seed).map(|seed| scenario.seed = seed),
            _ if !started => Err("write `config ... end`, then `start`, before it".to_owned()),
            _ => statement(text).map(|statement| {
                scenario.lines.push(Line { number, text: text.to_owned(), statement });
            }),
        };
        if let Err(message) = result {
            problems.push(ScenarioProblem { line: number, message });
        }
    }
    if in_config {
        let line = text.lines().count();
        problems.push(ScenarioProblem { line, message: "`config` wants a line `end`".to_owned() });
    }
    if problems.is_empty() { Ok(scenario) } else { Err(problems) }
}

fn statement(text: &str) -> Result<Statement, String> {
    match script::sentence(text)? {
        Sentence::Statement(statement) => Ok(statement),
        Sentence::Event(event) => {
            Err(format!("`{text}` is for the time lines of studies; here {}", event.in_scenarios()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_problems_with_their_lines() {
        let text = "query early A from 1.2.3.4\nconfig\nx = 1\nend\nstart\nsing\nexpect ttl x\n\
                    time passes 5\nquery a A from 1.2.3.4 ecs 1.2.3.0/33\n\
                    time passes 9999999999999999h\n";
        let lines: Vec<usize> = parse(text).unwrap_err().iter().map(|p| p.line).collect();
        assert_eq!(lines, [1, 6, 7, 8, 9, 10]);
    }

    #[test]
    fn toml_keeps_its_line_numbers() {
        let scenario = parse("# a\nconfig\nx = 1\nend\nstart\n").unwrap();
        assert_eq!(scenario.config.lines().nth(2), Some("x = 1"));
    }

    #[test]
    fn a_query_with_everything() {
        let text =
            "start\nquery www.example.com AAAA from 192.0.2.9 ecs 2001:db8::/32 to ::1 times 3";
        let scenario = parse(text).unwrap();
        let Statement::Query { question, times } = &scenario.lines[0].statement else { panic!() };
        assert_eq!((*times, question.subnet.unwrap().1), (3, 32));
    }

    #[test]
    fn what_only_studies_have_is_told_as_that() {
        for (line, expected) in [
            ("slow fra1 x0.5", "`slow NAME` alone"),
            ("population everybody x2", "nobody comes by himself"),
            ("set service.ttl = 5s", "`reload OLD => NEW`"),
            ("kill controller 1", "`restart`"),
            ("cut nameserver ns1", "`restart`"),
            ("cut reports", "`cut NAME`"),
            ("at 5m kill fra1", "`time passes 5m`"),
        ] {
            let problems = parse(&format!("start\n{line}\n")).unwrap_err();
            assert_eq!(problems[0].line, 2);
            assert!(problems[0].message.contains(expected), "{line}: {}", problems[0]);
        }
    }
}

//! `walrus check`: silence, or every problem.

use std::path::Path;

use serde::Serialize;

use super::Failure;
use crate::load;
use crate::output::{complain, say_json};

/// What `--json` says.
#[derive(Serialize)]
struct CheckView {
    good: bool,
    problems: Vec<String>,
    warnings: Vec<String>,
}

pub(super) fn run(path: &Path, strict: bool, json: bool) -> Result<(), Failure> {
    let (problems, warnings) = match load::check(path).and_then(|checked| checked.load(None)) {
        Ok(loaded) => (Vec::new(), loaded.warnings),
        Err(load::LoadError::Problems(problems)) => (problems, Vec::new()),
        Err(load::LoadError::Unreadable(text)) => return Err(Failure::CouldNot(text)),
    };
    let good = problems.is_empty() && (!strict || warnings.is_empty());
    if json {
        say_json("check", &CheckView { good, problems: problems.clone(), warnings })?;
    } else {
        for problem in &problems {
            complain(problem);
        }
        if strict {
            warnings.iter().for_each(|warning| complain(&format!("warning: {warning}")));
        }
    }
    if good {
        return Ok(());
    }
    let count = problems.len();
    Err(Failure::No(match count {
        0 => "there are warnings".to_owned(),
        1 => "1 problem".to_owned(),
        _ => format!("{count} problems"),
    }))
}

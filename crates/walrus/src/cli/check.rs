//! `walrus check`: silence, or every problem.

use std::path::Path;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Failure;
use crate::load;
use crate::output::{complain, say_json};

/// What `--json` says.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct CheckView {
    /// Whether the exit code is 0.
    pub(crate) good: bool,
    /// What keeps it from being used: `FILE:LINE:COLUMN: what is wrong and what to write instead`.
    pub(crate) problems: Vec<String>,
    /// What is accepted but hardly meant.
    pub(crate) warnings: Vec<String>,
}

pub(super) fn run(path: &Path, strict: bool, json: bool) -> Result<(), Failure> {
    let (problems, warnings) = match load::check(path).and_then(load::Checked::load_beside_kept) {
        Ok(loaded) => {
            let seen = super::keys::ds_warnings(&loaded.configuration);
            (Vec::new(), loaded.warnings.into_iter().chain(seen).collect())
        }
        Err(load::LoadError::Problems(problems)) => (problems, Vec::new()),
        Err(load::LoadError::Unreadable(text)) => return Err(Failure::CouldNot(text)),
    };
    let good = problems.is_empty() && (!strict || warnings.is_empty());
    if json {
        say_json("check", &CheckView { good, problems, warnings })?;
        return if good { Ok(()) } else { Err(Failure::Told) };
    }
    if strict {
        warnings.iter().for_each(|warning| complain(&format!("warning: {warning}")));
    }
    match (problems.is_empty(), good) {
        (false, _) => Err(Failure::Problems(problems)),
        (true, false) => Err(Failure::No(super::count(warnings.len(), "warning"))),
        (true, true) => Ok(()),
    }
}

//! Scenarios: what stands where, what happens, what must be seen, in the language that time lines
//! of studies have as well.

mod parse;
mod run;

pub use crate::script::{Act, Expectation, Statement, View};
pub use parse::{Line, Scenario, ScenarioProblem, parse};
pub use run::{Outcome, run};

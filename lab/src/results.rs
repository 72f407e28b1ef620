//! What came of a scenario: for people a table, for programs JSON.

use std::path::PathBuf;
use std::time::Duration;

use serde::Serialize;

use crate::client::Asked;
use crate::script::Scenario;

/// So many changes of what a client got are told to people.
const CHANGES_SHOWN: usize = 12;

/// One scenario's.
#[derive(Debug, Serialize)]
pub(crate) struct Outcome {
    pub(crate) scenario: String,
    title: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    variant: Option<String>,
    pub(crate) seconds: f64,
    /// Why it was not tried.
    #[serde(skip_serializing_if = "Option::is_none")]
    skipped: Option<String>,
    /// What ended it early.
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<String>,
    pub(crate) steps: Vec<Step>,
    clients: Vec<ClientResult>,
    /// Where its files are, if `LAB_KEEP` is set and something went wrong.
    #[serde(skip)]
    pub(crate) kept: Option<PathBuf>,
}

/// Something that was done, expected or measured.
#[derive(Debug, Serialize)]
pub(crate) struct Step {
    /// Seconds since the scenario began.
    at: f64,
    what: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    found: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    good: Option<bool>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    shares: Vec<f64>,
    /// So many answers came before nearly all were so.
    #[serde(skip_serializing_if = "Option::is_none")]
    settled_after: Option<usize>,
}

/// What a client got, and when that changed.
#[derive(Debug, Serialize)]
struct ClientResult {
    client: String,
    asked: usize,
    not_served: usize,
    /// Median of the seconds that an answer took.
    median_seconds: f64,
    changes: Vec<Change>,
}

#[derive(Debug, Serialize)]
struct Change {
    at: f64,
    to: String,
}

impl Step {
    pub(crate) fn deed(at: Duration, what: String) -> Self {
        Self {
            at: at.as_secs_f64(),
            what,
            found: None,
            good: None,
            shares: Vec::new(),
            settled_after: None,
        }
    }

    /// What is told without a judgement.
    pub(crate) fn told(at: Duration, what: String, found: String) -> Self {
        Self { found: Some(found), ..Self::deed(at, what) }
    }

    pub(crate) fn expected(at: Duration, what: String, found: String, is_good: bool) -> Self {
        Self { found: Some(found), good: Some(is_good), ..Self::deed(at, what) }
    }

    pub(crate) fn shares(
        at: Duration,
        what: String,
        shares: Vec<f64>,
        settled: Option<(usize, f64)>,
    ) -> Self {
        let found = shares.iter().map(|share| format!("{:.0} %", share * 100.0));
        let found = found.collect::<Vec<_>>().join(", ");
        let settled_after = settled.map(|(answers, _)| answers);
        let found = Some(match settled {
            Some((answers, seconds)) => {
                format!("{found}; for good after {answers} answers, {seconds:.1} s")
            }
            None => format!("{found}; never for good"),
        });
        Self { shares, found, settled_after, ..Self::deed(at, what) }
    }
}

impl Outcome {
    pub(crate) fn new(name: &str, scenario: &Scenario) -> Self {
        Self {
            scenario: name.to_owned(),
            title: scenario.title.clone(),
            variant: scenario.variant.clone(),
            seconds: 0.0,
            skipped: None,
            problem: None,
            steps: Vec::new(),
            clients: Vec::new(),
            kept: None,
        }
    }

    pub(crate) fn failed(mut self, problem: String) -> Self {
        self.problem = Some(problem);
        self
    }

    pub(crate) fn skipped(mut self, reason: String) -> Self {
        self.skipped = Some(reason);
        self
    }

    /// Whether it could not be tried.
    pub(crate) fn is_skipped(&self) -> bool {
        self.skipped.is_some()
    }

    /// Whether it came to its end and all that was expected came.
    pub(crate) fn is_good(&self) -> bool {
        self.problem.is_none() && self.steps.iter().all(|step| step.good != Some(false))
    }

    pub(crate) fn tell_client(&mut self, name: &str, asked: &[Asked]) {
        let mut changes: Vec<Change> = Vec::new();
        for one in asked {
            let to = match (&one.problem, one.first) {
                (Some(problem), _) => problem.clone(),
                (None, Some(first)) => first.to_string(),
                (None, None) => continue,
            };
            if changes.last().is_none_or(|last| last.to != to) {
                changes.push(Change { at: one.at, to });
            }
        }
        let mut took: Vec<f64> = asked.iter().map(|it| it.took).collect();
        took.sort_by(f64::total_cmp);
        self.clients.push(ClientResult {
            client: name.to_owned(),
            asked: asked.len(),
            not_served: asked.iter().filter(|it| it.problem.is_some()).count(),
            median_seconds: took.get(took.len() / 2).copied().unwrap_or_default(),
            changes,
        });
    }
}

/// For people.
pub(crate) fn print(outcome: &Outcome) {
    if let Some(reason) = &outcome.skipped {
        println!("SKIPPED: the lab's scenario {}: {reason}\n", outcome.scenario);
        return;
    }
    // Others may be under way beside it.
    let variant = outcome.variant.as_ref().map(|it| format!(", {it}")).unwrap_or_default();
    println!("-- {}{variant}", outcome.scenario);
    for step in &outcome.steps {
        let mark = match step.good {
            Some(true) => "ok",
            Some(false) => "NO",
            None => "",
        };
        let found = step.found.as_deref().unwrap_or_default();
        println!("{:8.2} s  {mark:2}  {}  {found}", step.at, step.what);
    }
    for client in &outcome.clients {
        println!(
            "  {}: {} questions, {} not served, answers take {:.1} ms (median)",
            client.client,
            client.asked,
            client.not_served,
            client.median_seconds * 1e3
        );
        for change in client.changes.iter().take(CHANGES_SHOWN) {
            println!("    from {:.2} s  {}", change.at, change.to);
        }
        if let more @ 1.. = client.changes.len().saturating_sub(CHANGES_SHOWN) {
            println!("    and {more} changes more");
        }
    }
    if let Some(problem) = &outcome.problem {
        println!("ENDED EARLY: {problem}");
    }
    if let Some(kept) = &outcome.kept {
        println!("its files are in {}", kept.display());
    }
    println!("{} in {:.1} s\n", if outcome.is_good() { "good" } else { "FAILED" }, outcome.seconds);
}

/// For programs.
pub(crate) fn to_json(outcomes: &[Outcome]) -> String {
    let good = outcomes.iter().filter(|it| it.is_good()).count();
    let all = serde_json::json!(
        { "walrus": 1, "kind": "lab", "good": good == outcomes.len(), "scenarios": outcomes });
    format!("{all:#}\n")
}

//! A study: what runs, who asks, what happens, what is compared.

mod configuration;
mod happenings;
mod law;
mod memory;
mod offered;
mod populations;
mod read;
mod seeds;
mod settings;
mod setup;
mod shares;
mod timeline;
mod times;

use std::fmt;
use std::sync::Arc;

use walrus_core::config::settings_file::{
    Findings, Place, Section, Value, read_settings, reference_tables,
};
use walrus_core::config::{Problem, Replacement, SourceFile};

pub(super) use law::{ServiceLaw, exponential};
pub use seeds::{SeedsError, parse_seeds};
pub(super) use setup::{
    Arrivals, ClientCache, Deed, Family, Link, Messages, Population, Reach, RecordType, Setup,
    TtlRule,
};
use shares::{Known, KnownShares};

/// A checked study: a TOML file with everything that a run needs but its seed.
#[derive(Clone, Debug)]
pub struct Study {
    /// A line for tables and plots.
    pub title: String,
    /// What is compared, in the order of the file; one without a name if the study has no variants.
    pub variants: Vec<VariantName>,
    /// For which seeds it is to be run; at least one.
    pub seeds: Vec<u64>,
    /// What works but was hardly meant.
    pub warnings: Vec<Problem>,
    setups: Vec<Arc<Setup>>,
    /// For other studies of the same file.
    shares: Vec<Known>,
}

/// A variant's name; empty in a study without variants.
pub type VariantName = String;

/// All that is wrong with a study, in the order of files and lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StudyProblems(pub Vec<Problem>);

impl fmt::Display for StudyProblems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines: Vec<String> = self.0.iter().map(ToString::to_string).collect();
        f.write_str(&lines.join("\n"))
    }
}

impl std::error::Error for StudyProblems {}

/// The most variants of a study.
const VARIANTS_MAX: usize = 1000;

impl Study {
    /// Checks a study. `name` begins the line of each problem; `read` gives the content of files that it
    /// names (its configuration, shares of domains, client files of the configuration), relative to the
    /// study, or says for people why there is none; `sets` are settings that replace what the study and
    /// its variants say, as (dotted path, value): `("population.ttl", "at least 10m")`. A value is TOML, or
    /// else a text without its quotes.
    ///
    /// # Errors
    /// All problems of the study, its configuration and all of its variants at once.
    pub fn parse(
        name: &str,
        text: &str,
        read: &dyn Fn(&str) -> Result<String, String>,
        sets: &[(String, String)],
    ) -> Result<Self, StudyProblems> {
        Self::parse_beside(None, name, text, read, sets)
    }

    /// The same for one of many studies that are held at once, all of the same files: what another one
    /// has made of large files and many domains is shared with it.
    ///
    /// # Errors
    /// As [`Self::parse`].
    pub fn parse_beside(
        other: Option<&Self>,
        name: &str,
        text: &str,
        read: &dyn Fn(&str) -> Result<String, String>,
        sets: &[(String, String)],
    ) -> Result<Self, StudyProblems> {
        let shares = KnownShares::new(other.map(|it| it.shares.clone()).unwrap_or_default());
        let (sets_file, sets) = sets_file(sets);
        let files = [SourceFile { name: name.to_owned(), text: text.to_owned() }, sets_file];
        let findings = Findings::about(&files, &settings::STUDY);
        let study = check(&files, &sets, read, shares, &findings);
        let (problems, mut warnings) = findings.into_lists();
        // Every variant has those of the study.
        let mut told = std::collections::BTreeSet::new();
        warnings.retain(|warning| told.insert(warning.to_string()));
        match study {
            Some(study) if problems.is_empty() => Ok(Self { warnings, ..study }),
            _ => Err(StudyProblems(problems)),
        }
    }

    pub(super) fn setup(&self, variant: usize) -> Option<&Arc<Setup>> {
        self.setups.get(variant)
    }

    /// How much time a run of this variant simulates.
    #[must_use]
    pub fn duration(&self, variant: usize) -> Option<std::time::Duration> {
        self.setup(variant).map(|setup| setup.duration)
    }

    /// How many bytes the result of a run of this variant takes at most; 0 if there is no such variant.
    #[must_use]
    pub fn result_bytes(&self, variant: usize) -> u64 {
        self.setup(variant).map_or(0, |setup| memory::Measured::of(setup).bytes())
    }

    /// The tables of all settings of a study, as Markdown.
    #[must_use]
    pub fn reference() -> String {
        reference_tables(&settings::STUDY)
    }
}

fn check(
    files: &[SourceFile; 2],
    sets: &[Replacement],
    read: &dyn Fn(&str) -> Result<String, String>,
    shares: KnownShares,
    findings: &Findings<'_>,
) -> Option<Study> {
    let study = &files[..1];
    let root = read_settings(study, &settings::STUDY, &[], findings)?;
    let variants = variants(&root, findings);
    for set in sets.iter().filter(|set| set.path.split('.').next() == Some("variant")) {
        let message = "variants are the study's own: `--variant` picks one, and what is set here is set in all";
        findings.problem(set.path_place, message);
    }
    let mut setups = Vec::new();
    for (name, own) in &variants {
        let all: Vec<Replacement> = own.iter().chain(sets).cloned().collect();
        let (to_study, to_configuration): (Vec<_>, Vec<_>) =
            all.into_iter().partition(read::is_of_study);
        let root = read_settings(study, &settings::STUDY, &to_study, findings)?;
        let files = read::Files { study: files, read, shares: &shares };
        setups.extend(read::setup(name, &root, &to_configuration, &files, findings).map(Arc::new));
    }
    let root = read_settings(study, &settings::STUDY, &study_sets(sets), findings)?;
    Some(Study {
        title: root.text("title").unwrap_or_else(|| files[0].name.clone()),
        variants: variants.into_iter().map(|(name, _)| name).collect(),
        seeds: seeds(&root, findings),
        warnings: Vec::new(),
        setups,
        shares: shares.into_list(),
    })
}

fn study_sets(sets: &[Replacement]) -> Vec<Replacement> {
    sets.iter().filter(|it| read::is_of_study(it)).cloned().collect()
}

/// Names and replacements of all variants; one that changes nothing if there is none.
fn variants(root: &Section, findings: &Findings<'_>) -> Vec<(String, Vec<Replacement>)> {
    let mut variants: Vec<(String, Vec<Replacement>)> = Vec::new();
    for section in root.sections("variant") {
        let Some(name) = section.text("name") else { continue };
        if variants.iter().any(|(known, _)| *known == name) {
            let message = format!("there is a variant \"{name}\" already: names are unique");
            findings.problem(section.place_of("name"), message);
        }
        if variants.len() == VARIANTS_MAX {
            let message = format!("a study has at most {VARIANTS_MAX} variants");
            findings.problem(section.place(), message);
            break;
        }
        let set = match section.value("set") {
            Some(Value::Replacements(set)) => set.clone(),
            _ => Vec::new(),
        };
        variants.push((name, set));
    }
    if variants.is_empty() {
        variants.push((String::new(), Vec::new()));
    }
    variants
}

/// `7`, `"1-5"` or `"1-5, 9"`.
fn seeds(root: &Section, findings: &Findings<'_>) -> Vec<u64> {
    let text = match root.value("seeds") {
        Some(Value::Count(seed)) => return vec![*seed],
        Some(Value::Text(text)) => text,
        _ => return Vec::new(),
    };
    parse_seeds(text).unwrap_or_else(|why| {
        findings.problem(root.place_of("seeds"), format!("`seeds`: {why}"));
        Vec::new()
    })
}

/// What was set from outside, as a file with a line each, so that problems have a place.
fn sets_file(sets: &[(String, String)]) -> (SourceFile, Vec<Replacement>) {
    let mut text = String::new();
    let at = |text: &str| Place { file: 1, offset: u32::try_from(text.len()).unwrap_or(u32::MAX) };
    let mut replacements = Vec::new();
    for (path, value) in sets {
        let path_place = at(&text);
        text.push_str(&path.replace('\n', " "));
        text.push_str(" = ");
        let place = at(&text);
        let value = if read::is_toml_value(value) { value.clone() } else { format!("{value:?}") };
        text.push_str(&value);
        text.push('\n');
        replacements.push(Replacement { path: path.clone(), path_place, value, place });
    }
    (SourceFile { name: "--set".to_owned(), text }, replacements)
}

#[cfg(test)]
mod tests;

//! Studies from their files, and their runs.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use walrus_sim::simulation::{RunResult, Study, parse_seeds, simulate};

use super::runner::{self, RUNS_MAX, Tell, run_all};
use crate::cli::Failure;
use crate::load::folder_of;
use crate::output::complain;

/// A study and which of its variants is meant.
#[derive(Debug)]
pub(super) struct Chosen {
    pub(super) study: Study,
    pub(super) variant: usize,
}

/// As many warnings of runs are told.
const WARNINGS_MAX: usize = 20;

/// The largest file of a study: four million domains' weights of thirty digits each.
const FILE_MAX: u64 = 128 << 20;

/// One run.
pub(super) struct Job<'a> {
    pub(super) study: &'a Study,
    pub(super) variant: usize,
    pub(super) seed: u64,
}

/// Reads a study; warnings go to standard error.
pub(super) fn read(path: &Path, sets: &[(String, String)]) -> Result<Study, Failure> {
    read_beside(None, path, sets)
}

/// The same, for one of many studies of the same file that are held at once.
pub(super) fn read_beside(
    other: Option<&Study>,
    path: &Path,
    sets: &[(String, String)],
) -> Result<Study, Failure> {
    let name = path.display().to_string();
    let bytes = bytes_of(path)
        .map_err(|error| Failure::CouldNot(format!("cannot read {name}: {error}")))?;
    let text = text_of(bytes)
        .map_err(|(line, why)| Failure::Problems(vec![format!("{name}:{line}: {why}")]))?;
    let folder = folder_of(path);
    let read = |name: &str| {
        let bytes = bytes_of(&folder.join(name)).map_err(|error| error.to_string())?;
        text_of(bytes).map_err(|(line, why)| format!("line {line}: {why}"))
    };
    let study = Study::parse_beside(other, &name, &text, &read, sets).map_err(|problems| {
        Failure::Problems(problems.0.iter().map(ToString::to_string).collect())
    })?;
    for warning in &study.warnings {
        complain(&format!("warning: {warning}"));
    }
    Ok(study)
}

/// A file's content, if it is one that ends.
fn bytes_of(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(FILE_MAX + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > FILE_MAX {
        return Err(io::Error::other(format!("it has more than {} MiB", FILE_MAX >> 20)));
    }
    Ok(bytes)
}

/// As text; else the first line that is none, and what to do about it.
fn text_of(bytes: Vec<u8>) -> Result<String, (usize, &'static str)> {
    String::from_utf8(bytes).map_err(|error| {
        let before = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let line = 1 + before.iter().filter(|byte| **byte == b'\n').count();
        (line, "this is no UTF-8: save the file as text in UTF-8")
    })
}

/// The place of a variant; the only one if none is named.
pub(super) fn variant(study: &Study, name: Option<&str>) -> Result<usize, Failure> {
    let found = match name {
        Some(name) => study.variants.iter().position(|variant| variant == name),
        None => (study.variants.len() == 1).then_some(0),
    };
    found.ok_or_else(|| {
        let known: Vec<String> = study.variants.iter().map(|it| format!("\"{it}\"")).collect();
        let known = known.join(", ");
        Failure::WrongUse(match name {
            Some(name) if study.variants.iter().all(String::is_empty) => {
                format!("there is no variant \"{name}\": the study has none")
            }
            Some(name) => format!("there is no variant \"{name}\": the study has {known}"),
            None => format!("the study has several variants: name one of {known}"),
        })
    })
}

/// The places of these variants, each once; of all if none is named.
pub(super) fn variants(study: &Study, names: &[String]) -> Result<Vec<usize>, Failure> {
    if names.is_empty() {
        return Ok((0..study.variants.len()).collect());
    }
    let mut places = Vec::with_capacity(names.len());
    for name in names {
        let place = variant(study, Some(name))?;
        if places.contains(&place) {
            let text =
                format!("variant \"{name}\" is named twice: its runs would be the very same");
            return Err(Failure::WrongUse(text));
        }
        places.push(place);
    }
    Ok(places)
}

/// `STUDY` or `STUDY:VARIANT`; without a study (`:VARIANT`) that of the other side.
pub(super) fn chosen(
    text: &str,
    other: Option<&Path>,
    sets: &[(String, String)],
) -> Result<(PathBuf, Chosen), Failure> {
    let (path, name) = match text.rsplit_once(':') {
        Some((path, name)) if !Path::new(text).exists() => (path, Some(name)),
        _ => (text, None),
    };
    let path = match (path, other) {
        ("", Some(other)) => other.to_owned(),
        ("", None) => {
            let text = format!("`{text}` names no study: write STUDY or STUDY:VARIANT");
            return Err(Failure::WrongUse(text));
        }
        (path, _) => PathBuf::from(path),
    };
    let study = read(&path, sets)?;
    let variant = variant(&study, name)?;
    Ok((path, Chosen { study, variant }))
}

/// `path=value`, as `--set` has it.
pub(crate) fn set(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((path, value)) if !path.trim().is_empty() => {
            Ok((path.trim().to_owned(), value.trim().to_owned()))
        }
        _ => Err("a setting is written as path=value, such as service.ttl=60s".to_owned()),
    }
}

/// "7", "1-5" or "1-5,9", each seed once.
pub(crate) fn seeds(text: &str) -> Result<Vec<u64>, String> {
    parse_seeds(text).map_err(|error| error.to_string())
}

/// Whether as many runs as there are combinations may be made: to be asked before anything is laid out
/// for them.
pub(super) fn check_runs(counts: &[usize]) -> Result<(), Failure> {
    let runs = counts.iter().fold(1_usize, |product, count| product.saturating_mul(*count));
    if runs > RUNS_MAX {
        let text = format!("{runs} runs are more than {RUNS_MAX}: a narrower range?");
        return Err(Failure::WrongUse(text));
    }
    Ok(())
}

/// What could not take place in these runs, each once.
pub(super) fn warnings(runs: &[RunResult]) -> Vec<String> {
    let mut all: Vec<String> = Vec::new();
    for run in runs {
        for warning in &run.warnings {
            let of = if run.variant.is_empty() { "" } else { ": " };
            let text = format!("{}{of}{warning}", run.variant);
            if !all.contains(&text) && all.len() < WARNINGS_MAX {
                all.push(text);
            }
        }
    }
    all
}

/// Runs all jobs; of each result what `keep` makes of it. What could not take place goes to standard error.
pub(super) fn run<T: Send>(
    jobs: &[Job<'_>],
    threads: Option<usize>,
    keep: &(dyn Fn(RunResult) -> T + Sync),
) -> Result<Vec<T>, Failure> {
    check_runs(&[jobs.len()])?;
    let odd: Mutex<BTreeSet<String>> = Mutex::default();
    let one = |job: &Job<'_>, tell: &mut Tell<'_>| {
        let mut told = |progress: walrus_sim::simulation::Progress| {
            let whole = progress.duration.as_secs_f64().max(f64::MIN_POSITIVE);
            tell(progress.simulated.as_secs_f64() / whole)
        };
        let result = simulate(job.study, job.variant, job.seed, &mut told);
        let kept = |run: RunResult| {
            let told = warnings(std::slice::from_ref(&run));
            let mut odd = odd.lock().unwrap_or_else(PoisonError::into_inner);
            told.into_iter().take(WARNINGS_MAX.saturating_sub(odd.len())).for_each(|it| {
                odd.insert(it);
            });
            drop(odd);
            keep(run)
        };
        result.map(kept).map_err(|error| {
            let variant = job.study.variants.get(job.variant).map(String::as_str);
            let variant = variant.filter(|it| !it.is_empty()).unwrap_or("the study");
            format!("{variant}, seed {}: {error}", job.seed)
        })
    };
    let results = run_all(jobs, runner::threads(threads), &one)?;
    for warning in odd.lock().unwrap_or_else(PoisonError::into_inner).iter() {
        complain(&format!("warning: {warning}"));
    }
    Ok(results)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_and_seeds_are_read() {
        assert_eq!(set("a.b=c=d"), Ok(("a.b".to_owned(), "c=d".to_owned())));
        assert!(set("a.b").is_err() && set("=c").is_err());
        assert_eq!(seeds("1-3, 9"), Ok(vec![1, 2, 3, 9]));
        assert!(seeds("7,7").unwrap_err().contains("twice"));
    }

    #[test]
    fn runs_are_counted_before_they_are_laid_out() {
        assert!(check_runs(&[1000, 100]).is_ok());
        assert!(check_runs(&[1000, 101]).is_err());
        assert!(check_runs(&[usize::MAX, usize::MAX]).is_err());
    }
}

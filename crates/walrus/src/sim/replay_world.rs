//! Where a replay's World comes from: a journal, a state directory, the running system.

use std::cell::{Cell, RefCell};
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Chain, Cursor, Read as _};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;

use walrus_core::control::{Demands, JournalRecord};
use walrus_core::plan::Plan;
use walrus_core::world::{Condition, Life, Name};
use walrus_sim::replay::{Snapshot, World};

use super::compressed;
use super::replay_view::WorldView;
use crate::api::client::Client;
use crate::api::status::{ServerView, StatusView};
use crate::cli::{ApiArguments, Failure};
use crate::load;

/// The longest line of a journal that is read: ten thousand servers are two megabytes.
const LINE_MAX: u64 = 64 << 20;

/// A World and where it comes from.
pub(super) struct Found {
    pub(super) world: World<'static>,
    pub(super) view: WorldView,
    /// Lines of the journal that are none, as far as it was read.
    pub(super) broken: Rc<Cell<u64>>,
    /// Why the journal could not be read to its end: all that follows is of no use.
    pub(super) failed: Rc<RefCell<Option<String>>>,
}

/// The World that a replay is asked for.
pub(super) fn find(asked: Option<&Path>, api: &ApiArguments) -> Result<Found, Failure> {
    match asked {
        Some(word) if word == Path::new("idle") => {
            let told = "every server is up, under no load, and nobody asks".to_owned();
            Ok(Found::still(Snapshot::default(), "idle", told))
        }
        Some(path) if path.is_dir() => in_directory(path),
        Some(path) => journal(vec![path.to_owned()]),
        None => running(api),
    }
}

impl Found {
    fn still(snapshot: Snapshot, source: &str, told: String) -> Self {
        let view = WorldView { source: source.to_owned(), told, broken: 0 };
        let world = World::Snapshot(Box::new(snapshot));
        Self { world, view, broken: Rc::default(), failed: Rc::default() }
    }
}

/// A state directory: its journal, else its Plan.
fn in_directory(path: &Path) -> Result<Found, Failure> {
    let names = ["journal.old.jsonl", "journal.jsonl"].map(|name| path.join(name));
    let files: Vec<PathBuf> = names.into_iter().filter(|file| file.is_file()).collect();
    if !files.is_empty() {
        return journal(files);
    }
    match load::saved_plan(path)? {
        Some(plan) => Ok(stored(path, plan)),
        None => Err(Failure::CouldNot(format!(
            "there is neither a journal nor a Plan in {}",
            path.display()
        ))),
    }
}

fn stored(state: &Path, plan: Arc<Plan>) -> Found {
    let told = format!(
        "the Plan {} stored in {}: its servers' lives and loads, which do not follow what moves; how \
         much each area asks is not stored and counts as nothing",
        plan.number,
        state.display()
    );
    Found::still(Snapshot::of_plan(plan), "plan", told)
}

fn journal(files: Vec<PathBuf>) -> Result<Found, Failure> {
    let names: Vec<String> = files.iter().map(|file| file.display().to_string()).collect();
    // What cannot be opened is told before anything long begins.
    for file in &files {
        let metadata = fs::metadata(file).map_err(|error| unreadable(file, &error))?;
        // What is read from a pipe is gone: it is opened when its turn comes.
        if metadata.is_file() {
            open(file).map_err(Failure::CouldNot)?;
        }
    }
    let told = format!(
        "the journal {}: each line is replayed in the World of its Plan and time; loads do not follow \
         what moves",
        names.join(", ")
    );
    let (broken, failed) = (Rc::<Cell<u64>>::default(), Rc::<RefCell<Option<String>>>::default());
    let mut reader = JournalFiles {
        files: files.into(),
        open: None,
        demands: Demands::default(),
        broken: Rc::clone(&broken),
        failed: Rc::clone(&failed),
    };
    Ok(Found {
        world: World::Journal(Box::new(move || reader.next())),
        view: WorldView { source: "journal".to_owned(), told, broken: 0 },
        broken,
        failed,
    })
}

type Reader = BufReader<Chain<Cursor<Vec<u8>>, File>>;

/// A file of a journal from its beginning on, which was looked at.
fn open(file: &Path) -> Result<Reader, String> {
    let unreadable = |error| unreadable_text(file, &error);
    let mut opened = File::open(file).map_err(unreadable)?;
    let beginning = compressed::beginning(&mut opened).map_err(unreadable)?;
    match compressed::of_journal(file, &beginning) {
        Some(why) => Err(why),
        None => Ok(BufReader::new(Cursor::new(beginning).chain(opened))),
    }
}

fn unreadable(file: &Path, error: &io::Error) -> Failure {
    Failure::CouldNot(unreadable_text(file, error))
}

fn unreadable_text(file: &Path, error: &io::Error) -> String {
    format!("cannot read {}: {error}", file.display())
}

/// The records of several files, one after the other.
struct JournalFiles {
    files: std::collections::VecDeque<PathBuf>,
    open: Option<(PathBuf, Reader)>,
    demands: Demands,
    broken: Rc<Cell<u64>>,
    failed: Rc<RefCell<Option<String>>>,
}

impl JournalFiles {
    /// The next record; none at the end, and none after an error, which is kept.
    fn next(&mut self) -> Option<JournalRecord> {
        if self.failed.borrow().is_some() {
            return None;
        }
        match self.read_next() {
            Ok(record) => record,
            Err(why) => {
                *self.failed.borrow_mut() = Some(why);
                None
            }
        }
    }

    fn read_next(&mut self) -> Result<Option<JournalRecord>, String> {
        loop {
            let Some((path, reader)) = &mut self.open else {
                let Some(path) = self.files.pop_front() else { return Ok(None) };
                let reader = open(&path)?;
                self.open = Some((path, reader));
                continue;
            };
            let line = read_line(reader).map_err(|error| unreadable_text(path, &error))?;
            match line {
                None => self.open = None,
                Some(line) if line.trim_ascii().is_empty() => {}
                Some(line) => match serde_json::from_slice(&line) {
                    Ok(mut record) => {
                        // At its beginning it may leave to lost lines who asks: then it is not the World.
                        if self.demands.fill_in(&mut record) {
                            return Ok(Some(record));
                        }
                    }
                    Err(_) => self.broken.set(self.broken.get() + 1),
                },
            }
        }
    }
}

/// A line; of one that is too long its beginning, which is no record. `None` at the end.
fn read_line(reader: &mut impl BufRead) -> io::Result<Option<Vec<u8>>> {
    let mut line = Vec::new();
    if reader.take(LINE_MAX).read_until(b'\n', &mut line)? == 0 {
        return Ok(None);
    }
    if line.len() as u64 == LINE_MAX && line.last() != Some(&b'\n') {
        reader.skip_until(b'\n')?;
    }
    Ok(Some(line))
}

/// The running system's World; where none answers, that of the Plan which it stored.
fn running(api: &ApiArguments) -> Result<Found, Failure> {
    let client = Client::with_token_if_any(api)?;
    let answer = client.get::<StatusView>("/status");
    let answer = answer.and_then(|status| Ok((status, client.get::<Plan>("/plan")?)));
    match answer {
        Ok((status, plan)) => {
            let told = format!(
                "that of the running system at {}, under Plan {}: loads are those of now, and do \
                 not follow what moves",
                api.api, plan.number
            );
            Ok(Found::still(snapshot(&status, plan), "running", told))
        }
        Err(failure) => match load::saved_plan(&api.state)? {
            Some(plan) => Ok(stored(&api.state, plan)),
            None => Err(match failure {
                Failure::CouldNot(text) => Failure::CouldNot(format!(
                    "{text}; --world names a journal or a state directory instead, or `idle`"
                )),
                other => other,
            }),
        },
    }
}

fn snapshot(status: &StatusView, plan: Plan) -> Snapshot {
    let mut snapshot = Snapshot::of_plan(Arc::new(plan));
    for server in &status.servers {
        if let Some((name, condition)) = condition(server) {
            snapshot.conditions.insert(name, condition);
        }
    }
    for area in &status.areas {
        if let Ok(name) = area.area.parse() {
            let key = (area.service.clone(), name);
            snapshot.area_hits.insert(key, area.queries_per_second);
        }
    }
    snapshot
}

fn condition(server: &ServerView) -> Option<(Name, Condition)> {
    let life: Life = serde_json::from_value(server.life.as_str().into()).ok()?;
    let condition = Condition {
        life,
        ramp: server.ramp,
        hits_per_second: server.hits_per_second,
        reason: server.reason.clone(),
        ..Condition::living(server.load)
    };
    Some((server.name.parse().ok()?, condition))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reader(files: Vec<PathBuf>) -> JournalFiles {
        let (broken, failed) = (Rc::default(), Rc::default());
        let demands = Demands::default();
        JournalFiles { files: files.into(), open: None, demands, broken, failed }
    }

    #[test]
    fn a_journal_that_cannot_be_read_on_is_no_journal_that_ends() {
        let folder = tempfile::tempdir().unwrap();
        // A folder can be opened, and not be read.
        let mut files = reader(vec![folder.path().to_owned()]);
        assert!(files.next().is_none());
        assert!(files.failed.borrow().as_deref().unwrap().contains("cannot read"));
        let mut files = reader(vec![folder.path().join("gone.jsonl")]);
        assert!(files.next().is_none() && files.failed.borrow().is_some());
        let empty = folder.path().join("empty.jsonl");
        std::fs::write(&empty, "\n\n").unwrap();
        let mut files = reader(vec![empty]);
        assert!(files.next().is_none() && files.failed.borrow().is_none());
    }
}

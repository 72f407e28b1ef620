//! The simulator against closed forms, against itself, and through its time line.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should say where")]

mod balancing;
mod clients;
mod closed_forms;
mod determinism;
mod failures;
mod links;
mod policies;
mod populations;
mod studies;

use std::ops::ControlFlow;
use std::path::Path;

use walrus_sim::simulation::{RunResult, Study, simulate};

/// A configuration of servers (name, capacity) in clusters.
struct Site {
    clusters: Vec<(&'static str, Vec<(&'static str, u32)>)>,
    /// Settings of the service.
    service: &'static str,
    /// Further sections.
    rest: &'static str,
}

impl Site {
    fn of_servers(servers: Vec<(&'static str, u32)>) -> Self {
        Self { clusters: vec![("one", servers)], service: "", rest: "" }
    }

    fn text(&self) -> String {
        let mut text = "zone = \"example.com\"\nnameservers = [\"ns1.example.com\"]\n\
                        [node]\nroles = [\"controller\", \"director\"]\n\
                        [dns]\nlisten = [\"192.0.2.53:53\"]\n"
            .to_owned();
        let mut host = 0;
        for (cluster, servers) in &self.clusters {
            text += &format!("[[cluster]]\nname = \"{cluster}\"\nreporter = true\nservers = [\n");
            for (name, capacity) in servers {
                host += 1;
                text += &format!(
                    "  {{ name = \"{name}\", addresses = [\"198.18.0.{host}\"], capacity = {capacity} }},\n"
                );
            }
            text += "]\n";
        }
        text +=
            &format!("[[service]]\nname = \"www.example.com\"\n{}\n{}\n", self.service, self.rest);
        text
    }

    /// A study of it.
    fn study(&self, text: &str) -> Study {
        let text = format!("configuration_text = \"\"\"\n{}\"\"\"\n{text}", self.text());
        Study::parse("study", &text, &|_| Err("no files here".to_owned()), &[])
            .unwrap_or_else(|problems| panic!("{problems}\n{text}"))
    }
}

/// A study of `studies/`, in less time.
fn study_file(file: &str, duration: &str) -> Study {
    let studies = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../studies");
    let read =
        |path: &str| std::fs::read_to_string(studies.join(path)).map_err(|error| error.to_string());
    let sets = [("duration".to_owned(), duration.to_owned())];
    Study::parse(file, &read(file).unwrap(), &read, &sets)
        .unwrap_or_else(|problems| panic!("{problems}"))
}

fn run(study: &Study, seed: u64) -> RunResult {
    run_variant(study, 0, seed)
}

fn run_variant(study: &Study, variant: usize, seed: u64) -> RunResult {
    simulate(study, variant, seed, &mut |_| ControlFlow::Continue(())).unwrap()
}

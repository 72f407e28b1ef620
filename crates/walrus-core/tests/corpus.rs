//! Replays the committed fuzz corpus (fuzz/corpus) through the fuzz targets' own functions.

use std::path::Path;

// The same file that the fuzzer is built from.
#[expect(unreachable_pub, reason = "the fuzz crate exports them")]
#[path = "../../../fuzz/src/targets.rs"]
mod targets;

#[test]
fn query() {
    replay("query", 130, targets::query);
}

#[test]
fn https_query() {
    replay("https_query", 20, targets::https_query);
}

#[test]
fn zone_file() {
    replay("zone_file", 30, targets::zone_file);
}

#[test]
fn message() {
    replay("message", 31, targets::message);
}

#[test]
fn name_server_reply() {
    replay("name_server_reply", 12, targets::name_server_reply);
}

#[test]
fn transfer() {
    replay("transfer", 20, targets::transfer);
}

#[test]
fn plan() {
    replay("plan", 10, targets::plan);
}

#[test]
fn config() {
    replay("config", 12, targets::config);
}

#[test]
fn update() {
    replay("update", 14, targets::update);
}

#[test]
fn journal() {
    replay("journal", 4, targets::journal);
}

#[test]
fn proxy_headers() {
    replay("proxy_header", 11, targets::proxy_header);
}

/// Runs every file of a target's corpus, of which there are at least so many.
#[expect(clippy::disallowed_methods, reason = "a test may read its corpus")]
fn replay(target: &str, least: usize, run: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus").join(target);
    let entries =
        std::fs::read_dir(&folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    let mut count = 0;
    for entry in entries {
        let path = entry.expect("an entry").path();
        let bytes = std::fs::read(&path).expect("a file");
        #[expect(clippy::print_stdout, reason = "shown only if the run fails")]
        {
            println!("{}", path.display());
        }
        run(&bytes);
        count += 1;
    }
    assert!(count >= least, "{} has only {count} files", folder.display());
}

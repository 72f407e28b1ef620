//! Replays the committed fuzz corpus of logs (fuzz/corpus/replay) through the fuzz target's own function.

use std::path::Path;

// The same file that the fuzzer is built from.
#[expect(unreachable_pub, reason = "the fuzz crate exports it")]
#[path = "../../../fuzz/src/replay.rs"]
mod target;

#[test]
fn replay() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus/replay");
    let mut count = 0;
    for entry in std::fs::read_dir(&folder).expect("the corpus") {
        let path = entry.expect("an entry").path();
        // Shown only if the run fails.
        println!("{}", path.display());
        target::replay(&std::fs::read(&path).expect("a file"));
        count += 1;
    }
    assert!(count >= 20, "{} has only {count} files", folder.display());
}

//! Paths in a configuration: relative to the folder that it is in, and looked for by `check`.

use crate::running::{Running, TWO_CLUSTERS, walrus_on};

#[test]
fn relative_paths_stand_beside_the_configuration() {
    // The test's working directory is another one.
    let config = TWO_CLUSTERS
        .replace("state = \"STATE\"", "state = \"here\"")
        .replace("workers = 1", "workers = 1\ndecision_log = \"decisions.jsonl\"");
    let running = Running::start(&config);
    assert!(running.path("here/token").exists(), "{}", running.log());
    assert!(running.path("decisions.jsonl").exists(), "{}", running.log());
}

#[test]
fn check_tells_all_files_that_are_not_there() {
    let config = TWO_CLUSTERS
        .replace("[api]", "[api]\ntoken_file = \"api-token\"")
        .replace("[group]", "[group]\ntoken_file = \"reporter-token\"");
    let prepared = Running::prepared(&config);
    let ended = walrus_on("check", &prepared.path("walrus.toml"));
    assert_eq!(ended.code, Some(1), "{ended:?}");
    for name in ["api-token", "reporter-token"] {
        let path = prepared.path(name).display().to_string();
        assert!(ended.stderr.contains(&path) || ended.stdout.contains(&path), "{ended:?}");
    }
}

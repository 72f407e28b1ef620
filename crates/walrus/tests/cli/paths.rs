//! Paths in a configuration: relative to the folder that it is in, and looked for by `check`.

use walrus_core::world::IdentityRole;
use walrus_host::tls::{Issued, issue, new_authority};

use crate::running::{Running, TWO_CLUSTERS, program, run, walrus_on};

const DAY_S: u64 = 86_400;

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

fn certificate(made_days_ago: u64, days: u64) -> Issued {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    let authority = new_authority(now).unwrap();
    let node = (IdentityRole::Node, &"one".parse().unwrap());
    issue(&authority.key, node, now - made_days_ago * DAY_S, days).unwrap()
}

/// A start would fail for them, and clients would be shown a certificate that has run out.
#[test]
fn check_reads_what_the_name_server_needs_for_tls_and_cookies() {
    let lines = "[dns]\ntls_listen = [\"ADDRESS:8530\"]\ncertificate = \"dns.pem\"\nkey = \"dns.key\"\n\
                 cookie_secret_file = \"cookies\"\n";
    let prepared = Running::prepared(&TWO_CLUSTERS.replace("[dns]\n", lines));
    let check = |arguments: &[&str]| {
        run(program().arg("check").args(arguments).arg(prepared.path("walrus.toml")))
    };
    let (good, other) = (certificate(0, 300), certificate(0, 300));
    let secret = "e5e973e5a6b2a43f48e7dc849e37bfcf";
    let put = |key: &str, cookies: &str| {
        prepared.write("dns.pem", &good.certificate);
        prepared.write("dns.key", key);
        prepared.write("cookies", cookies);
    };
    let refused = |wanted: &[&str]| {
        let ended = check(&[]);
        assert_eq!(ended.code, Some(1), "{ended:?}");
        assert!(wanted.iter().all(|wanted| ended.stderr.contains(wanted)), "{wanted:?} {ended:?}");
    };
    refused(&["dns.pem: No such file", "cookies with the secret of cookies cannot be read"]);
    put(&other.key, "none");
    refused(&["[dns] certificate and key: ", "dns.pem cannot be used", "32 hexadecimal digits"]);
    put(&good.key, secret);
    let ended = check(&["--strict"]);
    assert!(!ended.stderr.contains("[dns]"), "{ended:?}");
    assert_eq!(check(&[]).code, Some(0));

    let ending = certificate(297, 300);
    prepared.write("dns.pem", &ending.certificate);
    prepared.write("dns.key", &ending.key);
    let ended = check(&["--strict"]);
    let told = "[dns] certificate: the certificate `node one` in";
    assert!(ended.code == Some(1) && ended.stderr.contains(told), "{ended:?}");
    assert_eq!(check(&[]).code, Some(0), "nothing is refused for running out");
}

//! Tokens of one's own: who may speak for whom, who may steer, and that no secret is told.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Child, Stdio};

use serde_json::Value;

use crate::running::{PATIENCE, Running, TWO_CLUSTERS, program, run, wait_for, walrus_on};

/// A child that ends with the test.
struct Ends(Child);

impl Drop for Ends {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Makes a token in a file of the folder; the lines for the configuration.
fn new_identity(running: &Running, arguments: &[&str]) -> String {
    let file = running.path(&format!("{}.token", arguments[0]));
    let mut command = program();
    command.args(["identity", "new"]).args(arguments).arg("--out").arg(&file);
    let made = run(&mut command);
    assert_eq!(made.code, Some(0), "{made:?}");
    let again = run(&mut command);
    assert_eq!(again.code, Some(3), "a token is never overwritten");
    let mode = std::os::unix::fs::PermissionsExt::mode(&file.metadata().unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600);
    assert!(!made.stdout.contains(&secret(running, arguments[0])), "{}", made.stdout);
    let hash = run(program().args(["identity", "hash"]).arg(&file));
    assert!(made.stdout.contains(hash.stdout.trim()), "{made:?} {hash:?}");
    made.stdout
}

fn secret(running: &Running, name: &str) -> String {
    let path = running.path(&format!("{name}.token"));
    std::fs::read_to_string(path).unwrap().trim().to_owned()
}

/// A request with this token; status code and body.
fn request(running: &Running, method: &str, path: &str, token: &str, body: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(running.api()).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let length = body.len();
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\nHost: walrus\r\nConnection: close\r\nContent-Type: \
         application/json\r\nContent-Length: {length}\r\nAuthorization: Bearer {token}\r\n\r\n{body}"
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let status = answer.split(' ').nth(1).unwrap().parse().unwrap();
    (status, answer.split_once("\r\n\r\n").unwrap().1.to_owned())
}

fn reporter(running: &Running, name: &str, token: &str) -> Ends {
    let log = running.log();
    let fingerprint = &log.split("fingerprint=").nth(1).unwrap()[..64];
    let config = format!(
        "[node]\nroles = [\"reporter\"]\n[reporter]\nserver = \"near1\"\ncontrollers = \
         [\"ADDRESS:8054\"]\nunit = \"1s\"\ntoken_file = \"{token}.token\"\nfingerprint = \
         \"{fingerprint}\"\n"
    );
    running.write(&format!("{name}.toml"), &config);
    let log = File::create(running.path(&format!("{name}.log"))).unwrap();
    let path = running.path(&format!("{name}.toml"));
    let child = program().arg("reporter").arg(path).stdin(Stdio::null()).stderr(log).spawn();
    Ends(child.unwrap())
}

fn says(running: &Running, log: &str, text: &str) {
    wait_for(text, || {
        let log = std::fs::read_to_string(running.path(log)).ok()?;
        log.contains(text).then_some(())
    });
}

#[test]
fn each_one_speaks_under_its_own_name_and_no_secret_is_told() {
    let mut running = Running::prepared("");
    let identities = [
        new_identity(&running, &["anna", "--role", "operator"]),
        new_identity(&running, &["screen", "--role", "operator", "--may", "read"]),
        new_identity(&running, &["near1", "--role", "reporter"]),
        new_identity(&running, &["near2", "--role", "reporter"]),
    ];
    let config = TWO_CLUSTERS
        .replace("name = \"near\"\n", "name = \"near\"\nreporter = true\n")
        .replace("ADDRESS:8053\"\n", "ADDRESS:8053\"\nread_needs_token = true\n");
    let config = format!("{config}\n{}", identities.join("\n"));
    running.write("walrus.toml", &config);
    let checked = walrus_on("check", &running.path("walrus.toml"));
    assert_eq!((checked.code, checked.stderr.as_str()), (Some(0), ""), "{checked:?}");
    running.up();
    let tokens = ["anna", "screen", "near1", "near2"].map(|name| secret(&running, name));
    let [anna, screen, near1, _] = &tokens;

    let drain = "{\"target\":\"near2\"}";
    for (method, path, token, body, wanted, told) in [
        ("GET", "/status", "", "", 401, "wants the token"),
        ("GET", "/metrics", "guess", "", 401, "wants the token"),
        ("GET", "/status", near1, "", 403, "the token of Reporter `near1` is not good for the API"),
        ("GET", "/status", screen, "", 200, "\"kind\":\"status\""),
        ("GET", "/metrics", screen, "", 200, "# EOF"),
        ("GET", "/ready", "", "", 200, "ready"),
        ("POST", "/drain", screen, drain, 403, "operator `screen` may only read"),
        ("POST", "/reload", screen, "", 403, "operator `screen` may only read"),
        ("POST", "/drain", near1, drain, 403, "the token of Reporter"),
        ("POST", "/drain", "", drain, 401, "wants the token"),
    ] {
        let (status, text) = request(&running, method, path, token, body);
        assert_eq!(status, wanted, "{method} {path}: {text}");
        assert!(text.contains(told), "{method} {path}: {text}");
    }
    let mut command = program();
    command.args(["drain", "near2", "--api", &running.url(), "--token-file"]);
    let drained = run(command.arg(running.path("anna.token")));
    assert_eq!(drained.code, Some(0), "{drained:?}");
    let (status, _) = request(&running, "POST", "/undrain", anna, "{\"target\":\"far1\"}");
    assert_eq!(status, 200);
    assert_eq!(running.status()["drained"][0]["operator"], "anna");
    assert!(running.log().contains("operator=\"anna\""), "{}", running.log());

    let _wrong = reporter(&running, "wrong", "near2");
    let refusal = "the token of Reporter `near2` came from one that calls itself Reporter `near1`";
    says(&running, "wrong.log", refusal);
    says(&running, "log", refusal);
    let refused = |problem: &&Value| problem["kind"] == "refused";
    let problem = wait_for("the refusal in the status", || {
        running.status()["problems"].as_array()?.iter().find(refused).cloned()
    });
    assert_eq!(problem["subject"], "127.0.0.1");
    assert!(problem["text"].as_str().unwrap().contains(refusal), "{problem}");

    let _right = reporter(&running, "right", "near1");
    wait_for("a report", || (running.status()["counters"]["reports"].as_u64()? > 0).then_some(()));
    // Another token in the place of near1's: the connection ends with the reload.
    let old = identities[2].split("token_sha256 = \"").nth(1).unwrap()[..64].to_owned();
    std::fs::write(running.path("next.token"), "a-token-that-nobody-has-brought-yet").unwrap();
    let next = run(program().args(["identity", "hash"]).arg(running.path("next.token")));
    running.write("walrus.toml", &config.replace(&old, next.stdout.trim()));
    let reloaded = running.ask(&["reload"]);
    assert_eq!(reloaded.code, Some(0), "{reloaded:?}");
    says(&running, "right.log", "no longer admitted: a wrong token");

    let mut told = running.log();
    for log in ["wrong.log", "right.log"] {
        told += &std::fs::read_to_string(running.path(log)).unwrap();
    }
    for path in ["/status", "/plan", "/keys", "/metrics", "/traffic", "/openapi.json"] {
        told += &running.http("GET", path, "").1;
    }
    let shared = ["token", "reporter-token", "node-token"]
        .map(|name| std::fs::read_to_string(running.path("state").join(name)).unwrap());
    for secret in tokens.iter().map(String::as_str).chain(shared.iter().map(|it| it.trim())) {
        assert!(secret.len() >= 32 && !told.contains(secret), "a secret is told");
    }
}

#[test]
fn identities_that_will_not_do_are_told_of_before_anything_starts() {
    let running = Running::prepared("");
    let hash = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    let near1 =
        format!("[[identity]]\nname = \"near1\"\nrole = \"reporter\"\ntoken_sha256 = \"{hash}\"\n");
    for (lines, told) in [
        (
            "[[identity]]\nname = \"near1\"\nrole = \"reporter\"\n".to_owned(),
            "nothing to know Reporter",
        ),
        (format!("{near1}may = \"read\"\n"), "`may` is for operators"),
        (format!("{near1}{near1}"), "stands already at"),
        (near1.replace(hash, "my-secret-token"), "this is no SHA-256 of 64 hex digits"),
        (format!("{near1}certificate = \"a.example\"\n"), "write `client_authority` into [group]"),
        (
            format!("{near1}{}", near1.replace("reporter", "operator")),
            "this token is already that at",
        ),
        (
            "[[identity]]\nname = \"x\"\nrole = \"operator\"\ntoken_file = \"gone\"\n".to_owned(),
            "there is no file",
        ),
    ] {
        running.write("walrus.toml", &format!("{TWO_CLUSTERS}\n{lines}"));
        let checked = walrus_on("check", &running.path("walrus.toml"));
        assert_eq!(checked.code, Some(1), "{lines}: {checked:?}");
        assert!(checked.stderr.contains(told), "{lines}: {checked:?}");
        assert!(!checked.stderr.contains("my-secret-token"), "{checked:?}");
    }
    // Who would be refused, and who could still speak for others.
    let config = TWO_CLUSTERS.replace("name = \"near\"\n", "name = \"near\"\nreporter = true\n");
    running.write("walrus.toml", &format!("{config}\n{near1}"));
    let strict = run(program().args(["check", "--strict"]).arg(running.path("walrus.toml")));
    assert!(strict.stderr.contains("the Reporter of `near2` has no [[identity]]"), "{strict:?}");
    assert_eq!(strict.code, Some(1), "{strict:?}");
    let shared = config.replace("[group]\n", "[group]\nshared_token = true\n");
    running.write("walrus.toml", &format!("{shared}\n{near1}"));
    let strict = run(program().args(["check", "--strict"]).arg(running.path("walrus.toml")));
    assert!(strict.stderr.contains("whoever has the shared token may still speak"), "{strict:?}");
}

#[test]
fn certificates_are_made_that_say_whose_they_are() {
    let running = Running::prepared("");
    let folder = running.folder.path().display().to_string();
    let make = |name: &str, role: &str| {
        let mut command = program();
        command.args(["identity", "certificate", name, "--role", role]);
        run(command.args(["--authority", &folder, "--out", &folder]))
    };
    let made = make("near1", "reporter");
    assert_eq!(made.code, Some(0), "{made:?}");
    assert!(made.stdout.contains("client_authority = "), "{made:?}");
    assert!(made.stdout.contains("[reporter]\ncertificate = "), "{made:?}");
    let authority = std::fs::read(running.path("clients.key")).unwrap();
    assert_eq!(make("ns2", "node").code, Some(0));
    assert_eq!(std::fs::read(running.path("clients.key")).unwrap(), authority, "one authority");
    for (file, mode) in
        [("clients.key", 0o600), ("reporter-near1.key", 0o600), ("node-ns2.pem", 0o644)]
    {
        let found = running.path(file).metadata().unwrap().permissions();
        assert_eq!(std::os::unix::fs::PermissionsExt::mode(&found) & 0o777, mode, "{file}");
    }
    assert_eq!(make("anna", "operator").code, Some(2));
    assert_eq!(make("No Name", "node").code, Some(2));
    assert_eq!(make("near1", "reporter").code, Some(3), "a key is never overwritten");
}

//! `walrus keys` against the running system and without one.

use serde_json::Value;

use crate::dns::{ask_udp, code, query};
use crate::running::{PATIENCE, Running, TWO_CLUSTERS, program, run, wait_for};

fn signed() -> String {
    // The parent is nobody: its silence must not matter.
    format!("{TWO_CLUSTERS}\n[dnssec]\nsign = true\nparent = [\"ADDRESS:5399\"]\n")
}

/// The keys of the only zone.
fn keys(running: &Running) -> Vec<Value> {
    let (code, object) = running.ask_json(&["keys", "list"]);
    assert_eq!(code, Some(0), "{object}");
    object["zones"][0]["keys"].as_array().cloned().unwrap_or_default()
}

fn wait_for_stage(running: &Running, tag: u64, next: &str) -> Value {
    wait_for(next, || {
        let keys = keys(running);
        let key = keys.into_iter().find(|key| key["tag"] == tag)?;
        key["next"].as_str().is_some_and(|said| said.contains(next)).then_some(key)
    })
}

#[test]
fn a_signers_first_start_makes_a_key_that_a_restart_finds_again() {
    let mut running = Running::start(&signed());
    let key = keys(&running).remove(0);
    assert_eq!((&key["role"], &key["algorithm"]), (&"csk".into(), &13.into()));
    assert_eq!(key["held"], true);
    let tag = key["tag"].as_u64().unwrap();
    wait_for_stage(&running, tag, "waits until no cache lacks it");
    let ds = running.ask(&["keys", "ds", "--all"]);
    assert!(ds.stdout.starts_with(&format!("walrus.example. IN DS {tag} 13 2 ")), "{ds:?}");
    let early = running.ask(&["keys", "ds"]);
    assert_eq!(early.stdout, "", "no cache knows the key for sure yet");
    assert!(early.stderr.contains("no key is ready for the parent"), "{early:?}");
    // Whom the node asks for its parent, the command line asks too.
    let checked = running.ask(&["keys", "ds", "--check"]);
    assert_eq!((checked.code, checked.stderr.contains(":5399")), (Some(3), true), "{checked:?}");
    let table = running.ask(&["status"]).stdout;
    assert!(table.contains(&format!("{tag:05}  13   csk   published")), "{table}");
    let line = "walrus_dnssec_keys{zone=\"walrus.example\",state=\"published\"} 1";
    wait_for("metrics of keys and signatures", || {
        let (_, metrics) = running.http("GET", "/metrics", "");
        let expiry = "walrus_dnssec_answers_expiry_timestamp_seconds 1";
        (metrics.contains(line) && metrics.contains(expiry)).then_some(())
    });
    running.kill();
    running.up();
    assert_eq!(keys(&running)[0]["tag"], tag);
    let table = running.ask(&["keys", "list", "walrus.example"]).stdout;
    assert!(table.contains(&format!("{tag:05}  csk   13   published")), "{table}");
}

#[test]
fn a_retired_key_waits_for_its_successor() {
    let running = Running::start(&signed());
    let tag = keys(&running)[0]["tag"].as_u64().unwrap();
    wait_for_stage(&running, tag, "no cache lacks it");
    let told = running.ask(&["keys", "retire", "walrus.example", &tag.to_string()]);
    assert_eq!((told.code, told.stdout.contains("goes when nothing needs it")), (Some(0), true));
    let all = keys(&running);
    assert_eq!(all.len(), 2, "{all:?}");
    assert_eq!((&all[0]["stage"], &all[1]["role"]), (&"retiring".into(), &"csk".into()));
    let other = all[1]["tag"].as_u64().unwrap();
    wait_for_stage(&running, other, "waits until all is signed");
    for (arguments, code, says) in [
        (&["keys", "retire", "walrus.example", "1"][..], 1, "has no key 1"),
        (&["keys", "retire", "other.example", "1"], 2, "no zone that is signed"),
        (&["keys", "add", "walrus.example", "--role", "zsk"], 2, "no key of role zsk"),
        (&["keys", "list", "other.example"], 2, "no zone that is signed"),
        (&["keys", "add", "walrus.example"], 0, "the roll-over to it begins"),
    ] {
        let ended = running.ask(arguments);
        assert_eq!(ended.code, Some(code), "{arguments:?}: {ended:?}");
        let said = format!("{}{}", ended.stdout, ended.stderr);
        assert!(said.contains(says), "{arguments:?}: {said}");
    }
}

#[test]
fn keys_are_brought_from_one_node_to_another_by_files() {
    let running = Running::start(&signed());
    let tag = keys(&running)[0]["tag"].as_u64().unwrap();
    let copies = running.path("copies").display().to_string();
    let state = running.path("state").display().to_string();
    let exported =
        running.ask(&["keys", "export", "walrus.example", "--to", &copies, "--state", &state]);
    assert_eq!(exported.code, Some(0), "{exported:?}");
    let base = format!("{copies}/Kwalrus.example.+013+{tag:05}");

    let other = Running::prepared(&signed());
    let config = other.path("walrus.toml").display().to_string();
    let offline = |arguments: &[&str]| run(program().args(arguments).args(["--config", &config]));
    let imported = offline(&["keys", "import", "walrus.example", &base]);
    assert_eq!(imported.code, Some(0), "{imported:?}");
    let listed = offline(&["keys", "list"]);
    assert!(listed.stdout.contains(&format!("{tag:05}")), "{listed:?}");
    let mut other = other;
    other.up();
    assert_eq!(keys(&other)[0]["tag"], tag, "no other key is made");
    let busy = offline(&["keys", "add", "walrus.example"]);
    assert_eq!(busy.code, Some(3), "{busy:?}");
    assert!(busy.stderr.contains("used by another walrus"), "{busy:?}");
    let damaged = other.path("Kwalrus.example.+008+00001");
    std::fs::write(
        other.path("Kwalrus.example.+008+00001.key"),
        "walrus.example. DNSKEY 257 3 8 AAAA",
    )
    .unwrap();
    let refused = offline(&["keys", "import", "walrus.example", &damaged.display().to_string()]);
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert!(refused.stderr.contains("algorithm 8 is not supported"), "{refused:?}");
}

/// The DNSKEY records that a node serves, and when and by whom they are signed; not with which
/// random number.
fn served_keys(running: &Running) -> Vec<String> {
    let dump = running.ask(&["zone", "dump", "walrus.example"]).stdout;
    let of_keys = dump.lines().filter_map(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let types = fields.iter().position(|field| *field == "IN")? + 1;
        match fields.get(types..)? {
            ["DNSKEY", ..] => Some(fields.join(" ")),
            ["RRSIG", "DNSKEY", ..] => Some(fields[..types + 8].join(" ")),
            _ => None,
        }
    });
    of_keys.collect()
}

/// A node that follows `signer`, prepared.
fn follower_of(signer: &Running) -> Running {
    let token = signer.path("state/node-token").display().to_string();
    let join =
        format!("[group]\njoin = \"{}\"\nnode_token_file = \"{token}\"\nlisten", signer.group());
    let config = signed()
        .replace("name = \"one\"", "name = \"two\"")
        .replace("[group]\nlisten", &join)
        .replace("[dnssec]", "[dnssec]\nsigner = false\nnodes = [\"one\", \"two\"]");
    Running::prepared(&config)
}

#[test]
fn two_nodes_go_the_same_way_and_no_key_is_used_before_both_hold_it() {
    let mut signer =
        Running::start(&signed().replace("[dnssec]", "[dnssec]\nnodes = [\"one\", \"two\"]"));
    let tag = keys(&signer)[0]["tag"].as_u64().unwrap();
    wait_for_stage(&signer, tag, "waits until two holds its private key");
    assert_eq!(served_keys(&signer), [""; 0], "nothing is signed that the other could not sign");

    let mut follower = follower_of(&signer);
    follower.up();
    // Whoever knows the parent's DS would find unsigned answers bogus.
    let query = query("www.walrus.example", 1, Some([203, 0, 113]));
    let refused = wait_for("a refusal", || ask_udp(follower.dns(), &query, PATIENCE));
    assert_eq!(code(&refused), 5, "before it heard from the signer");
    let told = wait_for("the signer's key", || keys(&follower).into_iter().next());
    assert_eq!((&told["tag"], &told["held"]), (&tag.into(), &false.into()));
    let refused = follower.ask(&["keys", "add", "walrus.example"]);
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert!(refused.stderr.contains("not the signer"), "{refused:?}");

    let copies = signer.path("copies").display().to_string();
    let state = signer.path("state").display().to_string();
    let exported =
        signer.ask(&["keys", "export", "walrus.example", "--to", &copies, "--state", &state]);
    assert_eq!(exported.code, Some(0), "{exported:?}");
    let base = format!("{copies}/Kwalrus.example.+013+{tag:05}");
    let state = follower.path("state").display().to_string();
    let imported = follower.ask(&["keys", "import", "walrus.example", &base, "--state", &state]);
    assert_eq!(imported.code, Some(0), "{imported:?}");

    wait_for_stage(&signer, tag, "waits until no cache lacks it");
    let of_both = wait_for("the same keys", || {
        let of_both = served_keys(&signer);
        let of_follower = served_keys(&follower);
        (!of_both.is_empty() && of_both == of_follower).then_some(of_both)
    });
    let reply = wait_for("an answer", || ask_udp(follower.dns(), &query, PATIENCE));
    assert_eq!(code(&reply), 0, "{reply:?}");
    assert_eq!(of_both.len(), 2, "a key and its signature, to the second: {of_both:?}");

    // A restart without the signer goes on with what was told.
    signer.kill();
    follower.kill();
    follower.up();
    assert_eq!(wait_for("its keys", || Some(served_keys(&follower))), of_both);
    let said = wait_for("a problem", || {
        let (_, object) = follower.ask_json(&["keys", "list"]);
        let problem = object["zones"][0]["problems"].as_array()?.first()?.clone();
        problem.as_str().map(ToOwned::to_owned)
    });
    assert!(said.contains("the signer is not heard"), "{said}");
    let status = follower.ask(&["status"]).stdout;
    assert!(status.contains("the signer is not heard"), "{status}");
}

//! The dnstap file that a name server writes, over a crash and a restart, as other programs and `walrus sim replay` read it.

use std::io::Write as _;
use std::process::Command;

use serde_json::Value;

use crate::dns::{ask_udp, query};
use crate::running::{PATIENCE, Running, TWO_CLUSTERS, program, run, wait_for};

/// Data frames of a stream; control frames come with a length of 0 in front.
fn frames(bytes: &[u8]) -> Option<usize> {
    let (mut at, mut count) = (0, 0);
    while at < bytes.len() {
        let number = |at: usize| bytes.get(at..)?.first_chunk().map(|it| u32::from_be_bytes(*it));
        let length = number(at)?;
        at += match length {
            0 => 8 + number(at + 4)? as usize,
            length => {
                count += 1;
                4 + length as usize
            }
        };
    }
    (at == bytes.len()).then_some(count)
}

fn ask(running: &Running, clients: &[u8], told: usize) {
    for client in clients {
        let asked = query("www.walrus.example", 1, Some([*client, 0, 113]));
        assert!(ask_udp(running.dns(), &asked, PATIENCE).is_some());
    }
    wait_for("queries and replies in the file", || {
        let bytes = std::fs::read(running.path("queries.tap")).ok()?;
        (frames(&bytes)? == told).then_some(())
    });
}

#[test]
fn a_dnstap_file_is_whole_after_a_crash_and_replay_reads_it() {
    let config = TWO_CLUSTERS.replace("workers = 1", "workers = 1\ndnstap = \"queries.tap\"");
    let mut running = Running::prepared(&config);
    running.write("moved.toml", &config.replace("home = \"near\"", "home = \"far\""));
    running.up();
    ask(&running, &[203, 203, 203, 198], 8);
    running.kill();
    // What a power cut may leave of a frame.
    let mut file = std::fs::File::options().append(true).open(running.path("queries.tap")).unwrap();
    file.write_all(&[0, 0, 1, 0, 7, 7, 7]).unwrap();
    running.up();
    ask(&running, &[203], 10);
    running.signal("TERM");
    assert!(running.ended().success());

    for (half, against) in [("queries", true), ("replies", false)] {
        let mut command = program();
        command.current_dir(running.folder.path());
        command.args(["sim", "replay", "--queries", "queries.tap", "--dnstap", half]);
        command.args(["--config", "moved.toml", "--world", "idle", "--json"]);
        if against {
            command.args(["--against", "walrus.toml"]);
        }
        let ended = run(&mut command);
        assert_eq!(ended.code, Some(0), "{ended:?}");
        let result = &serde_json::from_str::<Value>(&ended.stdout).unwrap()["result"];
        assert_eq!(result["moved"]["share"], 0.8, "{half}: {result}");
        assert_eq!(result["log"]["broken"], 0, "{half}: {result}");
        let flow = &result["flows"][0];
        assert_eq!(
            (&flow["queries"], &flow["to"]),
            (&4.0.into(), &"far".into()),
            "{half}: {result}"
        );
    }
    // BIND's reader stops at the stream's first end.
    let Ok(read) = Command::new("dnstap-read").arg(running.path("queries.tap")).output() else {
        return;
    };
    let text = String::from_utf8(read.stdout).unwrap();
    let count = |kind: &str| text.lines().filter(|line| line.contains(kind)).count();
    assert_eq!((count(" AQ "), count(" AR ")), (5, 5), "{text}");
}

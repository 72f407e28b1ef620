//! A name server that reads more slowly than the NATS server has patience for.

use super::*;

/// What others say beside the group, in one message.
const NOISE: usize = 200 << 10;
/// More than the system keeps for both ends of a connection, and than this NATS server keeps for it.
const NOISES_MAX: usize = 500;

#[test]
fn a_name_server_that_is_cut_off_for_slowness_answers_says_why_and_catches_up() {
    let _together = together();
    let Some([program]) = find("a slow line to NATS", ["nats-server"]) else { return };
    let folder = tempfile::tempdir().unwrap();
    let patience = "max_pending: 2MB\nwrite_deadline: \"500ms\"\n";
    let nats = Nats::start(&program, &folder.path().join("nats"), patience);
    let group = Group::start(folder.path(), [&at(&nats); 2]);
    let slow = &group.directors[0];
    let connections = |node: &Node| node.status()["bus"]["connections"].as_u64().unwrap_or(0);
    let before = connections(slow);

    slow.freeze();
    let mut stranger = Stranger::connect(nats.address);
    let noise = vec![b'x'; NOISE];
    let is_cut_off = || nats.said().contains("Slow Consumer Detected");
    for _ in 0..NOISES_MAX {
        stranger.publish("walrus.v1.controller.mallory.noise", &noise);
        if is_cut_off() {
            break;
        }
    }
    wait_for("the end of the NATS server's patience", || is_cut_off().then_some(()));
    let (code, said) = group.controllers[0].call(&["drain", "near2"]);
    assert_eq!(code, Some(0), "{said}");
    slow.thaw();

    group.wait_for_answers(&["192.0.2.1"]);
    wait_for("another connection", || (connections(slow) > before).then_some(()));
    assert!(
        slow.said().contains("if the server's log tells of a `Slow Consumer`"),
        "{}",
        slow.said()
    );
}

//! What is not believed: names of others, garbage, what was heard before, other versions.

use async_nats::Client;
use walrus_core::message::encode_envelope;
use walrus_core::world::{Report, ReportBody, Statistics};

use super::*;

pub(super) fn report(server: &str, sequence: u64) -> Message {
    Message::Report(Report {
        server: name(server),
        session: 1,
        sequence,
        unit_ms: 10_000,
        sent_unix_ms: 0,
        version: None,
        body: ReportBody::Statistics(Statistics::default()),
        requests: None,
    })
}

fn envelope(role: Role, who: &str, sequence: u64, message: Message) -> Vec<u8> {
    encode_envelope(&Envelope {
        role,
        name: name(who),
        session: 5,
        sequence,
        sent_unix_ms: 0,
        message,
    })
}

/// Somebody who may publish anything.
async fn stranger(server: &Server) -> Client {
    async_nats::connect(server.address()).await.unwrap()
}

async fn publish(client: &Client, subject: &str, bytes: Vec<u8>) {
    client.publish(subject.to_owned(), bytes.into()).await.unwrap();
    client.flush().await.unwrap();
}

#[tokio::test]
async fn nothing_is_believed_that_is_forged_or_garbage() {
    let Some(server) = Server::start("").await else { return };
    let mut berlin = Node::start(settings(&server.address()), Role::Controller, "berlin", 1);
    until("a connection", || berlin.bus.status().server.is_some()).await;
    let client = stranger(&server).await;
    let good = |sequence| envelope(Role::Reporter, "fra1", sequence, report("fra1", sequence));

    // Until the subscriptions have come around.
    let mut sequence = 0;
    until("the first report", || {
        sequence += 1;
        let (client, bytes) = (client.clone(), good(sequence));
        tokio::spawn(async move {
            publish(&client, "walrus.v1.reporter.fra1.report", bytes).await;
        });
        berlin.heard.try_recv().is_ok()
    })
    .await;

    let forged = [
        ("walrus.v1.reporter.fra2.report", good(1000)),
        ("walrus.v1.director.fra1.report", good(1001)),
        ("walrus.v1.reporter.fra1.taken", good(1002)),
        (
            "walrus.v1.reporter.fra1.report",
            envelope(Role::Reporter, "fra1", 1003, report("fra2", 1)),
        ),
        ("walrus.v1.reporter.fra1.plan_wanted", envelope(Role::Reporter, "fra1", 1004, wanted())),
        ("walrus.v1.to.controller.berlin.report.reporter.fra2", good(1005)),
    ];
    let count = forged.len() as u64;
    for (subject, bytes) in forged {
        publish(&client, subject, bytes).await;
    }
    let version =
        String::from_utf8(good(2000)).unwrap().replacen("\"walrus\":1", "\"walrus\":9", 1);
    let garbage: [&[u8]; 5] = [b"", b"\xff\xfe", b"{}", b"[[[[", version.as_bytes()];
    let odd = ["walrus.v1.reporter", "walrus.v1.reporter.FRA1.report", "walrus.v1.reporter.a.b.c"];
    for bytes in garbage {
        publish(&client, "walrus.v1.reporter.fra1.report", bytes.to_vec()).await;
    }
    for subject in odd {
        publish(&client, subject, good(3000)).await;
    }
    let unknown = String::from_utf8(good(4000)).unwrap().replace("\"report\"", "\"sing\"");
    publish(&client, "walrus.v1.reporter.fra1.sing", unknown.into_bytes()).await;

    // `walrus.v1.reporter` is below no subscription.
    let garbage = garbage.len() as u64 + odd.len() as u64 - 1;
    until("all to be counted", || {
        let counters = berlin.bus.status().counters;
        while let Ok(event) = berlin.heard.try_recv() {
            assert!(event.envelope.sequence < 1000, "{event:?}");
        }
        (counters.forged, counters.garbage, counters.unknown_kinds) == (count, garbage, 1)
    })
    .await;
    let problems = berlin.bus.status().problems.join("\n");
    for told in [
        "reporter fra1: it speaks version 9 of the messages, and this node reads 1 and 2: update this \
         node (1 message not read",
        "forged: 2 messages on the subject of reporter fra2",
        "not understood: 4 messages on the subject of reporter fra1",
    ] {
        assert!(problems.contains(told), "{told}: {problems}");
    }
}

#[tokio::test]
async fn what_was_heard_before_is_not_heard_again() {
    let Some(server) = Server::start("").await else { return };
    let mut berlin = Node::start(settings(&server.address()), Role::Controller, "berlin", 1);
    until("a connection", || berlin.bus.status().server.is_some()).await;
    let client = stranger(&server).await;
    let said = |sequence| envelope(Role::Reporter, "fra1", sequence, report("fra1", sequence));
    let mut sequence = 0;
    until("the first report", || {
        sequence += 1;
        let (client, bytes) = (client.clone(), said(sequence));
        tokio::spawn(async move {
            publish(&client, "walrus.v1.reporter.fra1.report", bytes).await;
        });
        berlin.heard.try_recv().is_ok()
    })
    .await;
    let newest = said(sequence + 500);
    publish(&client, "walrus.v1.reporter.fra1.report", newest.clone()).await;
    until(
        "the newest",
        || matches!(berlin.heard.try_recv(), Ok(event) if event.envelope.sequence > 500),
    )
    .await;
    let before = berlin.bus.status().counters.replayed;
    for _ in 0..10 {
        publish(&client, "walrus.v1.reporter.fra1.report", newest.clone()).await;
    }
    publish(&client, "walrus.v1.reporter.fra1.report", said(1)).await;
    until("the replays to be counted", || berlin.bus.status().counters.replayed == before + 11)
        .await;
    assert!(berlin.heard.try_recv().is_err());
    let problems = berlin.bus.status().problems;
    let told = |it: &String| it.starts_with("replayed: ") && it.contains("name of reporter fra1");
    assert!(problems.iter().any(told), "{problems:?}");
}

#[tokio::test]
async fn two_nodes_of_one_name_are_told_of() {
    let Some(server) = Server::start("").await else { return };
    let start =
        |who, session| Node::start(settings(&server.address()), Role::Controller, who, session);
    let mut one = start("berlin", 1).connected().await;
    let mut other = start("berlin", 2).connected().await;
    let mut third = start("zurich", 3).connected().await;
    until("the warnings", || {
        for node in [&mut one, &mut other, &mut third] {
            while node.heard.try_recv().is_ok() {}
        }
        one.say(wanted());
        other.say(wanted());
        let told = |node: &Node, of: &str| {
            node.bus.status().problems.iter().any(|problem| problem.contains(of))
        };
        told(&one, "another node says that it is controller berlin")
            && told(&other, "another node says that it is controller berlin")
            && told(&third, "two nodes are controller berlin")
    })
    .await;
    assert!(third.bus.status().counters.twins > 0);
}

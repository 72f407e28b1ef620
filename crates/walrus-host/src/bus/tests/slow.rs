//! A node that is slower than what the group says.

use super::*;

#[tokio::test]
async fn a_node_that_does_not_keep_up_tells_what_it_missed_and_goes_on_speaking() {
    let Some(server) = Server::start("").await else { return };
    let start = |role, node| Node::start(settings(&server.address()), role, node, 1);
    let mut berlin = start(Role::Controller, "berlin").connected().await;
    let mut zurich = start(Role::Director, "zurich").connected().await;
    say_until_heard(&berlin, &wanted(), &mut zurich).await;

    // From here on it takes nothing up.
    until("messages that it missed", || {
        for _ in 0..500 {
            berlin.say(wanted());
        }
        zurich.bus.status().counters.missed > 0
    })
    .await;
    zurich.complains("this node is too slow to hear all that the group says").await;
    say_until_heard(&zurich, &wanted(), &mut berlin).await;
    assert!(zurich.bus.status().server.is_some(), "the connection stands");

    let before = zurich.bus.status().counters.received;
    until("what waited", || {
        while zurich.heard.try_recv().is_ok() {}
        zurich.bus.status().counters.received > before + 1000
    })
    .await;
}

//! Nobody at the other end of a webhook: the others do not wait for it.

use std::net::TcpListener;
use std::time::{Duration, Instant};

use crate::dns::addresses;
use crate::running::{Running, TWO_CLUSTERS, wait_for};

#[test]
fn an_unreachable_or_silent_webhook_delays_nothing() {
    // Accepts connections and never answers: worse than one that refuses.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    for url in
        ["http://127.0.0.1:9/".to_owned(), format!("http://{}/", silent.local_addr().unwrap())]
    {
        let web = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = web.local_addr().unwrap().port();
        let config = TWO_CLUSTERS
            .replace(
                "servers = [{ name = \"near1\", addresses = [\"192.0.2.1\"] }",
                &format!(
                    "probe = {{ tcp = {port}, every = \"1s\", timeout = \"500ms\", fall = 1, \
                     rise = 1 }}\nservers = [{{ name = \"near1\", addresses = [\"127.0.0.1\"] }}"
                ),
            )
            .replace(
                ", { name = \"near2\", addresses = [\"192.0.2.2\"] }",
                ", { name = \"near2\", addresses = [\"192.0.2.2\"], probe = { tcp = 1, \
                 every = \"1s\", timeout = \"500ms\" } }",
            )
            + &format!("[notify]\nwebhook = \"{url}\"\ndead_after = \"1s\"\n");
        let running = Running::start(&config);
        wait_for("a living server", || (running.life("near1") == "living").then_some(()));
        drop(web);
        wait_for("its death", || (running.life("near1") == "dead").then_some(()));
        wait_for("a notice", || {
            (running.status()["counters"]["notices"].as_u64()? > 0).then_some(())
        });
        let rounds = || running.status()["counters"]["rounds"].as_u64().unwrap();
        let (begin, before) = (Instant::now(), rounds());
        wait_for("three more rounds", || (rounds() >= before + 3).then_some(()));
        assert!(begin.elapsed() < Duration::from_secs(10), "{:?}", begin.elapsed());
        assert!(!addresses(running.dns()).is_empty());
    }
}

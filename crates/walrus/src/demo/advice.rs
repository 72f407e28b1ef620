//! What the demo tells its user to try.

use std::path::Path;

/// The whole text.
pub(super) fn text(state: &Path) -> String {
    let walrus = program();
    format!(
        "\
Walrus is up: three areas, three clusters of two web servers, everything on loopback.

  name server  127.0.0.1:5300 (UDP and TCP)      API  http://127.0.0.1:8053
  america      127.0.11.1 and .2, port 8080      clients 203.0.113.0/24
  asia         127.0.12.1 and .2                 clients 192.0.2.0/24
  europe       127.0.13.1 and .2                 clients 198.51.100.0/24, all others: world

Ask as a client in America, Asia and Europe:
  dig +short @127.0.0.1 -p 5300 www.walrus.example +subnet=203.0.113.0/24
  dig +short @127.0.0.1 -p 5300 www.walrus.example +subnet=192.0.2.0/24
  dig +short @127.0.0.1 -p 5300 www.walrus.example +subnet=198.51.100.0/24

See what Walrus knows, and why a client gets its answer:
  {walrus} status
  {walrus} explain www.walrus.example --client 198.51.100.7

Watch the name server at work, best with many questions to it:
  {walrus} top --token-file {token}

Break a server (it leaves the answers within a second or two), and mend it:
  curl -X POST http://127.0.13.1:8080/fault/down
  curl -X POST http://127.0.13.1:8080/fault/ok

Overload a server, then its whole cluster (new clients go elsewhere, one area a round):
  curl -X POST http://127.0.13.1:8080/fault/busy
  curl -X POST http://127.0.13.2:8080/fault/busy

Break a cluster (its area moves), and mend it (the area comes home by and by):
  curl -X POST http://127.0.13.1:8080/fault/down; curl -X POST http://127.0.13.2:8080/fault/down
  curl -X POST http://127.0.13.1:8080/fault/ok; curl -X POST http://127.0.13.2:8080/fault/ok

Drain a server by hand; the token is in the demo's state directory:
  {walrus} drain europe1 --token-file {token}

What changes is told below as it happens. Ctrl-C ends it all.
",
        token = state.join("token").display(),
    )
}

/// How the user can call this program again: as they did, if that was by a path.
fn program() -> String {
    let called = std::env::args().next().unwrap_or_default();
    if called.is_empty() { "walrus".to_owned() } else { called }
}

//! Unbound in front: what clients get who know nothing of areas, marks and updates.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use super::programs::Kind;
use super::scene::{SERVICE, Scene, dig, write};
use crate::programs::{Process, find, free_port, wait_for};
use crate::together;

#[test]
fn a_resolver_follows_the_cname_and_what_it_leads_to() {
    let _together = together();
    let Some([unbound]) = find("a resolver before BIND", ["unbound"]) else { return };
    let Some(program) = Kind::Bind.installed("BIND behind a resolver") else { return };
    let scene = Scene::new("ttl = \"1s\"");
    let _name_server = program.start(&scene);
    let walrus = scene.start_walrus();
    scene.wait_for_addresses(&walrus, &["192.0.2.1", "192.0.2.2"]);
    let (_unbound, resolver) = start(&unbound, &scene);
    let get = || dig(resolver, SERVICE, "A");
    assert_eq!(get(), ["192.0.2.1", "192.0.2.2", "www.europe.example."]);
    let (code, said) = walrus.call(&["drain", "frankfurt"]);
    assert_eq!(code, Some(0), "{said}");
    wait_for("the other cluster, within the TTL", || {
        (get() == ["198.51.100.1", "www.europe.example."]).then_some(())
    });
}

fn start(program: &std::path::Path, scene: &Scene) -> (Process, SocketAddr) {
    let ip = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let address = SocketAddr::new(ip, free_port(&[ip]));
    let (place, port) = (scene.folder.path().display(), address.port());
    let stub = |zone: &str| {
        format!("stub-zone:\n name: \"{zone}\"\n stub-addr: 127.0.0.1@{}\n", scene.address.port())
    };
    let text = format!(
        "server:\n directory: \"{place}\"\n chroot: \"\"\n username: \"\"\n\
         pidfile: \"{place}/unbound.pid\"\n use-syslog: no\n logfile: \"\"\n num-threads: 1\n\
         interface: {ip}@{port}\n do-not-query-localhost: no\n do-daemonize: no\n\
         module-config: \"iterator\"\nremote-control:\n control-enable: no\n{}{}",
        stub("walrus.example"),
        stub("europe.example")
    );
    let file = scene.path("unbound.conf");
    write(&file, &text);
    let arguments = ["-d", "-p", "-c", file.to_str().unwrap()];
    let mut process = Process::start(program, &arguments, &scene.path("unbound.log"));
    wait_for("unbound", || {
        process.assert_running();
        (!dig(address, "walrus.example", "SOA").is_empty()).then_some(())
    });
    (process, address)
}

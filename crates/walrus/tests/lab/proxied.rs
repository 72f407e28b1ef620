//! Proxies in front, which tell by PROXY headers who asks: dnsdist by UDP, TCP and TLS, HAProxy by TCP
//! and in front of TLS. Each client is answered for its own area.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::Command;

use crate::encrypted::certify;
use crate::programs::{Process, find, free_port, wait_or_tell};
use crate::together;
use crate::walrus::{Node, Walrus};

const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// Where the proxies' connections come from.
const PROXY: &str = "127.0.0.8";

/// Nobody but the clients of an area is told `s1` or `s2`; the proxy itself would be told `s3`.
const CONFIGURATION: &str = r#"
zone = "walrus.example"
nameservers = ["ns1.example.net"]
[[cluster]]
name = "one"
servers = [{ name = "s1", addresses = ["192.0.2.1"] }]
[[cluster]]
name = "two"
servers = [{ name = "s2", addresses = ["192.0.2.2"] }]
[[cluster]]
name = "three"
servers = [{ name = "s3", addresses = ["192.0.2.3"] }]
[[area]]
name = "one"
home = "one"
clients = ["127.0.0.11/32"]
[[area]]
name = "two"
home = "two"
clients = ["127.0.0.12/32"]
[[area]]
name = "three"
home = "three"
clients = ["127.0.0.8/32"]
[[service]]
name = "www.walrus.example"
"#;

struct Scene {
    walrus: Walrus,
    tls: u16,
    https: u16,
    folder: tempfile::TempDir,
}

impl Scene {
    fn start(openssl: &Path) -> Self {
        let folder = tempfile::tempdir().unwrap();
        certify(openssl, folder.path());
        let [tls, https] = [(); 2].map(|()| free_port(&[HERE]));
        let dns_lines = format!(
            "proxy_from = [\"{PROXY}\"]\ntls_listen = [\"127.0.0.1:{tls}\"]\n\
             https_listen = [\"127.0.0.1:{https}\"]\n\
             certificate = \"dns.pem\"\nkey = \"dns.key\"\n"
        );
        let node = Node { dns_lines: &dns_lines, ..Node::default() };
        let walrus = Walrus::start_node(&node, folder.path(), CONFIGURATION);
        Self { walrus, tls, https, folder }
    }

    /// What each client is told through a proxy that listens at `port`.
    fn each_client_is_told_its_own(
        &self,
        kdig: &Path,
        options: &[&str],
        port: u16,
        proxy: &Process,
    ) {
        for (client, expected) in [("127.0.0.11", "192.0.2.1"), ("127.0.0.12", "192.0.2.2")] {
            let mut last = String::new();
            let told = std::cell::RefCell::new(&mut last);
            let look = || {
                let said = ask(kdig, client, options, port);
                let is_right = said.trim() == expected;
                **told.borrow_mut() = said;
                is_right.then_some(())
            };
            let tell = || {
                format!("{options:?} {}\n{}\n{}", told.borrow(), proxy.said(), self.walrus.said())
            };
            wait_or_tell(&format!("{expected} for {client}"), look, tell);
        }
    }
}

fn ask(kdig: &Path, client: &str, options: &[&str], port: u16) -> String {
    let output = Command::new(kdig)
        .args(["@127.0.0.8", "-b", client, "-p", &port.to_string(), "+short", "+retry=0"])
        .args(["+timeout=2"])
        .args(options)
        .args(["www.walrus.example", "A"])
        .output()
        .unwrap();
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// A configuration of dnsdist that passes all on to `server`.
fn dnsdist(listen: SocketAddr, server: SocketAddr, more: &str) -> String {
    format!(
        "setLocal(\"{listen}\")\nsetACL({{\"127.0.0.0/8\"}})\n\
         newServer({{address=\"{server}\", useProxyProtocol=true, source=\"{PROXY}\", \
         checkName=\"www.walrus.example.\", checkInterval=1, mustResolve=true{more}}})\n"
    )
}

#[test]
fn clients_behind_dnsdist_and_haproxy_are_told_what_is_near_them() {
    let _together = together();
    let programs = ["openssl", "kdig", "dnsdist", "haproxy"];
    let Some([openssl, kdig, dnsdist_program, haproxy]) = find("proxies in front", programs) else {
        return;
    };
    let scene = Scene::start(&openssl);
    let proxy: IpAddr = PROXY.parse().unwrap();
    let path = |name: &str| scene.folder.path().join(name);
    let by_tls = SocketAddr::new(HERE, scene.tls);
    for (name, server, more) in [
        ("dnsdist", scene.walrus.dns, ""),
        ("dnsdist-tls", by_tls, ", tls=\"openssl\", validateCertificates=false"),
    ] {
        let listen = SocketAddr::new(proxy, free_port(&[proxy]));
        let file = path(&format!("{name}.conf"));
        std::fs::write(&file, dnsdist(listen, server, more)).unwrap();
        let arguments = ["--supervised", "--disable-syslog", "-C", file.to_str().unwrap()];
        let running = Process::start(&dnsdist_program, &arguments, &path(name));
        for options in [&[][..], &["+tcp"], &["+tcp", "+keepopen"]] {
            scene.each_client_is_told_its_own(&kdig, options, listen.port(), &running);
        }
    }
    let [plain, encrypted, web] = [(); 3].map(|()| free_port(&[proxy]));
    let (dns, tls, https) = (scene.walrus.dns, scene.tls, scene.https);
    let text = format!(
        "defaults\n mode tcp\n timeout connect 5s\n timeout client 10s\n timeout server 10s\n\
         listen plain\n bind {PROXY}:{plain}\n server w {dns} send-proxy-v2 source {PROXY}\n\
         listen encrypted\n bind {PROXY}:{encrypted}\n \
         server w 127.0.0.1:{tls} send-proxy-v2 source {PROXY}\n\
         listen web\n bind {PROXY}:{web}\n \
         server w 127.0.0.1:{https} send-proxy-v2 source {PROXY}\n"
    );
    std::fs::write(path("haproxy.cfg"), text).unwrap();
    let file = path("haproxy.cfg");
    let running =
        Process::start(&haproxy, &["-db", "-f", file.to_str().unwrap()], &path("haproxy"));
    scene.each_client_is_told_its_own(&kdig, &["+tcp"], plain, &running);
    scene.each_client_is_told_its_own(&kdig, &["+tls"], encrypted, &running);
    scene.each_client_is_told_its_own(&kdig, &["+https"], web, &running);
    // Nobody else may say who he is, and the proxy must.
    assert_eq!(ask_straight(&kdig, "127.0.0.11", scene.walrus.dns), "192.0.2.1");
    assert_eq!(ask_straight(&kdig, PROXY, scene.walrus.dns), "");
}

fn ask_straight(kdig: &Path, client: &str, server: SocketAddr) -> String {
    let output = Command::new(kdig)
        .args(["@127.0.0.1", "-b", client, "-p", &server.port().to_string(), "+short"])
        .args(["+retry=0", "+timeout=2", "www.walrus.example", "A"])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    if said.starts_with(|it: char| it.is_ascii_digit()) { said } else { String::new() }
}

//! DNS over TLS and over HTTPS, cookies, and what a server says of itself, as kdig, dig and curl see it.

use std::io::{Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::programs::{find, free_port, wait_for};
use crate::together;
use crate::walrus::{Node, Walrus};

const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

const CONFIGURATION: &str = r#"
zone = "walrus.example"
nameservers = ["ns1.example.net"]
[[cluster]]
name = "c"
servers = [{ name = "s1", addresses = ["127.0.0.1"] }]
[[service]]
name = "www.walrus.example"
"#;

/// A new certificate for this machine in these files.
pub(crate) fn certify(openssl: &Path, folder: &Path) {
    let output = Command::new(openssl)
        .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"])
        .args(["-nodes", "-days", "2", "-subj", "/CN=ns1.walrus.example", "-addext"])
        .arg("subjectAltName=DNS:ns1.walrus.example,IP:127.0.0.1")
        .arg("-keyout")
        .arg(folder.join("dns.key"))
        .arg("-out")
        .arg(folder.join("dns.pem"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
}

struct Encrypted {
    walrus: Walrus,
    tls: u16,
    https: u16,
    folder: tempfile::TempDir,
}

impl Encrypted {
    fn start(openssl: &Path) -> Self {
        let folder = tempfile::tempdir().unwrap();
        certify(openssl, folder.path());
        let [tls, https] = [(); 2].map(|()| free_port(&[HERE]));
        let dns_lines = format!(
            "tls_listen = [\"127.0.0.1:{tls}\"]\nhttps_listen = [\"127.0.0.1:{https}\"]\n\
             certificate = \"dns.pem\"\nkey = \"dns.key\"\nnsid = \"lab-1\"\n\
             version = \"walrus in the lab\"\n"
        );
        let node = Node { dns_lines: &dns_lines, ..Node::default() };
        let walrus = Walrus::start_node(&node, folder.path(), CONFIGURATION);
        Self { walrus, tls, https, folder }
    }

    /// What kdig says, by TLS or HTTPS, believing in the certificate that is in the file now.
    fn kdig(&self, kdig: &Path, options: &[&str], port: u16) -> String {
        let certificate = self.folder.path().join("dns.pem");
        let output = Command::new(kdig)
            .args(["@127.0.0.1", "-p", &port.to_string(), "+timeout=5", "+retry=0"])
            .arg(format!("+tls-ca={}", certificate.display()))
            .args(["+tls-hostname=ns1.walrus.example"])
            .args(options)
            .args(["www.walrus.example", "A"])
            .output()
            .unwrap();
        String::from_utf8(output.stdout).unwrap()
    }
}

#[test]
fn answers_come_by_tls_and_https() {
    let _together = together();
    let Some([openssl, kdig, curl]) = find("DNS by TLS and HTTPS", ["openssl", "kdig", "curl"])
    else {
        return;
    };
    let encrypted = Encrypted::start(&openssl);
    let Encrypted { tls, https, .. } = encrypted;
    let answer = "www.walrus.example.";
    for (options, port) in [
        (&["+tls"][..], tls),
        (&["+tls", "+keepopen"], tls),
        (&["+https"], https),
        (&["+https", "+https-get"], https),
    ] {
        let said = encrypted.kdig(&kdig, options, port);
        let has_answer =
            said.lines().any(|line| line.starts_with(answer) && line.contains("127.0.0.1"));
        assert!(has_answer && said.contains("status: NOERROR"), "{options:?}: {said}");
    }
    // Padded if the query is, to a length that says nothing.
    let padded = encrypted.kdig(&kdig, &["+tls", "+padding=128"], tls);
    assert!(padded.contains("Received 468 B"), "{padded}");

    // Refused, and without content: by HTTP/2 that would be an error.
    let head = Command::new(&curl)
        .args(["--silent", "--show-error", "--max-time", "20", "--noproxy", "*", "--insecure"])
        .args(["--head", "--output", "/dev/null", "--write-out", "%{http_version} %{http_code}"])
        .arg(format!("https://127.0.0.1:{https}/dns-query?dns=AAAA"))
        .output()
        .unwrap();
    assert_eq!(String::from_utf8_lossy(&head.stdout), "2 405", "{head:?}");
    assert!(head.status.success(), "{head:?}");

    // A browser's way: the name by HTTPS, then the page.
    let web = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = web.local_addr().unwrap().port();
    let serving = std::thread::spawn(move || {
        let (mut stream, _) = web.accept().unwrap();
        let mut request = [0; 1024];
        let _ = stream.read(&mut request).unwrap();
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello").unwrap();
    });
    let output = Command::new(&curl)
        .args(["--silent", "--show-error", "--max-time", "20", "--noproxy", "*", "--doh-insecure"])
        .arg("--doh-url")
        .arg(format!("https://127.0.0.1:{https}/dns-query"))
        .arg(format!("http://www.walrus.example:{port}/"))
        .output()
        .unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "hello", "{output:?}");
    serving.join().unwrap();
}

#[test]
fn a_certificate_is_replaced_while_clients_are_served() {
    let _together = together();
    let Some([openssl, kdig]) = find("a certificate that is replaced", ["openssl", "kdig"]) else {
        return;
    };
    let encrypted = Encrypted::start(&openssl);
    let answers =
        |options: &[&str], port| encrypted.kdig(&kdig, options, port).contains("status: NOERROR");
    assert!(answers(&["+tls"], encrypted.tls));
    certify(&openssl, encrypted.folder.path());
    assert!(!answers(&["+tls"], encrypted.tls), "the old one is still shown");
    assert_eq!(encrypted.walrus.call(&["reload"]).0, Some(0));
    assert!(answers(&["+tls"], encrypted.tls));
    assert!(answers(&["+https"], encrypted.https));
    // Garbage is refused, and what is in force stays.
    std::fs::write(encrypted.folder.path().join("dns.key"), "no key").unwrap();
    let (code, said) = encrypted.walrus.call(&["reload"]);
    assert!(code == Some(1) && said.contains("dns.key"), "{code:?}: {said}");
    assert!(answers(&["+tls"], encrypted.tls));
}

#[test]
fn whoever_does_not_speak_tls_is_told_nothing() {
    let _together = together();
    let Some([openssl, kdig]) = find("garbage instead of TLS", ["openssl", "kdig"]) else { return };
    let encrypted = Encrypted::start(&openssl);
    for port in [encrypted.tls, encrypted.https] {
        let mut stream = TcpStream::connect(SocketAddr::new(HERE, port)).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        stream.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
        let mut said = Vec::new();
        let _ = stream.read_to_end(&mut said);
        assert!(!said.starts_with(b"HTTP"), "plain text");
    }
    wait_for("two failures", || {
        (encrypted.walrus.metric("walrus_dns_tls_failures_total") == 2).then_some(())
    });
    assert!(encrypted.kdig(&kdig, &["+tls"], encrypted.tls).contains("status: NOERROR"));
}

#[test]
fn cookies_and_who_it_is() {
    let _together = together();
    let Some([openssl, dig, kdig]) = find("cookies", ["openssl", "dig", "kdig"]) else { return };
    let encrypted = Encrypted::start(&openssl);
    let port = encrypted.walrus.dns.port().to_string();
    let ask = |program: &Path, arguments: &[&str]| {
        let output = Command::new(program)
            .args(["@127.0.0.1", "-p", &port, "+timeout=5"])
            .args(arguments)
            .output()
            .unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    let said = ask(&dig, &["+cookie", "+nsid", "www.walrus.example", "A"]);
    assert!(said.contains("(good)") && said.contains("\"lab-1\""), "{said}");
    let said = ask(&kdig, &["+cookie", "+nsid", "www.walrus.example", "A"]);
    assert!(said.contains("COOKIE") && said.contains("lab-1"), "{said}");
    let said = ask(&dig, &["+short", "CH", "TXT", "version.bind"]);
    assert_eq!(said.trim(), "\"walrus in the lab\"");
    let said = ask(&dig, &["CH", "TXT", "id.server"]);
    assert!(said.contains("status: REFUSED"), "{said}");
}

//! Resolvers, each on 127.0.0.1 and the address of its node, none of which validates: the lab's root is not the world's.

use std::net::Ipv4Addr;
use std::path::Path;

use anyhow::Result;

use super::{first_address, text, write};
use crate::network::Node;

fn hints(folder: &Path, root: Ipv4Addr) -> Result<String> {
    let content = format!(". 3600000 IN NS ns.root.\nns.root. 3600000 IN A {root}\n");
    write(folder, "root.hints", &content)
}

pub(super) fn unbound(node: &Node, folder: &Path, root: Ipv4Addr) -> Result<Vec<String>> {
    let address = first_address(node)?;
    let hints = hints(folder, root)?;
    let config = format!(
        "server:\n directory: \"{}\"\n username: \"\"\n chroot: \"\"\n pidfile: \"\"\n \
         interface: 127.0.0.1\n interface: {address}\n do-daemonize: no\n use-syslog: no\n logfile: \"\"\n \
         access-control: 0.0.0.0/0 allow\n module-config: \"iterator\"\n \
         root-hints: \"{hints}\"\n do-ip6: no\n num-threads: 1\n\
         remote-control:\n control-enable: no\n",
        text(folder)
    );
    let file = write(folder, "unbound.conf", &config)?;
    Ok(["-d", "-c", &file].map(str::to_owned).into())
}

pub(super) fn bind(node: &Node, folder: &Path, root: Ipv4Addr) -> Result<Vec<String>> {
    let address = first_address(node)?;
    let hints = hints(folder, root)?;
    let folder_text = text(folder);
    let config = format!(
        "options {{ directory \"{folder_text}\"; listen-on {{ 127.0.0.1; {address}; }}; listen-on-v6 {{ none; }};\n\
         recursion yes; allow-query {{ any; }}; dnssec-validation no; empty-zones-enable no;\n\
         pid-file none; session-keyfile \"{folder_text}/session.key\"; }};\n\
         controls {{ }};\n\
         zone \".\" {{ type hint; file \"{hints}\"; }};\n"
    );
    let file = write(folder, "named.conf", &config)?;
    Ok(["-g", "-4", "-n", "1", "-c", &file].map(str::to_owned).into())
}

pub(super) fn knot(node: &Node, folder: &Path, root: Ipv4Addr) -> Result<Vec<String>> {
    let address = first_address(node)?;
    let config = format!(
        "net.ipv6 = false\nnet.listen({{ '127.0.0.1', '{address}' }}, 53, {{ kind = 'dns' }})\n\
         modules = {{ 'hints' }}\nhints.root({{ ['ns.root.'] = '{root}' }})\n\
         trust_anchors.remove('.')\ncache.size = 10 * MB\ncache.min_ttl(0)\n"
    );
    let file = write(folder, "kresd.conf", &config)?;
    Ok(["-n", "-c", &file, &text(folder)].map(str::to_owned).into())
}

pub(super) fn powerdns(node: &Node, folder: &Path, root: Ipv4Addr) -> Result<Vec<String>> {
    let address = first_address(node)?;
    let hints = hints(folder, root)?;
    let config = format!(
        "local-address=127.0.0.1,{address}\nallow-from=0.0.0.0/0\nhint-file={hints}\ndnssec=off\ndont-query=\ndaemon=no\n\
         socket-dir={}\nwrite-pid=no\nsecurity-poll-suffix=\nthreads=1\nquiet=yes\n\
         disable-syslog=yes\n",
        text(folder)
    );
    write(folder, "recursor.conf", &config)?;
    Ok(vec![format!("--config-dir={}", text(folder))])
}

//! Which resolvers this machine asks, by `/etc/resolv.conf`.

use std::net::{IpAddr, SocketAddr};

/// Where the system names its resolvers.
pub(crate) const SYSTEM_RESOLVERS: &str = "/etc/resolv.conf";
/// So many are asked at most, as by the C library.
pub(crate) const RESOLVERS_MAX: usize = 3;

/// The system's resolvers, port 53; none if the file cannot be read.
pub(crate) fn system_resolvers() -> Vec<SocketAddr> {
    resolvers_in(&std::fs::read_to_string(SYSTEM_RESOLVERS).unwrap_or_default())
}

fn resolvers_in(text: &str) -> Vec<SocketAddr> {
    let address = |line: &str| {
        let mut words = line.split_whitespace();
        let is_one = words.next() == Some("nameserver");
        // An interface behind `%` cannot be said here.
        words.next().filter(|_| is_one)?.parse::<IpAddr>().ok()
    };
    let addresses = text.lines().filter_map(address).take(RESOLVERS_MAX);
    addresses.map(|address| SocketAddr::new(address, 53)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resolvers_are_read_as_the_system_has_them() {
        let text = "# nameserver 192.0.2.9\nsearch example.com\nnameserver 192.0.2.1\n\
                    nameserver fe80::1%eth0\nnameserver 2001:db8::1 # ours\nnameserver\n\
                    nameserver x\nnameserver 192.0.2.2\nnameserver 192.0.2.3\n";
        let expected = ["192.0.2.1:53", "[2001:db8::1]:53", "192.0.2.2:53"];
        assert_eq!(resolvers_in(text), expected.map(|text| text.parse().unwrap()));
    }
}

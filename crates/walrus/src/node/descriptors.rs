//! Room for as many connections as are configured.

use walrus_core::config::Configuration;

/// Files, listening sockets, and connections of other roles than the name server's.
const OTHERS: u64 = 256;

/// Lets this process open what it may, and warns if that is less than what the configuration may come to need.
pub(crate) fn make_room(configuration: &Configuration) {
    match walrus_host::descriptors::allow_most() {
        Ok(allowed) => {
            let told = allowed.and_then(|allowed| lacking(configuration, allowed));
            told.into_iter().for_each(|told| tracing::warn!("{told}"));
        }
        Err(error) => tracing::warn!(%error, "the bound on open files stays as it is"),
    }
}

/// What is to be told if no more than `allowed` may be open at once.
fn lacking(configuration: &Configuration, allowed: u64) -> Option<String> {
    let (roles, dns) = (&configuration.node.roles, &configuration.dns);
    let connections = dns.tcp_connections_max as u64;
    // Connections whose handshake was given up, and a proxy's without a name, are open beside those that have a place.
    let wanted = 2 * connections + OTHERS;
    (roles.director && wanted > allowed).then(|| {
        format!(
            "[dns] tcp_connections_max = {connections} may need {wanted} open files and sockets, and this process \
             may have {allowed}: raise the limit (LimitNOFILE= of a systemd unit, `ulimit -n` of a shell), or \
             lower tcp_connections_max"
        )
    })
}

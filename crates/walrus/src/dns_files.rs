//! Whether the name server could start with the files that `[dns]` names for TLS, HTTPS and cookies.

use std::error::Error;
use std::io::{self, ErrorKind};

use walrus_core::config::Configuration;
use walrus_director::check_cookie_secrets;
use walrus_host::log::chain;
use walrus_host::tls::server_config;

/// Why a start would fail. What only this user may not read is a warning: root may, who starts a name server.
pub(crate) fn problems(configuration: &Configuration, warnings: &mut Vec<String>) -> Vec<String> {
    let dns = &configuration.dns;
    let mut problems = Vec::new();
    if !configuration.node.roles.director {
        return problems;
    }
    let mut tell = |setting: &str, error: &dyn Error| {
        let text = format!("{setting}: {}", chain(error));
        if is_denied(error) { warnings.push(text) } else { problems.push(text) }
    };
    if let Some((certificate, key)) = dns.certificate.as_ref().zip(dns.key.as_ref())
        && let Err(error) = server_config(certificate, key, &[])
    {
        tell("[dns] certificate and key", &error);
    }
    if let Some(path) = dns.cookie_secret_file.as_ref().filter(|_| dns.cookies)
        && let Err(error) = check_cookie_secrets(path)
    {
        tell("[dns] cookie_secret_file", &error);
    }
    problems
}

fn is_denied(error: &dyn Error) -> bool {
    let io = error.source().and_then(|cause| cause.downcast_ref::<io::Error>());
    io.is_some_and(|error| error.kind() == ErrorKind::PermissionDenied)
}

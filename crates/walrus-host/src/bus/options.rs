//! What a connection is made with. Secrets are read anew for each connection, so that they may be
//! put in place, or changed, later; they are never held here nor told.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_nats::ConnectOptions;
use walrus_core::config::NatsAuthentication;
use walrus_core::message::Role;

use super::Shared;
use crate::log::chain;
use crate::regular_file;
use crate::tls::{Trust, client_config_as};
use crate::token::Token;

/// For a connection, with TLS and the NATS server's answer.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Messages of one subscription that wait for this node; beyond that they are lost, and counted.
const WAITING_MAX: usize = 8192;
/// A server that answers nothing for two of these is given up. Reporters may be many, and theirs is
/// longer.
const PING_EVERY: Duration = Duration::from_secs(2);
const PING_EVERY_REPORTER: Duration = Duration::from_secs(15);
/// No file with a secret is longer, in bytes.
const SECRET_LEN_MAX: u64 = 64 << 10;

/// The options for a connection to one server.
///
/// # Errors
/// In words: which file will not do.
pub(super) fn options(shared: &Shared, server: &str) -> Result<ConnectOptions, String> {
    let settings = &shared.settings;
    let options = authenticated(&settings.authentication)?;
    let trust = settings.authority.clone().map_or(Trust::Public, Trust::Authority);
    let identity = settings.certificate.as_deref().zip(settings.key.as_deref());
    let tls = client_config_as(&trust, identity).map_err(|error| chain(&error))?;
    let reporter = shared.voices.iter().all(|voice| voice.role == Role::Reporter);
    let voices: Vec<String> = shared
        .voices
        .iter()
        .map(|voice| format!("{} {}", voice.role.as_str(), voice.name))
        .collect();
    Ok(options
        .name(format!("walrus {}: {}", env!("CARGO_PKG_VERSION"), voices.join(", ")))
        .tls_client_config(Arc::unwrap_or_clone(tls))
        .require_tls(settings.needs_tls(server))
        .no_echo()
        .connection_timeout(CONNECT_TIMEOUT)
        .ping_interval(if reporter { PING_EVERY_REPORTER } else { PING_EVERY })
        .subscription_capacity(WAITING_MAX)
        // Servers are tried in our order and at our pace; the library makes one attempt at once when
        // a connection breaks.
        .ignore_discovered_servers()
        .max_reconnects(1)
        .reconnect_delay_callback(|_| Duration::ZERO))
}

fn authenticated(authentication: &NatsAuthentication) -> Result<ConnectOptions, String> {
    let options = ConnectOptions::new();
    Ok(match authentication {
        NatsAuthentication::None => options,
        NatsAuthentication::Credentials(file) => {
            options.credentials(&read(file)?).map_err(|_| {
                format!(
                    "{} holds no NATS credentials: copy the .creds file that `nsc generate creds` \
                     makes",
                    file.display()
                )
            })?
        }
        NatsAuthentication::Nkey(file) => {
            let text = read(file)?;
            let seed = text.lines().map(str::trim).find(|line| line.starts_with("SU"));
            let seed = seed.ok_or_else(|| {
                format!(
                    "{} holds no seed of a user's nkey (it begins with SU): make one with \
                     `nk -gen user`",
                    file.display()
                )
            })?;
            options.nkey(seed.to_owned())
        }
        NatsAuthentication::Token(file) => {
            let token = Token::read(file).map_err(|error| chain(&error))?;
            options.token(token.secret().to_owned())
        }
        NatsAuthentication::User { user, password_file } => {
            let text = read(password_file)?;
            let password = text.lines().next().unwrap_or_default();
            if password.is_empty() {
                return Err(format!("{} holds no password", password_file.display()));
            }
            options.user_and_password(user.clone(), password.to_owned())
        }
    })
}

/// A short text file.
fn read(file: &Path) -> Result<String, String> {
    let said = |error: std::io::Error| format!("cannot read {}: {error}", file.display());
    regular_file::read_text(file, SECRET_LEN_MAX).map_err(said)
}

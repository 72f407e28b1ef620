//! What this side of a connection proves itself with, and whom it trusts at the other.

use std::path::PathBuf;
use std::sync::Arc;

use rustls::ClientConfig;

use crate::log::chain;
use crate::tls::{TlsError, Trust, client_config, client_config_as};
use crate::token::Token;

/// A token, a certificate, or both; read at each connection, so that they may be put in place, or
/// changed, later.
#[derive(Clone, Debug)]
pub(super) struct Credentials {
    token_file: Option<PathBuf>,
    certificate: Option<(PathBuf, PathBuf)>,
    trust: Trust,
    /// Without the certificate.
    tls: Arc<ClientConfig>,
    /// An authority, fingerprint or certificate was configured: then TLS on loopback too.
    pub(super) tls_wanted: bool,
}

impl Credentials {
    /// # Errors
    /// If an authority or fingerprint will not do.
    pub(super) fn new(
        fingerprint: Option<&String>,
        authority: Option<&PathBuf>,
        token_file: Option<PathBuf>,
        (certificate, key): (Option<&PathBuf>, Option<&PathBuf>),
    ) -> Result<Self, TlsError> {
        let trust = match (fingerprint, authority) {
            (Some(fingerprint), _) => Some(Trust::Fingerprint(fingerprint.clone())),
            (None, Some(authority)) => Some(Trust::Authority(authority.clone())),
            (None, None) => None,
        };
        let certificate = certificate.cloned().zip(key.cloned());
        let tls_wanted = trust.is_some() || certificate.is_some();
        let trust = trust.unwrap_or_default();
        let tls = client_config(&trust)?;
        Ok(Self { token_file, certificate, trust, tls, tls_wanted })
    }

    /// How to speak TLS, with the certificate as its file holds it now.
    ///
    /// # Errors
    /// In words: a file that cannot be read or will not do.
    pub(super) async fn tls(&self) -> Result<Arc<ClientConfig>, String> {
        let Some((certificate, key)) = self.certificate.clone() else {
            return Ok(self.tls.clone());
        };
        let trust = self.trust.clone();
        off_the_runtime(move || {
            client_config_as(&trust, Some((&certificate, &key))).map_err(|error| chain(&error))
        })
        .await
    }

    /// The token as its file holds it now; `None` if the certificate is to do.
    ///
    /// # Errors
    /// In words: a file that cannot be read or holds none.
    pub(super) async fn token(&self) -> Result<Option<String>, String> {
        let Some(file) = self.token_file.clone() else { return Ok(None) };
        let read = move || Token::read(&file).map_err(|error| chain(&error));
        off_the_runtime(read).await.map(|token| Some(token.secret().to_owned()))
    }
}

/// Files may stand on what does not answer.
async fn off_the_runtime<T: Send + 'static>(
    read: impl FnOnce() -> Result<T, String> + Send + 'static,
) -> Result<T, String> {
    tokio::task::spawn_blocking(read).await.unwrap_or_else(|error| Err(error.to_string()))
}
